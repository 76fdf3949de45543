"""Push, hint, link or nothing: for each candidate of a page, for this client, with the reason.

Reads the learner's candidates (`Candidate`), the request (`request.PageRequest`) and the client's
assets (`seen.Seen`); changes none of them. Pure and without a clock, so equal input gives equal
decisions. Called by the middleware once per page, before the application runs.

1. Some views get nothing at all: `view_refusal`.
2. The others get one way for their candidates: `choose_way`.
3. Assets that block rendering go first: `delivery_order`.
4. Each candidate then has to be worth it, to be missing at the client, and to fit the budget.
5. A 103 names only assets that stay fresh until the page asks for them. Chromium would fetch others
   twice, once for the 103 and once for the page. It fetches them once if the page's own response
   names them, so a view that gets a 103 gets Link fields for these.

After sending, the middleware tells `seen.Memory`, and asks `had` for the content of the cookie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias, TypeVar, assert_never, get_args

from headstart.config import DeliverOptions
from headstart.deliver.preload import Asset, Named, link_value, needs_response
from headstart.deliver.request import PageRequest
from headstart.deliver.seen import Seen
from headstart.learn import is_icon
from headstart.reasons import Refusal
from headstart.wire.links import As

PAGE_URGENCY = 3
"""Of a request that names none (RFC 9218, 4.1)."""
_LOWEST_URGENCY = 7
# What the page cannot be drawn without comes first. A font is asked for last of these, by the style
# sheet, and so wins most.
_RANKS = {"style": 0, "font": 1, "script": 2, "image": 3, "fetch": 4}
_OTHER_RANK = 5
_BLOCKING = frozenset({"style", "font", "script"})
# A server that speaks these mostly stands behind a proxy, and that has little room for fields.
_BEHIND_PROXIES = frozenset({"1.0", "1.1"})
_PROXY_BUFFER = 4096  # nginx: proxy_buffer_size, one page of memory
_SERVERS_FIELDS = 256  # the status line, Date, Server, Transfer-Encoding
_FIELD_OVERHEAD = len(": \r\n")
LINK_OVERHEAD = len("link") + _FIELD_OVERHEAD
"""Bytes that a Link field takes beside its value."""
_UNKNOWN_SIZE = 16 * 1024  # what a budget of 256 KiB would give each of sixteen assets
_KINDS = frozenset(kind for kind in get_args(As) if kind)


class Candidate(Protocol):
    """An asset that the learner expects to be asked for with a page."""

    @property
    def asset(self) -> Asset:
        """Return the candidate's asset."""

    @property
    def target(self) -> str:
        """The asset's."""

    @property
    def probability(self) -> float:
        """How likely a client that lacks it asks for it with the page, 0 to 1."""

    @property
    def why(self) -> str:
        """Why the learner expects it, in a word."""

    @property
    def named(self) -> Named | None:
        """How the page's own HTML names it; None if it does not."""


AnyCandidate = TypeVar("AnyCandidate", bound=Candidate)
_Verdict: TypeAlias = "tuple[Way, Refusal | None]"


class Way(StrEnum):
    """How a candidate is sent ahead."""

    PUSH = "push"
    """A PUSH_PROMISE and its response (RFC 9113, 8.4)."""
    HINT = "hint"
    """A link in the one 103 (RFC 8297)."""
    LINK = "link"
    """A link in the page's own response (RFC 8288)."""
    NOTHING = "nothing"
    """Not at all."""


@dataclass(slots=True)
class Decision:
    """The decision on one candidate. Not frozen, which would double the cost of making it; made
    with all of its fields, which newer Pythons do faster.

    Attributes:
        candidate: As the learner gave it.
        way: How it is sent.
        refusal: Why it is not sent, or not in a better way: why a hint is not a push, why a link is
            neither. None for a push.
        urgency: Of a push (RFC 9218, 4.1), below its page's own; 0 for the other ways.
    """

    candidate: Candidate
    way: Way
    refusal: Refusal | None = None
    urgency: int = 0

    @property
    def reason(self) -> str:
        """In a word, for the log and the table: the refusal, or why the learner expects it."""
        return self.candidate.why if self.refusal is None else self.refusal.value

    def link(self, nonce: str = "") -> bytes:
        """Return the candidate as a value of the Link field, b"" where it cannot be one.

        Args:
            nonce: Of the page's Content-Security-Policy, for its own response.
        """
        candidate = self.candidate
        early = self.way is Way.HINT
        return link_value(candidate.asset, candidate.named, early=early, nonce=nonce)


