"""An event loop whose clock stands still while there is something to do.

When nothing is ready, time jumps to the next timer; so a minute of waiting takes no time, and every
run of the same test sees the same times. For loops without sockets: what comes from outside of
the loop's own thread is not waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any, cast


class _Selector(selectors.SelectSelector):
    """Never waits; what it would have waited is added to the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits, and nothing will happen")
        self.now += max(timeout, 0.0)
        return super().select(0)


class ClockLoop(asyncio.SelectorEventLoop):
    """The loop; `problems` are what it would have logged: errors that nobody took."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)
        self.problems: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.problems.append(context))

    def time(self) -> float:
        """Seconds since the loop was made, as far as it has waited."""
        return self._clock.now

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        """Calls that are still to be made at some time."""
        scheduled: list[asyncio.TimerHandle] = cast(Any, self)._scheduled
        return [timer for timer in scheduled if not timer.cancelled()]
