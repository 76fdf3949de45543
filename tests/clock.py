"""Event loops whose time is the test's, so that no time-out depends on how busy the machine is.

`ClockLoop` stands still while there is something to do; when nothing is ready, time jumps to the
next timer. A minute of waiting takes no time, and every run of the same test sees the same times.
It is for tests without sockets: what comes from outside of the loop's own thread is not waited for.

`SkippingLoop` is for a server in a thread, with sockets: time goes on as it does, and beyond that
by as much as the test says. A test of "this much time and no longer" then takes its times so long
that no pause of a busy machine comes near them.
"""

from __future__ import annotations

import asyncio
import functools
import math
import selectors
from collections.abc import Awaitable, Callable
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


def timeless(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """The test, run on a `ClockLoop`."""

    @functools.wraps(test)
    def run() -> None:
        async def whole() -> None:
            await test()

        with asyncio.Runner(loop_factory=ClockLoop) as runner:
            runner.run(whole())
            assert cast(ClockLoop, runner.get_loop()).problems == []

    return run


class SkippingLoop(asyncio.SelectorEventLoop):
    """The loop; uvicorn makes it, by the name `SKIPPING`."""

    _skipped = 0.0

    def time(self) -> float:
        """Seconds, as far ahead as was skipped."""
        return super().time() + self._skipped

    async def skip(self, seconds: float, steps: int) -> None:
        """Let so much time pass, in equal steps; what becomes due is done after each.

        There are more steps where they would be as long as what a server takes for a standstill.
        """
        steps = max(steps, math.ceil(seconds / _LONGEST_STEP))
        for _ in range(steps):
            self._skipped += seconds / steps
            for _ in range(_TURNS):
                await asyncio.sleep(0)


_LONGEST_STEP = 0.4
SKIPPING = f"{__name__}:{SkippingLoop.__name__}"
_TURNS = 3
"""After so many the loop has called what was due."""
