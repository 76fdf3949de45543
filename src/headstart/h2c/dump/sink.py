"""Write a dump to standard output or a file.

A file is complete after every write: each piece is followed by the end of the file, which the next
piece overwrites. A killed process therefore leaves a readable file. Called by `tap` and `har`.
"""

from __future__ import annotations

import os
import stat

from headstart.h2c import exits
from headstart.h2c.streams import Failed, write_all

# A dump holds what was said in confidence.
_PRIVATE = 0o600


class Sink:
    """Takes octets.

    Args:
        path: The file, made or emptied; "" for standard output.

    Raises:
        Failed: The file cannot be opened.
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
