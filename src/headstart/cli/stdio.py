"""Standard streams of the command that are closed, full, or read by nobody.

Called once by the group, before anything is printed.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Final

from headstart.errors import HeadstartError
from headstart.h2c.streams import open_standard_streams

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_INPUT: Final = 0
_OUTPUT: Final = 1
_ERRORS: Final = 2


class OutputError(HeadstartError):
    """Standard output cannot be written: the disk that it goes to is full, for instance."""


class _Output(io.FileIO):
    """Standard output, whose errors are one line for the user."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write.

        Raises:
            BrokenPipeError: Nobody reads it any more; click ends the command quietly.
            OutputError: It cannot be written.
        """
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            # What is still buffered would be tried once more at the end of the process.
            os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), self.fileno())
            raise OutputError(
                f"standard output cannot be written: {error.strerror}",
                hint="free space there, or send the output elsewhere.",
            ) from error


def prepare() -> None:
    """Put the null device where a standard stream is closed, and watch standard output."""
    open_standard_streams()
    if sys.stdin is None:
        sys.stdin = os.fdopen(_INPUT, closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(_ERRORS, "w", closefd=False)
    if sys.stdout is sys.__stdout__:  # the tests' own stays
        encoding, errors = (
            (sys.stdout.encoding, sys.stdout.errors) if sys.stdout else ("utf-8", "strict")
        )
        raw = _Output(_OUTPUT, "w", closefd=False)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding, errors, line_buffering=raw.isatty()
        )
