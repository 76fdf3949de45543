"""Push, hint, link or nothing: for each candidate of a page, for this client, with the reason.

Reads what the learner expects (`Candidate`), what the request says (`request.PageRequest`) and
what the client has (`seen.Seen`); changes none of them. Pure and without a clock, so the same input
gives the same decisions. Called by the middleware once a page, before the application runs.

1. Some views get nothing at all: `view_refusal`.
2. The others get one way for all of their candidates: `choose_way`.
3. What blocks rendering goes first: `delivery_order`.
4. Each candidate then has to be worth it, to be missing at the client, and to fit the budget.

After sending, the middleware tells `seen.Memory`, and asks `had` what the cookie may list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Protocol, TypeAlias, TypeVar, assert_never, cast, get_args

from headstart.config import DeliverOptions
from headstart.deliver.request import PageRequest
from headstart.deliver.seen import Seen
from headstart.reasons import Refusal
from headstart.wire.links import As, CrossOrigin, Link, LinkError

PAGE_URGENCY = 3
"""Of a request that names none (RFC 9218, 4.1)."""
_LOWEST_URGENCY = 7
# What the page cannot be drawn without comes first. A font is asked for last of these, by the style
# sheet, and so wins most.
_RANKS = {"style": 0, "font": 1, "script": 2, "image": 3, "fetch": 4}
_OTHER_RANK = 5
_BLOCKING = frozenset({"style", "font", "script"})
_UNKNOWN_SIZE = 16 * 1024  # what a budget of 256 KiB would give each of sixteen assets
_KINDS = frozenset(kind for kind in get_args(As) if kind)


class Asset(Protocol):
    """What is known of something that a page may need."""

    @property
    def target(self) -> str:
        """Path and query, on the page's origin."""

    @property
    def kind(self) -> str:
        """What it is used as, in the words of `as`: style, font, script, image, fetch; or ""."""

    @property
    def media_type(self) -> str:
        """Its media type without parameters, or ""."""

    @property
    def cors(self) -> bool:
        """Whether the page fetches it in CORS mode, so that its link needs `crossorigin`."""

    @property
    def size(self) -> int:
        """Bytes of its body, 0 where not known."""

    @property
    def lifetime(self) -> float | None:
        """Seconds that it stays fresh; None where its Cache-Control does not say."""

    @property
    def verified(self) -> bool:
        """Whether its cache fields were seen at all; an access log shows none."""


class Candidate(Protocol):
    """An asset that the learner expects to be asked for with a page."""

    @property
    def asset(self) -> Asset:
        """Which."""

    @property
    def target(self) -> str:
        """The asset's."""

    @property
    def probability(self) -> float:
        """How likely a client that lacks it asks for it with the page, 0 to 1."""

    @property
    def why(self) -> str:
        """Why the learner expects it, in a word."""


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
    """What is done for one candidate. Not frozen, which would double the cost of making it; made
    with all of its fields, which newer Pythons do faster.

    Attributes:
        candidate: As the learner gave it.
        way: How it is sent.
        refusal: Why it is not sent, or not in a better way: why a hint is no push, why a link is
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

    def link(self) -> bytes:
        """The candidate as a value of the Link field, b"" where it cannot be one."""
        return link_value(self.candidate.asset)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the learner knows of this view of the page, beside its candidates.

    Attributes:
        think_time: Seconds that the application usually takes to answer; None where not known.
        control: This view gets nothing, for comparison.
        loads_assets: This client has been seen to ask for assets, or has not been seen yet.
        revisit: Seconds after which the page is usually looked at again; 0 where not known. What
            does not stay fresh so long would be sent each time.
        urgency: Of the page's own response.
    """

    think_time: float | None = None
    control: bool = False
    loads_assets: bool = True
    revisit: float = 0.0
    urgency: int = PAGE_URGENCY


NOTHING_EXPECTED = Expected()


def decide(
    request: PageRequest,
    candidates: Iterable[Candidate],
    seen: Seen,
    options: DeliverOptions,
    expected: Expected = NOTHING_EXPECTED,
) -> list[Decision]:
    """One decision for each candidate, in the order in which they are to be sent.

    All those that are sent are sent the same way.
    """
    ordered = delivery_order(candidates)
    refusal = view_refusal(request, expected)
    if refusal is not None:
        return _refuse_all(ordered, refusal)
    way, compromise = choose_way(request, options, expected)
    match way:
        case Way.PUSH:
            size = _push_bytes(options, expected.think_time)
            decisions = _judge_each(ordered, way, None, size, seen, options, expected)
            _set_urgencies(decisions, expected.urgency)
            return decisions
        case Way.HINT | Way.LINK:
            size = options.max_hint_bytes
            return _judge_each(ordered, way, compromise, size, seen, options, expected)
        case Way.NOTHING:
            return _refuse_all(ordered, compromise)
        case _:
            assert_never(way)


def _judge_each(
    ordered: list[Candidate],
    way: Way,
    compromise: Refusal | None,
    size: int,
    seen: Seen,
    options: DeliverOptions,
    expected: Expected,
) -> list[Decision]:
    """Each candidate by itself, in order, as long as `size` bytes last."""
    nothing = Way.NOTHING
    take = _Budget(way, size, options).take
    min_probability = options.min_probability
    min_lifetime = max(options.min_lifetime, expected.revisit)
    decisions = []
    why_seen = seen.why_each([candidate.asset.target for candidate in ordered])
    for candidate, known in zip(ordered, why_seen, strict=True):
        asset = candidate.asset
        lifetime = asset.lifetime
        # Written so that a NaN is refused.
        if not candidate.probability >= min_probability:
            refusal: Refusal | None = Refusal.IMPROBABLE
        elif lifetime is not None and not lifetime >= min_lifetime:
            refusal = Refusal.NOT_FRESH
        else:
            refusal = known or take(asset)
        if refusal is not None:
            decisions.append(Decision(candidate, nothing, refusal, 0))
        else:
            decisions.append(Decision(candidate, way, compromise, 0))
    return decisions


