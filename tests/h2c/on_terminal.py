"""A command whose standard streams are a pseudo-terminal, or some of them."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.h2c.room import PATIENCE, Room
from tests.warm import Piped


class Terminal:
    """What a person sees, and the keys that they press."""

    def __init__(self, descriptor: int, process: Piped) -> None:
        self._descriptor = descriptor
        self.process = process
        self.seen = ""

    def press(self, keys: str) -> None:
        """Type; Ctrl-C is `\\x03`."""
        os.write(self._descriptor, keys.encode())

    def until(self, text: str) -> str:
        """Everything that was shown until this was."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert self._read(end - time.monotonic()), self.seen
        return self.seen

    def look(self, patience: float) -> None:
        """Take in what is shown, or is within so many seconds."""
        self._read(patience)

    def end(self) -> int:
        """Everything to the end; returns the exit code."""
        while self._read(PATIENCE):
            pass
        return self.process.wait(PATIENCE)

    def _read(self, patience: float) -> bool:
        if not select.select([self._descriptor], [], [], max(patience, 0))[0]:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # what Linux says at the end
            return False
        self.seen += data.decode()
        return bool(data)


@contextmanager
def on_terminal(
    room: Room, *arguments: str, columns: int = 100, stdout: int | None = None
) -> Iterator[Terminal]:
    """A command that runs in a terminal until the block ends.

    Args:
        stdout: Where its output goes instead.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in room.environment.items() if name != "COLUMNS"}
    process = room.begin(
        *arguments,
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        environment=environment,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(ours)
