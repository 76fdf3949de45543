"""Count votes: the evidence of a view about each asset of a page, a pattern or an origin.

`AssetTable` owns every asset and the bytes that the associations take; `count` adds one vote to one
node. Called by `model` alone. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet

from headstart.learn.counts import Asset, Association, Naming, SeenAsset, Share, count_missed
from headstart.learn.nodes import (
    ASSOCIATION_BYTES,
    NAMING_BYTES,
    SEGMENTS_BYTES,
    Level,
    Node,
)
from headstart.learn.options import LearnOptions
from headstart.learn.records import Vote

# Views from which on the shares of a pattern or an origin move slowly; pages that borrow from it
# then take notice of each so many votes.
_SETTLED = 32
_PACE = 8


class AssetTable:
    """Every asset by origin and target, shared by the nodes that have an association with it.

    Attributes:
        bytes: About the bytes that the associations of all nodes take.
        personal: The number of assets that were asked for with personal pages only.
        changes: Grows when an asset changes in a way that any page may depend on.
    """

    def __init__(self, options: LearnOptions) -> None:
        self._options = options
        self._assets: dict[int, Asset] = {}
        self.bytes = 0
        self.personal = 0
        self.changes = 0

    def __len__(self) -> int:
        return len(self._assets)

    def see(self, asset: Asset, seen: SeenAsset) -> None:
        """Take an asset as it was seen now."""
        if asset.see(seen):
            self.changes += 1

    def confirm(self, asset: Asset, voter: int, time: float) -> None:
        """Take that a voter asked for an asset, beside another voter or after pages dropped it."""
        if asset.asker not in (0, voter):
            asset.asker = 0
            self.changes += 1
        if asset.dropped and time > asset.dropped:
            asset.dropped = 0.0
            self.changes += 1

    def publish(self, asset: Asset) -> None:
        """Take that an asset is of a page that is not personal."""
        if asset.personal:
            asset.personal = False
            self.personal -= 1
            self.changes += 1

    def name(self, asset: Asset) -> None:
        """Take that the HTML of a page names an asset; only HTML without credentials is read."""
        self.publish(asset)
        if not asset.named or asset.dropped:
            asset.named, asset.dropped = True, 0.0
            self.changes += 1

    def dismiss(self, asset: Asset, now: float) -> None:
        """Take that the HTML of a page names an asset no more."""
        asset.dropped = now
        self.changes += 1

    def get(self, origin: str, target: str) -> Asset | None:
        """Return the asset at a URL, or None if no node has an association with it."""
        return self._assets.get(hash((origin, target)))

    def with_key(self, key: int) -> Asset | None:
        """Return the asset with this key, or None if no node has an association with it."""
        return self._assets.get(key)

    def associate(
        self,
        node: Node,
        seen: SeenAsset,
        voter: int,
        doubt: float,
        *,
        answered: bool = True,
        personal: bool = False,
    ) -> Association | None:
        """Add an association to a node.

        Args:
            node: The page, pattern or origin.
            seen: The asset.
            voter: The first voter who asked for it there.
            doubt: The views that count against it from the start.
            answered: It was seen to be answered.
            personal: It was asked for with a personal page.

        Returns:
            None if likely assets take all places of the node.
        """
        if len(node.assets) >= self._options.max_assets and not self._displace(node):
            return None
        key = hash((node.origin, seen.target))
        asset = self._assets.get(key)
        if asset is None:
            asset = self._assets[key] = Asset(
                key, seen, voter, answered=answered, personal=personal
            )
            self.personal += personal
        asset.uses += 1
        association = Association(asset, voter, doubt)
        if node.level is Level.PAGE:
            association.bit = ~node.bits & (node.bits + 1)
            node.bits |= association.bit
        node.assets[asset.seen.target] = association
        self.bytes += ASSOCIATION_BYTES + len(seen.target)
        return association

    def drop(self, node: Node, target: str) -> None:
        """Remove an association; the asset goes with its last one."""
        association = node.assets.pop(target)
        asset = association.asset
        if association.naming is not None:
            self.set_naming(association, None)
        if association.segments is not None:
            self.bytes -= SEGMENTS_BYTES
        if bit := association.bit:
            node.bits &= ~bit
            node.dropped_bits |= bit
        self.bytes -= ASSOCIATION_BYTES + len(target)
        asset.uses -= 1
        if not asset.uses:
            del self._assets[asset.key]
            self.personal -= asset.personal

    def set_naming(self, association: Association, naming: Naming | None) -> None:
        """Take how a page's HTML names an asset; None if it does not."""
        self.bytes += _naming_bytes(naming) - _naming_bytes(association.naming)
        association.naming = naming

    def split(self, node: Node, segments: int) -> None:
        """Take that a page has views of these segments, too; each is one bit."""
        before, node.segments = node.segments, node.segments | segments
        if before and not before & (before - 1) and node.segmented:
            for association in node.assets.values():
                so_far = Share(association.tries, association.hits)
                self._segments_of(association)[before.bit_length() - 1] = so_far

    def share(self, association: Association, segment: int) -> Share:
        """Return the share of an asset in the views of a segment, a new one if it has none."""
        return self._segments_of(association).setdefault(segment, Share())

    def add(self, association: Association, segment: int, hit: float) -> None:
        """Count a view for its segment."""
        shares = self._segments_of(association)
        share = shares.get(segment)
        if share is None:
            # As at the page, earlier views did without an asset that nobody had asked for.
            share = shares[segment] = Share(1.0 if association.hits <= hit else 0.0)
        share.add(hit, self._options.memory)

    def _segments_of(self, association: Association) -> dict[int, Share]:
        if association.segments is None:
            association.segments = {}
            self.bytes += SEGMENTS_BYTES
        return association.segments

    def draw(self, association: Association, hits: float, tries: float = 1.0) -> None:
        """Take whether views of a page asked for a font, if a stylesheet of the page names it."""
        naming = association.naming
        if naming is None or not naming.named.sheet or not tries:
            return
        asset, likely = association.asset, self._options.likely
        if asset.drawn is None:
            asset.drawn = Share()
        before = asset.drawn.estimate(0.0) >= likely
        for _ in range(round(tries)):
            asset.drawn.add(hits / tries, self._options.memory)
        # A page of which little else is known is sent the font from there on.
        self.changes += before is not (asset.drawn.estimate(0.0) >= likely)

    def _displace(self, node: Node) -> bool:
        """Drop the least likely association, if there is an unlikely one.

        That is sent to nobody, so no plan changes by it.
        """
        weakest = _weakest(node.assets.values(), self._options.likely)
        if weakest is None:
            return False
        self.drop(node, weakest.asset.seen.target)
        return True


