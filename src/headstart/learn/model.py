"""The map: page → asset, and pages borrow from their pattern, and patterns from their origin.

Pure: votes in, candidates out. `learner` folds votes into it and asks it for candidates; the
store's records go in and out through `learner`.

How likely an asset is: for each of origin, pattern and page, from the widest to the narrowest, the
share of views in which it was asked for, with what the wider one says counted as one view more:
`(asked + wider) / (views + 1)`. One view of a page is thus enough (one half or more), a page never
seen has what its pattern or its origin says, and each further view weighs against both.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView
from dataclasses import dataclass
from zlib import crc32

from headstart.learn.counts import Asset, Association, Sighting
from headstart.learn.nodes import ASSOCIATION_BYTES, Candidate, Node, Shelf, Standing
from headstart.learn.options import LearnOptions
from headstart.learn.records import PageRecord, Removal, Rule, Tally, Vote
from headstart.learn.rules import Rules
from headstart.learn.safety import bad_target, kind_of_path
from headstart.learn.tallies import record_of, take_record, take_tally
from headstart.learn.urls import path_of, pattern_of

# The map's part of the bytes that the learner may take; the rest is for clients and live views, for
# the paths below, and for what the middleware remembers of each connection.
_PART = 0.77
# Paths that are kept as no page's: so many, of so many octets.
_REMEMBERED = 512
_REMEMBERED_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the map as an operator sees it."""

    page: str
    asset: str
    probability: float
    views: float
    sent: bool
    why: Standing


