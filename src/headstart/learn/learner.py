"""The learner: requests in, candidates out, and votes for other workers.

Ties `views`, `safety` and `model` together; the middleware and `replay` call it, nothing else is
meant to. Pure: no clock, no I/O, not thread-safe; one per worker process.

The way of a page: `begin` when the request arrives gives a `View` with what to send ahead; what
was sent is told by `delivered`; `complete` when the answer's head is known keeps the view or drops
it. The way of anything else: `begin` gives None, `complete` finds the view it belongs to. The map
changes only in `sync`, about once a second, and in `gone`, never within a request: what one client
is sent tells nothing of what another one did a moment ago.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, KeysView
from sys import intern
from typing import assert_never

from headstart.learn.counts import Asset, Sighting
from headstart.learn.exchange import Answer, Exchange, Request
from headstart.learn.gains import Gain, Gains
from headstart.learn.model import Map, Row
from headstart.learn.nodes import Candidate
from headstart.learn.options import LearnOptions
from headstart.learn.records import Forgotten, PageRecord, Record, Removal, Rule, Verdict, Vote
from headstart.learn.safety import (
    Kind,
    Unlearnable,
    essence,
    kind_of,
    kind_of_path,
    lifetime,
    refusal,
)
from headstart.learn.urls import path_of
from headstart.learn.views import How, Rendering, Silence, View, Viewer, Views, voter_of

# Sec-Fetch-Dest of what opens a view (Fetch, 2.2.7); a fetch() that answers HTML is no page.
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
# Pages whose gain is kept apart from the sum over all.
_MEASURED_PAGES = 100


class Learner:
    """Learns which assets follow which page, and says what to send ahead."""

    def __init__(self, options: LearnOptions | None = None) -> None:
        self.options = options or LearnOptions()
        self.refusals: dict[Unlearnable, int] = dict.fromkeys(Unlearnable, 0)
        self.silences: dict[Silence, int] = dict.fromkeys(Silence, 0)
        self._map = Map(self.options)
        self._views = Views(self.options)
        self._rendering = Rendering(self.options)
        self._gains = Gains(_MEASURED_PAGES)
        self._outbox: list[Record] = []
        self._told = 0
        self._ended: list[View] = []
        self._ended_weight = 0

    # The way of a request

    def request(self, exchange: Exchange, now: float) -> View | None:
        """Takes a whole exchange at once, as a log tells it. The view, if it opened one."""
        view = self.begin(exchange.request, now)
        return self.complete(exchange.request, exchange.answer, view, now)

    def begin(self, request: Request, now: float) -> View | None:
        """Takes a request before it is answered.

        Returns:
            A view with the candidates to send now if this is a page, or may be one; else None.
        """
        if request.destination in _ASSETS or request.method != "GET":
            return None
        if not self._may_be_page(request):
            return None
        return self._open(request, now)

    def complete(
        self, request: Request, answer: Answer, view: View | None, now: float
    ) -> View | None:
        """Takes the head of the answer; `view` is what `begin` returned.

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
        view.conditional |= answer.status == 304
        view.open(now, self.options)
        return view

    @property
    def viewers(self) -> KeysView[Hashable]:
        """Who viewed a page, as it stands at any time: connections, and clients without one.

        To anybody else an answer 200 that is no page teaches nothing.
        """
        return self._views.viewers

    def is_viewer(self, request: Request) -> bool:
        """Whether this client, or its connection, has viewed a page."""
        return self._views.viewer(request) is not None

    @property
    def no_pages(self) -> KeysView[bytes]:
        """Paths that `knows_path` found to be no page's, as they stand at any time."""
        return self._map.no_pages

    def knows_path(self, path: bytes) -> bool:
        """Whether a page of any origin has this path, or one like it; undecoded, no query.

        Where it has not, `no_pages` has it as long as that holds, unless it is long.
        """
        return self._map.knows_path(path)

    def delivered(self, view: View, target: str, how: How) -> None:
        """An asset was sent ahead with this view."""
        view.delivered[target] = how
        known = self._map.asset(view.origin, target)
        if known is None or how is not How.PUSHED:
            return
        self._views.remember(view.viewer, known.key)
        if known.seen.kind in _NAMING:
            # It is not going to be asked for, but what it needs is.
            view.name(view.origin + target)

    def feedback(self, view: View, target: str, *, status: int | None = None) -> None:
        """A push was refused or cancelled by the client, or answered otherwise than 200.

        Args:
            view: The view that it was sent with.
            target: What was pushed.
            status: The pushed answer's status, or None if the client reset the stream.
        """
        if status is None:
            view.wasted.add(target)
        elif status not in _PRESENT:
            self._remove(Removal(view.origin, target))

    def pushed(self, request: Request, answer: Answer) -> None:
        """A pushed request is answered: what could not be learned from that is forgotten.

        Nobody may ever ask again for what is always pushed, so this is where it shows. It was made
        without what is one client's, so one answer is enough; if an application gave it credentials
        nothing follows.
        """
        if request.authorized or self._map.asset(request.origin, request.target) is None:
            return
        if refusal(request, answer, self.options.max_url) is not None:
            self._remove(Removal(request.origin, request.target))

    def gone(self, connection: Hashable) -> None:
        """A connection has ended, and its views with it: they count at once."""
        for view in self._views.of_connection(connection):
            self._end(view)
        self._views.forget(connection)
        self._fold_ended()

    # What others need

    def candidates(self, origin: str, target: str) -> tuple[Candidate, ...]:
        """What the map alone says of a page, whoever asks; for display and for tests."""
        return self._map.candidates(origin, path_of(target))

    def measured(self, view: View, seconds: float) -> None:
        """How long a view took until its last asset was there, for `gain`."""
        if view.judged:
            self._gains.add(view.origin + view.path, seconds, control=view.control)

    def gain(self, page: str = "") -> Gain:
        """Views that were sent something against control views; of one page, or of all."""
        return self._gains.of(page)

    def rows(self) -> Iterator[Row]:
        """The map, line by line."""
        return self._map.rows()

    # The store

    def sync(self, now: float) -> list[Record]:
        """Ends views whose window is over, counts what was seen, and returns it for others.

        To be called about once a second. What it returns is for the `absorb` of other workers.
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

    def absorb(self, records: Iterable[Record]) -> None:
        """Takes what another worker's `sync` returned, or what `export` wrote."""
        for record in records:
            match record:
                case Vote():
                    self._map.fold(record)
                case Removal():
                    self._map.remove(record)
                case PageRecord():
                    self._map.load(record)
                case Rule():
                    self._map.obey(record)
                case Forgotten():
                    self._map.forget(record.page)
                case _:
                    assert_never(record)

    def export(self) -> Iterator[PageRecord | Rule]:
        """All that was learned and said, for `absorb` after a restart or elsewhere."""
        return self._map.export()

    # The operator; `page` and `asset` are paths, or whole URLs where there is more than one origin

    def forget(self, page: str) -> bool:
        """Forgets a page. False if it was not known."""
        self._tell(Forgotten(page))
        return self._map.forget(page)

    def pin(self, page: str, asset: str) -> None:
        """Always sends this asset with this page. Raises ConfigurationError."""
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
        """Whether this opens a view though `begin` did not know it."""
        if answer.status != 200 or (request.destination and request.destination not in _DOCUMENTS):
            return False
        is_html = "html" in answer.content_type and essence(answer.content_type) in _HTML
        return is_html and len(request.target) <= self.options.max_url

    def _is_page(self, request: Request, answer: Answer) -> bool:
        """Whether what may be a page is one: found, and HTML as far as that is known."""
        if answer.status == 304:
            return True
        if answer.status != 200:
            return False
        return not answer.content_type or essence(answer.content_type) in _HTML

    def _open(self, request: Request, now: float) -> View:
        view, ended = self._views.open(request, now)
        for old in ended:
            self._end(old)
        had = view.viewer.had
        likely = self._map.candidates(view.origin, view.path)
        view.candidates = tuple(c for c in likely if c.key not in had) if had else likely
        view.silence = self._silence(view)
        if view.silence is not None:
            self.silences[view.silence] += 1
            view.candidates = ()
        return view

    def _silence(self, view: View) -> Silence | None:
        if view.conditional:
            return Silence.CONDITIONAL
        if not view.candidates:
            return Silence.NOTHING_KNOWN
        if self._rendering.chance(view) < self.options.renders:
            return Silence.NOT_RENDERING
        view.judged = view.candidates
        if self._map.is_waste(view.origin, view.path):
            return Silence.MOSTLY_WASTE
        return Silence.CONTROL if self._map.is_control(view.origin, view.path) else None

    # Assets

    def _asset(self, request: Request, answer: Answer, now: float) -> None:
        if request.destination and request.destination not in _ASSETS:
            self.refusals[Unlearnable.DYNAMIC_TYPE] += 1
            return
        viewer = self._views.viewer(request)
        known = self._map.asset(request.origin, request.target)
        if known is not None and answer.status not in _PRESENT:
            self._not_there(request, answer, known, viewer)
        if viewer is None or answer.status not in _PRESENT:
            return
        view = viewer.view_of(request.referer, now) if viewer.views else None
        if view is not None and view.origin == request.origin:
            self._belongs(view, request, answer, known, now)
        elif known is not None:
            if sent := viewer.view_sent(request.target, now):
                sent.fetched.add(request.target)
            self._views.remember(viewer, known.key)

    def _belongs(
        self, view: View, request: Request, answer: Answer, known: Asset | None, now: float
    ) -> None:
        """An asset of a view: the client lacks it (200), or had it (304)."""
        seen = self._sighting(request, answer, known)
        kind = seen.kind if seen is not None else kind_of_path(request.target)
        if kind is None:
            return
        if kind in _NAMING:
            view.name(request.origin + request.target)
        view.renew(now, self.options)
        key = known.key if known is not None else hash((request.origin, request.target))
        if request.target in view.delivered:
            view.fetched.add(request.target)
        elif seen is not None and key not in view.viewer.had:
            for old in self._views.ask(view, seen):
                self._end(old)
        self._views.remember(view.viewer, key)

    def _sighting(self, request: Request, answer: Answer, known: Asset | None) -> Sighting | None:
        """The asset as it was seen now, or None if it may not be learned."""
        if answer.status != 200:
            return None
        checked = hash(
            (
                request.destination,
                request.mode,
                request.authorized,
                answer.content_type,
                answer.cache_control,
                answer.vary,
                answer.sets_cookie,
            )
        )
        if known is not None and known.checked == checked:
            return known.seen
        why = refusal(request, answer, self.options.max_url)
        if why is not None:
            self.refusals[why] += 1
            if known is not None and _unsays(why):
                self._remove(Removal(request.origin, request.target))
            return None
        seen = _seen(request, answer)
        if known is not None:
            known.checked = checked
            known.see(seen)
        return seen

    def _not_there(
        self, request: Request, answer: Answer, known: Asset, viewer: Viewer | None
    ) -> None:
        """An answer other than 200 removes the asset, unless it is about one client only."""
        if answer.status in _PERSONAL and not known.doubted_by(
            viewer.voter if viewer else voter_of(request.address)
        ):
            return
        self._remove(Removal(request.origin, request.target))

    def _remove(self, removal: Removal) -> None:
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
            self._learn_rendering(view)
            self._cast(view, self._vote(view))

    def _fold_partly(self, view: View) -> None:
        """Counts a view that goes on, so that the next client need not wait for its end."""
        view.counted = set(view.asked)
        vote = Vote(
            time=view.opened,
            origin=view.origin,
            path=view.path,
            voter=view.viewer.voter,
            asked=tuple(view.asked.values()),
            partial=True,
        )
        view.refused = not self._cast(view, vote)

    def _cast(self, view: View, vote: Vote) -> bool:
        if view.refused or not self._map.fold(vote):
            return False
        self._tell(vote)
        return True

    def _tell(self, record: Record) -> None:
        self._told += _weight(record)
        if self._told <= self.options.max_bytes * _OUTBOX:
            self._outbox.append(record)

    def _learn_rendering(self, view: View) -> None:
        pushed = How.PUSHED in view.delivered.values()
        if view.rendered or not (pushed or view.conditional):
            self._rendering.learn(view)

    def _vote(self, view: View) -> Vote:
        counted = view.counted or set()
        unused = {
            target
            for target, how in view.delivered.items()
            if target in view.wasted or (target in view.fetched) is (how is How.PUSHED)
        }
        return Vote(
            time=view.opened,
            origin=view.origin,
            path=view.path,
            voter=view.viewer.voter,
            rendered=view.rendered or bool(view.delivered),
            fresh=view.fresh,
            asked=tuple(seen for target, seen in view.asked.items() if target not in counted),
            held=(*counted, *self._held(view)),
            used=tuple(target for target in view.delivered if target not in unused),
            wasted=tuple(unused),
            worth=_worth(view, unused),
            continues=view.counted is not None,
        )

    def _held(self, view: View) -> Iterator[str]:
        """What the client has not asked for because it had it or was sent it."""
        had = view.viewer.had
        for target, asset in self._map.targets(view.origin, view.path).items():
            if target in view.asked:
                continue
            if view.conditional or asset.key in had or target in view.delivered:
                yield target


def _worth(view: View, unused: set[str]) -> float | None:
    """The share of what was sent that was of use; where nothing was, of what would have been."""
    if view.delivered:
        return 1.0 - len(unused) / len(view.delivered)
    if not view.judged:
        return None
    return sum(candidate.target in view.asked for candidate in view.judged) / len(view.judged)


def _weight(record: Record) -> int:
    """About the bytes of a record that waits."""
    if not isinstance(record, Vote):
        return 300
    targets = sum(len(seen.target) + 300 for seen in record.asked)
    return 500 + targets + sum(map(len, record.held))


def _unsays(why: Unlearnable) -> bool:
    """Whether a known asset that is now refused so is no longer any user's."""
    return why in (Unlearnable.PRIVATE, Unlearnable.SETS_COOKIE, Unlearnable.VARIES)


def _seen(request: Request, answer: Answer) -> Sighting:
    kind = kind_of(request, answer)
    assert kind is not None, "refused otherwise"
    return Sighting(
        target=request.target,
        kind=kind,
        media_type=intern(essence(answer.content_type)),
        cors=request.mode == "cors",
        size=answer.size,
        lifetime=lifetime(answer.cache_control),
        verified=answer.cache_control is not None,
    )
