"""WebSockets whose clients send what nobody wants, or read nothing of what they asked for."""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server import worker as worker_module
from headstart.server.counters import Counters
from headstart.server.websocket import WebSocketConnection
from headstart.server.worker import Worker
from tests.server.apps import Receive, Scope, Send, lifespan
from tests.server.live import PATIENCE, Gate, LiveServer, running, until

MB = 1_000_000
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
POLICY, TOO_BIG = (1008).to_bytes(2, "big"), (1009).to_bytes(2, "big")


def frame(kind: int, payload: bytes = b"", *, end: bool = True, packed: bool = False) -> bytes:
    """One frame of a client, masked with zeros (RFC 6455, 5.2)."""
    first, size = end << 7 | packed << 6 | kind, len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = bytes([0xFE]) + size.to_bytes(2, "big")
    else:
        length = bytes([0xFF]) + size.to_bytes(8, "big")
    return bytes([first]) + length + bytes(4) + payload


def packed(size: int) -> bytes:
    """A message of so many zeros, compressed (RFC 7692, 7.2.1)."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -12)
    data = deflate.compress(bytes(size)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frame(BINARY, data[:-4], packed=True)


class Client:
    """One WebSocket, without any state of its own."""

    def __init__(self, server: LiveServer, path: str, deflate: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self.socket.settimeout(PATIENCE)
        lines = [
            f"GET {path} HTTP/1.1",
            "Host: localhost",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: c2FtcGxlIG5vbmNlAAAAAA==",
        ]
        if deflate:
            lines.append("Sec-WebSocket-Extensions: permessage-deflate")
        self.send("\r\n".join([*lines, "", ""]).encode())
        self._data = b""
        while b"\r\n\r\n" not in self._data:
            self._data += self.socket.recv(65536)
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        assert b" 101 " in head

    def send(self, data: bytes) -> bool:
        """Write; False where the server has closed the connection meanwhile."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
            return True
        return False

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            part = self.socket.recv(1 << 20)
            if not part:
                raise EOFError
            self._data += part
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def read(self) -> tuple[int, bytes]:
        """The next frame of the server: kind, and payload.

        Raises:
            EOFError: It closed the connection.
        """
        first, size = self._take(2)
        if size == 126:
            size = int.from_bytes(self._take(2), "big")
        elif size == 127:
            size = int.from_bytes(self._take(8), "big")
        return first & 0x0F, self._take(size)

    def rest(self) -> list[tuple[int, bytes]]:
        """All frames until the server closes the connection."""
        frames = []
        with suppress(EOFError, ConnectionResetError):
            while True:
                frames.append(self.read())
        return frames


@contextmanager
def connected(server: LiveServer, path: str = "/", *, deflate: bool = False) -> Iterator[Client]:
    client = Client(server, path, deflate)
    try:
        yield client
    finally:
        client.socket.close()


