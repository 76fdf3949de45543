"""Count the requests of one process, by what tells an operator something.

Kept only with an admin port, which reads them; written by `cycle` and `call` for each request, and
by `http2` for pushes that the cache answers. The numbers only grow. Status codes and versions are
few, so the counts are bounded.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import Final

DURATIONS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the histogram's buckets, in seconds; a last one takes the rest."""

FAILED: Final = 500
"""The server's own response for an application that raised before it responded."""
CLIENT_LEFT: Final = 499
"""No response, because the client had left; nginx uses the same number."""


class RequestCounts:
    """The counts since the process started.

    Attributes:
        requests: Ended requests by (version, pushed, status).
        buckets: Ended requests by their duration; see `DURATIONS`.
        seconds: The sum of their durations.
    """

    __slots__ = ("buckets", "requests", "seconds")

    def __init__(self) -> None:
        self.requests: dict[tuple[str, bool, int], int] = {}
        self.buckets = [0] * (len(DURATIONS) + 1)
        self.seconds = 0.0

    def ended(self, version: str, pushed: bool, status: int, left: bool, began: float) -> None:
        """Count a request whose call has ended.

        Args:
            version: Of HTTP.
            pushed: It was promised in a push.
            status: Of the response, 0 if there was none.
            left: The client had left.
            began: When the application was called, by `time.perf_counter`.
        """
        seconds = time.perf_counter() - began
        key = (version, pushed, status or (CLIENT_LEFT if left else FAILED))
        try:
            self.requests[key] += 1
        except KeyError:
            self.requests[key] = 1
        self.buckets[bisect_left(DURATIONS, seconds)] += 1
        self.seconds += seconds
