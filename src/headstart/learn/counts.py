"""Counts that decay, votes that nobody can repeat at will, and what is known of one asset.

Small mutable values that `model` and `views` are made of. Pure; time is a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headstart.learn.safety import Kind
from headstart.learn.urls import stem_of

# How many different voters a node remembers, and for how long. Eight make the share of one that
# never stops at most a fifth (see `Voters.admit`); after a day a voter who does not come back no
# longer holds up those who do.
VOTERS = 8
_VOTER_LIFETIME = 86_400.0


class Share:
    """How often something was so: a share of tries, of which the recent count most."""

    __slots__ = ("hits", "tries")

    def __init__(self, tries: float = 0.0, hits: float = 0.0) -> None:
        self.tries = tries
        self.hits = hits

    def add(self, hit: float, memory: int) -> None:
        """Counts one try; once there are `memory` of them, each fades by its part first."""
        if self.tries >= memory:
            kept = (memory - 1) / self.tries
            self.tries *= kept
            self.hits *= kept
        self.tries += 1.0
        self.hits += hit

    def estimate(self, prior: float, weight: float = 1.0) -> float:
        """The share, where `prior` is worth `weight` tries: a Beta prior's posterior mean."""
        return (self.hits + weight * prior) / (self.tries + weight)


class Voters:
    """Who voted lately: no voter counts again before others had their turn.

    The first that is alone counts each time. Where there are others, a voter is admitted again
    when at least half of the others have voted since: with eight of them a client that asks ten
    thousand times casts one vote in five at most, and none at all while the others are silent.
    """

    __slots__ = ("last", "recent")

    def __init__(self) -> None:
        self.recent: list[int] = []
        self.last = 0.0

    def admit(self, voter: int, now: float) -> bool:
        """Whether this vote counts; if so it is remembered."""
        recent = self.recent
        if recent and now - self.last > _VOTER_LIFETIME:
            recent.clear()
        if voter in recent:
            if recent.index(voter) > (len(recent) - 1) // 2:
                return False
            recent.remove(voter)
        recent.append(voter)
        if len(recent) > VOTERS:
            del recent[0]
        self.last = now
        return True

    @property
    def alone(self) -> bool:
        """Whether nobody but one voter was here lately."""
        return len(self.recent) < 2


@dataclass(frozen=True, slots=True)
class Sighting:
    """An asset as it was seen.

    Attributes:
        target: Path and query on the page's origin.
        kind: What it is; `as` of a link to it.
        media_type: Its type without parameters, or "" where unknown.
        cors: It is fetched in CORS mode: a link to it needs `crossorigin`.
        size: Bytes of content, 0 where unknown.
        lifetime: Seconds that it is fresh, None where unknown.
        verified: Its cache headers were seen; an access log shows none.
    """

    target: str
    kind: Kind
    media_type: str = ""
    cors: bool = False
    size: int = 0
    lifetime: int | None = None
    verified: bool = False


class Asset:
    """What is known of one URL, whichever pages ask for it.

    Attributes:
        key: Stands for origin and target in the memory of what a client has.
        seen: The asset as it was seen last.
        stem: What another version of the same file would share with it, or "".
        checked: A hash of the headers that `safety` judged last, and allowed.
        asker: The only voter who asked for it, or 0 once there is another.
        doubter: The voter who was refused it last (401, 403, 429 and their like), else 0.
        uses: Associations that hold it; at none it is forgotten.
    """

    __slots__ = ("asker", "checked", "doubter", "key", "seen", "stem", "uses")

    def __init__(self, key: int, seen: Sighting, asker: int = 0) -> None:
        self.key = key
        self.seen = seen
        self.stem = stem_of(seen.target)
        self.checked = 0
        self.asker = asker
        self.doubter = 0
        self.uses = 0

    def doubted_by(self, voter: int) -> bool:
        """This voter was refused it; whether that is enough to give it up.

        It is if nobody else ever asked for it, or if somebody else was refused it before.
        """
        enough = self.asker == voter or self.doubter not in (0, voter)
        self.doubter = voter
        return enough

    def see(self, seen: Sighting) -> None:
        """What was seen last holds; what a log leaves open does not unsay what was seen."""
        old = self.seen
        if seen.verified or not old.verified:
            if seen != old:
                # The target that is there already is also a key elsewhere: one string, not two.
                self.seen = replace(seen, target=old.target)
        elif seen.size and seen.size != old.size:
            self.seen = replace(old, size=seen.size)


class Association(Share):
    """Page (or pattern, or origin) → asset: in how many views it was wanted, and what came of it.

    As a share it counts only views of clients that lacked the asset and were not sent it.

    Attributes:
        asset: What it leads to.
        used: The share of deliveries that were of use, None before the first.
        first: The voter who asked for it first.
        confirmed: Another one did too.
        run: Views in a row that did without it.
        last: The page that it was counted for last, where pages are counted.
    """

    __slots__ = ("asset", "confirmed", "first", "last", "run", "used")

    def __init__(self, asset: Asset, first: int, doubt: float) -> None:
        super().__init__(doubt)
        self.asset = asset
        self.used: Share | None = None
        self.first = first
        self.confirmed = False
        self.run = 0
        self.last = 0

    def wanted(self, voter: int, memory: int) -> None:
        """A view in which it was asked for."""
        self.add(1.0, memory)
        self.run = 0
        if voter != self.first:
            self.confirmed = True

    def missed(self, memory: int, misses: int) -> None:
        """A view in which it was not.

        At `misses` in a row what was before is forgotten: an asset wanted in seven views of ten
        would get there once in a hundred times, one that the page no longer has at once.
        """
        self.add(0.0, memory)
        self.run += 1
        if self.run >= misses:
            self.hits = 0.0
            self.tries = min(self.tries, float(misses))

    def delivered(self, used: bool, memory: int) -> None:
        """A delivery, and whether it was of use."""
        if self.used is None:
            self.used = Share()
        self.used.add(float(used), memory)

    def usefulness(self) -> float:
        """The share of deliveries that were of use; two good ones are taken for granted."""
        return 1.0 if self.used is None else self.used.estimate(1.0, 2.0)
