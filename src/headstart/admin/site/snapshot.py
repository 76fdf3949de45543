"""The state of the sites, as all processes together know it: frozen, and plain data on the way.

The recent past is the sum of all processes. The map is the same in each, because they share
it; one that has just started may know less, so the largest answer counts. Pure: `answers`
makes the parts in each process, `views` shows the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from headstart.middleware.recorded import SPAN, SPANS, Figures, PageLoad, Report, report_from

Counts: TypeAlias = tuple[tuple[str, int], ...]
"""Reasons and how often each held, the most frequent first."""

# The current span may have just begun, so it alone would say little.
_NOW_SPANS = 3
LOADS = 30
"""The most recorded views that are shown."""


@dataclass(frozen=True, slots=True)
class SavingShown:
    """How much sooner views are that get something ahead; all in seconds.

    Attributes:
        metric: Its word, for instance `blocking`.
        seconds: Saved by the medians; below 0 if delivering costs time.
        low, high: The ends of its interval of 95 %.
        median, control_median: Of the views with deliveries, and of control views.
        views, control_views: How many of each.
    """

    metric: str
    seconds: float
    low: float
    high: float
    median: float
    control_median: float
    views: float
    control_views: float


@dataclass(frozen=True, slots=True)
class GainShown:
    """The gain of delivering, on a page or a site.

    Attributes:
        views, control_views: Measured so far, the recent ones.
        savings: One for each metric with enough views of both sorts.
        stop: Why the page gets nothing ahead, or gets it again, in words; "" if it never stopped.
    """

    views: float = 0.0
    control_views: float = 0.0
    savings: tuple[SavingShown, ...] = ()
    stop: str = ""


@dataclass(frozen=True, slots=True)
class SiteSnapshot:
    """One site in the last hours.

    Attributes:
        origin: The site.
        history: Its figures for each span of the last twelve hours, the oldest first, without gaps.
        refused: Why assets were not sent ahead.
        gain: Of the whole site.
        findings: Conditions that keep more from being learned, in words.
    """

    origin: str
    history: tuple[Figures, ...]
    refused: Counts
    gain: GainShown = GainShown()
    findings: tuple[str, ...] = ()

    @property
    def now(self) -> Figures:
        """Return the sum of the last quarter of an hour."""
        return total(self.history[-_NOW_SPANS:])

    @property
    def whole(self) -> Figures:
        """Return the sum of the last twelve hours."""
        return total(self.history)


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """The processes that serve.

    Attributes:
        processes: How many answered.
        silent: How many did not answer in time.
        learning: Some process learns. Without one nothing is known of sites.
        open: Open connections.
        accepted: Connections accepted since the start.
        streams: Open streams of HTTP/2.
        connections: Why connections ended or were refused.
        requests: Why requests and streams were refused.
    """

    processes: int
    silent: int
    learning: bool
    open: int
    accepted: int
    streams: int
    connections: Counts
    requests: Counts


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the pages show but the map.

    Attributes:
        time: When it was taken, in seconds since 1970.
        server: The processes.
        sites: By origin, those that were viewed last first.
        loads: The last recorded views of all sites, the newest first.
    """

    time: float
    server: ServerSnapshot
    sites: tuple[SiteSnapshot, ...]
    loads: tuple[PageLoad, ...]

    def site(self, origin: str) -> SiteSnapshot | None:
        """Return a site."""
        return next((site for site in self.sites if site.origin == origin), None)


@dataclass(frozen=True, slots=True)
class PageLine:
    """A page in the list of a site's pages.

    Attributes:
        path: The page; `/product/*` stands for similar pages, `/*` for the whole site.
        views: Counted views, of which old ones have faded.
        assets, sent: How many assets are known, and how many of them are sent.
        judged, useful: Judged views with deliveries, and those that were of use.
    """

    path: str
    views: float
    assets: int
    sent: int
    judged: float
    useful: float


@dataclass(frozen=True, slots=True)
class PageList:
    """A part of the list of a site's pages."""

    total: int
    pages: tuple[PageLine, ...]


@dataclass(frozen=True, slots=True)
class AssetLine:
    """An asset of a page.

    Attributes:
        target: Path and query.
        probability: That a client which lacks it asks for it.
        views: Counted views.
        sent: The decision.
        why: The decision's reason in words.
        how: How it is sent, in words; "" if it is not.
        pinned, barred: By an order of the operator.
    """

    target: str
    probability: float
    views: float
    sent: bool
    why: str
    how: str
    pinned: bool
    barred: bool


