"""The bytes of a log: from a file or a pipe, plain or compressed, and its lines.

A file is opened anew for each reading. A pipe can be read once, so its beginning is kept for the
first look. Called by `file`.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Final, TypeAlias

from headstart.errors import ConfigurationError
from headstart.extras import install_command

MAX_LINE: Final = 64 * 1024
"""Bytes of a line; longer ones are left out. Servers refuse requests far below it."""

HEAD: Final = 1 << 20
"""Bytes that are looked at to learn what a log is."""


def _zstd_module() -> ModuleType | None:
    """Return Python's own module for zstd, which 3.14 has, or its backport, which is an extra."""
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            return import_module(name)
    return None


_ZSTD: Final = _zstd_module()

DAMAGED: Final[tuple[type[Exception], ...]] = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError),
    *(() if _ZSTD is None else (_ZSTD.ZstdError,)),
)
"""What reading raises where a file cannot be read, or is not a whole archive."""


def _zstd(raw: IO[bytes]) -> IO[bytes]:
    if _ZSTD is None:
        raise ConfigurationError(
            "this Python cannot unpack zstd (3.14 can)",
            hint=f"{install_command('zstd')}, or unpack it: zstdcat FILE | headstart replay -",
        )
    opened: IO[bytes] = _ZSTD.ZstdFile(raw)
    return opened


# By what an archive begins with: what unpacks it.
_UNPACKERS: Final[dict[bytes, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": _zstd,
}
_Raw: TypeAlias = "io.BufferedReader[Any]"
_LONGEST: Final = max(map(len, _UNPACKERS))


class _Rejoined(io.RawIOBase):
    """The beginning of a pipe, which was read before, followed by the rest."""

    def __init__(self, head: bytes, rest: IO[bytes] | None = None) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the beginning as long as there is any of it, then from the rest."""
        wanted = len(buffer)
        taken, self._head = self._head[:wanted], self._head[wanted:]
        if not taken and self._rest is not None:
            taken = self._rest.read(wanted)
        buffer[: len(taken)] = taken
        return len(taken)


class Source:
    """The bytes of one log.

    Args:
        path: A file, or a pipe that has a name, such as /dev/stdin.
        pipe: A pipe that is open already; `path` then only names it in messages.

    Attributes:
        size: Bytes of the file as it is stored; 0 for a pipe.
    """

    def __init__(self, path: Path, pipe: IO[bytes] | None = None) -> None:
        self._path = path
        self._raw: _Raw | None = None
        self._own = contextlib.ExitStack()
        self._pipe = pipe
        self._head = b""
        self.size = 0
        if pipe is None and (path.is_file() or path.is_dir()):
            self.size = path.stat().st_size
            return
        self._pipe = pipe or self._own.enter_context(path.open("rb"))
        self._head = self._pipe.read(HEAD)

    @property
    def position(self) -> int:
        """Bytes of `size` that have been read, for a progress bar."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.size

    @contextlib.contextmanager
    def sample(self) -> Iterator[IO[bytes]]:
        """Open the log for a first look, unpacked: all of a file, HEAD bytes of a pipe."""
        raw: _Raw
        raw = io.BufferedReader(_Rejoined(self._head)) if self._pipe else self._path.open("rb")
        with raw, _unpacked(raw) as stream:
            yield stream

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open all of the log, unpacked. A pipe can be opened once."""
        raw: _Raw
        if self._pipe is None:
            raw = self._raw = self._path.open("rb")
        else:
            raw = io.BufferedReader(_Rejoined(self._head, self._pipe))
        with raw, _unpacked(raw) as stream:
            yield stream

    def close(self) -> None:
        """Close the pipe, if it was opened here."""
        self._own.close()


def _unpacked(raw: _Raw) -> IO[bytes]:
    beginning = raw.peek(_LONGEST)
    for magic, unpack in _UNPACKERS.items():
        if beginning.startswith(magic):
            unpacked: IO[bytes] = unpack(raw)
            return unpacked
    return raw


def head_of(stream: IO[bytes]) -> bytes:
    """Return the first HEAD bytes; of an archive that is cut off before, its whole lines.

    Raises:
        Exception: One of `DAMAGED`, if it is cut off before the end of its first line.
    """
    found: list[bytes] = []
    room = HEAD
    try:
        while line := stream.readline(room):
            found.append(line)
            room -= len(line)
    except DAMAGED:
        if not found:
            raise
    return b"".join(found)


def lines_of(stream: IO[bytes]) -> Iterator[str | None]:
    """Yield each line as text, None for one that is longer than MAX_LINE."""
    while line := stream.readline(MAX_LINE + 1):
        if len(line) <= MAX_LINE:
            yield line.decode("utf-8", "replace")
            continue
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE)
        yield None
