"""Pages, patterns and origins, and the shelves that bound them.

`model` owns them all. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

from headstart.learn.counts import Association, SeenAsset, Share, Voters
from headstart.learn.gains import Durations, Stop
from headstart.learn.named import Named, OtherOrigin
from headstart.learn.safety import Kind

# What a node and an association take, in bytes, beside their strings; measured with tracemalloc on
# CPython 3.11 and 3.13, rounded up (tests/learn/test_memory.py holds the sum to the bound).
NODE_BYTES = 1600
ASSOCIATION_BYTES = 610
NAMING_BYTES = 400
_STOP_BYTES = 300
SEGMENTS_BYTES = 700
_STRING_BYTES = 160

# Of a cache's places so many are for nodes that more than one voter has confirmed (segmented LRU,
# Karedy 1994): one client with a million URLs pushes out only what nobody else has asked for.
_SETTLED = 0.8
_VERSIONS = count(1)


class Level(StrEnum):
    """The pages that a node stands for. The value is the word in records."""

    PAGE = "page"
    """One page."""
    PATTERN = "pattern"
    """Pages whose paths are alike."""
    SITE = "site"
    """All pages of an origin."""


class Judgement(StrEnum):
    """Why an asset is sent with a page, or is not. The value is the word shown to the operator."""

    PINNED = "pinned"
    """The operator said so."""
    PAGE = "page"
    """Clients of this page ask for it."""
    PATTERN = "pattern"
    """Clients of pages like this one ask for it."""
    SITE = "site"
    """Clients of this origin ask for it."""
    UNLIKELY = "unlikely"
    """Too few clients ask for it."""
    UNCONFIRMED = "unconfirmed"
    """One client alone asked for it, and others have been here."""
    WASTED = "wasted"
    """It was sent, and mostly not used."""
    TOO_LARGE = "too-large"
    """Its bytes would cost more than a round trip, for how likely it is."""
    NAMED = "named"
    """The page's own HTML names it."""
    ABSENT = "absent"
    """The page's own HTML does without it; other pages', or an earlier version, names it."""
    ALTERNATIVE = "alternative"
    """The page's own HTML lets the browser choose it among several."""
    VERSION = "version"
    """It belongs to one of several versions of the page, as in an A/B test."""
    BARRED = "barred"
    """The operator said never."""


@dataclass(slots=True)
class Candidate:
    """An asset that a page's client is likely to ask for next.

    Not frozen, which would treble the cost of making it: those of a page are made anew after each
    of its votes.

    Attributes:
        asset: The link to it, and its cost; on the page's origin. If it is not `verified` it comes
            from an access log: only a delivery that sees the response first, such as a push, is
            safe.
        probability: That a client which fetches assets and lacks this one asks for it.
        why: The node that it was learned at.
        key: Stands for origin and target within this process.
        named: As the page's own HTML names it, or None if it does not.
        personal: It was asked for with personal pages only, so it goes to no client without
            credentials.
    """

    asset: SeenAsset
    probability: float
    why: Judgement
    key: int
    named: Named | None = None
    personal: bool = False

    @property
    def target(self) -> str:
        """Path and query, as it was asked for."""
        return self.asset.target

    @property
    def kind(self) -> Kind:
        """Return its kind; `as` of a preload link."""
        return self.asset.kind