@dataclass(frozen=True, slots=True)
class PageSnapshot:
    """One page with its assets.

    Attributes:
        known: Something is kept of this very page; else it borrows all from similar pages.
        assets: Those that are sent come first.
        gain: Of the page.
    """

    known: bool
    assets: tuple[AssetLine, ...]
    gain: GainShown = GainShown()


def total(figures: Iterable[Figures]) -> Figures:
    """Return the sum; without any figures, none of it."""
    found = list(figures)
    return sum(found[1:], found[0]) if found else Figures(0)


def gain_from(plain: Mapping[str, Any] | None) -> GainShown:
    """Return the gain that `answers` wrote; None stands for a gain that was never measured."""
    if plain is None:
        return GainShown()
    savings = tuple(SavingShown(**saving) for saving in plain["savings"])
    return GainShown(plain["views"], plain["control_views"], savings, plain["stop"])


def snapshot_of(answers: Sequence[Mapping[str, Any] | None], now: float) -> Snapshot:
    """Return the whole of the answers to `site_report`.

    Args:
        answers: One for each process, None where it gave none in time.
        now: Seconds since 1970.
    """
    said = [answer for answer in answers if answer is not None]
    reports = [report_from(answer["report"]) for answer in said if answer["report"] is not None]
    server = ServerSnapshot(
        processes=len(said),
        silent=len(answers) - len(said),
        learning=any(answer["learning"] for answer in said),
        open=sum(answer["counters"]["open"] for answer in said),
        accepted=sum(answer["counters"]["accepted"] for answer in said),
        streams=sum(answer["streams"] for answer in said),
        connections=_counts(answer["counters"]["connections"] for answer in said),
        requests=_counts(answer["counters"]["requests"] for answer in said),
    )
    loads = sorted(
        (load for report in reports for load in report.loads), key=lambda load: load.time
    )
    return Snapshot(now, server, _sites(said, reports, now), tuple(loads[: -LOADS - 1 : -1]))


def _sites(
    said: Sequence[Mapping[str, Any]], reports: Sequence[Report], now: float
) -> tuple[SiteSnapshot, ...]:
    """Return the sites of all reports and maps."""
    spans: dict[str, Counter[int]] = {}
    figures: dict[tuple[str, int], Figures] = {}
    refused: dict[str, list[Mapping[str, int]]] = {}
    for report in reports:
        for site in report.sites:
            starts = spans.setdefault(site.origin, Counter())
            refused.setdefault(site.origin, []).append(site.refused)
            for each in site.history:
                key = site.origin, each.start
                figures[key] = figures[key] + each if key in figures else each
                starts[each.start] += each.views
    known = {known["origin"]: known for answer in said for known in answer["known"]}
    origins = {**dict.fromkeys(spans), **dict.fromkeys(known)}
    # Without gaps: a chart shows hours in which nobody came as such.
    last = int(now) // SPAN * SPAN
    wanted = range(last - SPAN * (SPANS - 1), last + 1, SPAN)
    made = [
        SiteSnapshot(
            origin,
            tuple(figures.get((origin, start), Figures(start)) for start in wanted),
            _counts(refused.get(origin, ())),
            gain_from(known[origin]["gain"]) if origin in known else GainShown(),
            tuple(known[origin]["findings"]) if origin in known else (),
        )
        for origin in origins
    ]
    return tuple(sorted(made, key=lambda site: (-site.whole.views, site.origin)))


def _counts(found: Iterable[Mapping[str, int]]) -> Counts:
    """Return the sums, the largest first."""
    sums: Counter[str] = Counter()
    for counts in found:
        sums.update(counts)
    return tuple(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def list_of(answers: Iterable[Mapping[str, Any] | None]) -> PageList:
    """Return the list of pages of the process that knows the most."""
    said = [answer for answer in answers if answer is not None]
    # A process that has just begun knows less until it has read the store.
    best = max(said, key=lambda answer: answer["total"], default=None)
    if best is None:
        return PageList(0, ())
    return PageList(best["total"], tuple(PageLine(**page) for page in best["pages"]))


def page_of(answers: Iterable[Mapping[str, Any] | None]) -> PageSnapshot:
    """Return a page as the process that knows the most of it knows it."""
    said = [answer for answer in answers if answer is not None]
    best = max(said, key=lambda answer: (answer["known"], len(answer["assets"])), default=None)
    if best is None:
        return PageSnapshot(known=False, assets=())
    assets = tuple(AssetLine(**asset) for asset in best["assets"])
    return PageSnapshot(best["known"], assets, gain_from(best["gain"]))
