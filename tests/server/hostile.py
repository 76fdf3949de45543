"""A client that keeps to no rule: raw frames over a real socket, and what came back.

It has no state of HTTP/2 at all; header sections are HPACK without a dynamic table, written by
hand. Beside it, `Usual` measures how another client fares meanwhile, and `Measured` what the
server's process spends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import hpack

from headstart.wire.connection import ErrorCode
from tests.server.live import PATIENCE, environment
from tests.server.raw import Connected

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION, PRIORITY_UPDATE, UNKNOWN = 8, 9, 0x10, 0xBE
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 0x20
WHOLE = END_STREAM | END_HEADERS


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


class Hostile(Connected):
    """One connection.

    Args:
        port: Of 127.0.0.1.
        settings: In the first SETTINGS frame.
        greet: Send the preface and SETTINGS.
        ack: Acknowledge the server's, so that its limits hold.
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
        ack: bool = True,
        tls: bool = False,
    ) -> None:
        super().__init__(port, tls=tls)
        self.heard: list[Heard] = []
        self.closed = False
        self._rest = b""
        self._decoder = hpack.Decoder()
        self._decoded = 0
        self._statuses: dict[int, int] = {}
        if greet:
            payload = b"".join(
                key.to_bytes(2, "big") + number(value) for key, value in (settings or {}).items()
            )
            self.send(PREFACE + frame(SETTINGS, 0, 0, payload))
            if ack:
                self.send(frame(SETTINGS, ACK))

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

    def status(self, stream: int) -> int:
        """Read until the response's header section came; the final status."""
        self.until(HEADERS, stream)
        fresh = self.frames(HEADERS)[self._decoded :]
        for heard in fresh:
            fields = dict(self._decoder.decode(heard.payload, raw=True))
            self._statuses[heard.stream] = int(fields[b":status"])
        self._decoded += len(fresh)
        return self._statuses[stream]

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
    """Another client, in a process of its own, that asks again and again (`tests.server.usual`)."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.usual", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self) -> None:
        """Ask from now on."""
        self._say("begin")
        assert self._hear() == "begun\n"

    def end(self) -> list[float]:
        """Ask no more; how long each answer took, in seconds."""
        self._say("end")
        times: list[float] = json.loads(self._hear())
        return times

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


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
    def pid(self) -> int:
        """Which process."""
        return int(self._folder.name)

    @property
    def grown(self) -> int:
        """Bytes of memory more than at the start."""
        return self.rss() - self._rss

    @property
    def spent(self) -> float:
        """Seconds of processor time since the start."""
        return self.cpu() - self._cpu
