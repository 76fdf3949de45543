"""A server that says exactly the frames that a test wants: hyperframe and hpack, and no engine.

It keeps no rule of HTTP/2 but the order of a handshake. Each connection has a thread.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
)

from tests.h2c.room import PATIENCE

_PREFACE = 24
Fields: TypeAlias = list[tuple[str, str]]


class Connection:
    """One client.

    Attributes:
        sizes: Payloads of the DATA frames that came.
        bodies: Content of each request.
        resets: Streams that the client reset, and their error codes.
        pings: PING frames that `probe` sent.
    """

    def __init__(self, server: FrameServer, sock: socket.socket) -> None:
        self._server = server
        self._sock = sock
        self._decoder = Decoder()
        self._encoder = Encoder()
        self._paths: dict[int, str] = {}
        self.sizes: list[int] = []
        self.bodies: dict[int, bytes] = {}
        self.resets: dict[int, int] = {}
        self.pings = 0
        self._is_probing = False

    def send(self, *frames: Frame) -> None:
        """Write frames in one segment."""
        self._sock.sendall(b"".join(frame.serialize() for frame in frames))

    def raw(self, kind: int, stream_id: int, payload: bytes, flags: int = 0) -> None:
        """Write a frame of any type."""
        head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big")
        self._sock.sendall(head + payload)

    def probe(self) -> None:
        """Send a PING unless one is under way, as gRPC does for each DATA frame."""
        if not self._is_probing:
            self._is_probing = True
            self.pings += 1
            self.send(PingFrame(0, b"bdpprobe"))

    def block(self, status: int, *fields: tuple[str, str]) -> bytes:
        """A header section, without Huffman coding: 64 KiB in it would take seconds."""
        return self._encoder.encode([(":status", str(status)), *fields], huffman=False)

    def answer(self, stream_id: int, content: bytes, status: int = 200) -> None:
        """A whole response."""
        self.send(
            HeadersFrame(stream_id, self.block(status), flags=["END_HEADERS"]),
            DataFrame(stream_id, content, flags=["END_STREAM"]),
        )

    def promise(
        self, parent: int, promised: int, request: tuple[str, str, str], *fields: tuple[str, str]
    ) -> None:
        """A PUSH_PROMISE.

        Args:
            request: Method, authority, path.
        """
        method, authority, path = request
        pseudo = [(":method", method), (":scheme", "http"), (":authority", authority)]
        block = self._encoder.encode([*pseudo, (":path", path), *fields])
        self.send(PushPromiseFrame(parent, promised, block, flags=["END_HEADERS"]))

    def close(self) -> None:
        """Without a word."""
        self._sock.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Until the client closes."""
        self._exactly(_PREFACE)
        # hyperframe cuts settings above 0xff to one byte.
        settings = self._server.settings.items()
        self.raw(0x4, 0, b"".join(struct.pack(">HL", *setting) for setting in settings))
        while head := self._exactly(9):
            frame, size = Frame.parse_frame_header(memoryview(head))
            frame.parse_body(memoryview(self._exactly(size)))
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        match frame:
            case SettingsFrame() if "ACK" not in frame.flags:
                self.send(SettingsFrame(0, flags=["ACK"]))
            case HeadersFrame():
                fields = dict(self._decoder.decode(frame.data, raw=True))
                self._paths[frame.stream_id] = fields[b":path"].decode()
                self.bodies[frame.stream_id] = b""
            case DataFrame():
                self.sizes.append(len(frame.data))
                self.bodies[frame.stream_id] += frame.data
                self._server.on_data(self, frame.stream_id)
            case PingFrame() if "ACK" in frame.flags:
                self._is_probing = False
            case RstStreamFrame():
                self.resets[frame.stream_id] = frame.error_code
            case _:
                pass
        if isinstance(frame, HeadersFrame | DataFrame) and "END_STREAM" in frame.flags:
            self._server.on_request(self, frame.stream_id, self._paths[frame.stream_id])

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._sock.recv(size - len(data))
            if not more:
                return b""
            data += more
        return data


class FrameServer:
    """Listens; the test sets what it does.

    Attributes:
        settings: Its first SETTINGS.
        on_request: Called when a request is complete: connection, stream, path.
        on_data: Called for each DATA frame: connection, stream.
        connections: All that were made, in order.
    """

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self.settings: dict[int, int] = {}
        self.connections: list[Connection] = []
        self.on_request: Callable[[Connection, int, str], None] = lambda _1, _2, _3: None
        self.on_data: Callable[[Connection, int], None] = lambda _1, _2: None
        self._start(self._accept)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    @property
    def threads(self) -> list[threading.Thread]:
        """Those that serve."""
        return list(self._threads)

    def close(self) -> None:
        """End all threads."""
        self._listening.shutdown(socket.SHUT_RDWR)
        accepting, *_ = self._threads
        accepting.join(PATIENCE)  # so that there will be no more than these
        for sock in self._socks:
            _shut(sock)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listening.close()

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return  # closed
            self._socks.append(sock)
            connection = Connection(self, sock)
            self.connections.append(connection)
            self._start(partial(self._serve, connection, sock))

    def _serve(self, connection: Connection, sock: socket.socket) -> None:
        with sock:
            try:
                connection.serve()
            except OSError:
                return  # the client went away


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is over already


@contextmanager
def frame_server() -> Iterator[FrameServer]:
    """A server that ends with the block."""
    server = FrameServer()
    try:
        yield server
    finally:
        server.close()
