"""Durations as counts in buckets, from which medians come.

Each bucket is 6 % wider than the one before, so a quantile is known to a few per cent at any scale,
and within a bucket durations are taken to be spread evenly. Two histograms merge by adding their
counts, so workers and machines add up their views (compare Masson, Rim and Lee, DDSketch, VLDB
2019). Pure. Called by `gains`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable

# The first bucket ends here, in seconds; the last one begins at about a hundred seconds.
_LEAST = 0.001
_GROWTH = math.log(1.06)
BUCKETS = 200
# A histogram's bytes beside its counts, of four bytes each.
_OWN_BYTES = 200


class Histogram:
    """Counts of durations in seconds; only the range of buckets that has any is kept.

    Attributes:
        first: The bucket of the first count.
        counts: One for each bucket from there on.
        total: How many durations there are; those that have faded count less.
    """

    __slots__ = ("counts", "first", "total")

    def __init__(self, first: int = 0, counts: Iterable[float] = ()) -> None:
        self.first = first
        self.counts = array("f", counts)
        self.total = math.fsum(self.counts)

    @property
    def bytes(self) -> int:
        """Return about its size in memory."""
        return _OWN_BYTES + 4 * len(self.counts)

    def add(self, seconds: float) -> None:
        """Count one duration."""
        bucket = _bucket(seconds)
        if not 0 <= bucket - self.first < len(self.counts):
            self._reach(bucket, 1)
        self.counts[bucket - self.first] += 1.0
        self.total += 1.0

    def merge(self, first: int, counts: Iterable[float]) -> None:
        """Add the counts of another histogram; those of buckets that do not exist are left out."""
        there = [
            (bucket, count) for bucket, count in enumerate(counts, first) if 0 <= bucket < BUCKETS
        ]
        if there:
            self._reach(there[0][0], len(there))
        for bucket, count in there:
            self.counts[bucket - self.first] += count
            self.total += count

    def fade(self) -> None:
        """Let each duration count half as much."""
        self.counts = array("f", (count / 2 for count in self.counts))
        self.total /= 2

    def quantile(self, share: float) -> float:
        """Return the seconds below which this share of the durations is; 0.0 without any."""
        wanted = share * self.total
        passed = 0.0
        for bucket, count in enumerate(self.counts, self.first):
            if count and passed + count >= wanted:
                low = _LEAST * math.exp((bucket - 1) * _GROWTH) if bucket else 0.0
                high = _LEAST * math.exp(bucket * _GROWTH)
                return low + (high - low) * max(0.0, wanted - passed) / count
            passed += count
        return 0.0

    @property
    def median(self) -> float:
        """Return the median in seconds; 0.0 without any duration."""
        return self.quantile(0.5)

    def median_interval(self, errors: float) -> tuple[float, float]:
        """Return the ends of the median's interval, whatever the distribution is.

        The number of durations below the true median is binomial, so order statistics around the
        middle are its interval (David and Nagaraja, Order Statistics, 7.1).

        Args:
            errors: Standard errors of that number from the middle to an end; two for 95 %.
        """
        around = errors / (2 * math.sqrt(self.total))
        return self.quantile(max(0.0, 0.5 - around)), self.quantile(min(1.0, 0.5 + around))

    def _reach(self, first: int, length: int) -> None:
        """Widen the range to hold buckets from `first` on."""
        if not self.counts:
            self.first = first
        before = max(0, self.first - first)
        behind = max(0, first + length - self.first - len(self.counts))
        if before:
            self.counts = array("f", bytes(4 * before)) + self.counts
            self.first -= before
        self.counts.frombytes(bytes(4 * behind))


def _bucket(seconds: float) -> int:
    if seconds <= _LEAST:
        return 0
    return min(BUCKETS - 1, math.ceil(math.log(seconds / _LEAST) / _GROWTH))