class Socket:
    """An application that accepts and then does as its path says."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.alive = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        self.alive += 1
        try:
            await self._act(scope["path"], receive, send)
        finally:
            self.alive -= 1
        return None

    async def _act(self, path: str, receive: Receive, send: Send) -> None:
        match path:
            case "/close":
                await send({"type": "websocket.close", "code": 1000})
            case "/large":
                for _ in range(100):
                    await send({"type": "websocket.send", "bytes": bytes(MB)})
            case "/hang":
                await asyncio.Event().wait()
            case "/tidy":
                while (await receive())["type"] != "websocket.disconnect":
                    pass
                await self.gate.passed()
            case _:
                await self.gate.passed()
                while (message := await receive())["type"] == "websocket.receive":
                    await send({"type": "websocket.send", "bytes": message["bytes"]})


@pytest.fixture
def app() -> Socket:
    return Socket()


def worker_of(server: LiveServer) -> Worker:
    return Worker.of(server.server.server_state, server.server.config, server.server.loop)


def counters(server: LiveServer) -> Counters:
    return worker_of(server).counters


def held(server: LiveServer) -> int:
    """What its only WebSocket holds."""
    found = [c for c in list(worker_of(server).sheddable) if isinstance(c, WebSocketConnection)]
    return found[0].held() if found else 0


def test_messages_that_wait_arrive_whole_and_in_order(app: Socket) -> None:
    messages = [b"%d" % number * 100 for number in range(1000)]
    with running(app) as server, connected(server) as client:
        client.send(b"".join(frame(BINARY, message) for message in messages))
        app.gate.open()

        assert [client.read() for _ in messages] == [(BINARY, message) for message in messages]


def test_messages_that_nobody_takes_are_not_unpacked(app: Socket) -> None:
    """A segment of 24 KB that is 24 MB."""
    with running(app) as server, connected(server, deflate=True) as client:
        client.send(packed(2 * MB) * 12)
        until(lambda: held(server) >= 2 * MB, "the first message")

        assert held(server) < 5 * MB
        app.gate.open()
        sizes = [len(client.read()[1]) for _ in range(12)]
        # The server's frames are packed, too.
        assert all(size < 10_000 for size in sizes)
        until(lambda: held(server) == 0, "the last message")


def test_client_that_sends_while_it_reads_nothing_is_served_when_it_reads(app: Socket) -> None:
    app.gate.open()
    message = bytes(range(256)) * 400
    with running(app) as server, connected(server) as client:
        client.socket.settimeout(0.5)
        sent = bytearray()
        with suppress(TimeoutError):
            for _ in range(400):
                sent += frame(BINARY, message)
                client.socket.sendall(frame(BINARY, message))
        assert held(server) < 4 * MB
        client.socket.settimeout(PATIENCE)

        assert client.read()[0] == BINARY
        assert counters(server).connections.total() == 0


FLOODS = {
    "PING": (frame(PING, bytes(125)), Closing.CONTROL_FLOOD),
    "PONG": (frame(PONG), Closing.CONTROL_FLOOD),
    "empty fragments": (frame(CONTINUATION, end=False), Closing.SMALL_DATA),
    "fragments of a byte": (frame(CONTINUATION, b"x", end=False), Closing.SMALL_DATA),
}


@pytest.mark.parametrize("name", FLOODS)
def test_client_that_floods_is_sent_away(name: str, app: Socket) -> None:
    again, reason = FLOODS[name]
    with running(app) as server, connected(server) as client:
        client.send(frame(BINARY, end=False))
        while client.send(again * 100):
            assert held(server) < MB
        until(lambda: counters(server).open == 0, "the end")

        assert counters(server).connections == {reason: 1}


def test_client_is_told_why_it_is_sent_away(app: Socket) -> None:
    with running(app) as server, connected(server) as client:
        client.send(frame(PING) * 2000)

        assert client.rest()[-1] == (CLOSE, POLICY + b"control-flood")


def test_large_fragments_are_no_flood(app: Socket) -> None:
    app.gate.open()
    with running(app) as server, connected(server) as client:
        client.send(frame(BINARY, end=False))
        client.send(frame(CONTINUATION, bytes(300), end=False) * 2000)
        client.send(frame(CONTINUATION))

        assert client.read()[0] == BINARY


def test_client_that_breaks_the_protocol_is_logged_so(app: Socket) -> None:
    with running(app) as server, connected(server) as client:
        client.send(frame(3))
        client.rest()
        until(lambda: counters(server).open == 0, "the end")

        assert counters(server).connections == {Closing.PROTOCOL_ERROR: 1}


def test_message_over_the_limit_is_refused(app: Socket) -> None:
    with running(app, ws_max_size=1000) as server, connected(server, deflate=True) as client:
        client.send(packed(2000))
        kind, payload = client.rest()[-1]

        assert (kind, payload[:2]) == (CLOSE, TOO_BIG)


@pytest.mark.parametrize(
    ("path", "reason"), [("/close", Closing.CLOSED), ("/tidy", Closing.PEER_LEFT)]
)
def test_ordinary_end_is_counted(path: str, reason: Closing, app: Socket) -> None:
    app.gate.open()
    with running(app) as server, connected(server, path) as client:
        client.send(frame(CLOSE, (1000).to_bytes(2, "big")))
        client.rest()
        until(lambda: counters(server).open == 0, "the end")

        assert counters(server).connections == {reason: 1}


def test_end_of_the_server_is_counted(app: Socket) -> None:
    with running(app) as server, connected(server) as client:
        server.begin_to_stop()

        assert client.rest()[-1] == (CLOSE, (1012).to_bytes(2, "big"))
        until(lambda: counters(server).connections == {Closing.DRAINED: 1}, "the end")


def test_whoever_reads_nothing_is_cut_off(app: Socket) -> None:
    options = ServerOptions(stall_timeout=0.4)
    with (
        running(app, options) as server,
        connected(server, "/large"),
    ):
        until(lambda: counters(server).open == 0, "the end")

        assert counters(server).connections == {Closing.STALLED: 1}


def test_whoever_does_not_answer_a_ping_is_cut_off(app: Socket) -> None:
    with (
        running(app, ws_ping_interval=0.05, ws_ping_timeout=0.05) as server,
        connected(server) as client,
    ):
        client.rest()
        until(lambda: counters(server).open == 0, "the end")

        assert counters(server).connections == {Closing.STALLED: 1}


@pytest.mark.parametrize("begun", [frame(BINARY, b"x", end=False), frame(BINARY, b"xyz")[:-1]])
def test_message_that_does_not_go_on_is_not_waited_for(begun: bytes, app: Socket) -> None:
    with (
        running(app, ServerOptions(body_timeout=0.4)) as server,
        connected(server) as client,
    ):
        client.send(begun)

        assert client.rest() == [(CLOSE, POLICY + b"body-timeout")]
        assert counters(server).connections == {Closing.BODY_TIMEOUT: 1}


def test_message_that_goes_on_is_waited_for(app: Socket) -> None:
    app.gate.open()
    options = ServerOptions(body_timeout=100, min_body_rate=10)
    # Its own PINGs would have to be answered.
    with (
        running(app, options, skipping=True, ws_ping_interval=None) as server,
        connected(server) as client,
    ):
        client.send(frame(BINARY, end=False))
        for _ in range(10):
            client.send(frame(CONTINUATION, bytes(1000), end=False))
            client.send(frame(PING))
            assert client.read()[0] == PONG
            server.skip(25)
        client.send(frame(CONTINUATION))

        assert client.read()[0] == BINARY


def test_call_that_does_not_hear_that_its_client_left_is_cancelled(
    app: Socket, caplog: pytest.LogCaptureFixture
) -> None:
    with running(app, ServerOptions(call_grace=0.05)) as server:
        for _ in range(5):
            with connected(server, "/hang"):
                pass
        until(lambda: app.alive == 0 and counters(server).open == 0, "the end of the calls")

    assert not caplog.records


def test_call_that_heard_may_take_its_time(app: Socket) -> None:
    with running(app, ServerOptions(call_grace=0.02)) as server:
        with connected(server, "/tidy"):
            pass
        until(lambda: counters(server).open == 0, "the end of the connection")
        left = worker_of(server)._loop.time()
        until(lambda: worker_of(server)._loop.time() > left + 0.2, "more than the grace")
        assert app.alive == 1

        app.gate.open()
        until(lambda: app.alive == 0, "its end")


def test_large_message_is_cut_off_when_memory_is_short(
    app: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = 0
    monkeypatch.setattr(worker_module, "_SECOND", 0.01)
    monkeypatch.setattr(worker_module, "used_memory", lambda: used)
    monkeypatch.setattr(worker_module, "used_blocks", lambda: 0)
    with (
        running(app, ServerOptions(max_memory=800 * MB)) as server,
        connected(server) as large,
    ):
        large.send(frame(BINARY, bytes(MB), end=False))
        until(lambda: held(server) >= MB, "the message")
        with connected(server) as small:
            used = 701 * MB
            until(lambda: worker_of(server).shedding, "the shedding")
            assert counters(server).connections.total() == 0
            used = 801 * MB
            assert large.rest() == []
            used = 0
            app.gate.open()
            small.send(frame(BINARY, b"x"))

            assert small.read() == (BINARY, b"x")
            assert counters(server).connections == {Closing.MEMORY: 1}


def test_another_implementation_keeps_its_seat(app: Socket) -> None:
    """`--ws` may name one that knows of none."""

    class Other(WebSocketsSansIOProtocol):
        pass

    with running(app, ws=Other) as server:
        with connected(server):
            assert counters(server).open == 1
        until(lambda: counters(server).open == 0, "its seat")
