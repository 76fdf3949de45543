"""The bytes of all connections, shown as frames on standard output: `h2c start --dump`.

Each connection has a decoder of its own; what it makes of the bytes goes to `dump`. Nothing here
changes what is sent. Made by `daemon`, asked by `session` for each new connection.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

from headstart.h2c.dump import DumpWriter
from headstart.h2c.options import Start
from headstart.h2c.terminal import is_terminal, write_all
from headstart.wire.frames import ConnectionFrames, Direction


class Dump:
    """Shows the frames of every connection.

    Attributes:
        when_unread: Called once nobody reads standard output any more.
    """

    def __init__(self, command: Start) -> None:
        color = is_terminal(1) and not os.environ.get("NO_COLOR")
        self._writer = DumpWriter(
            self._write, command.shown, color=color, show_secrets=command.show_secrets
        )
        self._numbers = itertools.count(1)
        self._is_read = True
        self.when_unread: Callable[[], None] = lambda: None

    def tap(self) -> Callable[[Direction, bytes, float], None]:
        """What listens to one new connection: takes direction, bytes, seconds since connect."""
        number = next(self._numbers)
        # The first one needs no name as long as it is the only one.
        name = "" if number == 1 else str(number)
        frames = ConnectionFrames()

        def show(direction: Direction, data: bytes, at: float) -> None:
            if self._is_read:
                for frame in frames.feed(direction, data, at):
                    self._writer.show(frame, name)

        return show

    def _write(self, text: str) -> None:
        try:
            # Past the buffer of `sys.stdout`, which would be flushed once more at the end.
            write_all(1, text.encode())
        except OSError:
            self._is_read = False
            self.when_unread()