@dataclass(frozen=True, slots=True)
class Expected:
    """The learner's knowledge of this view of the page, beside its candidates.

    Attributes:
        think_time: Seconds that the application usually takes to answer; None where not known.
        control: This view gets nothing, for comparison.
        loads_assets: This client has been seen to ask for assets, or has not been seen yet.
        revisit: Seconds after which the page is usually looked at again; 0 where not known. A 103
            names only assets that stay fresh so long.
        urgency: Of the page's own response.
        guarded: Kinds that the page's Content-Security-Policy lets nothing load without its nonce,
            as far as earlier responses showed.
        fetching: How likely this client is to fetch assets at all, as those like it did.
        lacking: How likely it lacks the candidates; a browser that returns has a cache.
        again: The candidates that it was seen to have, and how likely it asks for each again.
        proven: It, or a client like it, was seen to fetch assets.
    """

    think_time: float | None = None
    control: bool = False
    loads_assets: bool = True
    revisit: float = 0.0
    urgency: int = PAGE_URGENCY
    guarded: frozenset[str] = frozenset()
    fetching: float = 1.0
    lacking: float = 1.0
    again: Mapping[str, float] = field(default_factory=dict)
    proven: bool = True


NOTHING_EXPECTED = Expected()


def decide(
    request: PageRequest,
    candidates: Iterable[Candidate],
    seen: Seen,
    options: DeliverOptions,
    expected: Expected = NOTHING_EXPECTED,
) -> list[Decision]:
    """Return one decision for each candidate, in the order in which they are to be sent.

    All that are pushed, and none else, or some in a 103 and some in the page's own response.
    """
    ordered = delivery_order(candidates)
    refusal = view_refusal(request, expected)
    if refusal is not None:
        return _refuse_all(ordered, refusal)
    way, compromise = choose_way(request, options, expected)
    match way:
        case Way.PUSH if expected.fetching < options.min_push_fetching:
            return _refuse_all(ordered, Refusal.NO_SUBRESOURCES)
        case Way.PUSH:
            size = _push_bytes(options, expected.think_time)
            budget = _Budget(way, size, options.max_assets, 0)
            decisions = _judge_each(request, ordered, way, None, budget, seen, options, expected)
            if not expected.proven:
                _leave_one_out(decisions)
            _set_urgencies(decisions, expected.urgency)
            return decisions
        case Way.HINT | Way.LINK:
            links = options.max_link_size
            if request.http_version in _BEHIND_PROXIES:
                links = min(links, options.max_link_size_http1)
            budget = _Budget(way, options.max_hint_bytes, options.max_assets, links)
            return _judge_each(request, ordered, way, compromise, budget, seen, options, expected)
        case Way.NOTHING:
            return _refuse_all(ordered, compromise)
        case _:
            assert_never(way)


def _judge_each(
    request: PageRequest,
    ordered: list[Candidate],
    way: Way,
    compromise: Refusal | None,
    budget: _Budget,
    seen: Seen,
    options: DeliverOptions,
    expected: Expected,
) -> list[Decision]:
    """Judge each candidate by itself, in order, as long as the budget lasts."""
    nothing = Way.NOTHING
    later = Way.LINK if options.links else nothing
    take = budget.take
    min_probability, min_again = options.min_probability, options.min_again
    # A hint of what the client has costs a line of a header, a push its bytes.
    chance = expected.lacking if way is Way.PUSH else 1.0
    again = expected.again
    guarded = frozenset[str]() if request.ignores_nonce else expected.guarded
    decisions = []
    why_seen = seen.why_each([candidate.asset.target for candidate in ordered])
    for candidate, known in zip(ordered, why_seen, strict=True):
        asset = candidate.asset
        # Written so that a NaN is refused.
        if asset.target in again:
            probability = candidate.probability * again[asset.target]
            enough = probability >= (min_probability if way is Way.PUSH else min_again)
        else:
            enough = candidate.probability * chance >= min_probability
        if not enough:
            refusal: Refusal | None = Refusal.IMPROBABLE
        elif is_icon(asset.target):
            refusal = Refusal.ICON
        else:
            refusal = known
        why_late = None
        if way is Way.HINT:
            why_late = _too_early(candidate, options, expected, guarded)
        if why_late is not None and later is nothing:
            refusal = refusal or why_late
        refusal = refusal or take(candidate)
        if refusal is not None:
            decisions.append(Decision(candidate, nothing, refusal, 0))
        elif why_late is not None:
            decisions.append(Decision(candidate, later, why_late, 0))
        else:
            decisions.append(Decision(candidate, way, compromise, 0))
    return decisions


