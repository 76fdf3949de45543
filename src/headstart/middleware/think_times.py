"""How long pages take to answer, which says whether a 103 is worth its while.

Pure; seconds. `visit` adds the time of each answer, and asks before it decides.
"""

from __future__ import annotations

from collections import OrderedDict

_MAX_PAGES = 1000
# How much one answer moves the think time of its page: the last four make two thirds of it.
_WEIGHT = 0.25


class ThinkTimes:
    """How long each page's application usually takes to answer; bounded, seconds.

    It keeps hashes of pages, so that long URLs take no more room than short ones.
    """

    def __init__(self, max_pages: int = _MAX_PAGES) -> None:
        self._times: OrderedDict[int, float] = OrderedDict()
        self._max_pages = max_pages

    def of(self, page: str) -> float | None:
        """Return the page's think time, or None if it is unknown."""
        return self._times.get(hash(page))

    def add(self, page: str, seconds: float) -> None:
        """Add the time of one response."""
        key = hash(page)
        old = self._times.get(key)
        new = seconds if old is None else old + _WEIGHT * (seconds - old)
        self._times[key] = new
        self._times.move_to_end(key)
        if len(self._times) > self._max_pages:
            self._times.popitem(last=False)
