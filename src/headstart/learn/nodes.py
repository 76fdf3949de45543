"""Pages, patterns and origins, and the shelves that bound them.

`model` owns them all. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from headstart.learn.counts import Association, Share, Sighting, Voters
from headstart.learn.safety import Kind

# What a node and an association take, in bytes, beside their strings; measured with tracemalloc on
# CPython 3.11 and 3.13, rounded up (tests/learn/test_memory.py holds the sum to the bound).
NODE_BYTES = 1600
ASSOCIATION_BYTES = 540

# Of a shelf's places so many are for nodes that more than one voter has confirmed (segmented LRU,
# Karedy 1994): one client with a million URLs pushes out only what nobody else has asked for.
_SETTLED = 0.8


class Standing(StrEnum):
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
    BARRED = "barred"
    """The operator said never."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An asset that a page's client is likely to ask for next.

    Attributes:
        asset: What a link to it says, and what it costs; on the page's origin. Where it is not
            `verified` it comes from an access log: only a delivery that sees the answer first,
            such as a push, is safe.
        probability: Of a client that fetches assets and lacks this one asking for it.
        why: What it was learned from.
        key: Stands for origin and target within this process.
    """

    asset: Sighting
    probability: float
    why: Standing
    key: int

    @property
    def target(self) -> str:
        """Path and query, as it was asked for."""
        return self.asset.target

    @property
    def kind(self) -> Kind:
        """What it is; `as` of a preload link."""
        return self.asset.kind


class Node:
    """What is known of one page, pattern or origin."""

    __slots__ = (
        "assets",
        "critics",
        "fresh",
        "level",
        "origin",
        "path",
        "turn",
        "used",
        "views",
        "voters",
    )

    def __init__(self, origin: str, path: str, level: Standing) -> None:
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

    @property
    def bytes(self) -> int:
        """About what it takes."""
        return NODE_BYTES + len(self.path) + len(self.origin)

    def usefulness(self) -> float:
        """Share of what is sent with it that is used; two good views are taken for granted."""
        return self.used.estimate(1.0, 2.0)


class Shelf:
    """Nodes of one level by origin and path: so many, least recently used out first."""

    def __init__(self, level: Standing, places: int) -> None:
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
        """Whether there are more than it has places for."""
        return len(self) > self._places

    def peek(self, origin: str, path: str) -> Node | None:
        """The node, or None; it counts as no use."""
        key = (origin, path)
        return self._settled.get(key) or self._new.get(key)

    def touch(self, node: Node) -> None:
        """Makes it the most recently used; settles it once more than one voter was there."""
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
        """Takes it off the shelf."""
        self._new.pop((node.origin, node.path), None)
        self._settled.pop((node.origin, node.path), None)

    def oldest(self) -> Node:
        """What goes first."""
        return next(iter((self._new or self._settled).values()))
