"""Count the requests of one process, by what tells an operator something.

Written by `observer` for each request, read by the admin port. The numbers only grow, except
`in_progress`. Status codes and versions are few, so the counts are bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

DURATIONS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the histogram's buckets, in seconds; a last one takes the rest."""

FAILED: Final = 500
"""The server's own answer for an application that raised before it responded."""
CLIENT_LEFT: Final = 499
"""No response, because the client had left; nginx uses the same number."""


class RequestCounts:
    """The counts since the process started.

    Attributes:
        in_progress: Requests whose calls have not ended.
        requests: Ended requests by (version, pushed, status).
        buckets: Ended requests by their duration; see `DURATIONS`.
        seconds: The sum of their durations.
    """

    __slots__ = ("buckets", "in_progress", "requests", "seconds")

    def __init__(self) -> None:
        self.in_progress = 0
        self.requests: dict[tuple[str, bool, int], int] = {}
        self.buckets = [0] * (len(DURATIONS) + 1)
        self.seconds = 0.0

    def add(self, version: str, pushed: bool, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        key = (version, pushed, status)
        self.requests[key] = self.requests.get(key, 0) + 1
        self.buckets[bisect_left(DURATIONS, seconds)] += 1
        self.seconds += seconds
