"""The bytes of all connections, shown as frames on standard output: `h2c start --dump`.

Each connection has a decoder of its own; what it makes of the bytes goes to `dump`. Nothing here
changes what is sent. Made by `daemon`, asked by `session` for each new connection.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

from headstart.h2c import exits
from headstart.h2c.dump import DumpWriter
from headstart.h2c.options.process import Start
from headstart.h2c.terminal import Failed, is_terminal, show
from headstart.wire.frames import ConnectionFrames, Direction


class Dump:
    """Shows the frames of every connection.

    Attributes:
        failure: Why standard output takes no more; None as long as it does.
        when_failed: Called then, with what commands that wait are to be told.
    """

    def __init__(self, command: Start) -> None:
        color = is_terminal(1) and not os.environ.get("NO_COLOR")
        self._writer = DumpWriter(
            self._write, command.shown, color=color, show_secrets=command.show_secrets
        )
        self._numbers = itertools.count(1)
        self.failure: BrokenPipeError | Failed | None = None
        self.when_failed: Callable[[str], None] = lambda message: None

    def tap(self) -> Callable[[Direction, bytes, float], None]:
        """What listens to one new connection: takes direction, bytes, seconds since connect."""
        number = next(self._numbers)
        # The first one needs no name as long as it is the only one.
        name = "" if number == 1 else str(number)
        frames = ConnectionFrames()

        def listen(direction: Direction, data: bytes, at: float) -> None:
            for frame in () if self.failure else frames.feed(direction, data, at):
                self._writer.show(frame, name)

        return listen

    def _write(self, text: str) -> None:
        if self.failure is not None:
            return  # the rest of what came with the frame that could not be written
        try:
            # Past the buffer of `sys.stdout`, which would be flushed once more at the end.
            show(text)
        except BrokenPipeError as error:
            self.failure = error
            self.when_failed(exits.DUMP_UNREAD)
        except Failed as error:
            self.failure = error
            self.when_failed(exits.DUMP_UNWRITABLE)
