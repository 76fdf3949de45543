"""Ends the waits of one connection in which nothing has moved for their time-out.

Nearly every wait ends long before, and to begin and cancel a timer for each would cost more than
the wait itself. So there is one timer, which stays when a wait ends and looks at those that are
left when its time has come. Made by `client.connection`; told of waits by `Exchange.change`.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from headstart.client.errors import TimedOut


class Moving(Protocol):
    """A request under way.

    Attributes:
        progress: When something last moved, of the event loop's clock.
        paused: It is the caller's turn, so that no time-out runs.
    """

    method: str
    target: str
    progress: float
    paused: bool


class Patience:
    """Who waits, and until when."""

    __slots__ = ("_due", "_loop", "_timer", "_waits")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waits: dict[asyncio.Future[None], tuple[Moving, float, float]] = {}
        """What each of them waits for, its time-out, and since when it waits."""
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        """When the timer fires; not later than the first of the time-outs."""

    def begin(self, waiter: asyncio.Future[None], what: Moving, timeout: float) -> None:
        """From now on `waiter` fails with `TimedOut` once nothing has moved for `timeout` seconds.

        `end` must follow, whatever happens.
        """
        now = self._loop.time()
        end = now + timeout
        self._waits[waiter] = what, timeout, now
        if end < self._due:
            self._set(end)

    def end(self, waiter: asyncio.Future[None]) -> None:
        """It waits no more."""
        del self._waits[waiter]

    def stop(self) -> None:
        """No wait is left that has to be ended."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = None, math.inf

    def _set(self, due: float) -> None:
        self.stop()
        self._timer, self._due = self._loop.call_at(due, self._look), due

    def _look(self) -> None:
        self.stop()
        now, due = self._loop.time(), math.inf
        for waiter, (what, timeout, begun) in self._waits.items():
            end = timeout + (now if what.paused else max(begun, what.progress))
            if end > now:
                due = min(due, end)
            elif not waiter.done():
                waiter.set_exception(_timed_out(what, timeout))
        if due < math.inf:
            self._set(due)


def _timed_out(what: Moving, timeout: float) -> TimedOut:
    return TimedOut(
        f"no answer to {what.method} {what.target} within {timeout:g} s",
        hint="Wait longer with a larger time-out, or look at the server.",
    )