class VoteCounter:
    """Adds votes to nodes."""

    def __init__(self, options: LearnOptions, table: AssetTable) -> None:
        self._options = options
        self._table = table

    def count(self, nodes: Iterable[Node], vote: Vote) -> None:
        """Add the evidence of one view about each asset of its page, its pattern and its origin."""
        asked, held = {seen.target for seen in vote.asked}, set(vote.held)
        for node in nodes:
            self._count_at(node, vote, asked, held)

    def _count_at(
        self, node: Node, vote: Vote, asked: AbstractSet[str], held: AbstractSet[str]
    ) -> None:
        backs_off = node.level is not Level.PAGE
        page = hash(vote.path) if backs_off else 0
        if not (backs_off or node.segments >> vote.segment & 1):
            self._table.split(node, 1 << vote.segment)
        if asked:
            self._count_asked(node, asked, vote, page)
        memory = self._options.memory
        if not vote.partial:
            self._count_missed(node, asked, held, vote, page)
        if not backs_off:
            self._compare(node, asked, held, vote)
        for useful, targets in ((True, vote.used), (False, vote.wasted)):
            for target in targets:
                if known := node.assets.get(target):
                    known.delivered(useful, memory)
        node.views += 0.0 if vote.continues else 1.0
        node.changed(slightly=node.views >= _SETTLED and int(node.views) % _PACE > 0)
        if vote.fresh:
            node.fresh.add(1.0, memory)
        self._replace_old_versions(node, asked)

    def _count_asked(self, node: Node, asked: AbstractSet[str], vote: Vote, page: int) -> None:
        """Count the assets that a view asked for."""
        known, wanted = node.assets, vote.asked
        if not asked <= known.keys():
            # Known ones first: a vote must not displace what it is about to confirm.
            wanted = (
                *[seen for seen in wanted if seen.target in known],
                *[seen for seen in wanted if seen.target not in known],
            )
        new = _doubt(node, vote), node.voters.recent not in ([], [vote.voter])
        is_shared = page and vote.personal
        for seen in wanted:
            if is_shared and self._is_ones_own(node, seen):
                continue
            association = known.get(seen.target)
            if page and association is not None and association.last == page:
                # A pattern and an origin count pages, not views: what they are asked is whether
                # the next page, one never seen, will need the asset.
                if vote.voter != association.first:
                    association.confirmed = True
            else:
                self._count_wanted(node, association, seen, vote, page, new)

    def _is_ones_own(self, node: Node, seen: SeenAsset) -> bool:
        """Return true if one voter alone ever asked for the asset, perhaps with a page of its own.

        Other pages, which others can read, do not borrow such an asset.
        """
        asset = self._table.get(node.origin, seen.target)
        return asset is None or asset.asker != 0

    def _count_missed(
        self, node: Node, asked: AbstractSet[str], held: AbstractSet[str], vote: Vote, page: int
    ) -> None:
        """Count the assets that a view did not ask for, and those that its client had."""
        known, voter, counted = node.assets, vote.voter, page or None
        for target in held - asked if held else ():
            association = known.get(target)
            if association is None or association.last == counted or voter == association.first:
                continue
            if association.naming is None or _may_be_missed(association, vote):
                association.shown += 1
        if vote.quiet:
            return
        # Most assets of three nodes are looked at for each vote.
        excused = asked | held if held else asked
        missed = [
            association
            for target, association in known.items()
            if target not in excused
            and association.last != counted
            and (association.naming is None or _may_be_missed(association, vote))
        ]
        count_missed(missed, voter, self._options.memory, self._options.misses, page)
        if not page and node.segmented:
            for association in missed:
                self._table.add(association, vote.segment, 0.0)
        for association in [each for each in missed if each.naming is not None]:
            self._table.draw(association, 0.0)

    def _compare(
        self, node: Node, asked: AbstractSet[str], held: AbstractSet[str], vote: Vote
    ) -> None:
        """Note which assets of a page its client asked for together, and which it did without."""
        if not asked:
            return
        node.settle_bits()
        known, together, lacked = node.assets, 0, 0
        wanted = {target: known[target] for target in (*asked, *vote.before) if target in known}
        for association in wanted.values():
            together |= association.bit
        if not vote.partial:
            for target, association in known.items():
                if target in wanted or target in held:
                    continue
                if association.naming is None or not _is_newer(association, vote):
                    lacked |= association.bit
        for association in wanted.values():
            association.compare(together, lacked)

    def _count_wanted(
        self,
        node: Node,
        association: Association | None,
        seen: SeenAsset,
        vote: Vote,
        page: int,
        new: tuple[float, bool],
    ) -> None:
        """Count an asset that a view asked for.

        Args:
            node: The page, its pattern or its origin.
            association: The node's with the asset, None if it has none.
            seen: The asset.
            vote: The evidence of the view.
            page: As for `count_missed`.
            new: Of a new association, the views that count against it, and whether others were
                here before and did without it.
        """
        table, voter = self._table, vote.voter
        if association is None:
            doubt, doubted = new
            association = table.associate(node, seen, voter, doubt, personal=vote.personal)
            if association is None:
                return
            association.doubted = doubted
        association.wanted(voter, self._options.memory)
        if not page and node.segmented:
            table.add(association, vote.segment, 1.0)
        if association.naming is not None:
            table.draw(association, 1.0)
        if association.used is not None:
            # Its client was not sent it and lacked it, so sending it would have been of use.
            association.delivered(True, self._options.memory)
        association.last = page
        # Mostly there is nothing new about the asset itself.
        asset = association.asset
        if asset.seen is not seen or not asset.answered:
            table.see(asset, seen)
        if asset.asker not in (0, voter) or asset.dropped:
            table.confirm(asset, voter, vote.time)
        if asset.personal and not vote.personal:
            table.publish(asset)

    def _replace_old_versions(self, node: Node, asked: AbstractSet[str]) -> None:
        """Let a file name with a new fingerprint inherit the counts of the old name.

        Two names requested in one view are not versions of each other, nor are more than two.
        """
        for target in asked:
            new = node.assets.get(target)
            if new is None or not new.asset.stem or not new.believed:
                continue
            others = [
                old
                for old in node.assets.values()
                if old is not new and old.asset.stem == new.asset.stem
            ]
            if len(others) == 1 and others[0].asset.seen.target not in asked:
                self._succeed(node, others[0], new)

    def _succeed(self, node: Node, old: Association, new: Association) -> None:
        if new.estimate(0.0) < self._options.likely:
            new.tries, new.hits = old.tries, old.hits
            new.add(1.0, self._options.memory)
        new.confirmed |= old.confirmed
        self._table.drop(node, old.asset.seen.target)
        node.changed()


