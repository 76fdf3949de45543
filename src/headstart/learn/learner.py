"""The learner: requests in, candidates out, and votes for other workers.

Ties its parts together; only the middleware and `replay` call it. Pure: no clock, no I/O, not
thread-safe; one per worker process.

The way of a page: `begin`, when the request arrives, returns a `View` with the assets to send ahead
(`choice`). `delivered` records each sent one. `complete`, when the response's head is known, keeps
the view or drops it. When the view ends, it becomes a vote (`ended_views`).

The way of any other request: `begin` returns None, `complete` finds its view (`asset_requests`).

The map changes only in `sync`, about once a second, and in `gone`, never within a request: one
client's deliveries reveal nothing of another one's request a moment ago.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, KeysView
from dataclasses import replace
from typing import assert_never

from headstart.errors import ConfigurationError
from headstart.learn.asset_requests import AssetRequests
from headstart.learn.choice import Choice
from headstart.learn.documents import is_html, is_page, may_be_page
from headstart.learn.ended_views import EndedViews
from headstart.learn.exchange import Answer, Exchange, Request
from headstart.learn.findings import Finding, Findings
from headstart.learn.gains import Gain, Stop
from headstart.learn.icons import icons_of
from headstart.learn.lacking import Lacking
from headstart.learn.listing import Entry, Row
from headstart.learn.model import Map, MapSize
from headstart.learn.named import OtherOrigin
from headstart.learn.nodes import Candidate
from headstart.learn.options import LearnOptions
from headstart.learn.outbox import Outbox
from headstart.learn.records import (
    Forgotten,
    PageRecord,
    Reading,
    Record,
    Removal,
    Report,
    Rule,
    Sighting,
    SiteIcon,
    Verdict,
    Vote,
)
from headstart.learn.rendering import Rendering
from headstart.learn.safety import ASSETS, NAMING, PRESENT, is_personal, kind_of_path, refusal
from headstart.learn.urls import origin_and_path, path_of
from headstart.learn.views import How, View, Views
from headstart.reasons import Refusal

# How long a page may take to answer and still be learned.
_ANSWER_SECONDS = 60.0


class Learner:
    """Learn which assets follow which page, and name those to send ahead.

    Attributes:
        options: Its options.
        assets: The requests for assets.
        choice: The candidates of views.
        ended: The views that ended.
        findings: Reasons why less is learned than could be.
        withheld: The number of views that got nothing, by reason.
    """

    def __init__(self, options: LearnOptions | None = None) -> None:
        self.options = options or LearnOptions()
        self.findings = Findings()
        self.withheld: Counter[Refusal] = Counter()
        self._map = Map(self.options)
        self._views = Views(self.options)
        self._rendering = Rendering(self.options)
        self._lacking = Lacking(self.options)
        self._outbox = Outbox(self.options.max_bytes)
        self.ended = EndedViews(
            self.options, self._map, self._views, self._rendering, self._lacking, self._outbox
        )
        self.assets = AssetRequests(self.options, self._map, self._views, self.ended, self._outbox)
        self.choice = Choice(self.options, self._map, self._rendering, self._lacking, self.assets)

    # The way of a request

    def request(self, exchange: Exchange, now: float) -> View | None:
        """Take a whole exchange at once, from a log; return the view that it opened, if any."""
        view = self.begin(exchange.request, now)
        return self.complete(exchange.request, exchange.answer, view, now)

    def begin(self, request: Request, now: float) -> View | None:
        """Take a request before its response.

        Returns:
            A view with the candidates to send now if this is a page, or may be one; else None.
        """
        if request.destination in ASSETS or request.method != "GET":
            return None
        if not may_be_page(request, self._map, self.options.max_url):
            return None
        return self._open(request, now)

    def complete(
        self, request: Request, answer: Answer, view: View | None, now: float
    ) -> View | None:
        """Take the head of the response.

        Args:
            request: The request.
            answer: The head of its response.
            view: The result of `begin`.
            now: Seconds.

        Returns:
            The view that this request opened, or None.
        """
        if view is None:
            if request.method != "GET":
                return None
            if request.destination in ASSETS or not is_html(request, answer, self.options.max_url):
                self.assets.take(request, answer, now)
                return None
            view = self._open(request, now)
        elif not is_page(answer):
            self._views.close(view)
            self.assets.take(request, answer, now)
            return None
        view.confirmed = True
        view.personal = is_personal(request, answer)
        view.conditional |= answer.status == 304
        view.answered(now)
        view.open(now, self.options)
        return view

    @property
    def viewers(self) -> KeysView[Hashable]:
        """Return the live set of viewers of pages: connections, and clients without one.

        To anybody else an answer 200 that is not a page teaches nothing.
        """
        return self._views.viewers

    def view_sent(self, request: Request, now: float) -> View | None:
        """Return the live view of a request's client with which its target was sent ahead."""
        viewer = self._views.viewer(request)
        return None if viewer is None else viewer.view_sent(request.target, now)

    def is_viewer(self, request: Request) -> bool:
        """Return true if this client, or its connection, has viewed a page."""
        return self._views.viewer(request) is not None

    @property
    def no_pages(self) -> KeysView[bytes]:
        """Paths that `knows_path` found not to be a page's, as they stand at any time."""
        return self._map.no_pages

    def knows_path(self, path: bytes) -> bool:
        """Return true if a page of any origin has this path, or a similar one; undecoded, no query.

        Where it has not, `no_pages` has it as long as that holds, unless it is long.
        """
        return self._map.knows_path(path)

    def delivered(self, view: View, target: str, how: How) -> None:
        """Record that an asset was sent ahead with this view."""
        view.delivered[target] = how
        if how is not How.PUSHED:
            return
        known = self._map.asset(view.origin, target)
        self._views.remember(view.viewer, hash((view.origin, target)))
        kind = known.seen.kind if known is not None else kind_of_path(target)
        if kind in NAMING:
            # It is not going to be asked for, but what it needs is.
            view.name(view.origin + target)

    def withdrawn(self, view: View, target: str) -> bool:
        """Record that a client did not get a push, though `delivered` said so.

        The server takes back a promise that waits to be written when its response fails, or when
        the client comes to accept no pushes; and a connection may be lost before a response is
        whole. The view says nothing about the asset then.

        Returns:
            False if the client has the asset all the same, since it asked for it.
        """
        view.failed |= {target}
        if target in view.fetched:
            return False
        self._views.lacks(view.viewer, hash((view.origin, target)))
        return True

    def again(self, view: View) -> dict[str, float]:
        """Return the candidates that a view's client had before, and how likely it asks again."""
        return self._lacking.again(view)

    def feedback(self, view: View, target: str, *, status: int | None = None) -> None:
        """Record that the client refused or cancelled a push, or that its response was not a 200.

        Args:
            view: The view that it was sent with.
            target: The pushed asset.
            status: The pushed response's status, or None if the client reset the stream.
        """
        if status is None:
            view.wasted.add(target)
        elif status not in PRESENT:
            self.assets.remove(Removal(view.origin, target))

    def pushed(self, request: Request, answer: Answer) -> None:
        """Take the response to a pushed request: forget an asset that it shows to be unlearnable.

        An asset that is always pushed may never be requested again, so this is where a change
        shows. The request was made without credentials, so one response suffices; if an application
        added credentials, nothing follows.
        """
        if request.authorized:
            return
        known = self._map.asset(request.origin, request.target)
        named = known is None or known.named
        if refusal(request, answer, self.options.max_url, named=named) is not None:
            self.assets.remove(Removal(request.origin, request.target))

    def read(self, reading: Reading) -> None:
        """Take the assets that a client's copy of a page names.

        Assets that were seen not to be equal for everybody are left out, as if the page did not
        name them.
        """
        named = tuple(
            each
            for each in reading.named
            if not self.assets.is_refused(reading.origin, each.target)
        )
        reading = replace(reading, named=named)
        self._take_names(reading)
        self._outbox.add(reading)

    def _take_names(self, said: Reading | SiteIcon) -> None:
        if isinstance(said, Reading):
            self._map.read(said)
        for icon in icons_of(said):
            self.assets.icons.take(icon)

    def is_read(self, origin: str, path: str) -> bool:
        """Return whether a page's HTML was read, and since the last deployment that was seen."""
        return self._map.is_read(origin, path)

    def others(self, origin: str, path: str) -> tuple[OtherOrigin, ...]:
        """Return the other origins that a page loads from, as its HTML says."""
        return self._map.others(origin, path)

    def gone(self, connection: Hashable) -> None:
        """Handle a closed connection: its views end and count at once."""
        for view in self._views.of_connection(connection):
            self.ended.end(view)
        self._views.forget(connection)
        self.ended.count()

    # What others need

    def candidates(self, origin: str, target: str) -> tuple[Candidate, ...]:
        """Return the map's assets for a page, for any client; for display and for tests.

        Those that are `personal` are not for all.
        """
        return self._map.candidates(origin, path_of(target))

    def wastes(self, origin: str, target: str) -> bool:
        """Return whether most assets sent with a page are not used, so that views of it get
        nothing.
        """
        return self._map.is_waste(origin, path_of(target))

    def stops(self, origin: str, target: str) -> bool:
        """Return whether a page gets nothing ahead because that costs time."""
        return self._map.is_stopped(origin, path_of(target))

    def compare(self, view: View, *, by_push: bool) -> None:
        """Measure how long this view takes: it gets something, or would if it got anything.

        Control views have to be of the same clients. One that takes pushes and asks for nothing
        may be a robot, which no control view shows, or have everything in its cache.

        Args:
            view: The view, before its response.
            by_push: Some of it is pushed, or would be.
        """
        known = view.proven and not view.returning
        view.measured = view.comparable and (known or not by_push)

    def report(self, report: Report) -> bool:
        """Take how soon a browser showed a page; return whether that counts.

        Only for a known page whose views the lot decides about by now.
        """
        if not self.options.measure or not self._map.control.is_comparable(
            report.origin, report.path
        ):
            return False
        if not self._map.report(report):
            return False
        self._outbox.add(report)
        return True

    def push_ended(self, request: Request, now: float) -> None:
        """Take that the response to a pushed request is complete, as far as the server sees it."""
        viewer = self._views.viewer(request)
        view = viewer.view_sent(request.target, now) if viewer is not None else None
        kind = kind_of_path(request.target)
        if view is not None and kind is not None:
            view.arrived(kind, now)

    def gain(self, page: str) -> Gain | None:
        """Return what delivering gains, views that get something against control views.

        Args:
            page: The URL of a page, or the origin of a site.

        Returns:
            The gain, or None if no view was measured.
        """
        origin, path = origin_and_path(page)
        return self._map.gain(origin, path)

    def gains(self) -> Iterator[Gain]:
        """Yield the gains of all sites and pages that were measured."""
        return self._map.gains()

    def size(self) -> MapSize:
        """Return how much the map holds."""
        return self._map.measured()

    def rows(self) -> Iterator[Row]:
        """Return the map, line by line."""
        return self._map.listing.rows()

    def rows_at(self, origin: str, path: str) -> Iterator[Row]:
        """Return the lines of one page of an origin, or of pages alike, and its pins."""
        return self._map.listing.rows_at(origin, path)

    def knows_exactly(self, origin: str, path: str) -> bool:
        """Return true if rows or pins are kept of this page, or of these pages alike."""
        return self._map.listing.knows_exactly(origin, path)

    def origins(self) -> list[str]:
        """Return the origins of which anything is known or pinned, in order."""
        return self._map.listing.origins()

    def entries(
        self, origin: str, text: str = "", start: int = 0, most: int = 50
    ) -> tuple[int, list[Entry]]:
        """Return the number of an origin's pages with a text in their path, and some of them."""
        return self._map.listing.entries(origin, text, start, most)

    # The store

    def sync(self, now: float) -> list[Record]:
        """End views whose window is over, count all views, and return the votes for others.

        Call it about once a second. The result is for the `absorb` of other workers.
        """
        for view in self._views:
            # A page that is still being made has no window yet; it gains most by being learned.
            limit = view.expires if view.confirmed else view.opened + _ANSWER_SECONDS
            if now > limit:
                self.ended.end(view)
            elif view.confirmed and view.counted is None and view.asked:
                self.ended.count_partly(view)
        self.ended.count()
        self.assets.tell()
        return self._outbox.take()

    def absorb(self, records: Iterable[Record]) -> list[ConfigurationError]:
        """Take the result of another worker's `sync`, or of `export`.

        Returns:
            Why records were left out: for each, an operator's order that cannot be obeyed.
        """
        refused: list[ConfigurationError] = []
        for record in records:
            match record:
                case Vote():
                    self._map.measure(record)
                    self._map.fold(record)
                case Reading() | SiteIcon():
                    self._take_names(record)
                case Removal():
                    self.assets.refuse(record.origin, record.target)
                    self._map.remove(record)
                case Sighting():
                    self._map.take(record)
                case PageRecord():
                    self._map.load(record)
                case Rule():
                    refused += self._obey(record)
                case Forgotten():
                    self._map.forget(record.page, record.time)
                case Report():
                    self._map.report(record)
                case Stop():
                    self._map.stop(record)
                case Finding():
                    self.findings.take(record)
                case _:
                    assert_never(record)
        return refused

    def _obey(self, rule: Rule) -> list[ConfigurationError]:
        """Take an operator's order; return the reason if it cannot be obeyed."""
        try:
            self._map.obey(rule)
        except ConfigurationError as error:
            return [error]
        return []

    def note(self, finding: Finding) -> bool:
        """Take a reason why less is learned than could be; return whether nobody told it yet."""
        new, telling = self.findings.take(finding)
        if telling:
            self._outbox.add(finding)
        return new

    def export(self) -> Iterator[PageRecord | Rule | SiteIcon]:
        """All that was learned and said, for `absorb` after a restart or elsewhere."""
        yield from self._map.export()
        yield from self.assets.icons.export()

    # The operator; `page` and `asset` are paths, or whole URLs where there is more than one origin

    def forget(self, page: str, now: float) -> bool:
        """Forget a page, and its open views so far. Return false if it was not known."""
        self._outbox.add(Forgotten(page, now))
        return self._map.forget(page, now)

    def pin(self, page: str, asset: str) -> None:
        """Send this asset with this page always. Raises ConfigurationError."""
        rule = Rule(Verdict.PIN, page, asset)
        self._map.obey(rule)
        self._outbox.add(rule)

    def never(self, asset: str) -> None:
        """Never sends this asset. Raises ConfigurationError."""
        rule = Rule(Verdict.NEVER, "", asset)
        self._map.obey(rule)
        self._outbox.add(rule)

    def _open(self, request: Request, now: float) -> View:
        view, ended = self._views.open(request, now)
        for old in ended:
            self.ended.end(old)
        view.withheld = self.choice.choose(view)
        if view.withheld is not None:
            self.withheld[view.withheld] += 1
            view.candidates = ()
        return view