class Map:
    """All associations, bounded in number and in bytes."""

    def __init__(self, options: LearnOptions) -> None:
        self._options = options
        self._pages = Shelf(Standing.PAGE, options.max_pages)
        self._patterns = Shelf(Standing.PATTERN, options.max_patterns)
        self._sites = Shelf(Standing.SITE, options.max_sites)
        self._assets: dict[int, Asset] = {}
        self._rules = Rules(options.max_url)
        # The same dict: it is looked into for each page.
        self._pins = self._rules.pins
        self._budget = int(options.max_bytes * _PART)
        # What holds while the map stays as it is: what each node says, the paths of its nodes and
        # pins, and some that are of no page and like none, as they came.
        self._plans: dict[Node, tuple[Candidate, ...]] = {}
        self._paths: set[str] | None = None
        self._no_pages: dict[bytes, None] = {}
        self.bytes = 0

    # Asking

    def targets(self, origin: str, path: str) -> dict[str, Asset]:
        """Every asset that this page might be sent, likely or not."""
        node = self.narrowest(origin, path)
        found: dict[str, Asset] = {}
        for wider in self._chain(node, path) if node else ():
            for target, association in wider.assets.items():
                found[target] = association.asset
        return found

    def knows_page(self, origin: str, path: str) -> bool:
        """Whether this page, or another that matches its pattern, has been seen."""
        if self._pages.peek(origin, path) is not None or path in self._pins:
            return True
        pattern = pattern_of(path)
        return bool(pattern) and self._patterns.peek(origin, pattern) is not None

    @property
    def no_pages(self) -> KeysView[bytes]:
        """Paths that `knows_path` found to be no page's, as they stand at any time."""
        return self._no_pages.keys()

    def knows_path(self, path: bytes) -> bool:
        """Whether a page of any origin has this path, or one like it."""
        if self._paths is None:
            self._paths = {node.path for node in (*self._pages, *self._patterns)}
            self._paths.update(self._rules.paths())
        text = str(path, "latin-1")
        if text in self._paths or pattern_of(text) in self._paths:
            return True
        if len(path) <= _REMEMBERED_LENGTH:
            if len(self._no_pages) >= _REMEMBERED:
                self._no_pages.clear()
            self._no_pages[path] = None
        return False

    def asset(self, origin: str, target: str) -> Asset | None:
        """What is known of a URL, or None."""
        return self._assets.get(hash((origin, target)))

    def narrowest(self, origin: str, path: str) -> Node | None:
        """The page; where it is unknown its pattern; where that is unknown its origin."""
        node = self._pages.peek(origin, path)
        if node is not None:
            return node
        pattern = pattern_of(path)
        node = self._patterns.peek(origin, pattern) if pattern else None
        return node or self._sites.peek(origin, "")

    def candidates(self, origin: str, path: str) -> tuple[Candidate, ...]:
        """What to send with this page, the most likely first, whoever asks."""
        node = self.narrowest(origin, path)
        pinned = self._pins.get(path) or self._pins.get(origin + path)
        if node is None:
            return self._with_pins((), origin, pinned) if pinned else ()
        plan = self._plans.get(node)
        if plan is None:
            plan = self._plans[node] = self._plan(node, path)
        return self._with_pins(plan, origin, pinned) if pinned else plan

    def is_waste(self, origin: str, path: str) -> bool:
        """Whether what is sent with this page is mostly not used."""
        node = self.narrowest(origin, path)
        return node is not None and node.usefulness() < self._options.worth

    def is_control(self, origin: str, path: str) -> bool:
        """Whether the view that begins now is one of those that get nothing.

        One in each block of `control_share` views of a page, at a place that a hash chooses: that
        is as fair as chance, and two hundred views hold five of them at the least. A page's first
        half block has none, so that what it just learned is used before it is questioned.
        """
        share = self._options.control_share
        node = self.narrowest(origin, path)
        if node is None or share <= 0:
            return False
        block, place = divmod(node.turn, share)
        node.turn += 1
        chosen = crc32(f"{block} {origin}{path}".encode(errors="replace"))
        if not block:
            return place == share // 2 + chosen % (share - share // 2)
        return place == chosen % share

    def rows(self) -> Iterator[Row]:
        """The map, line by line, with what is sent, what is not, and why."""
        for node in self._nodes():
            chain = self._chain(node)
            for association in node.assets.values():
                yield self._row(node, chain, association)
        for page, asset, barred in self._rules.pinned():
            if barred:
                yield Row(page, asset, 0.0, 0.0, False, Standing.BARRED)
            else:
                yield Row(page, asset, 1.0, 0.0, True, Standing.PINNED)

    def _row(self, node: Node, chain: list[Node], association: Association) -> Row:
        target = association.asset.seen.target
        probability, why = self._standing(chain, node.origin, target)
        return Row(
            page=node.origin + (node.path or "/*"),
            asset=target,
            probability=probability,
            views=association.tries,
            sent=why in _SENT and node.usefulness() >= self._options.worth,
            why=why,
        )

    def _plan(self, node: Node, path: str) -> tuple[Candidate, ...]:
        chain = self._chain(node, path)
        found = []
        for target, asset in self.targets(node.origin, path).items():
            probability, why = self._standing(chain, node.origin, target)
            if why in _SENT:
                found.append(_candidate(asset, probability, why))
        found.sort(key=_by_probability)
        return tuple(found[: self._options.max_assets])

    def _chain(self, node: Node, path: str = "") -> list[Node]:
        """The node and those it borrows from, the narrowest first."""
        chain = [node]
        if node.level is Standing.PAGE and (pattern := pattern_of(path or node.path)):
            wider = self._patterns.peek(node.origin, pattern)
            chain += [wider] if wider else []
        if node.level is not Standing.SITE:
            site = self._sites.peek(node.origin, "")
            chain += [site] if site else []
        return chain

    def _standing(self, chain: list[Node], origin: str, target: str) -> tuple[float, Standing]:
        """How likely the asset is, and whether it is sent, judged from these nodes."""
        if self._rules.is_barred(origin, target):
            return 0.0, Standing.BARRED
        likely = self._options.likely
        why = Standing.UNLIKELY
        probability, useful, unconfirmed, size = 0.0, 1.0, False, 0
        for node in reversed(chain):
            association = node.assets.get(target)
            if association is None:
                probability /= node.fresh.tries + 1.0
                continue
            why = node.level
            if association.confirmed or node.voters.alone:
                probability = (association.hits + probability) / (association.tries + 1.0)
            else:
                unconfirmed = True
                probability /= association.tries + 1.0
            useful, size = association.usefulness(), association.asset.seen.size
        if probability < likely:
            return probability, Standing.UNCONFIRMED if unconfirmed else Standing.UNLIKELY
        if probability * useful < likely:
            return probability, Standing.WASTED
        # What a hit saves is a round trip, what a miss costs is the asset's bytes; at `break_even`
        # bytes the two are equal, so odds of one to one will do.
        if probability * self._options.break_even < (1.0 - probability) * size:
            return probability, Standing.TOO_LARGE
        return probability, why

    def _with_pins(
        self, plan: tuple[Candidate, ...], origin: str, pinned: dict[str, None]
    ) -> tuple[Candidate, ...]:
        found = [
            _candidate(self.asset(origin, target) or _unseen(target), 1.0, Standing.PINNED)
            for target in pinned
            if not self._rules.is_barred(origin, target)
        ]
        return (*found, *(candidate for candidate in plan if candidate.target not in pinned))

    # Learning

    def fold(self, vote: Vote) -> bool:
        """Counts a vote. False if it does not count: its voter had a turn, or nothing is in it."""
        counted = False
        if vote.rendered:
            for node in self._nodes_for(vote):
                if _admits(node, vote):
                    counted = True
                    self._count(node, vote)
                self._shelf(node.level).touch(node)
        if vote.worth is not None:
            counted |= self._judge(vote, vote.worth)
        self._make_room()
        if counted:
            self._changed()
        return counted

    def remove(self, removal: Removal) -> bool:
        """Forgets an asset everywhere. False if it was not known."""
        asset = self.asset(removal.origin, removal.target)
        if asset is None:
            return False
        for node in self._nodes():
            if node.origin == removal.origin and removal.target in node.assets:
                self._drop(node, removal.target)
        self._changed()
        return True

    def _nodes_for(self, vote: Vote) -> list[Node]:
        """The page, its pattern and its origin; made where they are new and there is a reason."""
        wanted = [(self._pages, vote.path), (self._sites, "")]
        if pattern := pattern_of(vote.path):
            wanted.insert(1, (self._patterns, pattern))
        nodes = []
        for shelf, path in wanted:
            node = shelf.peek(vote.origin, path)
            if node is None and vote.asked:
                node = Node(vote.origin, path, shelf.level)
                self.bytes += node.bytes
                self._changed()
            if node is not None:
                nodes.append(node)
        return nodes

    def _count(self, node: Node, vote: Vote) -> None:
        backs_off = node.level is not Standing.PAGE
        page = hash(vote.path) if backs_off else 0
        asked = {seen.target for seen in vote.asked}
        # Known ones first: a vote must not displace what it is about to confirm.
        for seen in sorted(vote.asked, key=lambda seen: seen.target not in node.assets):
            self._wanted(node, seen, vote, page)
        memory = self._options.memory
        if not vote.partial:
            self._missed(node, asked.union(vote.held), page)
        for useful, targets in ((True, vote.used), (False, vote.wasted)):
            for target in targets:
                if known := node.assets.get(target):
                    known.delivered(useful, memory)
        node.views += 0.0 if vote.continues else 1.0
        if vote.fresh:
            node.fresh.add(1.0, memory)
        self._replace_old_versions(node, asked, vote.held)

    def _missed(self, node: Node, passed: set[str], page: int) -> None:
        memory, misses = self._options.memory, self._options.misses
        for target, association in node.assets.items():
            if target not in passed and not (page and association.last == page):
                association.missed(memory, misses)
                association.last = page

    def _wanted(self, node: Node, seen: Sighting, vote: Vote, page: int) -> None:
        association = node.assets.get(seen.target)
        if association is None:
            association = self._associate(node, seen, vote.voter, _doubt(node, vote))
        elif page and association.last == page:
            # A pattern and an origin count pages, not views: what they are asked is whether the
            # next page, one never seen, will need the asset.
            association.last = page
            if vote.voter != association.first:
                association.confirmed = True
            return
        if association is not None:
            association.wanted(vote.voter, self._options.memory)
            association.last = page
            association.asset.see(seen)
            if association.asset.asker != vote.voter:
                association.asset.asker = 0

    def _associate(
        self, node: Node, seen: Sighting, voter: int, doubt: float
    ) -> Association | None:
        """A new association, or None where all places are taken by likely ones."""
        if len(node.assets) >= self._options.max_assets and not self._displace(node):
            return None
        key = hash((node.origin, seen.target))
        asset = self._assets.get(key)
        if asset is None:
            asset = self._assets[key] = Asset(key, seen, voter)
        asset.uses += 1
        association = Association(asset, voter, doubt)
        node.assets[asset.seen.target] = association
        self.bytes += ASSOCIATION_BYTES + len(seen.target)
        return association

    def _displace(self, node: Node) -> bool:
        """Drops the least likely association, if there is an unlikely one."""
        weakest = min(node.assets.values(), key=_strength)
        if _strength(weakest) >= self._options.likely:
            return False
        self._drop(node, weakest.asset.seen.target)
        return True

    def _replace_old_versions(self, node: Node, asked: set[str], held: tuple[str, ...]) -> None:
        """A changed fingerprint: the new file name takes over what the old one's views said.

        Two that are asked for in one view are no versions of each other, nor are more than two.
        """
        for target in asked:
            new = node.assets.get(target)
            if new is None or not new.asset.stem or not (new.confirmed or node.voters.alone):
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
        self._drop(node, old.asset.seen.target)

    def _judge(self, vote: Vote, worth: float) -> bool:
        """Only the page itself is judged: what is waste with one may be right with the next."""
        node = self._pages.peek(vote.origin, vote.path)
        if node is None:
            node = Node(vote.origin, vote.path, Standing.PAGE)
            self.bytes += node.bytes
        self._pages.touch(node)
        if not node.critics.admit(vote.voter, vote.time):
            return False
        node.used.add(worth, self._options.memory)
        return True

    def _changed(self) -> None:
        self._plans.clear()
        self._paths = None
        self._no_pages.clear()

    # Forgetting

    def _make_room(self) -> None:
        for shelf in (self._pages, self._patterns, self._sites):
            while shelf.full:
                self._forget(shelf, shelf.oldest())
        while self.bytes > self._budget and len(self._pages) > 1:
            self._forget(self._pages, self._pages.oldest())
        while self.bytes > self._budget and len(self._patterns):
            self._forget(self._patterns, self._patterns.oldest())

    def _forget(self, shelf: Shelf, node: Node) -> None:
        for target in list(node.assets):
            self._drop(node, target)
        self.bytes -= node.bytes
        shelf.remove(node)

    def _drop(self, node: Node, target: str) -> None:
        asset = node.assets.pop(target).asset
        self.bytes -= ASSOCIATION_BYTES + len(target)
        asset.uses -= 1
        if not asset.uses:
            del self._assets[asset.key]

    def forget(self, page: str) -> bool:
        """Forgets a page, given as a path or as a whole URL. False if it was not known."""
        wanted = path_of(page)
        known = [n for n in self._pages if wanted in (n.path, n.origin + n.path)]
        for node in known:
            self._forget(self._pages, node)
        pinned = self._rules.forget(wanted)
        self._changed()
        return bool(known) or pinned

    # The operator

    def obey(self, rule: Rule) -> None:
        """Takes the operator's word.

        Raises:
            ConfigurationError: The asset is no URL that can be sent ahead.
        """
        self._rules.obey(rule)
        self._changed()

    # Records

    def export(self) -> Iterator[PageRecord | Rule]:
        """All that is known, for a restart or another machine."""
        for node in self._nodes():
            yield record_of(node)
        yield from self._rules.export()

    def load(self, record: PageRecord) -> None:
        """Adds a page's counts to what is known of it. What may not be learned is left out."""
        shelf = self._shelf(record.level)
        node = shelf.peek(record.origin, record.path)
        if node is None:
            node = Node(record.origin, record.path, shelf.level)
            self.bytes += node.bytes
        take_record(node, record, self._options.memory)
        for tally in record.assets:
            self._load_tally(node, tally)
        shelf.touch(node)
        self._changed()
        self._make_room()

    def _load_tally(self, node: Node, tally: Tally) -> None:
        target = tally.asset.target
        if bad_target(target, self._options.max_url):
            return
        association = node.assets.get(target) or self._associate(
            node, tally.asset, tally.first, 0.0
        )
        if association is not None:
            take_tally(association, tally, self._options.memory)

    def _nodes(self) -> list[Node]:
        return [*self._pages, *self._patterns, *self._sites]

    def _shelf(self, level: Standing) -> Shelf:
        if level is Standing.PATTERN:
            return self._patterns
        return self._sites if level is Standing.SITE else self._pages


