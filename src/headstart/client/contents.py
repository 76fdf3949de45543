"""Request content that a caller gives, as pieces of bytes.

A file is read in pieces of 64 KiB on a thread, so that a slow disk does not stop the event loop.
Its size is taken from the operating system, so that the server is sent a Content-Length. Used by
`client.uploads` and `client.connection`.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import stat
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
)
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

from headstart.errors import LocalProtocolError

Octets: TypeAlias = bytes | bytearray | memoryview
Parts: TypeAlias = Iterable[Octets] | AsyncIterable[Octets]


@runtime_checkable
class Readable(Protocol):
    """A file in binary mode; `read` may be asynchronous, as in anyio and aiofiles."""

    def read(self, size: int, /) -> Any:
        """Return at most `size` bytes, or b"" at the end."""
        ...


Content: TypeAlias = Octets | Readable | Parts | None
"""Bytes, an open file, or an iterable of parts as they become available."""

PIECE = 64 * 1024


def length_of(content: Content) -> int | None:
    """Return the number of bytes that the content will have, or None if it is unknown.

    A gzip file has a file descriptor as well, but its size is not that of the content. So only
    files of the operating system and bytes in memory are measured.
    """
    if isinstance(content, Octets):
        return memoryview(content).nbytes
    if isinstance(content, io.BytesIO):
        return max(0, content.getbuffer().nbytes - content.tell())
    raw = getattr(content, "raw", content)
    if not isinstance(raw, io.FileIO):
        return None
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode):
        return None
    # Files below /proc have content and a size of 0.
    if sys.platform != "win32" and not status.st_size and os.pread(raw.fileno(), 1, 0):
        return None
    return max(0, status.st_size - cast(io.BufferedReader, content).tell())


async def pieces(content: Octets | Readable | Parts) -> AsyncGenerator[bytes]:
    """Yield the content in order; close a generator that the caller gave, however this ends.

    Raises:
        LocalProtocolError: A part is not bytes, or a file has become shorter.
    """
    if isinstance(content, Octets):
        yield bytes(content)
        return
    if isinstance(content, Readable):
        async for piece in _read(content):
            yield piece
        return
    try:
        if isinstance(content, AsyncIterable):
            async for part in content:
                yield _octets(part)
        else:
            for part in content:
                yield _octets(part)
    finally:
        if isinstance(content, AsyncGenerator):
            await content.aclose()
        elif isinstance(content, Generator):
            content.close()


async def _read(file: Readable) -> AsyncIterator[bytes]:
    """Yield a file's content, up to its Content-Length."""
    left = length_of(file)
    while left is None or left > 0:
        size = PIECE if left is None else min(PIECE, left)
        piece = _octets(await _read_piece(file.read, size))
        if not piece:
            break
        if left is not None:
            left -= len(piece)
        yield piece
    if left:
        raise LocalProtocolError(
            f"the file is {left} bytes shorter than it was when the request began",
            hint="Do not change a file while it is sent.",
        )


async def _read_piece(read: Callable[[int], Any], size: int) -> object:
    if inspect.iscoroutinefunction(read):
        return await read(size)
    if isinstance(getattr(read, "__self__", None), io.BytesIO):
        return read(size)  # nothing is waited for
    piece = await asyncio.to_thread(read, size)
    return await piece if inspect.isawaitable(piece) else piece


def _octets(part: object) -> bytes:
    """Return a part as bytes that do not change any more.

    Raises:
        LocalProtocolError: It is something else.
    """
    if isinstance(part, bytes):
        return part
    if isinstance(part, Octets):
        return bytes(part)
    raise LocalProtocolError(
        f"a part of the content is {type(part).__name__}, not bytes",
        hint="Encode text, open files in binary mode, and leave out None.",
    )
