"""How late an event loop runs what is due: the sign of a process that has too much to do.

Owned by `sources`, started by `reporter` in the process that serves.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from typing import Final

from headstart.admin.metrics import DELAYS

# Ten times a second costs a thousandth of a processor.
_EVERY: Final = 0.1


class Delays:
    """A histogram of the delays since the start."""

    def __init__(self) -> None:
        self._buckets = [0] * (len(DELAYS) + 1)
        self._seconds = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def numbers(self) -> list[float]:
        """Return the numbers of the buckets, of the rest, and the sum."""
        return [*self._buckets, self._seconds]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look from now on."""
        self._timer = loop.call_later(_EVERY, self._look, loop, loop.time() + _EVERY)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        late = max(0.0, loop.time() - due)
        self._buckets[bisect_left(DELAYS, late)] += 1
        self._seconds += late
        self.start(loop)