_SENT = frozenset((Standing.PINNED, Standing.PAGE, Standing.PATTERN, Standing.SITE))


def _by_probability(candidate: Candidate) -> float:
    return -candidate.probability


def _strength(association: Association) -> float:
    strength = association.estimate(0.0)
    return strength if association.confirmed else strength / 2


def _unseen(target: str) -> Asset:
    """A pinned asset that nobody asked for yet; that it may be hinted is the operator's word."""
    kind = kind_of_path(target)
    assert kind is not None, "pin() takes only what has a kind"
    return Asset(0, Sighting(target, kind, verified=True))


def _candidate(asset: Asset, probability: float, why: Standing) -> Candidate:
    return Candidate(asset.seen, probability, why, asset.key)


def _admits(node: Node, vote: Vote) -> bool:
    if vote.continues:
        return vote.voter in node.voters.recent
    return node.voters.admit(vote.voter, vote.time)


def _doubt(node: Node, vote: Vote) -> float:
    """Views held against a new association from the start.

    Earlier views of the page did without it, and one page says nothing of the next: one. A page's
    first view has nothing before it: none, so its next view gets its assets.
    """
    before = node.views - 1.0 if vote.continues else node.views
    return 1.0 if before > 0.0 or node.level is not Standing.PAGE else 0.0