def _leave_one_out(decisions: Iterable[Decision]) -> None:
    """Leave the last push out: a client that is pushed everything does not show if it fetches."""
    pushes = [decision for decision in decisions if decision.way is Way.PUSH]
    if len(pushes) > 1:
        pushes[-1].way, pushes[-1].refusal = Way.NOTHING, Refusal.CONTROL_VIEW


def _too_early(
    candidate: Candidate, options: DeliverOptions, expected: Expected, guarded: frozenset[str]
) -> Refusal | None:
    """Return why an asset may not stand in a 103, None where it may."""
    asset = candidate.asset
    if asset.kind in guarded:
        return Refusal.NEEDS_NONCE
    if needs_response(candidate.named):
        return Refusal.LINK_ONLY
    if not asset.verified and candidate.named is not None:
        return Refusal.UNVERIFIED
    needed = max(options.min_lifetime, expected.revisit) + (expected.think_time or 0.0)
    lifetime = asset.lifetime
    # Written so that a NaN is refused.
    if lifetime is None or not lifetime >= needed:
        return Refusal.NOT_FRESH
    return None


def _refuse_all(ordered: list[Candidate], refusal: Refusal | None) -> list[Decision]:
    nothing = Way.NOTHING
    return [Decision(candidate, nothing, refusal, 0) for candidate in ordered]


def view_refusal(request: PageRequest, expected: Expected) -> Refusal | None:
    """Return the reason why this view gets nothing for any candidate; None if it may get some.

    The first that applies. It counts for what the application and the HTML name as well.
    """
    if request.pushed:
        return Refusal.PUSHED_PARENT
    if request.method != "GET":
        return Refusal.METHOD
    if request.conditional:
        return Refusal.CONDITIONAL
    if not (request.loads_assets and expected.loads_assets):
        return Refusal.NO_SUBRESOURCES
    if request.save_data:
        return Refusal.SAVE_DATA
    if expected.control:
        return Refusal.CONTROL_VIEW
    return None


def choose_way(request: PageRequest, options: DeliverOptions, expected: Expected) -> _Verdict:
    """Return the best way that this client supports, and the reason why it is not a better one."""
    if request.push_refusal is None:
        return Way.PUSH, None
    refusal = _hint_refusal(request, options, expected)
    if refusal is None:
        return Way.HINT, request.push_refusal
    return Way.LINK if options.links else Way.NOTHING, refusal


def _hint_refusal(
    request: PageRequest, options: DeliverOptions, expected: Expected
) -> Refusal | None:
    if request.hint_refusal is not None:
        return request.hint_refusal
    # Never to HTTP/1.0, which knows no 1xx (RFC 9110, 15.2); HTTP/1.1 by choice (RFC 8297, 3).
    version = request.http_version
    if version == "1.0" or (version == "1.1" and not options.hint_http1):
        return Refusal.UNSUPPORTED
    if expected.think_time is not None and expected.think_time < options.min_think_time:
        return Refusal.TOO_FAST
    return None


def delivery_order(candidates: Iterable[AnyCandidate]) -> list[AnyCandidate]:
    """Sort candidates: assets that block rendering first, late ones last, likelier ones first
    within a kind, then by URL and kind. Candidates that agree in all of these keep their order.
    """
    rank = _RANKS.get
    named: Named | None
    # Sorting numbers and strings beside the candidates is faster than calling a key function.
    keyed = [
        (
            _OTHER_RANK
            if (named := candidate.named) is not None and named.late
            else rank(candidate.asset.kind, _OTHER_RANK),
            -candidate.probability,
            (asset := candidate.asset).target,
            asset.kind,
            place,
            candidate,
        )
        for place, candidate in enumerate(candidates)
    ]
    keyed.sort()
    return [item[5] for item in keyed]


