"""The gain of delivering: views with deliveries against control views.

`learner` owns one and feeds it the times that the middleware measured. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, slots=True)
class Gain:
    """Two means and their difference.

    Attributes:
        delivered, control: Views of each sort.
        delivered_mean, control_mean: Seconds until the last asset had arrived.
        error: Standard error of the difference, in seconds; 0 with too few views.
    """

    delivered: int
    control: int
    delivered_mean: float
    control_mean: float
    error: float

    @property
    def seconds(self) -> float:
        """Seconds that delivering saves; 0 while one of the sorts has not been seen."""
        if not self.delivered or not self.control:
            return 0.0
        return self.control_mean - self.delivered_mean


class _Mean:
    """Mean and variance of a stream (Welford 1962)."""

    __slots__ = ("count", "mean", "squares")

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        step = value - self.mean
        self.mean += step / self.count
        self.squares += step * (value - self.mean)

    @property
    def variance(self) -> float:
        """Of the mean."""
        return self.squares / (self.count - 1) / self.count if self.count > 1 else 0.0


class Gains:
    """Gains by page, and over all pages under the name ""."""

    def __init__(self, max_pages: int) -> None:
        self._max_pages = max_pages
        self._pages: dict[str, tuple[_Mean, _Mean]] = {"": (_Mean(), _Mean())}

    def add(self, page: str, seconds: float, *, control: bool) -> None:
        """One view's time until its last asset was there."""
        if page not in self._pages and len(self._pages) > self._max_pages:
            oldest = next(name for name in self._pages if name)
            del self._pages[oldest]
        for name in ("", page):
            self._pages.setdefault(name, (_Mean(), _Mean()))[control].add(seconds)

    def of(self, page: str) -> Gain:
        """Return the gain on a page, or on all."""
        delivered, control = self._pages.get(page) or (_Mean(), _Mean())
        return Gain(
            delivered=delivered.count,
            control=control.count,
            delivered_mean=delivered.mean,
            control_mean=control.mean,
            error=sqrt(delivered.variance + control.variance),
        )
