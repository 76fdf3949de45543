"""Record the recent past of each site, for a page that shows it.

Wraps the `send` of pages, of their assets and of their pushes, and is told of each view that ends.
Bounded: so many sites, spans of time and views, and new views are recorded only so often, because
those that are must stay until their assets have come. `shared` holds one if somebody wants to look,
and None else; `middleware` and `watch` ask it. `report` is called from the same event loop.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice

from headstart.deliver.asgi import Message, Scope, Send
from headstart.deliver.decide import Decision, Way
from headstart.learn import How, Learner, Request, View
from headstart.learn.clients import viewer_key
from headstart.learn.votes import judged_deliveries
from headstart.middleware.recorded import (
    SPAN,
    SPANS,
    AssetLoad,
    Figures,
    PageLoad,
    Report,
    SiteReport,
)
from headstart.reasons import Refusal

_MOST_SITES = 20
_MOST_LOADS = 30
# A recorded view stays at least as long as its window may last: 30 views, 0.4 s apart.
_BETWEEN_LOADS = 0.4
# As many as the learner keeps of a view.
_MOST_ASSETS = 64
# Characters of a path; a client may send thousands, and thirty views hold many of them.
_LONGEST_NAME = 300


class _Exchange:
    """One response on its way; times are of the recorder's timer."""

    __slots__ = ("end", "responded", "size", "start", "status", "target")

    def __init__(self, target: str, now: float) -> None:
        self.target = _shortened(target)
        self.start = now
        self.responded: float | None = None
        self.end: float | None = None
        self.status = 0
        self.size = 0

    def take(self, message: Message, now: float) -> None:
        """Take a message of the response."""
        match message["type"]:
            case "http.response.start":
                self.responded = now
                self.status = message["status"]
            case "http.response.body":
                self.size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    self.end = now
            case "http.response.pathsend" | "http.response.zerocopysend":
                self.end = now
            case _:
                pass  # a 103, a push, trailers


class _Load:
    """A recorded view."""

    __slots__ = (
        "assets",
        "decisions",
        "exchange",
        "hinted",
        "origin",
        "refusal",
        "time",
        "version",
        "view",
    )

    def __init__(self, view: View, scope: Scope, time: float, now: float) -> None:
        self.view: View | _Ended = view
        self.origin = view.origin
        self.time = time
        self.version: str = scope.get("http_version", "1.1")
        self.exchange = _Exchange(view.path, now)
        self.hinted: float | None = None
        self.decisions: Sequence[Decision] = ()
        self.refusal = ""
        """The one reason for which none of its assets was sent."""
        self.assets: list[_Exchange] = []

    def decide(self, decisions: Sequence[Decision]) -> None:
        """Take the decisions on the view."""
        self.decisions = decisions
        reasons = {decision.refusal for decision in decisions}
        if len(reasons) == 1 and all(decision.way is Way.NOTHING for decision in decisions):
            self.refusal = str(reasons.pop() or "")

    def end(self, view: View) -> None:
        """Let go of the view and of all that it holds; its deliveries are known now."""
        self.view = _Ended(view.withheld, self._ways(view))
        self.decisions = ()

    def _ways(self, view: View) -> dict[str, str]:
        """Return the assets that were sent ahead, by their shortened targets, and how."""
        ways = {target: _WAYS[how] for target, how in view.delivered.items()}
        for decision in self.decisions:
            if decision.way is not Way.NOTHING:
                ways[decision.candidate.target] = decision.way.value
        return {_shortened(target): way for target, way in ways.items()}

    def frozen(self) -> PageLoad:
        """Return it as a record."""
        page, view = self.exchange, self.view
        ways = dict(view.ways) if isinstance(view, _Ended) else self._ways(view)
        assets = [
            AssetLoad(
                one.target,
                ways.pop(one.target, ""),
                one.start - page.start,
                _after(one.responded, page.start),
                _after(one.end, page.start),
                one.status,
                one.size,
            )
            for one in self.assets
        ]
        unused = [AssetLoad(target, way, None, None, None, 0, 0) for target, way in ways.items()]
        return PageLoad(
            self.origin,
            page.target,
            self.time,
            self.version,
            self.refusal if view.withheld is None else str(view.withheld),
            _after(self.hinted, page.start),
            _after(page.responded, page.start),
            _after(page.end, page.start),
            page.status,
            page.size,
            tuple(assets + unused[: max(_MOST_ASSETS - len(assets), 0)]),
        )