def _refuse_all(ordered: list[Candidate], refusal: Refusal | None) -> list[Decision]:
    nothing = Way.NOTHING
    return [Decision(candidate, nothing, refusal, 0) for candidate in ordered]


def view_refusal(request: PageRequest, expected: Expected) -> Refusal | None:
    """Why this view gets nothing whatever its candidates are; None where it may."""
    if request.pushed:
        return Refusal.PUSHED_PARENT
    if request.method != "GET":
        return Refusal.METHOD
    if request.conditional:
        return Refusal.CONDITIONAL
    if not (request.loads_assets and expected.loads_assets):
        return Refusal.NO_SUBRESOURCES
    if expected.control:
        return Refusal.CONTROL_VIEW
    return None


def choose_way(request: PageRequest, options: DeliverOptions, expected: Expected) -> _Verdict:
    """The best way that this client takes, and why it is none that is better."""
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
    """What blocks rendering first, the likelier first among its kind, then by URL and kind;
    candidates that agree in all of these stay as they came.
    """
    rank = _RANKS.get
    # Sorting numbers and strings beside the candidates is faster than calling a key function.
    keyed = [
        (
            rank((asset := candidate.asset).kind, _OTHER_RANK),
            -candidate.probability,
            asset.target,
            asset.kind,
            place,
            candidate,
        )
        for place, candidate in enumerate(candidates)
    ]
    keyed.sort()
    return [item[5] for item in keyed]


def push_urgency(kind: str, page_urgency: int = PAGE_URGENCY) -> int:
    """The urgency of a push: below its page's, and what blocks rendering above the rest
    (RFC 9218, 4.1 and 10)."""
    step = 1 if kind in _BLOCKING else 2
    return min(page_urgency + step, _LOWEST_URGENCY)


def _set_urgencies(decisions: Iterable[Decision], page_urgency: int) -> None:
    near, far = push_urgency("style", page_urgency), push_urgency("", page_urgency)
    for decision in decisions:
        if decision.refusal is None:
            decision.urgency = near if decision.candidate.asset.kind in _BLOCKING else far


class _Budget:
    """What one page may still send."""

    __slots__ = ("_assets", "_bytes", "_is_link", "_links", "_targets")

    def __init__(self, way: Way, size: int, options: DeliverOptions) -> None:
        self._assets = options.max_assets
        self._bytes = size
        self._links = options.max_link_size
        self._is_link = way is not Way.PUSH
        self._targets: set[str] = set()

    def take(self, asset: Asset) -> Refusal | None:
        """Spend on it what it costs; or why it cannot be had, and then nothing is spent."""
        if not self._assets:
            return Refusal.OVER_BUDGET
        if asset.target in self._targets:
            return Refusal.ALREADY_SENT
        link_size = 0
        if self._is_link:
            # A browser fetches what it may not keep twice: for the link, and again for the page.
            if not asset.verified:
                return Refusal.UNVERIFIED
            if asset.kind not in _KINDS:
                return Refusal.NO_KIND
            link_size = len(link_value(asset))
            if not link_size:
                return Refusal.BAD_PATH
            link_size += len(", ")
        size = asset.size
        if size <= 0:
            size = _UNKNOWN_SIZE
        if size > self._bytes or link_size > self._links:
            return Refusal.OVER_BUDGET
        self._targets.add(asset.target)
        self._assets -= 1
        self._bytes -= size
        self._links -= link_size
        return None


def _push_bytes(options: DeliverOptions, think_time: float | None) -> int:
    """Bytes that one page may push.

    A push that is under way when the page's own response begins has filled buffers that no urgency
    can empty, so what is pushed should fit into the time that the application thinks.
    """
    if think_time is None:
        return options.max_push_bytes
    in_time = options.push_bytes_at_once + think_time * options.push_rate
    return int(min(in_time, options.max_push_bytes))


def link_value(asset: Asset) -> bytes:
    """An asset as a preload link, b"" where it cannot be one."""
    return _link_value(asset.target, asset.kind, asset.media_type, asset.cors)


@lru_cache(maxsize=2048)
def _link_value(target: str, kind: str, media_type: str, cors: bool) -> bytes:
    crossorigin: CrossOrigin | None = "anonymous" if cors else None
    try:
        link = Link(target, "preload", cast(As, str(kind)), crossorigin, media_type)
    except LinkError:
        return b""
    return link.field_value()


def link_field(decisions: Sequence[Decision], way: Way) -> list[bytes]:
    """The links of all that is sent one way, in order: `Way.HINT` for the 103, `Way.LINK` for the
    page's own response."""
    return [decision.link() for decision in decisions if decision.way is way]


def had(decisions: Iterable[Decision], origin: str) -> list[tuple[str, float]]:
    """What the client has, or will have with this page, for `seen.grown`: absolute URLs and
    lifetimes in seconds.

    That a link in the page's own response is followed is less sure, so it waits for the request.
    """
    return [
        (origin + decision.candidate.asset.target, decision.candidate.asset.lifetime or 0.0)
        for decision in decisions
        if decision.way in (Way.PUSH, Way.HINT) or decision.refusal is Refusal.ALREADY_SENT
    ]
