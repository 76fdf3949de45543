"""A client over a real socket that sees every frame: the bare engine, not our own client.

It reads only when a test asks it to, and gives windows back only if it was told to, so that a test
can be as slow as it likes.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import ngh2

from headstart.wire.events import Fields
from headstart.wire.frames import ConnectionFrames, Direction, Frame
from tests.server.live import PATIENCE, certificate

AUTHORITY = b"localhost"
HERE = "127.0.0.1"


@dataclass(slots=True)
class Response:
    """What came on one stream so far."""

    status: int = 0
    headers: Fields = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    received: int = 0
    trailers: Fields = field(default_factory=list)
    informational: list[Fields] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    @property
    def body(self) -> bytes:
        """What came of the body so far."""
        return b"".join(self.parts)

    def header(self, name: bytes) -> bytes | None:
        """The first value of a field."""
        return next((value for key, value in self.headers if key == name), None)


def tls_socket(port: int, *protocols: str, address: str = HERE) -> ssl.SSLSocket:
    """A verified TLS connection that offers these protocols by ALPN."""
    context = ssl.create_default_context(cafile=certificate().ca_certfile)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE, (address, 0))
    return context.wrap_socket(plain, server_hostname="localhost")


class Connected:
    """A socket that is connected to a server of ours, and closed with the block.

    Args:
        port: Of 127.0.0.1.
        tls: With ALPN h2; else cleartext.
        address: To connect from; every one of 127.0.0.0/8 is this machine's.
        connected: The connection, if there is one already.
    """

    def __init__(
        self,
        port: int,
        *,
        tls: bool = False,
        address: str = HERE,
        connected: socket.socket | None = None,
    ) -> None:
        self.socket: socket.socket = connected or (
            tls_socket(port, "h2", address=address)
            if tls
            else socket.create_connection((HERE, port), PATIENCE, (address, 0))
        )
        self.socket.settimeout(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()


class RawClient(Connected):
    """One HTTP/2 connection.

    Args:
        port: Of 127.0.0.1.
        settings: Ours, for instance ENABLE_PUSH.
        tls: With ALPN h2; else prior knowledge.
        windows: Give windows back as data comes; else never.
        address: To connect from; every one of 127.0.0.0/8 is this machine's.
    """

    def __init__(
        self,
        port: int,
        settings: Mapping[int, int] | None = None,
        *,
        tls: bool = False,
        windows: bool = True,
        address: str = HERE,
        connected: socket.socket | None = None,
    ) -> None:
        self.scheme = b"https" if tls else b"http"
        super().__init__(port, tls=tls, address=address, connected=connected)
        self.engine = ngh2.Connection(
            ngh2.Role.CLIENT,
            ngh2.Configuration(auto_window_update=windows, max_outbound_ack=100_000),
        )
        self.engine.initiate_connection(dict(settings or {}))
        self._frames = ConnectionFrames()
        self.frames: list[Frame] = []
        self.responses: dict[int, Response] = {}
        self.promises: dict[int, Fields] = {}
        """Promised stream -> the promised request."""
        self.authority = AUTHORITY
        """Of its requests."""
        self.closed = False
        """The server closed the connection."""

    # Out.

    def request(
        self,
        path: bytes = b"/",
        *,
        method: bytes = b"GET",
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | None = None,
        end_stream: bool = True,
    ) -> int:
        """Ask; returns the stream. Without `end_stream` the request's body goes on."""
        pseudo = [
            (b":method", method),
            (b":scheme", self.scheme),
            (b":authority", self.authority),
            (b":path", path),
        ]
        stream_id = self.engine.send_request(
            [*pseudo, *headers], end_stream=body is None and end_stream
        )
        self.responses[stream_id] = Response()
        if body is not None:
            self.engine.send_data(stream_id, body, end_stream=end_stream)
        self.flush()
        return stream_id

    def send_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        """Send a part of a request's body, as far as the windows let it."""
        self.engine.send_data(stream_id, data, end_stream=end_stream)
        self.flush()

    def reset(self, stream_id: int, error_code: int = ngh2.ErrorCode.CANCEL) -> None:
        """RST_STREAM."""
        self.engine.reset_stream(stream_id, error_code)
        self.flush()

    def update_settings(self, settings: Mapping[int, int]) -> None:
        """SETTINGS, in the middle of the connection."""
        self.engine.update_settings(dict(settings))
        self.flush()

    def flush(self) -> None:
        """Write what the engine has."""
        while data := self.engine.data_to_send():
            self.frames += self._frames.feed(Direction.SENT, data, 0.0)
            self.socket.sendall(data)

    # In.

    def read(self) -> bool:
        """Read once; False where the server closed the connection."""
        data = self._receive()
        if not data:
            self.closed = True
            return False
        self.frames += self._frames.feed(Direction.RECEIVED, data, 0.0)
        # Once it has heard a GOAWAY and has no stream left, the engine takes nothing any more.
        with suppress(ngh2.ConnectionStateError):
            self.engine.receive_data(data)
        for event in self.engine.events():
            self._take(event)
        # What the server said before it left still counts.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.flush()
        return True

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def until(self, condition: Callable[[], object]) -> None:
        """Read until `condition` holds; fails if the server closes before that."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            assert self.read() or condition(), "the server closed the connection"

    def until_closed(self) -> None:
        """Read until the server closes the connection."""
        while self.read():
            pass

    def settle(self) -> None:
        """Send a PING and read until its answer: what was sent before it has arrived."""
        before = len(self.received("PING"))
        self.engine.ping(b"settling")
        self.flush()
        self.until(lambda: len(self.received("PING")) > before)

    def response(self, stream_id: int) -> Response:
        """Read until the response on the stream has come to its end, or was reset."""
        self.responses.setdefault(stream_id, Response())
        self.until(lambda: self.responses[stream_id].ended)
        return self.responses[stream_id]

    def get(self, path: bytes = b"/", headers: Iterable[tuple[bytes, bytes]] = ()) -> Response:
        """Ask and read the whole response."""
        return self.response(self.request(path, headers=headers))

    @property
    def goaways(self) -> list[tuple[int, str]]:
        """Last stream and error of each GOAWAY of the server."""
        details = [dict(frame.details) for frame in self.received("GOAWAY")]
        return [(int(d["last stream"]), d["error"]) for d in details]

    def read_on(self, stream_id: int) -> Response:
        """Read a response to its end, giving windows back, where that was not done before."""
        response, given = self.responses[stream_id], 0
        while not response.ended:
            if response.received > given:
                amount = response.received - given
                self.engine.acknowledge_received_data(amount, stream_id)
                given += amount
                self.flush()
            assert self.read(), "the server closed the connection"
        return response

    def received(self, kind: str, stream_id: int | None = None) -> list[Frame]:
        """Frames that the server wrote."""
        return [
            frame
            for frame in self.frames
            if frame.direction is Direction.RECEIVED
            and frame.kind == kind
            and stream_id in (None, frame.stream_id)
        ]

    def _take(self, event: ngh2.Event) -> None:
        match event:
            case ngh2.PushedStreamReceived(promised_stream_id=promised, headers=headers):
                self.promises[promised] = list(headers)
                self.responses[promised] = Response()
            case (
                ngh2.ResponseReceived(stream_id=stream_id)
                | ngh2.InformationalResponseReceived(stream_id=stream_id)
                | ngh2.DataReceived(stream_id=stream_id)
                | ngh2.TrailersReceived(stream_id=stream_id)
                | ngh2.StreamReset(stream_id=stream_id)
                | ngh2.StreamClosed(stream_id=stream_id)
            ):
                _tell(self.responses.setdefault(stream_id, Response()), event)
            case _:
                pass


def _tell(response: Response, event: ngh2.Event) -> None:
    match event:
        case ngh2.ResponseReceived(headers=headers, end_stream=end_stream):
            response.status = int(dict(headers)[b":status"])
            response.headers = list(headers)
            response.ended |= end_stream
        case ngh2.InformationalResponseReceived(headers=headers):
            response.informational.append(list(headers))
        case ngh2.DataReceived(data=data, end_stream=end_stream):
            response.parts.append(data)
            response.received += len(data)
            response.ended |= end_stream
        case ngh2.TrailersReceived(headers=headers):
            response.trailers = list(headers)
            response.ended = True
        case ngh2.StreamReset(error_code=error_code):
            response.reset = error_code
            response.ended = True
        case _:
            response.ended = True