def push_urgency(kind: str, page_urgency: int = PAGE_URGENCY) -> int:
    """Return the urgency of a push: below its page's, with assets that block rendering above the
    others (RFC 9218, 4.1 and 10).
    """
    step = 1 if kind in _BLOCKING else 2
    return min(page_urgency + step, _LOWEST_URGENCY)


def _set_urgencies(decisions: Iterable[Decision], page_urgency: int) -> None:
    near, far = push_urgency("style", page_urgency), push_urgency("", page_urgency)
    for decision in decisions:
        if decision.refusal is None:
            decision.urgency = near if decision.candidate.asset.kind in _BLOCKING else far


class _Budget:
    """The rest of one page's budget."""

    __slots__ = ("_assets", "_bytes", "_is_link", "_links", "_targets")

    def __init__(self, way: Way, size: int, assets: int, links: int) -> None:
        self._assets = assets
        self._bytes = size
        self._links = links
        self._is_link = way is not Way.PUSH
        self._targets: set[str] = set()

    def take(self, candidate: Candidate) -> Refusal | None:
        """Take the asset's cost from the budget, or return the reason why it does not fit."""
        asset = candidate.asset
        if not self._assets:
            return Refusal.OVER_BUDGET
        if asset.target in self._targets:
            return Refusal.ALREADY_SENT
        link_size = 0
        if self._is_link:
            # A browser fetches what it may not keep twice: for the link, and again for the page.
            if not asset.verified and candidate.named is None:
                return Refusal.UNVERIFIED
            if asset.kind not in _KINDS:
                return Refusal.NO_KIND
            link_size = len(link_value(asset, candidate.named))
            if not link_size:
                return Refusal.BAD_PATH
            link_size += LINK_OVERHEAD
        size = bytes_of(candidate)
        if size > self._bytes or link_size > self._links:
            return Refusal.OVER_BUDGET
        self._targets.add(asset.target)
        self._assets -= 1
        self._bytes -= size
        self._links -= link_size
        return None


def bytes_of(candidate: Candidate) -> int:
    """Return the bytes that a candidate takes from the budget."""
    size = candidate.asset.size
    return size if size > 0 else _UNKNOWN_SIZE


def _push_bytes(options: DeliverOptions, think_time: float | None) -> int:
    """Return the bytes that one page may push.

    A push that is under way when the page's own response begins has filled buffers that no urgency
    can empty, so the pushes should fit into the application's think time.
    """
    if think_time is None:
        return options.max_push_bytes
    in_time = options.push_bytes_at_once + think_time * options.push_rate
    return int(min(in_time, options.max_push_bytes))


def fields_size(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the bytes that fields take over HTTP/1.1."""
    return sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in fields)


def link_room(
    request: PageRequest,
    headers: Iterable[tuple[bytes, bytes]],
    options: DeliverOptions,
    more: int = 0,
) -> int:
    """Return how many bytes of Link fields the page's own response has room for.

    Over HTTP/1.1, nginx in front answers 502 where all fields together are longer than its buffer,
    4 KiB on most machines.

    Args:
        headers: The response's own fields.
        options: Limits.
        more: Bytes of fields that the server adds because it was told to.
    """
    if request.http_version not in _BEHIND_PROXIES:
        return options.max_link_size
    left = _PROXY_BUFFER - _SERVERS_FIELDS - more - fields_size(headers)
    return min(options.max_link_size, options.max_link_size_http1, left)


def had(decisions: Iterable[Decision], origin: str) -> list[tuple[str, float]]:
    """Return the assets that the client has or will have with this page, for `seen.grown`: absolute
    URLs and lifetimes in seconds.

    A client may not follow a link in the page's own response, so those wait for the request.
    """
    return [
        (origin + decision.candidate.asset.target, decision.candidate.asset.lifetime or 0.0)
        for decision in decisions
        if decision.way in (Way.PUSH, Way.HINT) or decision.refusal is Refusal.ALREADY_SENT
    ]
