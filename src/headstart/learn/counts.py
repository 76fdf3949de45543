"""Counts that decay, votes that nobody can repeat at will, and the facts about one asset.

Small mutable values that `model` and `views` are made of. Pure; time is a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from zlib import crc32

from headstart.learn.named import Named
from headstart.learn.safety import Kind
from headstart.learn.urls import stem_of

# How many different voters a node remembers, and for how long. Eight make the share of one that
# never stops at most a fifth (see `Voters.admit`); after a day a voter who does not come back no
# longer holds up those who do.
VOTERS = 8
_VOTER_LIFETIME = 86_400.0
# Views of others that an asset is sent with on one voter's word, before it is left out of one; and
# how far that differs, so that the assets of a page are not all left out of the same view.
_SHOWN = 3
_SPREAD = 3


class Share:
    """How often something was so: a share of tries, of which the recent count most."""

    __slots__ = ("hits", "tries")

    def __init__(self, tries: float = 0.0, hits: float = 0.0) -> None:
        self.tries = tries
        self.hits = hits

    def add(self, hit: float, memory: int) -> None:
        """Count one try; once there are `memory` of them, each fades by its part first."""
        if self.tries >= memory:
            kept = (memory - 1) / self.tries
            self.tries *= kept
            self.hits *= kept
        self.tries += 1.0
        self.hits += hit

    def estimate(self, prior: float, weight: float = 1.0) -> float:
        """Return the share; `prior` is worth `weight` tries (a Beta prior's posterior mean)."""
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
        """Return true if this vote counts; if so, remember it."""
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
        """Return true if only one voter was here lately."""
        return len(self.recent) < 2


@dataclass(frozen=True, slots=True)
class SeenAsset:
    """An asset as it was seen.

    Attributes:
        target: Path and query on the page's origin.
        kind: Its kind; `as` of a link to it.
        media_type: Its type without parameters, or "" if unknown.
        cors: It is fetched in CORS mode: a link to it needs `crossorigin`.
        size: Bytes of content, 0 if unknown.
        lifetime: Seconds that it is fresh, None if unknown.
        verified: Its cache headers were seen; an access log shows none.
        module: A script asks for it in CORS mode: a module that another one imports.
    """

    target: str
    kind: Kind
    media_type: str = ""
    cors: bool = False
    size: int = 0
    lifetime: int | None = None
    verified: bool = False
    module: bool = False


class Asset:
    """The facts about one URL, for all pages that ask for it.

    Attributes:
        key: Stands for origin and target in the memory of clients' assets.
        seen: The asset as it was seen last.
        stem: The part of its name that another version of the file would share, or "".
        checked: A hash of the headers that `safety` judged last, and allowed.
        asker: The only voter who asked for it, or 0 once there is another.
        doubter: The voter who was refused it last (401, 403, 429 and their like), else 0.
        answered: A response to it was seen; an asset that only a page's HTML names has none.
        named: The HTML of some page names it.
        personal: Clients with credentials alone asked for it, with pages that no cache may share.
        dropped: When the HTML of a page was seen to name it no more, 0.0 since another did, or
            since a client asked for it.
        uses: Associations that hold it; at none it is forgotten.
        drawn: Of a font that stylesheets name, the views of pages with one of them, and how many of
            these asked for it. None before the first.
    """

    __slots__ = (
        "answered",
        "asker",
        "checked",
        "doubter",
        "drawn",
        "dropped",
        "key",
        "named",
        "personal",
        "seen",
        "stem",
        "uses",
    )

    def __init__(
        self,
        key: int,
        seen: SeenAsset,
        asker: int = 0,
        *,
        answered: bool = True,
        personal: bool = False,
    ) -> None:
        self.key = key
        self.seen = seen
        self.stem = stem_of(seen.target)
        self.checked = 0
        self.asker = asker
        self.doubter = 0
        self.uses = 0
        self.answered = answered
        self.named = False
        self.personal = personal
        self.dropped = 0.0
        self.drawn: Share | None = None

    def doubted_by(self, voter: int) -> bool:
        """Record that this voter was refused it; return true if that suffices to give it up.

        It is if nobody else ever asked for it, or if somebody else was refused it before.
        """
        enough = self.asker == voter or self.doubter not in (0, voter)
        self.doubter = voter
        return enough

    def see(self, seen: SeenAsset) -> bool:
        """Take it as it was seen now, and return whether that changed anything.

        A log leaves facts open; that does not erase known ones.
        """
        old, answered = self.seen, self.answered
        if not self.answered:
            self.answered = True
            self.seen = replace(seen, target=old.target)
        elif seen.verified or not old.verified:
            if old.module and seen.cors and not seen.module:
                # A client that was sent a link to it asks for it because of the page.
                seen = replace(seen, module=True)
            if seen != old:
                # The target that is there already is also a key elsewhere: one string, not two.
                self.seen = replace(seen, target=old.target)
        elif seen.size and seen.size != old.size:
            self.seen = replace(old, size=seen.size)
        return self.seen is not old or not answered


@dataclass(frozen=True, slots=True)
class Naming:
    """How a page's HTML names an asset.

    Attributes:
        named: As its last copy that names it does.
        namer: The voter whose copies alone name it, or 0 where that is enough (`safety.Trust`).
        live: The last copy that speaks alone names it.
        alternates: It was gone and came back.
        misser: The voter whose copy does not name it, or 0; a second such voter ends it.
        since: When the first of the copies that name it without a break went out. Views that began
            before had another copy.
    """

    named: Named
    namer: int = 0
    live: bool = True
    alternates: bool = False
    misser: int = 0
    since: float = 0.0


class Association(Share):
    """Page (or pattern, or origin) → asset: the share of views in which it was wanted.

    The share counts only views of clients that lacked the asset and were not sent it.

    Attributes:
        asset: The asset.
        used: The share of deliveries that were of use, None before the first.
        first: The voter who asked for it first.
        confirmed: Another voter asked for it, too.
        doubted: Another voter lacked it, was not sent it and did not ask for it.
        shown: Views of others that it was sent with before either.
        run: Views in a row without it.
        last: The page that it was counted for last, if pages are counted.
        naming: How the page's HTML names it, or None if it does not.
        bit: Its place among the page's assets, a power of two; 0 where views are not compared.
        mates: The bits of assets that one view asked for together with it.
        apart: Those that a view lacked and did not ask for, though it asked for this one.
        often_apart: Those that two views or more treated so.
        segments: The share by the segment of the view, once a page has views of several.
    """

    __slots__ = (
        "apart",
        "asset",
        "bit",
        "confirmed",
        "doubted",
        "first",
        "last",
        "mates",
        "naming",
        "often_apart",
        "run",
        "segments",
        "shown",
        "used",
    )

    def __init__(self, asset: Asset, first: int, doubt: float) -> None:
        self.tries = doubt
        self.hits = 0.0
        self.asset = asset
        self.used: Share | None = None
        self.first = first
        self.confirmed = False
        self.doubted = False
        self.shown = 0
        self.run = 0
        self.last = 0
        self.naming: Naming | None = None
        self.bit = self.mates = self.apart = self.often_apart = 0
        self.segments: dict[int, Share] | None = None

    def wanted(self, voter: int, memory: int) -> None:
        """Count a view in which it was requested."""
        # As `Share.add(1.0, memory)`, without a call for each asset of three nodes.
        if self.tries >= memory:
            kept = (memory - 1) / self.tries
            self.tries *= kept
            self.hits *= kept
        self.tries += 1.0
        self.hits += 1.0
        self.run = 0
        if voter != self.first:
            self.confirmed = True

    def compare(self, together: int, lacked: int) -> None:
        """Take which other assets a view that asked for this one asked for, and which it lacked."""
        self.mates |= together
        self.often_apart |= self.apart & lacked
        self.apart |= lacked

    def in_segment(self, segment: int | None, probability: float) -> float:
        """Return how likely it is in one segment, after how likely it is in all of them."""
        share = self.segments.get(segment) if self.segments and segment is not None else None
        return probability if share is None else share.estimate(probability)

    @property
    def rivals(self) -> int:
        """Return the bits of assets that views do without which ask for this one: alternatives."""
        return self.often_apart & ~self.mates

    @property
    def believed(self) -> bool:
        """Return true if the first voter's evidence holds: nobody else could contradict it, or did.

        One voter alone does not make others receive an asset for long: they fetch the assets that
        they are sent, so their requests prove nothing. After some of them it is left out until one
        has asked for it unsent, or has not.
        """
        if self.confirmed or not self.asset.asker:
            return True
        if self.doubted:
            return False
        target = self.asset.seen.target
        if "?" in target:
            # It may be one user's.
            return not self.shown
        return self.shown < _SHOWN + crc32(target.encode()) % _SPREAD

    def restart(self) -> None:
        """Forget all views so far: they were of another version of the page."""
        self.hits = self.tries = 0.0
        self.run = 0

    def forgive(self) -> None:
        """Forget the views so far in which it was not requested."""
        self.tries = self.hits
        self.run = 0

    def delivered(self, used: bool, memory: int) -> None:
        """Count a delivery that was of use, or not."""
        if self.used is None:
            self.used = Share()
        self.used.add(float(used), memory)

    def usefulness(self) -> float:
        """Return the share of deliveries that were of use; two good ones are assumed."""
        return 1.0 if self.used is None else self.used.estimate(1.0, 2.0)


def count_missed(
    associations: Iterable[Association], voter: int, memory: int, misses: int, page: int
) -> None:
    """Count for each association a view in which its asset was not requested.

    At `misses` in a row, earlier views are forgotten: an asset wanted in seven views of ten would
    get there once in a hundred times, one that the page no longer has at once.

    Args:
        associations: Those of one node.
        voter: The voter of the view.
        memory: As for `Share.add`.
        misses: The views in a row.
        page: Of the view if pages are counted, else 0.
    """
    # One loop, and `Share.add(0.0, memory)` within it, without calls: most assets of three nodes
    # are here for each vote.
    most = float(misses)
    # The views that one has which nobody asks for any more: nothing is added, and nothing fades.
    settled = most if most < memory else None
    for each in associations:
        tries = each.tries
        if tries == settled and each.run >= misses and not each.hits:
            each.run += 1
            each.last = page
            if voter != each.first:
                each.doubted = True
            continue
        if tries >= memory:
            kept = (memory - 1) / tries
            tries *= kept
            each.hits *= kept
        tries += 1.0
        if voter != each.first:
            each.doubted = True
        run = each.run = each.run + 1
        if run >= misses:
            each.hits = 0.0
            tries = most if tries > most else tries
        each.tries = tries
        each.last = page
