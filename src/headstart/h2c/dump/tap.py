"""Show the bytes of all connections as frames: `h2c start --dump` and `h2c wiretap`.

Each connection has its own decoder; decoded frames are masked and passed to a writer of the chosen
format, which writes to standard output or a file. A file is complete after every write: each piece
is followed by the end of the file, which the next piece overwrites. A killed process therefore
leaves a readable file. Nothing here changes the bytes sent. Made by `daemon` and `wiretap`, called
by `daemon.session` for each new connection.
"""

from __future__ import annotations

import itertools
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from headstart.files import has_other_content
from headstart.h2c import exits
from headstart.h2c.dump.har import HarWriter
from headstart.h2c.dump.settings import DumpFormat, DumpOptions
from headstart.h2c.dump.text import (
    JsonWriter,
    Source,
    TextWriter,
    Writer,
    masked,
)
from headstart.h2c.streams import Failed, is_terminal, write_all
from headstart.wire.frames import ConnectionFrames, Direction, Frame

# A dump holds what was said in confidence.
_PRIVATE = 0o600
# How a dump in each format begins, in a file.
_BEGINNINGS = (
    b"-> ",
    b"<- ",
    b'{"connection":',
    b'{"log":{"version":"1.2","creator":{"name":"h2c"',
)


class Sink:
    """Takes octets.

    Args:
        path: The file, which is made; "" for standard output. An older dump is emptied.

    Raises:
        Failed: The file cannot be opened, or is another one of the user's.
    """

    __slots__ = ("_descriptor", "_end", "_name", "_overwrites")

    def __init__(self, path: str) -> None:
        self._name = path or "standard output"
        self._descriptor = 1
        self._overwrites = False
        self._end = b""
        if path:
            self._open(path)

    def _open(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            if has_other_content(Path(path), _BEGINNINGS):
                raise Failed(exits.NOT_A_DUMP.format(path))
            self._descriptor = os.open(path, flags, _PRIVATE)
            # A named pipe or a device takes octets in their order only.
            self._overwrites = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            if self._overwrites:  # it may have been there, for everybody to read
                os.fchmod(self._descriptor, _PRIVATE)
        except OSError as error:
            raise self._failure(error) from error

    def write(self, piece: bytes, end: bytes = b"") -> None:
        """Write a piece over the end that the previous piece left.

        Args:
            end: Written after the piece, until the next one comes. No
                piece may be shorter than the end that it overwrites.

        Raises:
            Failed: The disk is full, for instance.
            BrokenPipeError: Nobody reads it any more.
        """
        self._end = end
        try:
            write_all(self._descriptor, piece + end if self._overwrites else piece)
            if self._overwrites and end:
                os.lseek(self._descriptor, -len(end), os.SEEK_CUR)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Nothing more is written.

        Raises:
            Failed, BrokenPipeError: As `write` does.
        """
        if not self._overwrites and self._end:
            self.write(self._end)
        if self._descriptor != 1:
            os.close(self._descriptor)

    def _failure(self, error: OSError) -> Failed:
        return Failed(exits.CANNOT_WRITE.format(self._name, error.strerror))


class Dump:
    """Show the frames of every connection.

    Args:
        named: Number the first connection in text even while there is no other.

    Attributes:
        failure: Why the dump ended early; None as long as it works.
        when_failed: Called then with a message for waiting commands.
        frames: The number of frames, shown or not.

    Raises:
        Failed, BrokenPipeError: The dump's file cannot be opened or written.
    """

    def __init__(self, options: DumpOptions, *, named: bool = False) -> None:
        self._show_secrets = options.show_secrets
        self._sink = Sink(options.file)
        self._numbers = itertools.count(1)
        self.failure: BrokenPipeError | Failed | None = None
        self.when_failed: Callable[[str], None] = lambda message: None
        self.frames = 0
        self._writer = _writer(options, self._sink, named=named)

    def tap(self) -> Callable[[Direction, bytes, float], None]:
        """Return a listener for a new connection: it takes direction, bytes, seconds since connect.

        Empty bytes mean that the connection is closed.
        """
        number = next(self._numbers)
        frames = ConnectionFrames()
        source: Source | None = None

        def listen(direction: Direction, data: bytes, at: float) -> None:
            nonlocal source
            if source is None:
                source = Source(number, time.time() - at)
            self._show(frames.feed(direction, data, at) if data else frames.end(at), source)
            if not data:
                self._guarded(self._writer.end, source)

        return listen

    def close(self) -> None:
        """Write the remaining frames and close."""
        self._guarded(self._writer.close)
        self._guarded(self._sink.close)

    def _show(self, frames: list[Frame], source: Source) -> None:
        self.frames += len(frames)
        for frame in frames:
            shown = frame if self._show_secrets else masked(frame)
            self._guarded(self._writer.show, shown, source)

    def _guarded(self, write: Callable[..., None], *arguments: object) -> None:
        """Write, unless it failed before: then nothing that comes is written any more."""
        if self.failure is not None:
            return
        try:
            write(*arguments)
        except BrokenPipeError as error:
            self.failure = error
            self.when_failed(exits.DUMP_UNREAD)
        except Failed as error:
            self.failure = error
            self.when_failed(exits.DUMP_UNWRITABLE)


def _writer(options: DumpOptions, sink: Sink, *, named: bool) -> Writer:
    match options.format:
        case DumpFormat.TEXT:
            on_terminal = not options.file and is_terminal(1)
            color = on_terminal and not os.environ.get("NO_COLOR")
            return TextWriter(sink.write, options.shown, color=color, named=named)
        case DumpFormat.JSON:
            return JsonWriter(sink.write, options.shown)
        case DumpFormat.HAR:
            return HarWriter(sink.write, options.shown)
        case _:
            assert_never(options.format)
