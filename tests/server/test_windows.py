"""Receive windows that grow: over a link of simulated length, and over a real one."""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from contextlib import closing, suppress

import hpack
import hyperframe.frame
import ngh2

from headstart.config import ServerOptions, WireLimits
from headstart.server.protocol import PREFACE
from headstart.server.windows import Budget, UploadWindows
from headstart.wire.events import DataReceived
from headstart.wire.server import ServerConnection
from tests.server.apps import Receive, Recorder, Scope, Send, answer, read_all
from tests.server.live import PATIENCE, certificate, running
from tests.server.raw import HERE, RawClient

DISTANCE = 0.05
"""Seconds from one side to the other."""
UPLOAD = 20_000_000
LIMITS = WireLimits()
POST = [
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "localhost"),
    (":path", "/"),
]


class Link:
    """A client that uploads to a server that reads at once, as fast as the windows let it.

    Args:
        budget: Of the server's worker.
        rate: Bytes a second that the application reads at the most.
        capacity: Bytes a second that the link carries to the server at the most.
    """

    def __init__(
        self, budget: Budget, rate: float = float("inf"), capacity: float = float("inf")
    ) -> None:
        self.now = 0.0
        self._capacity = capacity
        self._free = 0.0
        """When the link has taken all that was sent so far."""
        self.read = 0
        self._rate = rate
        self.server = ServerConnection(LIMITS, self.now)
        self.windows = UploadWindows(self.server, LIMITS, budget, self.now)
        self.client = ngh2.Connection(ngh2.Role.CLIENT, ngh2.Configuration())
        self.client.initiate_connection({})
        self._under_way: deque[tuple[float, bool, bytes]] = deque()
        self._unread: deque[tuple[float, int, int]] = deque()
        self.largest_unread = 0

    def upload(self, size: int, streams: int = 1) -> float:
        """Upload so much in all; returns the seconds that it took."""
        begun = self.now
        for _ in range(streams):
            stream_id = self.client.send_request(
                [
                    (b":method", b"POST"),
                    (b":scheme", b"http"),
                    (b":authority", b"localhost"),
                    (b":path", b"/"),
                ]
            )
            self.client.send_data(stream_id, bytes(size // streams), end_stream=True)
        end = self.read + size
        while self.read < end:
            self._step()
        return self.now - begun

    def _step(self) -> None:
        while data := self.client.data_to_send(16_384):
            self._send(True, data)
        while data := self.server.output():
            self._send(False, data)
        self.server.after_output(self.now)
        coming = [line[0][0] for line in (self._under_way, self._unread) if line]
        self.now = max(self.now, min(coming))
        while self._under_way and self._under_way[0][0] <= self.now:
            _, to_server, data = self._under_way.popleft()
            if to_server:
                self._arrived(data)
            else:
                self.client.receive_data(data)
                self.client.events()
        while self._unread and self._unread[0][0] <= self.now:
            _, stream_id, size = self._unread.popleft()
            self.read += size
            self.server.acknowledge(size, stream_id)
            self.windows.read(stream_id, size, self.now)

    def _send(self, to_server: bool, data: bytes) -> None:
        taken = self.now
        if to_server:
            taken = self._free = max(self._free, self.now) + len(data) / self._capacity
        self._under_way.append((taken + DISTANCE, to_server, data))
        if self._capacity != float("inf"):
            self._under_way = deque(sorted(self._under_way, key=lambda part: part[0]))

    def _arrived(self, data: bytes) -> None:
        for event in self.server.receive(data, self.now):
            if isinstance(event, DataReceived):
                last = self._unread[-1][0] if self._unread else self.now
                due = max(last, self.now) + len(event.data) / self._rate
                self._unread.append((due, event.stream_id, len(event.data)))
        self.largest_unread = max(self.largest_unread, sum(part[2] for part in self._unread))


def test_upload_over_one_stream_of_a_long_link_is_not_held_up_by_its_window() -> None:
    link = Link(Budget(ServerOptions().max_window_growth))

    took = link.upload(UPLOAD)

    # 64 KiB a round trip would take 31 s, doubling 1.45 s, and four times as much each time 1.25 s.
    assert took < 1.2


def test_upload_of_50_mb_uses_nine_tenths_of_a_long_link() -> None:
    capacity = 100_000_000 / 8
    link = Link(Budget(ServerOptions().max_window_growth), capacity=capacity)

    took = link.upload(50_000_000)

    # The connection and its SETTINGS, which this link does not wait for, take another hundredth.
    assert 50_000_000 / took >= 0.92 * capacity


def test_window_of_an_application_that_is_slower_than_the_link_stays_small() -> None:
    link = Link(Budget(ServerOptions().max_window_growth), rate=100_000)

    link.upload(3_000_000)

    assert link.largest_unread <= LIMITS.stream_window


def test_windows_of_a_connection_and_of_a_stream_have_an_end() -> None:
    budget = Budget(ServerOptions().max_window_growth)
    link = Link(budget)

    link.upload(60_000_000, streams=4)

    assert link.server.windows() is not None
    assert link.largest_unread <= LIMITS.max_connection_window
    grown = LIMITS.max_connection_window - LIMITS.connection_window
    assert budget.left == ServerOptions().max_window_growth - grown
    link.windows.connection_lost()
    assert budget.left == ServerOptions().max_window_growth


def test_connections_of_a_worker_do_not_grow_beyond_what_they_have_together() -> None:
    budget = Budget(0)
    link = Link(budget)

    link.upload(UPLOAD)

    assert link.largest_unread <= LIMITS.connection_window
    assert budget.left == 0


def test_nothing_grows_for_a_client_whose_distance_is_not_known() -> None:
    server = ServerConnection(LIMITS, 0.0)
    windows = UploadWindows(server, LIMITS, Budget(1 << 30), 0.0)

    windows.read(1, 1 << 20, 0.0)
    windows.stream_closed(1)

    before = server.windows()
    assert before is not None
    assert before[1] <= LIMITS.connection_window


def test_windows_that_grew_lose_nothing_of_the_body() -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"%d" % len(await read_all(receive)))

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        client.settle()
        for _ in range(3):
            stream_id = client.request(method=b"POST", body=bytes(UPLOAD))

            assert client.response(stream_id).body == b"%d" % UPLOAD
        sizes = [int(dict(f.details)["increment"]) for f in client.received("WINDOW_UPDATE")]

    assert max(sizes) > LIMITS.stream_window


class FarAway:
    """A TLS connection of a client whose part of the handshake is late, as over a long link.

    Args:
        port: Of 127.0.0.1.
        round_trip: Seconds.
    """

    def __init__(self, port: int, round_trip: float) -> None:
        context = ssl.create_default_context(cafile=certificate().ca_certfile)
        context.set_alpn_protocols(["h2"])
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._socket = socket.create_connection((HERE, port), PATIENCE)
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self._socket.sendall(self._outgoing.read())
        while not self._has_answered():
            self._hear()
        time.sleep(round_trip)
        self._socket.sendall(self._outgoing.read())

    def _has_answered(self) -> bool:
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            return True
        return False

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._tls.write(data)
        self._socket.sendall(self._outgoing.read())

    def read(self) -> bytes:
        """Wait for some bytes."""
        while True:
            with suppress(ssl.SSLWantReadError):
                return self._tls.read(65_536)
            self._hear()

    def _hear(self) -> None:
        data = self._socket.recv(65_536)
        assert data, "the server closed the connection"
        self._incoming.write(data)

    def close(self) -> None:
        """End at once."""
        self._socket.close()


def test_tls_handshake_says_how_far_the_client_is_before_it_acknowledges_settings() -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"%d" % len(await read_all(receive)))

    frames: list[hyperframe.frame.Frame] = [
        hyperframe.frame.SettingsFrame(0),
        hyperframe.frame.HeadersFrame(1, hpack.Encoder().encode(POST), flags=["END_HEADERS"]),
        *[hyperframe.frame.DataFrame(1, bytes(16_000)) for _ in range(4)],
    ]
    with (
        running(Recorder(act), tls=True) as server,
        closing(FarAway(server.port, 0.2)) as client,
    ):
        client.send(PREFACE + b"".join(frame.serialize() for frame in frames))
        received = b""
        # The client acknowledges nothing, so a server that waited for that would send no more.
        while not _grown(received):
            received += client.read()


def _grown(data: bytes) -> bool:
    """Return whether one frame widens stream 1 by more than its first window."""
    at = 0
    while len(data) - at >= 9:
        frame, size = hyperframe.frame.Frame.parse_frame_header(memoryview(data)[at : at + 9])
        body = memoryview(data)[at + 9 : at + 9 + size]
        at += 9 + size
        if isinstance(frame, hyperframe.frame.WindowUpdateFrame) and frame.stream_id == 1:
            frame.parse_body(body)
            if frame.window_increment > LIMITS.stream_window:
                return True
    return False
