"""The map: page → asset. Pages borrow from their pattern, and patterns from their origin.

Pure: votes in, candidates out. `learner` folds votes into it and asks it for candidates; the
    store's
records go in and out through `learner`.

The probability of an asset: for each of origin, pattern and page, from the widest to the narrowest,
the share of views in which it was requested, with the wider one's probability counted as one view
more: `(asked + wider) / (views + 1)`. One view of a page is thus enough (one half or more), a new
page has the probabilities of its pattern or its origin, and each further view weighs against both.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Mapping
from dataclasses import dataclass

from headstart.learn.control import ControlViews
from headstart.learn.counting import AssetTable, VoteCounter
from headstart.learn.counts import Asset, SeenAsset
from headstart.learn.gains import Durations, Gain, Metric, Stop
from headstart.learn.listing import MapListing
from headstart.learn.named import Named, OtherOrigin
from headstart.learn.naming import first_candidate, fold_reading, is_named
from headstart.learn.node_caches import NodeCaches
from headstart.learn.nodes import Candidate, Judgement, Level, Node, NodeCache
from headstart.learn.options import LearnOptions
from headstart.learn.plans import Plans, candidate_of
from headstart.learn.records import (
    PageRecord,
    Reading,
    Removal,
    Report,
    Rule,
    Sighting,
    SiteIcon,
    Tally,
    Vote,
)
from headstart.learn.rules import Rules
from headstart.learn.safety import bad_target, kind_of_path
from headstart.learn.tallies import (
    merge,
    naming_of,
    record_of,
    segments_of,
    take_cooccurrence,
    take_record,
    take_tally,
)
from headstart.learn.urls import path_of, pattern_of

# The map's part of the bytes that the learner may take; the rest is for clients and live views, for
# the paths below, and for what the middleware remembers of each connection. Plans have a part of
# their own, and what the rest of the map leaves free.
_PART = 0.74
_PLANS_PART = 0.03
# Paths that are kept as no page's: so many, of so many octets.
_REMEMBERED = 512
_REMEMBERED_LENGTH = 128
_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class MapSize:
    """How much the map holds.

    Attributes:
        pages: Pages, without patterns and sites.
        assets: Assets of any page.
        bytes: About the memory that it takes.
    """

    pages: int
    assets: int
    bytes: int


class Map:
    """All associations, bounded in number and in bytes.

    Attributes:
        asset: Returns the asset at an origin's target, or None.
        nodes: The pages, patterns and origins.
        control: Chooses the views that get nothing.
        listing: The map as an operator sees it.
    """

    def __init__(self, options: LearnOptions) -> None:
        self._options = options
        self.nodes = NodeCaches(options)
        self._pages, self._patterns = self.nodes.pages, self.nodes.patterns
        self._sites = self.nodes.sites
        self._assets = AssetTable(options)
        self.asset = self._assets.get
        self._counter = VoteCounter(options, self._assets)
        self._rules = Rules(options.max_url)
        # The same dict: it is looked into for each page.
        self._pins = self._rules.pins
        self.control = ControlViews(self.nodes, options)
        self.listing = MapListing(self.nodes, self._rules, options, self.is_stopped)
        self._budget = int(options.max_bytes * _PART)
        self._least_for_plans = int(options.max_bytes * _PLANS_PART)
        self._plans = Plans(options, self._rules, self._assets)
        # The pages and patterns with each path, of all origins, and the paths with pins.
        self._paths: dict[str, int] = {}
        self._pinned = frozenset[str]()
        # Some paths that are of no page and like none, as they came, while no node comes.
        self._no_pages: dict[bytes, None] = {}
        self._node_bytes = 0

    @property
    def size(self) -> int:
        """About the bytes that nodes and associations take."""
        return self._node_bytes + self._assets.bytes

    def measured(self) -> MapSize:
        """Return how much it holds."""
        return MapSize(len(self._pages), len(self._assets), self.size)

    # Asking

    def nodes_of(self, origin: str, path: str) -> list[Node]:
        """Return the nodes whose assets a page might be sent, the narrowest first."""
        node = self.nodes.narrowest(origin, path)
        return self.nodes.chain_of(node, path) if node else []

    def knows_page(self, origin: str, path: str) -> bool:
        """Return true if this page, or another that matches its pattern, has been seen."""
        if self._pages.peek(origin, path) is not None or path in self._pins:
            return True
        pattern = pattern_of(path)
        return bool(pattern) and self._patterns.peek(origin, pattern) is not None

    @property
    def no_pages(self) -> KeysView[bytes]:
        """Paths that `knows_path` found not to be a page's, as they stand at any time."""
        return self._no_pages.keys()

    def knows_path(self, path: bytes) -> bool:
        """Return true if a page of any origin has this path, or a similar one."""
        text = str(path, "latin-1")
        for each in (text, pattern_of(text)):
            if each in self._paths or each in self._pinned:
                return True
        if len(path) <= _REMEMBERED_LENGTH:
            if len(self._no_pages) >= _REMEMBERED:
                self._no_pages.clear()
            self._no_pages[path] = None
        return False

    def asset_with(self, key: int) -> Asset | None:
        """Return the asset with this key, or None."""
        return self._assets.with_key(key)

    def see(self, asset: Asset, seen: SeenAsset) -> None:
        """Take an asset as it was seen now."""
        self._assets.see(asset, seen)
        self._plans.changed()

    def take(self, sighting: Sighting) -> None:
        """Take an asset as another worker saw it; one that is not known is left out."""
        known = self.asset(sighting.origin, sighting.asset.target)
        if known is not None:
            self.see(known, sighting.asset)

    def candidates(
        self, origin: str, path: str, segment: int | None = None
    ) -> tuple[Candidate, ...]:
        """Return the assets to send with this page, the likeliest first.

        Args:
            origin, path: The page.
            segment: Of the view, or None for all views.
        """
        node = self.nodes.narrowest(origin, path)
        pins = self._pins
        pinned = pins and (pins.get(path) or pins.get(origin + path))
        if node is None:
            return self._with_pins((), origin, pinned) if pinned else ()
        if not node.segmented:
            segment = None
        plan = self._plans.known(node, segment)
        if plan is None:
            plan = self._plans.of(self.nodes.chain_of(node, path), segment)
        return self._with_pins(plan, origin, pinned) if pinned else plan

    def holds_personal(self) -> bool:
        """Return true if any asset was asked for with personal pages only."""
        return self._assets.personal > 0

    def is_waste(self, origin: str, path: str) -> bool:
        """Return true if most assets sent with this page are not used."""
        node = self.nodes.narrowest(origin, path)
        return node is not None and node.usefulness() < self._options.worth

    def _with_pins(
        self, plan: tuple[Candidate, ...], origin: str, pinned: dict[str, None]
    ) -> tuple[Candidate, ...]:
        found = [
            candidate_of(self.asset(origin, target) or _unseen(target), 1.0, Judgement.PINNED)
            for target in pinned
            if not self._rules.is_barred(origin, target)
        ]
        return (*found, *(candidate for candidate in plan if candidate.target not in pinned))

    # Learning

    def is_personal(self, origin: str, path: str) -> bool:
        """Return true if the page may be one that single users alone are allowed to read."""
        page = self._pages.peek(origin, path)
        return page is not None and page.personal

    def fold(self, vote: Vote) -> bool:
        """Count a vote.

        Returns:
            False if it does not count: its voter had a turn, nothing is in it, or its page was
            forgotten since.
        """
        if self._rules.is_forgotten(vote.origin, vote.path, vote.time):
            return False
        counted = False
        if vote.rendered:
            nodes = self._nodes_for(vote)
            if nodes and nodes[0].level is Level.PAGE:
                page = nodes[0]
                page.personal = vote.personal and (page.personal or page.unseen)
            admitting = [node for node in nodes if _admits(node, vote)]
            self._counter.count(admitting, vote)
            counted = bool(admitting)
            for node in nodes:
                self.nodes.of(node.level).touch(node)
        if vote.worth is not None:
            counted |= self._judge(vote, vote.worth)
        self._make_room()
        if counted:
            self._plans.changed()
        return counted

    def measure(self, vote: Vote) -> bool:
        """Take how long a view took. Return false if that does not count, as `fold` does."""
        if vote.blocking is None and vote.loaded is None:
            return False
        seconds = {Metric.BLOCKING: vote.blocking, Metric.LOADED: vote.loaded}
        return self._measure(vote, seconds, reported=False)

    def report(self, report: Report) -> bool:
        """Take how soon a browser showed a page. Return false if that does not count.

        It does not if its voter had a turn, or if the page is not known.
        """
        if self._pages.peek(report.origin, report.path) is None:
            return False
        seconds = {Metric.FCP: report.fcp, Metric.LCP: report.lcp, Metric.LOAD: report.load}
        return self._measure(report, seconds, reported=True)

    def _measure(
        self, said: Vote | Report, seconds: Mapping[Metric, float | None], *, reported: bool
    ) -> bool:
        found = {metric: value for metric, value in seconds.items() if value is not None}
        if not found or self._rules.is_forgotten(said.origin, said.path, said.time):
            return False
        counted = False
        for node in self._measured_nodes(said.origin, said.path):
            durations = node.durations
            before = durations.bytes if durations is not None else 0
            durations = node.durations = durations or Durations()
            counted |= durations.add(
                found, said.voter, said.time, control=said.control, reported=reported
            )
            self._node_bytes += durations.bytes - before
        return counted

    def _measured_nodes(self, origin: str, path: str) -> list[Node]:
        """Return the page, if it is known, and its site.

        A stopped page has its share of the site's control views no more, so it is left out there.
        """
        page, site = self._pages.peek(origin, path), self._sites.peek(origin, "")
        if page is not None and page.stopped:
            return [page]
        return [node for node in (page, site) if node is not None]

    def judge_gain(self, vote: Vote) -> Stop | None:
        """Stop the vote's page, or let it go on, if its gain says so; return what was decided.

        Called after `measure`. Only a view of the rarer sort makes the gain a new one: a control
        view, or of a stopped page one that got something.
        """
        page = self._pages.peek(vote.origin, vote.path)
        if page is None or page.durations is None or vote.control == page.stopped:
            return None
        found = page.durations.recovery() if page.stopped else page.durations.loss()
        if found is None:
            return None
        low, high = sorted((abs(found.low), abs(found.high)))
        stop = Stop(
            vote.time, page.origin, page.path, not page.stopped, abs(found.seconds), low, high
        )
        self.stop(stop)
        return stop

    def stop(self, stop: Stop) -> None:
        """Send nothing ahead of a page any more, or again, unless that is so already."""
        page = self._pages.peek(stop.origin, stop.path)
        if page is None or page.stopped == stop.stopped:
            return
        if page.stop is not None and page.stop.time > stop.time:
            return
        self._node_bytes -= page.bytes
        # The lot means the opposite from here on, so all views are measured anew.
        page.stop, page.durations = stop, None
        self._node_bytes += page.bytes

    def is_stopped(self, origin: str, path: str) -> bool:
        """Return true if a page gets nothing ahead because that costs time.

        One that the operator pinned an asset to goes on.
        """
        page = self._pages.peek(origin, path)
        if page is None or not page.stopped:
            return False
        return path not in self._pins and origin + path not in self._pins

    def gain(self, origin: str, path: str) -> Gain | None:
        """Return what delivering gains on a page, or a site for a path ""; None if unmeasured."""
        node = (self._pages if path else self._sites).peek(origin, path)
        return _gain_of(node) if node is not None else None

    def gains(self) -> Iterator[Gain]:
        """Yield the gains of all sites and pages that were measured."""
        found = map(_gain_of, (*self._sites, *self._pages))
        yield from (gain for gain in found if gain is not None)

    def read(self, reading: Reading) -> None:
        """Take the assets that a page's own HTML names, unless the page was forgotten since."""
        origin, path = reading.origin, reading.path
        if self._rules.is_forgotten(origin, path, reading.time):
            return
        node = self._pages.peek(origin, path)
        if node is None:
            if not reading.named and not reading.others:
                return
            node = self._new_node(origin, path, Level.PAGE)
        self._node_bytes -= node.bytes
        fold_reading(
            reading, node, self._sites.peek(origin, ""), self._assets, self._options.max_url
        )
        self._node_bytes += node.bytes
        self._pages.touch(node)
        self._make_room()
        self._plans.changed()

    def is_read(self, origin: str, path: str) -> bool:
        """Return whether a page's HTML was read, and since the last deployment that was seen."""
        node, site = self._pages.peek(origin, path), self._sites.peek(origin, "")
        return node is not None and node.read > (site.dropped if site is not None else 0.0)

    def first_candidate(
        self, origin: str, path: str, named: Named, *, credentials: bool
    ) -> Candidate | None:
        """Return an asset of which the page knew nothing before its HTML named it now, or None."""
        node = self._pages.peek(origin, path)
        target = named.target
        if node is not None and target in node.assets:
            return None
        if bad_target(target, self._options.max_url) or self._rules.is_barred(origin, target):
            return None
        return first_candidate(named, self.asset(origin, target), origin, credentials=credentials)

    def names(self, origin: str, path: str, target: str) -> bool:
        """Return whether a page's HTML names an asset."""
        node = self._pages.peek(origin, path)
        return node is not None and is_named(node.assets.get(target))

    def others(self, origin: str, path: str) -> tuple[OtherOrigin, ...]:
        """Return the other origins that a page loads from, as the copies of two voters say."""
        node = self._pages.peek(origin, path)
        others = node.others if node is not None else {}
        return tuple(other for other, namer in others.items() if not namer)

    def remove(self, removal: Removal | SiteIcon) -> bool:
        """Forget an asset everywhere, an icon but where a page's HTML names it as its own image.

        Returns:
            False if it was not known.
        """
        asset = self.asset(removal.origin, removal.target)
        if asset is None:
            return False
        is_icon = isinstance(removal, SiteIcon)
        for node in list(self.nodes):
            if node.origin == removal.origin and removal.target in node.assets:
                if is_icon and is_named(node.assets[removal.target]):
                    continue
                self._assets.drop(node, removal.target)
                node.changed()
        self._plans.changed()
        return True

    def _nodes_for(self, vote: Vote) -> list[Node]:
        """Return the page, its pattern and its origin; make new ones if there is a reason."""
        origin, pattern = vote.origin, pattern_of(vote.path)
        nodes = []
        for cache, path in (
            (self._pages, vote.path),
            (self._patterns, pattern),
            (self._sites, ""),
        ):
            if cache is self._patterns and not pattern:
                continue
            node = cache.peek(origin, path)
            if node is None and vote.asked:
                node = self._new_node(origin, path, cache.level)
            if node is not None:
                nodes.append(node)
        return nodes

    def _judge(self, vote: Vote, worth: float) -> bool:
        """Judge the page itself only: waste with one page may be right with the next."""
        node = self._pages.peek(vote.origin, vote.path)
        if node is None:
            node = self._new_node(vote.origin, vote.path, Level.PAGE)
        self._pages.touch(node)
        if not node.critics.admit(vote.voter, vote.time):
            return False
        node.used.add(worth, self._options.memory)
        return True

    def _new_node(self, origin: str, path: str, level: Level) -> Node:
        node = Node(origin, path, level)
        self._node_bytes += node.bytes
        if level is not Level.SITE:
            self._paths[path] = self._paths.get(path, 0) + 1
            self._no_pages.clear()
        return node

    def _forget_path(self, node: Node) -> None:
        """Take that a node goes; others may have its path."""
        if node.level is not Level.SITE:
            self._paths[node.path] -= 1
            if not self._paths[node.path]:
                del self._paths[node.path]

    def _read_pins(self) -> None:
        """Look anew for which pages have pins: the operator has said something."""
        self._pinned = frozenset(self._rules.paths())
        self._no_pages.clear()

    # Forgetting

    def _make_room(self) -> None:
        for cache in (self._pages, self._patterns, self._sites):
            while cache.full:
                self._forget(cache, cache.oldest())
        free = self._budget - self.size
        if free < 0:
            self._forget_oldest()
            free = max(self._budget - self.size, 0)
        self._plans.make_room(free + self._least_for_plans)

    def _forget_oldest(self) -> None:
        """Forget pages, and then patterns, until the rest is within the bound."""
        while self.size > self._budget and len(self._pages) > 1:
            self._forget(self._pages, self._pages.oldest())
        while self.size > self._budget and len(self._patterns):
            self._forget(self._patterns, self._patterns.oldest())

    def _forget(self, cache: NodeCache, node: Node) -> None:
        for target in list(node.assets):
            self._assets.drop(node, target)
        self._node_bytes -= node.bytes
        cache.remove(node)
        self._plans.forget(node)
        self._forget_path(node)

    def forget(self, page: str, time: float) -> bool:
        """Forget a page and its earlier views. Return false if it was not known.

        Args:
            page: A path, or a whole URL.
            time: On the clock of `Vote.time`.
        """
        wanted = path_of(page)
        known = [n for n in self._pages if wanted in (n.path, n.origin + n.path)]
        for node in known:
            self._forget(self._pages, node)
        pinned = self._rules.forget(wanted, time)
        self._plans.changed()
        self._read_pins()
        return bool(known) or pinned

    # The operator

    def obey(self, rule: Rule) -> None:
        """Take an operator's order.

        Raises:
            ConfigurationError: The asset is not a URL that can be sent ahead.
        """
        self._rules.obey(rule)
        self._plans.clear()
        self._read_pins()

    # Records

    def export(self) -> Iterator[PageRecord | Rule]:
        """All that is known, for a restart or another machine."""
        for node in list(self.nodes):
            yield record_of(node)
        yield from self._rules.export()

    def load(self, record: PageRecord) -> None:
        """Add a record's counts to a page. Assets that may not be learned are left out."""
        cache = self.nodes.of(record.level)
        node = cache.peek(record.origin, record.path)
        if node is None:
            node = self._new_node(record.origin, record.path, cache.level)
        self._node_bytes -= node.bytes
        take_record(node, record, self._options.memory)
        self._node_bytes += node.bytes
        self._assets.split(node, record.segments)
        for tally in record.assets:
            self._load_tally(node, tally, record.segments)
        if node.level is Level.PAGE:
            take_cooccurrence(node, record)
        cache.touch(node)
        node.changed()
        self._assets.changes += 1
        self._plans.changed()
        self._make_room()

    def _load_tally(self, node: Node, tally: Tally, segments: int) -> None:
        target, memory = tally.asset.target, self._options.memory
        if bad_target(target, self._options.max_url):
            return
        is_new = self.asset(node.origin, target) is None
        association = node.assets.get(target) or self._assets.associate(
            node, tally.asset, tally.first, 0.0, answered=tally.answered, personal=tally.personal
        )
        if association is None:
            return
        take_tally(association, tally, memory)
        if is_new:
            association.asset.dropped = tally.dropped
        if not tally.personal:
            self._assets.publish(association.asset)
        if node.segmented:
            for each in segments_of(tally, segments):
                share = self._assets.share(association, each.segment)
                merge(share, each.views, each.asked, memory)
        naming = naming_of(tally)
        if naming is not None and association.naming is None:
            self._assets.set_naming(association, naming)
            self._assets.draw(association, association.hits, association.tries)
            association.asset.named |= not naming.namer


def _gain_of(node: Node) -> Gain | None:
    if node.durations is None and node.stop is None:
        return None
    return (node.durations or Durations()).gain(node.origin + node.path, node.stop)


def _unseen(target: str) -> Asset:
    """Return a pinned asset that nobody asked for yet; the operator vouches for it in a 103."""
    kind = kind_of_path(target)
    assert kind is not None, "pin() takes only what has a kind"
    return Asset(0, SeenAsset(target, kind, lifetime=_A_DAY, verified=True))


def _admits(node: Node, vote: Vote) -> bool:
    if vote.continues:
        return vote.voter in node.voters.recent
    return node.voters.admit(vote.voter, vote.time)
