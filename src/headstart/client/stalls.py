"""Ends the waits of one connection in which nothing has moved for their time-out.

Nearly every wait ends long before, and to begin and cancel a timer for each would cost more than
the wait itself. So there is one timer, which stays when a wait ends and looks at those that are
left when its time has come. Made by `client.connection`; told of waits by `ResponseStream.change`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

from headstart.client import failures
from headstart.client.errors import Phase


class Moving(Protocol):
    """A request under way.

    Attributes:
        progress: When something last moved, of the event loop's clock.
        paused: It is the caller's turn, so that no time-out runs.
        phase: The step that the caller waits for.
    """

    method: str
    target: str
    progress: float
    paused: bool

    @property
    def phase(self) -> Phase:
        """Return the step that the caller waits for."""
        ...


class StallTimeouts:
    """The caller that waits, and its deadline.

    Args:
        timed_out: Called for each wait that took too long, with the time since when nothing moved.
        goaway: Returns the server's GOAWAY in words, "" if none came.
    """

    __slots__ = ("_due", "_goaway", "_timed_out", "_timer", "_waits", "loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timed_out: Callable[[float], None] | None = None,
        goaway: Callable[[], str] = str,
    ) -> None:
        self.loop = loop
        self._goaway = goaway
        self._timed_out = timed_out
        self._waits: dict[asyncio.Future[None], tuple[Moving, float, float]] = {}
        """What each of them waits for, its time-out, and since when it waits."""
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        """When the timer fires; not later than the first of the time-outs."""

    def begin(self, waiter: asyncio.Future[None], what: Moving, timeout: float) -> None:
        """Fail `waiter` with `ClientTimeoutError` once nothing has moved for `timeout` seconds.

        The caller must call `end`, also after an exception.
        """
        now = self.loop.time()
        end = now + timeout
        self._waits[waiter] = what, timeout, now
        if end < self._due:
            self._set(end)

    def end(self, waiter: asyncio.Future[None]) -> None:
        """End the wait."""
        del self._waits[waiter]

    def stop(self) -> None:
        """No wait is left that has to be ended."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = None, math.inf

    def _set(self, due: float) -> None:
        self.stop()
        self._timer, self._due = self.loop.call_at(due, self._look), due

    def _look(self) -> None:
        self.stop()
        now, due = self.loop.time(), math.inf
        for waiter, (what, timeout, begun) in self._waits.items():
            since = now if what.paused else max(begun, what.progress)
            end = since + timeout
            if end > now:
                due = min(due, end)
            elif not waiter.done():
                waiter.set_exception(
                    failures.timed_out(
                        what.method, what.target, timeout, self._goaway(), what.phase
                    )
                )
                if self._timed_out is not None:
                    self._timed_out(since)
        if due < math.inf:
            self._set(due)
