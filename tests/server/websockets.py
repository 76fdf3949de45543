"""Clients of WebSockets without any state of their own, over HTTP/1.1 and HTTP/2 (RFC 8441)."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol, TypeAlias

from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket

from tests.server.live import PATIENCE, LiveServer
from tests.server.raw import AUTHORITY, RawClient

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CONNECT_PROTOCOL = "ENABLE_CONNECT_PROTOCOL"


def library_client(url: str, **more: Any) -> ClientConnection:
    """Open a WebSocket as users of the `websockets` library do, with time for a busy machine."""
    client: ClientConnection = open_websocket(
        url, proxy=None, open_timeout=PATIENCE, ping_timeout=PATIENCE, **more
    )
    return client


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


class Client(Protocol):
    """One WebSocket that was accepted."""

    def send(self, data: bytes) -> bool:
        """Write; False where the server has ended it meanwhile."""

    def read(self) -> tuple[int, bytes]:
        """The next frame of the server: kind, and payload.

        Raises:
            EOFError: It ended the WebSocket.
        """

    def rest(self) -> list[tuple[int, bytes]]:
        """All frames until the server ends the WebSocket."""


class _Frames:
    """Takes frames from what comes."""

    def __init__(self) -> None:
        self._data = b""

    def _receive(self) -> bytes:
        raise NotImplementedError

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            part = self._receive()
            if not part:
                raise EOFError
            self._data += part
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def read(self) -> tuple[int, bytes]:
        """See `Client`."""
        first, size = self._take(2)
        if size == 126:
            size = int.from_bytes(self._take(2), "big")
        elif size == 127:
            size = int.from_bytes(self._take(8), "big")
        return first & 0x0F, self._take(size)

    def rest(self) -> list[tuple[int, bytes]]:
        """See `Client`."""
        frames = []
        with suppress(EOFError, ConnectionResetError):
            while True:
                frames.append(self.read())
        return frames


class Arrived(_Frames):
    """The frames of a WebSocket that has ended."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def _receive(self) -> bytes:
        return b""


def handshake(path: str, *more: str) -> bytes:
    """The request for a WebSocket over HTTP/1.1."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: c2FtcGxlIG5vbmNlAAAAAA==",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class Http1Client(_Frames):
    """A WebSocket on a connection of its own."""

    def __init__(
        self,
        server: LiveServer,
        path: str,
        deflate: bool,
        connected: socket.socket | None = None,
    ) -> None:
        super().__init__()
        self.socket = connected or socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self.socket.settimeout(PATIENCE)
        more = ["Sec-WebSocket-Extensions: permessage-deflate"] if deflate else []
        self.send(handshake(path, *more))
        while b"\r\n\r\n" not in self._data:
            self._data += self._receive()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        assert b" 101 " in head

    @property
    def unread(self) -> bytes:
        """Came, and was not read as a frame."""
        return self._data

    def send(self, data: bytes) -> bool:
        """See `Client`."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
            return True
        return False

    def _receive(self) -> bytes:
        return self.socket.recv(1 << 20)


def connect(
    client: RawClient, path: bytes = b"/", *fields: tuple[bytes, bytes], **pseudo: bytes
) -> int:
    """Ask for a WebSocket by an extended CONNECT; returns the stream.

    Args:
        fields: Behind `sec-websocket-version`.
        pseudo: Other values than the usual ones; b"" leaves a pseudo-header field out.
    """
    client.flush()
    client.until(lambda: client.received("SETTINGS"))
    usual = {"method": b"CONNECT", "protocol": b"websocket", "scheme": client.scheme}
    usual |= {"path": path, "authority": AUTHORITY}
    named = [(f":{name}".encode(), value) for name, value in (usual | pseudo).items() if value]
    version = (b"sec-websocket-version", b"13")
    stream_id = client.engine.send_request([*named, version, *fields], end_stream=False)
    client.flush()
    return stream_id


class Http2Client(_Frames):
    """A WebSocket on a stream of a connection.

    Attributes:
        raw: The connection.
        stream_id: The stream.
    """

    def __init__(
        self, raw: RawClient, path: bytes = b"/", *fields: tuple[bytes, bytes], **pseudo: bytes
    ) -> None:
        super().__init__()
        self.raw = raw
        self.stream_id = connect(raw, path, *fields, **pseudo)
        raw.until(lambda: self.stream_id in raw.responses)
        self.response = raw.responses[self.stream_id]
        raw.until(lambda: self.response.status)
        assert self.response.status == 200

    def send(self, data: bytes) -> bool:
        """See `Client`."""
        if self.response.ended:
            return False
        self.raw.send_data(self.stream_id, data)
        while self._waits():
            if not self.raw.read():
                return False
        return not self.response.ended

    def _waits(self) -> bool:
        """Whether a part of what was sent waits for a window."""
        ended = self.response.ended
        return not ended and self.raw.engine.queued_body_size(self.stream_id) > 0

    def end(self) -> None:
        """Send END_STREAM."""
        self.raw.send_data(self.stream_id, b"", end_stream=True)

    def _receive(self) -> bytes:
        while not (self.response.parts or self.response.ended) and self.raw.read():
            pass
        data = self.response.body
        self.response.parts.clear()
        return data


Connect: TypeAlias = Callable[..., AbstractContextManager[Client]]


@contextmanager
def over_http1(
    server: LiveServer, path: str = "/", *, deflate: bool = False, reads: bool = True
) -> Iterator[Http1Client]:
    """A WebSocket over HTTP/1.1, closed with the block."""
    client = Http1Client(server, path, deflate)
    try:
        yield client
    finally:
        client.socket.close()


@contextmanager
def over_http2(
    server: LiveServer, path: str = "/", *, deflate: bool = False, reads: bool = True
) -> Iterator[Http2Client]:
    """A WebSocket over HTTP/2, on a connection that is closed with the block."""
    extension = [(b"sec-websocket-extensions", b"permessage-deflate")] if deflate else []
    with RawClient(server.port, windows=reads) as raw:
        yield Http2Client(raw, path.encode(), *extension)
