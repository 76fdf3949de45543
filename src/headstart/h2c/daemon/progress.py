"""How far an upload or a download is, on one line of the terminal's standard error.

Shown for bodies of more than 1 MiB, ten times a second at most. Made by `exchange`; writes to the
conversation, which erases the line at the end.
"""

from __future__ import annotations

from collections.abc import Callable

from headstart import figures
from headstart.h2c.daemon.conversation import Conversation, Request

LEAST = 1024 * 1024
_INTERVAL = 0.1
_LONGEST_BAR = 30
_UNKNOWN_WIDTH = 80
_NARROWEST = 20


class Progress:
    """Count a body's bytes and show the progress.

    Args:
        what: `up` or `down`.
        total: The body's length, None if it is unknown.
        clock: Seconds that do not run backwards.
    """

    def __init__(
        self,
        conversation: Conversation,
        request: Request,
        what: str,
        total: int | None,
        clock: Callable[[], float],
    ) -> None:
        self._conversation = conversation
        width = max(request.width or _UNKNOWN_WIDTH, _NARROWEST)
        self._width = width - len("^C")  # which the terminal shows behind it
        self._unicode = request.unicode
        self._what = what
        self._total = total
        self._clock = clock
        self._began = clock()
        self._shown = self._began
        self._moved = 0
        self._is_shown = request.stderr_is_terminal and (total is None or total > LEAST)

    async def moved(self, octets: int) -> None:
        """So many more bytes were written or read."""
        self._moved += octets
        now = self._clock()
        if not self._is_shown or self._moved <= LEAST or now - self._shown < _INTERVAL:
            return
        self._shown = now
        await self._conversation.progress(self._line(now - self._began))

    async def end(self) -> None:
        """Erase the line."""
        if self._shown != self._began:
            await self._conversation.progress("")

    def _line(self, elapsed: float) -> str:
        rate = self._moved / elapsed
        moved = figures.size(self._moved)
        if self._total is None:
            return f"{self._what} {moved}, {figures.size(rate)}/s"[: self._width - 1]
        done = min(self._moved / self._total, 1.0) if self._total else 1.0
        left = figures.time(max(self._total - self._moved, 0) / rate)
        text = f"{moved} of {figures.size(self._total)}, {figures.size(rate)}/s, {left} left"
        start = f"{self._what} {done * 100:3.0f} %  "
        room = min(self._width - 1 - len(start) - len(text) - 2, _LONGEST_BAR)
        bar = f"{_bar(done, room, unicode=self._unicode)}  " if room >= 5 else ""
        return f"{start}{bar}{text}"[: self._width - 1]


def _bar(done: float, room: int, *, unicode: bool) -> str:
    full, empty = ("━", "─") if unicode else ("#", "-")
    filled = round(done * room)
    return full * filled + empty * (room - filled)
