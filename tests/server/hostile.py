"""A client that keeps to no rule: raw frames over a real socket, and what came back.

It has no state of HTTP/2 at all; header sections are HPACK without a dynamic table, written by
hand. Beside it, `Usual` measures how another client fares meanwhile, and `Measured` what the
server's process spends.
"""

from __future__ import annotations

import os
import socket
import statistics
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from headstart.wire.connection import ErrorCode
from tests.server.live import PATIENCE
from tests.server.raw import RawClient, tls_socket

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION, PRIORITY_UPDATE, UNKNOWN = 8, 9, 0x10, 0xBE
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 0x20
WHOLE = END_STREAM | END_HEADERS
ROOM_FOR_NOISE = 0.03
"""Seconds by which a request may be late because the machine is shared, whatever is attacked."""


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113, 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def number(value: int) -> bytes:
    """32 bits."""
    return value.to_bytes(4, "big")


def literal(name: bytes, value: bytes) -> bytes:
    """A field that no table keeps (RFC 7541, 6.2.2), each part of up to 16 KB."""
    return b"\x00" + _string(name) + _string(value)


def _string(value: bytes) -> bytes:
    length = len(value)
    if length < 127:
        return bytes([length]) + value
    length -= 127
    head = b"\x7f"
    while length >= 128:
        head += bytes([length % 128 + 128])
        length //= 128
    return head + bytes([length]) + value


def block(
    path: bytes = b"/", method: bytes = b"GET", fields: Iterable[tuple[bytes, bytes]] = ()
) -> bytes:
    """The header section of a request to http://localhost."""
    pseudo = literal(b":method", method) + b"\x86" + literal(b":authority", b"localhost")
    pseudo += literal(b":path", path)
    return pseudo + b"".join(literal(*field) for field in fields)


def get(stream: int, path: bytes = b"/", flags: int = WHOLE) -> bytes:
    """A request in one frame."""
    return frame(HEADERS, flags, stream, block(path))


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame of the server's."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class Hostile:
    """One connection.

    Args:
        port: Of 127.0.0.1.
        settings: In the first SETTINGS frame.
        greet: Send the preface and SETTINGS, and acknowledge the server's.
        tls: With ALPN h2.

    Attributes:
        heard: Frames that came.
        closed: The server has closed the connection.
    """

    def __init__(
        self,
        port: int,
        settings: dict[int, int] | None = None,
        *,
        greet: bool = True,
        tls: bool = False,
    ) -> None:
        self.socket: socket.socket = (
            tls_socket(port, "h2")
            if tls
            else socket.create_connection(("127.0.0.1", port), PATIENCE)
        )
        self.socket.settimeout(PATIENCE)
        self.heard: list[Heard] = []
        self.closed = False
        self._rest = b""
        if greet:
            payload = b"".join(
                key.to_bytes(2, "big") + number(value) for key, value in (settings or {}).items()
            )
            self.send(PREFACE + frame(SETTINGS, 0, 0, payload) + frame(SETTINGS, ACK))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """Write; False where the server has closed the connection meanwhile."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
            return True
        return False

    def read(self) -> bool:
        """Read once; False at the end."""
        try:
            data = self.socket.recv(262_144)
        except ConnectionResetError:
            data = b""
        self.closed = not data
        self._rest += data
        while len(self._rest) >= 9:
            size = int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < 9 + size:
                break
            kind, flags = self._rest[3], self._rest[4]
            stream = int.from_bytes(self._rest[5:9], "big")
            self.heard.append(Heard(kind, flags, stream, self._rest[9 : 9 + size]))
            self._rest = self._rest[9 + size :]
        return not self.closed

    def listen(self) -> None:
        """Read what is there already, without waiting."""
        self.socket.setblocking(False)
        try:
            while self.read():
                pass
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(PATIENCE)

    def until(self, kind: int, stream: int | None = None, count: int = 1) -> Heard:
        """Read until so many frames of a kind came; the last of them."""
        while len(found := self.frames(kind, stream)) < count:
            assert self.read(), f"the server closed the connection: {self.heard[-3:]}"
        return found[count - 1]

    def until_closed(self) -> None:
        """Read until the server closes the connection."""
        while self.read():
            pass

    def settle(self) -> None:
        """Wait until the server has acted on all that was sent."""
        before = len(self.frames(PING))
        self.send(frame(PING, 0, 0, b"settling"))
        self.until(PING, 0, before + 1)

    def frames(self, kind: int, stream: int | None = None) -> list[Heard]:
        """The server's frames of a kind so far."""
        return [f for f in self.heard if f.kind == kind and stream in (None, f.stream)]

    @property
    def goaways(self) -> list[ErrorCode]:
        """The errors that the server gave for leaving."""
        return [ErrorCode(int.from_bytes(f.payload[4:8], "big")) for f in self.frames(GOAWAY)]

    def resets(self, stream: int | None = None) -> list[ErrorCode]:
        """The errors of streams that the server reset."""
        found = self.frames(RST_STREAM, stream)
        return [ErrorCode(int.from_bytes(f.payload, "big")) for f in found]


class Usual:
    """Another client, on a connection of its own, that asks again and again."""

    def __init__(self, port: int) -> None:
        self._client = RawClient(port)
        self._stop = threading.Event()
        self._times: list[float] = []
        self._failure: BaseException | None = None

    def once(self) -> float:
        """Ask once; how long it took, in seconds."""
        start = time.perf_counter()
        assert self._client.get().status == 200
        return time.perf_counter() - start

    def median(self, rounds: int = 40) -> float:
        """The usual time, in seconds."""
        return statistics.median(self.once() for _ in range(rounds))

    @contextmanager
    def beside(self) -> Iterator[list[float]]:
        """Ask without a pause while the block runs; the times."""
        self._stop.clear()
        times: list[float] = []
        thread = threading.Thread(target=self._ask, args=[times], daemon=True)
        thread.start()
        try:
            yield times
        finally:
            self._stop.set()
            thread.join(PATIENCE)
        assert self._failure is None, self._failure

    def _ask(self, times: list[float]) -> None:
        try:
            while not self._stop.is_set() or len(times) < 5:
                times.append(self.once())
        except BaseException as failure:  # for the test to show
            self._failure = failure

    def close(self) -> None:
        """Leave."""
        self._client.socket.close()


class Measured:
    """What a process spends, from /proc."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._cpu = self.cpu()
        self._rss = self.rss()

    def rss(self) -> int:
        """Bytes of memory."""
        pages = int((self._folder / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu(self) -> float:
        """Seconds of processor time."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def grown(self) -> int:
        """Bytes of memory more than at the start."""
        return self.rss() - self._rss

    @property
    def spent(self) -> float:
        """Seconds of processor time since the start."""
        return self.cpu() - self._cpu
