"""The map as an operator sees it: lines, pages and origins.

Pure: reads the map's nodes and the operator's orders. Owned by `model.Map`, asked by `learner`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headstart.learn.judging import SENT, alternatives_among, judgement_of
from headstart.learn.node_caches import NodeCaches
from headstart.learn.nodes import Judgement, Level, Node
from headstart.learn.options import LearnOptions
from headstart.learn.rules import Rules, path_alone


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the map as an operator sees it.

    Attributes:
        page: Its whole URL; `/product/*` stands for similar pages, `/*` for the whole site.
        asset: Its path and query.
        probability: That a client which lacks it asks for it.
        views: Those that count.
        sent: It is sent ahead with the page.
        why: The reason.
        slower: It would be sent, but the page gets nothing because that costs time.
    """

    page: str
    asset: str
    probability: float
    views: float
    sent: bool
    why: Judgement
    slower: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A page, or similar pages, in the list of a site's pages.

    Attributes:
        page: Its whole URL; `/product/*` stands for similar pages, `/*` for the whole site. A path
            if only a pin for every origin names it.
        views: Its counted views, faded as `--learn-memory` says.
        assets: The number of assets that are known with it.
        sent, useful: Judged views with deliveries, and those that were of use.
    """

    page: str
    views: float
    assets: int
    sent: float
    useful: float


class MapListing:
    """The lines of a map.

    Args:
        nodes: The map's.
        rules: The operator's orders.
        options: The learner's.
        is_stopped: Tells whether the page at an origin and a path gets nothing ahead.
    """

    __slots__ = ("_is_stopped", "_nodes", "_options", "_rules")

    def __init__(
        self,
        nodes: NodeCaches,
        rules: Rules,
        options: LearnOptions,
        is_stopped: Callable[[str, str], bool],
    ) -> None:
        self._nodes = nodes
        self._rules = rules
        self._options = options
        self._is_stopped = is_stopped

    def rows(self) -> Iterator[Row]:
        """Return the map, line by line, with the decision on each asset and its reason."""
        for node in self._nodes:
            yield from self._rows_of(node)
        for page, asset, barred in self._rules.pinned():
            yield _pinned_row(page, asset, barred=barred)

    def rows_at(self, origin: str, path: str) -> Iterator[Row]:
        """Return the lines of one page of an origin, or of similar pages, and its pins.

        Args:
            origin: The origin, with which a pin for every origin is meant as well.
            path: Of the page; `/product/*` stands for similar pages, `/*` for the whole site.
        """
        node = self._nodes.named(origin, path)
        if node is not None:
            yield from self._rows_of(node)
        for page, asset, barred in self._rules.pinned():
            if page in (path, origin + path):
                yield _pinned_row(page, asset, barred=barred)

    def knows_exactly(self, origin: str, path: str) -> bool:
        """Return true if rows or pins are kept of this page, or of these similar pages."""
        if self._nodes.named(origin, path) is not None:
            return True
        return path in self._rules.pins or origin + path in self._rules.pins

    def origins(self) -> list[str]:
        """Return the origins of which anything is known or pinned, in order."""
        found = {node.origin for node in self._nodes}
        found.update(page[: -len(path_alone(page))] for page in self._rules.pins)
        return sorted(found - {""})

    def entries(
        self, origin: str, text: str = "", start: int = 0, most: int = 50
    ) -> tuple[int, list[Entry]]:
        """Return a part of the list of an origin's pages, most views first.

        The whole site comes last, and behind it pages that only a pin names. The work is that of
        comparing the path of each page.

        Args:
            origin: The origin.
            text: Only pages whose path has this text, in upper or lower case.
            start: The first entry to return.
            most: The number of entries to return.

        Returns:
            The number of all pages with the text, and the entries.
        """
        wanted = text.casefold()
        nodes = [
            node
            for node in self._nodes
            if node.origin == origin and wanted in (node.path or "/*").casefold()
        ]
        nodes.sort(key=lambda node: (node.level is Level.SITE, -node.views, node.path))
        pins: dict[str, int] = {}
        for page, assets in self._rules.pins.items():
            path = path_alone(page)
            if page not in (path, origin + path) or wanted not in path.casefold():
                continue
            if self._nodes.named(origin, path) is None:
                pins[path] = pins.get(path, 0) + len(assets)
        found = [_entry(node) for node in nodes[start : start + most]]
        later = list(pins.items())[max(start - len(nodes), 0) :]
        found += [Entry(origin + path, 0.0, n, 0.0, 0.0) for path, n in later[: most - len(found)]]
        return len(nodes) + len(pins), found

    def _rows_of(self, node: Node) -> Iterator[Row]:
        chain = self._nodes.chain_of(node)
        judged = [(target, *self._judgement(chain, node.origin, target)) for target in node.assets]
        refused = alternatives_among(node, [each for each in judged if each[2] in SENT])
        worth = node.usefulness() >= self._options.worth
        stopped = self._is_stopped(node.origin, node.path)
        for target, probability, why in judged:
            judgement = Judgement.VERSION if target in refused else why
            likely = judgement in SENT
            yield Row(
                page=node.origin + (node.path or "/*"),
                asset=target,
                probability=probability,
                views=node.assets[target].tries,
                sent=likely and not stopped and worth,
                why=judgement,
                slower=likely and stopped,
            )

    def _judgement(self, chain: list[Node], origin: str, target: str) -> tuple[float, Judgement]:
        """How likely the asset is, and whether it is sent, judged from these nodes."""
        if self._rules.is_barred(origin, target):
            return 0.0, Judgement.BARRED
        return judgement_of(target, chain, self._options)


def _entry(node: Node) -> Entry:
    page = node.origin + (node.path or "/*")
    return Entry(page, node.views, len(node.assets), node.used.tries, node.used.hits)


def _pinned_row(page: str, asset: str, *, barred: bool) -> Row:
    if barred:
        return Row(page, asset, 0.0, 0.0, False, Judgement.BARRED)
    return Row(page, asset, 1.0, 0.0, True, Judgement.PINNED)