def _naming_bytes(naming: Naming | None) -> int:
    if naming is None:
        return 0
    named = naming.named
    return NAMING_BYTES + sum(
        map(len, (named.integrity, named.media, named.imagesrcset, named.imagesizes, named.sheet))
    )


def _may_be_missed(association: Association, vote: Vote) -> bool:
    """Return true if a view that did not ask for an asset which the page names could have."""
    naming = association.naming
    # Browsers ask for any candidate of an image.
    is_choice = naming is not None and naming.named.imagesrcset
    return not (is_choice or _is_newer(association, vote))


def _is_newer(association: Association, vote: Vote) -> bool:
    """Return true if a view began with a copy of the page that did not name the asset yet."""
    return association.naming is not None and vote.time < association.naming.since


def _weakest(associations: Collection[Association], likely: float) -> Association | None:
    """Return the first of the least likely associations, or None if all are likely.

    Those that the page's HTML names are, and others are half as likely while nobody confirms them.
    Called for each asset that a full page, pattern or origin does not know. So it takes the first
    that nobody asks for any more, if there is one, and asks for the latter of only a few.
    """
    for association in associations:
        if not association.hits and association.naming is None:
            return association
    weakest, least, below = None, likely, 2.0 * likely
    for association in associations:
        strength = association.hits / (association.tries + 1.0)
        if strength < below and association.naming is None:
            if not (association.confirmed or association.believed):
                strength /= 2
            if strength < least:
                weakest, least, below = association, strength, 2.0 * strength
    return weakest


def _doubt(node: Node, vote: Vote) -> float:
    """Return the views that count against a new association from the start.

    Earlier views of the page did without it, and one page says nothing of the next: one. A page's
    first view has nothing before it: none, so its next view gets its assets.
    """
    before = node.views - 1.0 if vote.continues else node.views
    return 1.0 if before > 0.0 or node.level is not Level.PAGE else 0.0
