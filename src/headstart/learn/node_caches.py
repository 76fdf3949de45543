"""The nodes of the map: pages, their patterns, and their origins, each kind in a cache of its own.

Pure. `model.Map` adds and removes nodes; `listing` and `control` read them.
"""

from __future__ import annotations

from collections.abc import Iterator

from headstart.learn.nodes import Level, Node, NodeCache
from headstart.learn.options import LearnOptions
from headstart.learn.urls import pattern_of


class NodeCaches:
    """All nodes of a map.

    Attributes:
        pages, patterns, sites: The caches.
    """

    __slots__ = ("pages", "patterns", "sites")

    def __init__(self, options: LearnOptions) -> None:
        self.pages = NodeCache(Level.PAGE, options.max_pages)
        self.patterns = NodeCache(Level.PATTERN, options.max_patterns)
        self.sites = NodeCache(Level.SITE, options.max_sites)

    def __iter__(self) -> Iterator[Node]:
        yield from [*self.pages, *self.patterns, *self.sites]

    def of(self, level: Level) -> NodeCache:
        """Return the cache of a level."""
        if level is Level.PATTERN:
            return self.patterns
        return self.sites if level is Level.SITE else self.pages

    def named(self, origin: str, path: str) -> Node | None:
        """Return the node that an operator names.

        Args:
            origin: The origin.
            path: Of the page; `/product/*` stands for similar pages, `/*` for the whole site.
        """
        if path == "/*":
            return self.sites.peek(origin, "")
        return self.pages.peek(origin, path) or self.patterns.peek(origin, path)

    def narrowest(self, origin: str, path: str) -> Node | None:
        """Return the page; its pattern if it is unknown; its origin if that is unknown, too."""
        node = self.pages.peek(origin, path)
        if node is not None:
            return node
        pattern = pattern_of(path)
        node = self.patterns.peek(origin, pattern) if pattern else None
        return node or self.sites.peek(origin, "")

    def chain_of(self, node: Node, path: str = "") -> list[Node]:
        """Return the node and those it borrows from, the narrowest first."""
        chain = [node]
        if node.level is Level.PAGE and (pattern := pattern_of(path or node.path)):
            wider = self.patterns.peek(node.origin, pattern)
            chain += [wider] if wider else []
        if node.level is not Level.SITE:
            site = self.sites.peek(node.origin, "")
            chain += [site] if site else []
        return chain
