"""The gain of delivering: views with deliveries against control views.

Durations of both sorts of views, for each page and site, and the difference of their medians with
its interval. A median, because one voter casts at most one vote in five (`counts.Voters`): however
it lies, the median stays between the honest views' three eighths and five eighths. A mean would
follow it anywhere, and so it would follow the few visitors whose link takes ten seconds.

`model` keeps one `Durations` at each page and site that was measured; its records go to the store
with the page's. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from headstart.learn.counts import Voters
from headstart.learn.histograms import Histogram

# Views of each sort below which an interval would say nothing.
FEWEST = 20
# Control views, or delivered ones if these are fewer, from which on all fade to half.
_MEMORY = 512
# Views of one sort from which on all fade, however few there are of the other.
_MOST = 1 << 20
# Standard errors from the middle to the end of an interval that holds the truth in 95 % of cases,
# where 1.96 do in theory, and 20 control views in buckets take a little more; and of the interval
# that stops a page or begins it again. A page is looked at after each view, and that often an
# interval of 95 % misses the truth sometime.
_CONFIDENT = 2.15
_SURE = 3.5
# Measured with tracemalloc on CPython 3.13, rounded up.
_OWN_BYTES = 800
_VOTERS_BYTES = 800


class Metric(StrEnum):
    """What is measured of a view, in seconds. The value is the word in JSON."""

    BLOCKING = "blocking"
    """From the page's request to the last stylesheet, script or font, as the server sees it."""
    LOADED = "loaded"
    """From the page's request to the last asset of any kind, as the server sees it."""
    FCP = "fcp"
    """First Contentful Paint, as the browser reports it."""
    LCP = "lcp"
    """Largest Contentful Paint, as the browser reports it."""
    LOAD = "load"
    """The load event, as the browser reports it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """The durations of one metric and one sort of views, as a record; see `Histogram`."""

    metric: Metric
    control: bool
    first: int
    counts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Saving:
    """How much sooner views are that get something ahead, by the medians.

    Attributes:
        views, control_views: Of each sort, the recent ones.
        median, control_median: Seconds, of views with deliveries and of control views.
        low, high: Ends of the interval that holds the true difference in 95 of 100 cases, in
            seconds.
        surely_negative, surely_positive: Delivering costs time, or saves it, with the certainty
            that stops a page or begins it again.
    """

    views: float
    control_views: float
    median: float
    control_median: float
    low: float
    high: float
    surely_negative: bool
    surely_positive: bool

    @property
    def seconds(self) -> float:
        """Return the seconds that delivering saves; below 0 if it costs time."""
        return self.control_median - self.median


@dataclass(frozen=True, slots=True)
class Stop:
    """A page gets nothing ahead any more because that costs time; or it gets it again.

    Attributes:
        time: On the clock of `Vote.time`.
        origin, path: The page.
        stopped: It gets nothing; false if it does again.
        seconds: How much slower views with deliveries were, by the median; sooner if it goes on.
        low, high: Ends of the interval of 95 %.
    """

    time: float
    origin: str
    path: str
    stopped: bool
    seconds: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Gain:
    """What delivering gains on a page or a site.

    Attributes:
        page: The URL of the page, or the origin of the site.
        views, control_views: Views that the server measured so far, the recent ones.
        savings: One for each metric with enough views of both sorts.
        stop: When and why the page was stopped last, or went on; None if it never was. Views are
            measured anew since.
    """

    page: str
    views: float
    control_views: float
    savings: Mapping[Metric, Saving]
    stop: Stop | None = None

    @property
    def stopped(self) -> bool:
        """Return true if the page gets nothing ahead because that costs time."""
        return self.stop is not None and self.stop.stopped

    @property
    def blocking(self) -> Saving | None:
        """Return the gain until the last blocking asset, or None with too few views."""
        return self.savings.get(Metric.BLOCKING)

    @property
    def loaded(self) -> Saving | None:
        """Return the gain until the last asset, or None with too few views."""
        return self.savings.get(Metric.LOADED)


class Durations:
    """The durations of a page's views, or of a site's, by metric and sort.

    Attributes:
        bytes: About its size in memory.
    """

    __slots__ = ("_found", "_voters", "bytes")

    def __init__(self) -> None:
        self._found: dict[tuple[Metric, bool], Histogram] = {}
        self._voters: dict[tuple[bool, bool], Voters] = {}
        self.bytes = _OWN_BYTES

    def add(
        self,
        seconds: Mapping[Metric, float],
        voter: int,
        now: float,
        *,
        control: bool,
        reported: bool = False,
    ) -> bool:
        """Count one view.

        Args:
            seconds: Its durations.
            voter: Of its client.
            now: On the clock of `Vote.time`.
            control: It got nothing.
            reported: The browser says so, and not the server.

        Returns:
            False if it does not count, because its voter had a turn.
        """
        voters = self._voters.get((control, reported))
        if voters is None:
            voters = self._voters[control, reported] = Voters()
        if not voters.admit(voter, now):
            return False
        for metric, value in seconds.items():
            found = self._at(metric, control)
            buckets = len(found.counts)
            found.add(value)
            if len(found.counts) != buckets:
                self._weigh()
            if found.total > _MEMORY:
                self._bound(metric)
        return True

    def merge(self, measure: Measure) -> None:
        """Add a record's counts."""
        self._at(measure.metric, measure.control).merge(measure.first, measure.counts)
        self._weigh()
        self._bound(measure.metric)

    def records(self) -> Iterator[Measure]:
        """Yield all counts as records."""
        for (metric, control), found in self._found.items():
            yield Measure(metric, control, found.first, tuple(round(c, 3) for c in found.counts))

    def gain(self, page: str, stop: Stop | None = None) -> Gain:
        """Return the gain; `page` is the name that it gets."""
        savings = {metric: found for metric in Metric if (found := self.saving(metric)) is not None}
        views, control_views = (self._total(Metric.LOADED, sort) for sort in (False, True))
        return Gain(page, views, control_views, savings, stop)

    def loss(self) -> Saving | None:
        """Return the negative gain for which nothing is to be sent ahead any more, or None.

        Images that come later are worth it where the page is shown sooner.
        """
        blocking, loaded = self.saving(Metric.BLOCKING), self.saving(Metric.LOADED)
        if blocking is not None and blocking.surely_negative:
            return blocking
        if loaded is None or not loaded.surely_negative:
            return None
        return loaded if blocking is None or blocking.low <= 0 else None

    def recovery(self) -> Saving | None:
        """Return the positive gain for which a stopped page goes on, or None.

        95 % suffice: if that was wrong, the page is stopped again.
        """
        if self.loss() is not None:
            return None
        found = self.saving(Metric.BLOCKING), self.saving(Metric.LOADED)
        return next((each for each in found if each is not None and each.low > 0), None)

    def saving(self, metric: Metric) -> Saving | None:
        """Return the gain by one metric, or None with too few views."""
        delivered = self._found.get((metric, False))
        control = self._found.get((metric, True))
        if delivered is None or control is None:
            return None
        views, control_views = delivered.total, control.total
        if min(views, control_views) < FEWEST:
            return None
        low, high = _difference(control, delivered, _CONFIDENT)
        surely_low, surely_high = _difference(control, delivered, _SURE)
        return Saving(
            views=views,
            control_views=control_views,
            median=delivered.median,
            control_median=control.median,
            low=low,
            high=high,
            surely_negative=surely_high < 0,
            surely_positive=surely_low > 0,
        )

    def _weigh(self) -> None:
        counts = sum(each.bytes for each in self._found.values())
        self.bytes = _OWN_BYTES + counts + _VOTERS_BYTES * len(self._voters)

    def _at(self, metric: Metric, control: bool) -> Histogram:
        found = self._found.get((metric, control))
        if found is None:
            found = self._found[metric, control] = Histogram()
        return found

    def _total(self, metric: Metric, control: bool) -> float:
        found = self._found.get((metric, control))
        return found.total if found is not None else 0.0

    def _bound(self, metric: Metric) -> None:
        """Let both sorts fade together, so that they are of the same days."""
        one, other = self._at(metric, False), self._at(metric, True)
        while min(one.total, other.total) > _MEMORY or max(one.total, other.total) > _MOST:
            one.fade()
            other.fade()


def _difference(one: Histogram, other: Histogram, errors: float) -> tuple[float, float]:
    """Return the interval of a difference of two medians, from theirs (Zou and Donner, 2008).

    Unlike a standard error it holds where half of the views are fast, half are slow, and the
    median may be at either side of the gap.
    """
    median, other_median = one.median, other.median
    low, high = one.median_interval(errors)
    other_low, other_high = other.median_interval(errors)
    difference = median - other_median
    return (
        difference - math.hypot(median - low, other_high - other_median),
        difference + math.hypot(high - median, other_median - other_low),
    )
