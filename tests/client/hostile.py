"""A server on a real socket that says given bytes, whatever HTTP/2 allows, and notes the answers.

It waits for the first request's HEADERS, says its frames once, and answers each later request
with 200. Frame headers and header blocks are written by hand.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
_PREFACE = 24


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113, 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def block(*fields: tuple[str, str]) -> bytes:
    """A header block of literals that are not indexed (RFC 7541, 6.2.2)."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def _string(text: str) -> bytes:
    octets = text.encode("latin-1")
    assert len(octets) < 127
    return bytes([len(octets)]) + octets


def headers(stream: int, *fields: tuple[str, str], end: bool = False) -> bytes:
    """HEADERS with `:status` 200 where no fields are given."""
    flags = END_HEADERS | (END_STREAM if end else 0)
    return frame(HEADERS, flags, stream, block(*(fields or ((":status", "200"),))))


def data(stream: int, payload: bytes = b"", *, end: bool = False) -> bytes:
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def number(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def promise(parent: int, promised: int, *more: tuple[str, str], method: str = "GET") -> bytes:
    """PUSH_PROMISE for /pushed of the authority that the tests ask."""
    request = ((":method", method), (":scheme", "http"), (":authority", "example.test"))
    fields = block(*request, (":path", "/pushed"), *more)
    return frame(PUSH_PROMISE, END_HEADERS, parent, number(promised) + fields)


@dataclass
class Heard:
    """What the client answered.

    Attributes:
        goaways: Error codes.
        resets: Streams and error codes.
    """

    goaways: list[int] = field(default_factory=list)
    resets: list[tuple[int, int]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def hostile(*segments: bytes) -> AsyncIterator[tuple[str, Heard]]:
    """The server; its URL, and what it hears. It sends the segments one by one.

    Behind each but the last comes a PING, whose answer says that the client has read that far.
    """
    heard = Heard()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await _Conversation(reader, writer, heard).run(segments)
        except (OSError, asyncio.IncompleteReadError):
            heard.ended.set()  # the client has left, as it should
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/", heard
    finally:
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@dataclass
class _Conversation:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: Heard

    async def run(self, segments: Sequence[bytes]) -> None:
        await self.reader.readexactly(_PREFACE)
        self.writer.write(frame(SETTINGS, 0, 0))
        waiting = list(segments)
        begun = False
        while True:
            kind, flags, stream, payload = await self._frame()
            if kind == HEADERS and not begun:
                begun = True
                self._say(waiting)
            elif kind == HEADERS:
                self.writer.write(headers(stream) + data(stream, b"later", end=True))
            elif kind == PING and flags & ACK:
                self._say(waiting)
            elif kind == GOAWAY:
                self.heard.goaways.append(int.from_bytes(payload[4:8], "big"))
            elif kind == RST_STREAM:
                self.heard.resets.append((stream, int.from_bytes(payload, "big")))

    def _say(self, waiting: list[bytes]) -> None:
        if waiting:
            self.writer.write(waiting.pop(0))
        if waiting:
            self.writer.write(frame(PING, 0, 0, bytes(8)))

    async def _frame(self) -> tuple[int, int, int, bytes]:
        head = await self.reader.readexactly(9)
        payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:], "big"), payload