@dataclass(frozen=True, slots=True)
class _Ended:
    """The little that a record keeps of a view that has ended."""

    withheld: Refusal | None
    ways: dict[str, str]
    confirmed: bool = True


_WAYS = {How.PUSHED: Way.PUSH.value, How.HINTED: Way.HINT.value}


class _Span:
    """Figures that grow: of one span of time, or of all; in the order of `Figures`."""

    __slots__ = ("counts", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.counts = [0] * (len(Figures.__slots__) - 1)

    def add(self, counts: Sequence[int]) -> None:
        """Add the figures of one view."""
        mine = self.counts
        for place, count in enumerate(counts):
            mine[place] += count

    def frozen(self) -> Figures:
        """Return them as a record."""
        return Figures(self.start, *self.counts)


class _Site:
    """The past of one site."""

    __slots__ = ("refused", "spans", "views")

    def __init__(self) -> None:
        self.views = 0
        self.spans: deque[_Span] = deque(maxlen=SPANS)
        self.refused: Counter[str] = Counter()

    def count(self, start: int, counts: Sequence[int]) -> None:
        """Add the figures of one view to the span that begins at `start`."""
        self.views += 1
        # A clock that is set back adds to the last span.
        if not self.spans or self.spans[-1].start < start:
            self.spans.append(_Span(start))
        self.spans[-1].add(counts)


class Recorder:
    """The recent past of one worker.

    Args:
        learner: Tells of assets, and of views that end.
        clock: Seconds since 1970; the same in all workers.
        timer: Seconds that only grow.

    Attributes:
        changes: Grows with each change of the report.
    """

    def __init__(
        self,
        learner: Learner,
        clock: Callable[[], float],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.changes = 0
        self._total = _Span(0)
        self._clock = clock
        self._timer = timer
        self._learner = learner
        self._sites: dict[str, _Site] = {}
        self._loads: deque[_Load] = deque(maxlen=_MOST_LOADS)
        self._viewers: set[Hashable] = set()
        """The clients, or their connections, whose views are recorded."""
        self._admitted = timer() - _BETWEEN_LOADS
        self._attributed: tuple[Request, View] | None = None
        learner.assets.on_asset = self._attribute
        learner.ended.on_end = self._count

    @property
    def totals(self) -> Figures:
        """Return the figures of all views since the start."""
        return self._total.frozen()

    @property
    def origins(self) -> tuple[str, ...]:
        """Return the sites that are recorded."""
        return tuple(self._sites)

    def report(self, most: int = _MOST_LOADS, origin: str = "", path: str = "") -> Report:
        """Return the past as it stands.

        Args:
            most: The number of views to return; those before them are left out.
            origin: Only views of this site.
            path: Only views of this page.
        """
        oldest = self._clock() - SPAN * SPANS
        loads = (
            load
            for load in reversed(self._loads)
            if load.view.confirmed
            and origin in ("", load.origin)
            and path in ("", load.exchange.target)
        )
        return Report(
            tuple(
                SiteReport(
                    origin,
                    tuple(span.frozen() for span in site.spans if span.start >= oldest),
                    dict(site.refused),
                )
                for origin, site in self._sites.items()
            ),
            tuple(load.frozen() for load in islice(loads, most)),
        )

    # Pages

    def watch_page(self, scope: Scope, view: View, send: Send) -> Send:
        """Return a `send` that records a view, and counts the reasons of its refusals."""
        load = self._admit(scope, view)

        def recorded_send(message: Message) -> Awaitable[None]:
            kind = message["type"]
            if kind == "http.response.start":
                self._answered(scope, view, load)
            if load is not None:
                if kind == "http.response.early_hint" and load.hinted is None:
                    load.hinted = self._timer()
                self._take(load.exchange, message)
            return send(message)

        return recorded_send

    def _answered(self, scope: Scope, view: View, load: _Load | None) -> None:
        """Take the decisions on a view, which stand when its response begins."""
        decisions: Sequence[Decision] = scope.get("headstart.decisions", ())
        if load is not None:
            load.decide(decisions)
        if view.confirmed:
            self._count_refusals(view, decisions)
        elif load is not None and load in self._loads:
            self._loads.remove(load)  # not a page after all

    def _admit(self, scope: Scope, view: View) -> _Load | None:
        now = self._timer()
        if now - self._admitted < _BETWEEN_LOADS or view.prefetched:
            return None
        self._admitted = now
        load = _Load(view, scope, self._clock(), now)
        self._loads.append(load)
        self._find_viewers()
        return load

    def _find_viewers(self) -> None:
        views = [load.view for load in self._loads]
        self._viewers = {view.viewer.key for view in views if isinstance(view, View)}

    def _count_refusals(self, view: View, decisions: Sequence[Decision]) -> None:
        refused = self._site(view.origin).refused
        for decision in decisions:
            if decision.way is Way.NOTHING and decision.refusal is not None:
                refused[str(decision.refusal)] += 1

    def _count(self, view: View) -> None:
        self.changes += 1
        used, wasted = judged_deliveries(view)
        delivered = view.delivered
        counts = (
            1,
            1 if delivered else 0,
            1 if view.control else 0,
            len(view.asked),
            len(delivered),
            len(used),
            len(wasted),
        )
        self._total.add(counts)
        for load in self._loads:
            if load.view is view:
                load.end(view)
                self._find_viewers()
        self._site(view.origin).count(int(self._clock()) // SPAN * SPAN, counts)

    def _site(self, origin: str) -> _Site:
        """Return a site's past; the one with the fewest views makes room for a new one.

        Clients choose the names of sites. Many names with a view each push out one another, and not
        a site that is visited.
        """
        site = self._sites.get(origin)
        if site is None:
            if len(self._sites) >= _MOST_SITES:
                fewest = min(self._sites, key=lambda name: self._sites[name].views)
                del self._sites[fewest]
            site = self._sites[origin] = _Site()
        return site

    # Assets

    def watch_asset(self, request: Request, send: Send) -> Send:
        """Return a `send` that records an asset once the learner has found its view."""
        if viewer_key(request) not in self._viewers:
            # Most requests are of clients whose views are not recorded.
            return send
        exchange = _Exchange(request.target, self._timer())

        def recorded_send(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                # The learner was told of the response a moment ago, within this very call.
                found, self._attributed = self._attributed, None
                if found is not None and found[0] is request:
                    self._add(found[1], exchange)
            self._take(exchange, message)
            return send(message)

        return recorded_send

    def watch_push(self, request: Request, send: Send) -> Send:
        """Return a `send` that records a pushed response."""
        if viewer_key(request) not in self._viewers:
            return send
        view = self._learner.view_sent(request, self._clock())
        if view is None:
            return send
        exchange = _Exchange(request.target, self._timer())
        self._add(view, exchange)

        def recorded_send(message: Message) -> Awaitable[None]:
            self._take(exchange, message)
            return send(message)

        return recorded_send

    def _take(self, exchange: _Exchange, message: Message) -> None:
        exchange.take(message, self._timer())
        self.changes += 1

    def _attribute(self, request: Request, view: View) -> None:
        if view.viewer.key in self._viewers:
            self._attributed = (request, view)

    def _add(self, view: View, exchange: _Exchange) -> None:
        for load in self._loads:
            if load.view is view and len(load.assets) < _MOST_ASSETS:
                load.assets.append(exchange)


def _after(at: float | None, start: float) -> float | None:
    return None if at is None else max(at - start, 0.0)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