class Node:
    """One page, pattern or origin.

    Attributes:
        version: Changes with each change of its assets; no two nodes share one.
        lent: The version that the nodes which borrow from it know.
        read: When a page's HTML was read last, 0.0 for never.
        dropped: When the HTML of a page of an origin last dropped a stylesheet, a script or a font.
        others: Other origins that a page loads from, each with the voter whose copies alone name
            it, or 0.
        alternatives: Images of which a browser takes one of several, according to the page's HTML.
        bits: The places of its assets that are taken, as in `Association.bit`.
        dropped_bits: Those of assets that it has no more, which other assets may still hold.
        segments: The segments of its views, as bits.
        unsettled: Likely assets of a page seem to be alternatives, or are borrowed only. A view
            without any of them is to tell.
        asked_at: The `turn` of the last such view.
        personal: All clients who got the page had credentials, and no cache may share it.
        durations: How long measured views took, None before the first.
        stop: When the page was stopped last for what it gains, or went on; None if it never was.
    """

    __slots__ = (
        "alternatives",
        "asked_at",
        "assets",
        "bits",
        "critics",
        "dropped",
        "dropped_bits",
        "durations",
        "fresh",
        "lent",
        "level",
        "origin",
        "others",
        "path",
        "personal",
        "read",
        "segments",
        "stop",
        "turn",
        "unsettled",
        "used",
        "version",
        "views",
        "voters",
    )

    def __init__(self, origin: str, path: str, level: Level) -> None:
        self.origin = origin
        self.path = path
        self.level = level
        self.assets: dict[str, Association] = {}
        self.fresh = Share()
        self.voters = Voters()
        self.critics = Voters()
        self.used = Share()
        self.views = 0.0
        self.turn = 0
        self.version = self.lent = next(_VERSIONS)
        self.read = 0.0
        self.dropped = 0.0
        self.others: dict[OtherOrigin, int] = {}
        self.alternatives: frozenset[str] = frozenset()
        self.personal = False
        self.bits = self.dropped_bits = 0
        self.segments = 0
        self.unsettled = False
        self.asked_at = 0
        self.durations: Durations | None = None
        self.stop: Stop | None = None

    @property
    def segmented(self) -> bool:
        """Return true if it has views of several segments."""
        return self.segments & (self.segments - 1) > 0

    @property
    def unseen(self) -> bool:
        """Return true if neither a view nor the HTML of the page was counted."""
        return not self.views and not self.read

    def changed(self, *, slightly: bool = False) -> None:
        """Record a change of its assets; if slight, the nodes that borrow are not told yet."""
        self.version = next(_VERSIONS)
        if not slightly:
            self.lent = self.version

    def settle_bits(self) -> None:
        """Clear the bits of dropped assets in what the others hold.

        Call it before any of that is read or compared. One vote may drop several assets, so it is
        not done for each.
        """
        if not (dropped := self.dropped_bits):
            return
        self.dropped_bits = 0
        for association in self.assets.values():
            if (association.mates | association.apart) & dropped:  # which holds `often_apart`
                association.mates &= ~dropped
                association.apart &= ~dropped
                association.often_apart &= ~dropped

    @property
    def bytes(self) -> int:
        """Return about its size in memory."""
        alternatives = sum(_STRING_BYTES + len(target) for target in self.alternatives)
        others = sum(_STRING_BYTES + len(other.url) for other in self.others)
        durations = self.durations.bytes if self.durations is not None else 0
        durations += _STOP_BYTES if self.stop is not None else 0
        own = NODE_BYTES + len(self.path) + len(self.origin)
        return own + alternatives + others + durations

    @property
    def stopped(self) -> bool:
        """Return true if the page gets nothing ahead because that costs time."""
        return self.stop is not None and self.stop.stopped

    def usefulness(self) -> float:
        """Return the share of its sent assets that are used; two good views are assumed."""
        return self.used.estimate(1.0, 2.0)


class NodeCache:
    """Nodes of one level by origin and path: so many, least recently used out first."""

    def __init__(self, level: Level, places: int) -> None:
        self.level = level
        self._places = places
        self._settled_places = int(places * _SETTLED)
        self._new: dict[tuple[str, str], Node] = {}
        self._settled: dict[tuple[str, str], Node] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._settled)

    def __iter__(self) -> Iterator[Node]:
        yield from self._settled.values()
        yield from self._new.values()

    @property
    def full(self) -> bool:
        """Return true if there are more nodes than places."""
        return len(self._new) + len(self._settled) > self._places

    def peek(self, origin: str, path: str) -> Node | None:
        """Return the node, or None, without counting a use."""
        key = (origin, path)
        return self._settled.get(key) or self._new.get(key)

    def touch(self, node: Node) -> None:
        """Make it the most recently used; settle it once more than one voter was there."""
        key = (node.origin, node.path)
        if key in self._settled:
            del self._settled[key]
            self._settled[key] = node
            return
        self._new.pop(key, None)
        if node.voters.alone:
            self._new[key] = node
            return
        self._settled[key] = node
        if len(self._settled) > self._settled_places:
            oldest = next(iter(self._settled))
            self._new[oldest] = self._settled.pop(oldest)

    def remove(self, node: Node) -> None:
        """Remove it."""
        self._new.pop((node.origin, node.path), None)
        self._settled.pop((node.origin, node.path), None)

    def oldest(self) -> Node:
        """Return the node to remove first."""
        return next(iter((self._new or self._settled).values()))
