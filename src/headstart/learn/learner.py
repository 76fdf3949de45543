"""The learner: requests in, candidates out, and votes for other workers.

Ties `views`, `safety` and `model` together; only the middleware and `replay` call it. Pure: no
clock, no I/O, not thread-safe; one per worker process.

The way of a page: `begin`, when the request arrives, returns a `View` with the assets to send
    ahead;
`delivered` records each sent one; `complete`, when the response's head is known, keeps the view or
drops it. The way of any other request: `begin` returns None, `complete` finds its view. The map
changes only in `sync`, about once a second, and in `gone`, never within a request: one client's
deliveries reveal nothing of another one's request a moment ago.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, KeysView, Sequence
from dataclasses import replace
from functools import partial
from typing import assert_never

from headstart.errors import ConfigurationError
from headstart.learn.attribution import Attribution
from headstart.learn.clients import voter_of
from headstart.learn.counts import Asset, SeenAsset
from headstart.learn.exchange import Answer, Exchange, Request
from headstart.learn.findings import Finding, Findings
from headstart.learn.gains import Gain, Stop
from headstart.learn.lacking import Lacking
from headstart.learn.listing import Entry, Row
from headstart.learn.model import Map, MapSize
from headstart.learn.named import Named, OtherOrigin
from headstart.learn.nodes import Candidate, Judgement
from headstart.learn.options import LearnOptions
from headstart.learn.records import (
    Forgotten,
    PageRecord,
    Reading,
    Record,
    Removal,
    Report,
    Rule,
    Verdict,
    Vote,
)
from headstart.learn.rendering import Rendering
from headstart.learn.safety import (
    Kind,
    Unlearnable,
    essence,
    is_personal,
    kind_of_path,
    refusal,
)
from headstart.learn.sightings import hash_of, seen_asset_of, unsays
from headstart.learn.urls import origin_and_path, path_of
from headstart.learn.views import Arrival, How, View, Viewer, Views, Withheld
from headstart.learn.votes import partial_vote, vote_of, weight

# Sec-Fetch-Dest of what opens a view (Fetch, 2.2.7); a fetch() that answers HTML is not a page.
_DOCUMENTS = frozenset(("document", "iframe", "frame"))
# What asks for more in its own name.
_NAMING = (Kind.STYLE, Kind.SCRIPT)
_ASSETS = frozenset(kind.value for kind in Kind)
_HTML = frozenset(("text/html", "application/xhtml+xml"))
# Answers that speak about the client that asked, not about the asset: credentials, bans, rates,
# malformed or conditional requests. One client's are not held against the asset.
_PERSONAL = frozenset((400, 401, 403, 405, 406, 407, 408, 411, 412, 413, 414, 416, 417, 421, 425,
                       426, 428, 429, 431, 451, 499, 503))  # fmt: skip
_PRESENT = frozenset((200, 206, 304))
# The part of the learner's bytes that may wait for other workers between two calls of `sync`;
# beyond it only this worker counts what it sees. Views that ended may wait for it with this part.
_OUTBOX = 0.02
# How long a page may take to answer and still be learned.
_ANSWER_SECONDS = 60.0
_ENDED = 0.01
# URLs that are remembered as no assets, so that a page that names them does not bring them back.
_REFUSED = 1000


class Learner:
    """Learn which assets follow which page, and name those to send ahead."""

    def __init__(self, options: LearnOptions | None = None) -> None:
        self.options = options or LearnOptions()
        self.refusals: dict[Unlearnable, int] = dict.fromkeys(Unlearnable, 0)
        self.withheld: dict[Withheld, int] = dict.fromkeys(Withheld, 0)
        self._map = Map(self.options)
        self._views = Views(self.options)
        self._attribution = Attribution(self._map, self.options)
        self._rendering = Rendering(self.options)
        self._lacking = Lacking(self.options)
        self.findings = Findings()
        self.on_refusal: Callable[[Request, Answer, Unlearnable], None] | None = None
        """Told of each asset of a view that may not be learned."""
        self.on_fetch: Callable[[Request, bool], None] | None = None
        """Told of each request for an asset that its view hinted, and whether it is the second."""
        self.on_asset: Callable[[Request, View], None] | None = None
        """Told of each request for an asset with the view that it belongs to."""
        self.on_end: Callable[[View], None] | None = None
        """Told of each view of a page that has ended."""
        self.on_stop: Callable[[Stop], None] | None = None
        """Told of each page that this worker stops for what it gains, or lets go on."""
        self.arriving: Arrival | None = None
        """The asset whose response has just begun, if its view is measured."""
        self._outbox: list[Record] = []
        self._told = 0
        self._refused: dict[int, None] = {}
        self._firsts = 0
        self._ended: list[View] = []
        self._ended_weight = 0

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
        if request.destination in _ASSETS or request.method != "GET":
            return None
        if not self._may_be_page(request):
            return None
        return self._open(request, now)

    def complete(
        self,
        request: Request,
        answer: Answer,
        view: View | None,
        now: float,
        *,
        cookies: bool = False,
    ) -> View | None:
        """Take the head of the response.

        Args:
            request: The request.
            answer: The head of its response.
            view: The result of `begin`.
            now: Seconds.
            cookies: The request carried cookies.

        Returns:
            The view that this request opened, or None.
        """
        if view is None:
            if request.method != "GET":
                return None
            if request.destination in _ASSETS or not self._is_html(request, answer):
                self._asset(request, answer, now)
                return None
            view = self._open(request, now)
        elif not self._is_page(request, answer):
            self._views.close(view)
            self._asset(request, answer, now)
            return None
        view.confirmed = True
        view.personal = is_personal(request, answer, cookies=cookies)
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
        if kind in _NAMING:
            # It is not going to be asked for, but what it needs is.
            view.name(view.origin + target)

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
        elif status not in _PRESENT:
            self._remove(Removal(view.origin, target))

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
            self._remove(Removal(request.origin, request.target))

    def read(self, reading: Reading) -> None:
        """Take the assets that a client's copy of a page names.

        Assets that were seen not to be equal for everybody are left out, as if the page did not
        name them.
        """
        named = tuple(
            each
            for each in reading.named
            if hash((reading.origin, each.target)) not in self._refused
        )
        reading = replace(reading, named=named)
        self._map.read(reading)
        self._tell(reading)

    def first_candidates(
        self, view: View, named: Sequence[Named], *, credentials: bool
    ) -> list[Candidate]:
        """Return the assets of which nothing was known before the page's HTML named them now.

        Only assets that are safe to send to this client; none if such clients seldom fetch any.

        Args:
            view: Of the page.
            named: The assets that the copy that goes out names.
            credentials: The page was asked for with a Cookie or an Authorization.
        """
        if not named:
            return []
        view.fetching = self._rendering.chance(view)
        view.lacking = self._lacking.chance(view)
        found = []
        for each in named:
            if hash((view.origin, each.target)) in self._refused:
                continue
            candidate = self._map.first_candidate(
                view.origin, view.path, each, credentials=credentials
            )
            if candidate is not None and self._is_worth_it(view, candidate):
                found.append(candidate)
        return found

    def is_first_control(self) -> bool:
        """Return whether this view is pushed none of the assets that the page's HTML names.

        A client that is pushed all that a page names looks like one that lacks nothing, whether it
        would fetch assets or not. This view shows it.
        """
        share = self.options.control_share
        self._firsts += 1
        return share > 0 and self._firsts % share == share // 2

    def is_read(self, origin: str, path: str) -> bool:
        """Return whether a page's HTML was read, and since the last deployment that was seen."""
        return self._map.is_read(origin, path)

    def others(self, origin: str, path: str) -> tuple[OtherOrigin, ...]:
        """Return the other origins that a page loads from, as its HTML says."""
        return self._map.others(origin, path)

    def gone(self, connection: Hashable) -> None:
        """Handle a closed connection: its views end and count at once."""
        for view in self._views.of_connection(connection):
            self._end(view)
        self._views.forget(connection)
        self._fold_ended()

    # What others need

    def candidates(self, origin: str, target: str) -> tuple[Candidate, ...]:
        """Return the map's assets for a page, for any client; for display and for tests."""
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
        self._tell(report)
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
                self._end(view)
            elif view.confirmed and view.counted is None and view.asked:
                self._fold_partly(view)
        self._fold_ended()
        outbox, self._outbox, self._told = self._outbox, [], 0
        return outbox

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
                case Reading():
                    self._map.read(record)
                case Removal():
                    self._refuse(record.origin, record.target)
                    self._map.remove(record)
                case PageRecord():
                    self._map.load(record)
                case Rule():
                    try:
                        self._map.obey(record)
                    except ConfigurationError as error:
                        refused.append(error)
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

    def note(self, finding: Finding) -> bool:
        """Take a reason why less is learned than could be; return whether nobody told it yet."""
        new, telling = self.findings.take(finding)
        if telling:
            self._tell(finding)
        return new

    def export(self) -> Iterator[PageRecord | Rule]:
        """All that was learned and said, for `absorb` after a restart or elsewhere."""
        return self._map.export()

    # The operator; `page` and `asset` are paths, or whole URLs where there is more than one origin

    def forget(self, page: str, now: float) -> bool:
        """Forget a page, and its open views so far. Return false if it was not known."""
        self._tell(Forgotten(page, now))
        return self._map.forget(page, now)

    def pin(self, page: str, asset: str) -> None:
        """Send this asset with this page always. Raises ConfigurationError."""
        rule = Rule(Verdict.PIN, page, asset)
        self._map.obey(rule)
        self._tell(rule)

    def never(self, asset: str) -> None:
        """Never sends this asset. Raises ConfigurationError."""
        rule = Rule(Verdict.NEVER, "", asset)
        self._map.obey(rule)
        self._tell(rule)

    # Pages

    def _may_be_page(self, request: Request) -> bool:
        if len(request.target) > self.options.max_url:
            return False
        if request.destination:
            return request.destination in _DOCUMENTS
        # The name first, since it is known sooner: most of what comes here are assets.
        if kind_of_path(request.target) is not None:
            return False
        return request.accepts_html or self._map.knows_page(request.origin, path_of(request.target))

    def _is_html(self, request: Request, answer: Answer) -> bool:
        """Return true if this opens a view though `begin` did not know it."""
        if answer.status != 200 or (request.destination and request.destination not in _DOCUMENTS):
            return False
        is_html = "html" in answer.content_type and essence(answer.content_type) in _HTML
        return is_html and len(request.target) <= self.options.max_url

    def _is_page(self, request: Request, answer: Answer) -> bool:
        """Return true if a possible page is one: found, and HTML as far as that is known."""
        if answer.status == 304:
            return True
        if answer.status != 200:
            return False
        return not answer.content_type or essence(answer.content_type) in _HTML

    def _open(self, request: Request, now: float) -> View:
        view, ended = self._views.open(request, now)
        for old in ended:
            self._end(old)
        view.returning = self._lacking.knows(view)
        had = view.viewer.had
        likely = self._map.candidates(view.origin, view.path, view.segment)
        if self._map.is_personal(view.origin, view.path):
            likely = tuple(filter(partial(self._may_know, view), likely))
        view.candidates = tuple(c for c in likely if c.key not in had) if had else likely
        view.withheld = self._withheld(view)
        if view.withheld is not None:
            self.withheld[view.withheld] += 1
            view.candidates = ()
        return view

    def _may_know(self, view: View, candidate: Candidate) -> bool:
        """Return true if the view's client, or several others, asked for the asset before.

        The page may be one that a single user is allowed to read. Whoever asks for its URL must not
        be told of assets that this user alone has seen.
        """
        if candidate.why is Judgement.PINNED:
            return True
        asset = self._map.asset(view.origin, candidate.target)
        return asset is None or asset.asker in (0, view.viewer.voter)

    def _is_worth_it(self, view: View, candidate: Candidate) -> bool:
        """Return true if an asset is likely enough for a client that fetches assets so often."""
        return candidate.probability * view.fetching >= self.options.min_chance

    def _withheld(self, view: View) -> Withheld | None:
        if view.conditional:
            return Withheld.CONDITIONAL
        if not view.candidates:
            return Withheld.NOTHING_KNOWN
        view.fetching = self._rendering.chance(view)
        view.proven = self._rendering.is_proven(view)
        view.lacking = self._lacking.chance(view)
        if view.fetching * self.options.likely < self.options.min_chance:
            view.candidates = tuple(c for c in view.candidates if self._is_worth_it(view, c))
            if not view.candidates:
                return Withheld.NOT_RENDERING
        view.judged = view.candidates
        if self._map.is_waste(view.origin, view.path):
            return Withheld.MOSTLY_WASTE
        page = view.origin, view.path, view.segment
        view.comparable = self.options.measure and self._map.control.is_comparable(*page)
        is_chosen = self._map.control.is_control(*page)
        if self._map.is_stopped(view.origin, view.path):
            # The sorts change places: few views get something, so that a change for the better
            # shows, and all others are what they are compared with.
            return None if is_chosen and view.comparable else Withheld.SLOWER
        return Withheld.CONTROL if is_chosen else None

    # Assets

    def _asset(self, request: Request, answer: Answer, now: float) -> None:
        if request.destination and request.destination not in _ASSETS:
            self.refusals[Unlearnable.DYNAMIC_TYPE] += 1
            return
        viewer = self._views.viewer(request)
        known = self._map.asset(request.origin, request.target)
        self.arriving = None
        if answer.status not in _PRESENT:
            if known is not None:
                self._not_there(request, answer, known, viewer)
            elif answer.status not in _PERSONAL and kind_of_path(request.target) is not None:
                self._refuse(request.origin, request.target)
        if viewer is None or answer.status not in _PRESENT:
            return
        view = self._attribution.view_of(viewer, request, now) if viewer.views else None
        if view is not None and view.origin == request.origin:
            self._belongs(view, request, answer, known, now)
            if self.on_asset is not None:
                self.on_asset(request, view)
        elif known is not None:
            if not known.answered:
                self._seen_asset(request, answer, known)
            if sent := viewer.view_sent(request.target, now):
                sent.fetched.add(request.target)
                if sent.measured:
                    self.arriving = (sent, known.seen.kind)
            self._views.remember(viewer, known.key)

    def _belongs(
        self, view: View, request: Request, answer: Answer, known: Asset | None, now: float
    ) -> None:
        """Take an asset of a view: the client lacks it (200), or had it (304)."""
        seen = self._seen_asset(request, answer, known)
        kind = seen.kind if seen is not None else kind_of_path(request.target)
        if kind is None:
            return
        if kind in _NAMING:
            view.name(request.origin + request.target)
        view.renew(now, self.options)
        if view.measured:
            self.arriving = (view, kind)
        key = known.key if known is not None else hash((request.origin, request.target))
        if request.target in view.delivered:
            self._fetched(view, request)
        elif seen is not None and key not in view.viewer.had:
            for old in self._views.ask(view, seen):
                self._end(old)
        self._views.remember(view.viewer, key)

    def _fetched(self, view: View, request: Request) -> None:
        """Take that a client asked for an asset that it was told of."""
        again = request.target in view.fetched
        view.fetched.add(request.target)
        hinted = view.delivered[request.target] is How.HINTED
        if hinted and not request.conditional and self.on_fetch is not None:
            self.on_fetch(request, again)

    def _seen_asset(
        self, request: Request, answer: Answer, known: Asset | None
    ) -> SeenAsset | None:
        """Return the asset as it was seen now, or None if it may not be learned."""
        if answer.status != 200:
            return None
        checked = hash_of(request, answer)
        if known is not None and known.checked == checked:
            return known.seen
        named = known is not None and known.named
        why = refusal(request, answer, self.options.max_url, named=named)
        if why is not None:
            self.refusals[why] += 1
            if self.on_refusal is not None:
                self.on_refusal(request, answer, why)
            if unsays(why, answer):
                self._refuse(request.origin, request.target)
                if known is not None:
                    self._remove(Removal(request.origin, request.target))
            return None
        self._refused.pop(hash((request.origin, request.target)), None)
        seen = seen_asset_of(request, answer)
        if known is not None:
            known.checked = checked
            self._map.see(known, seen)
        return seen

    def _not_there(
        self, request: Request, answer: Answer, known: Asset, viewer: Viewer | None
    ) -> None:
        """Remove the asset after a failed response, unless it is about one client only."""
        if answer.status in _PERSONAL and not known.doubted_by(
            viewer.voter if viewer else voter_of(request.address)
        ):
            return
        self._remove(Removal(request.origin, request.target))

    def _refuse(self, origin: str, target: str) -> None:
        """Remember that a URL is not an asset for everybody, even if pages name it."""
        self._refused[hash((origin, target))] = None
        if len(self._refused) > _REFUSED:
            del self._refused[next(iter(self._refused))]

    def _remove(self, removal: Removal) -> None:
        self._refuse(removal.origin, removal.target)
        if self._map.remove(removal):
            self._tell(removal)
        for view in self._views:
            if view.origin == removal.origin:
                view.asked.pop(removal.target, None)

    # Views that end

    def _end(self, view: View) -> None:
        if self._views.close(view) and view.confirmed:
            self._ended.append(view)
            self._ended_weight += view.weight
        if self._ended_weight > self.options.max_bytes * _ENDED:
            self._fold_ended()

    def _fold_ended(self) -> None:
        ended, self._ended, self._ended_weight = self._ended, [], 0
        for view in ended:
            if view.prefetched:
                continue  # nobody has looked at it
            if self.on_end is not None:
                self.on_end(view)
            self._rendering.learn(view)
            vote = vote_of(view, self._map, self._lacking.had(view))
            self._lacking.learn(view)
            self._cast(view, vote)

    def _fold_partly(self, view: View) -> None:
        """Count an open view, so that the next client need not wait for its end."""
        vote = partial_vote(view)
        view.refused = not self._cast(view, vote)

    def _cast(self, view: View, vote: Vote) -> bool:
        counted = self._map.measure(vote)
        stop = self._map.judge_gain(vote) if counted else None
        if not view.refused:
            counted |= self._map.fold(vote)
        if not counted:
            return False
        self._tell(vote)
        if stop is not None:
            self._tell(stop)
            if self.on_stop is not None:
                self.on_stop(stop)
        return True

    def _tell(self, record: Record) -> None:
        self._told += weight(record)
        if self._told <= self.options.max_bytes * _OUTBOX:
            self._outbox.append(record)
