"""Choose the views that get nothing, so that there is something to compare with.

Pure: reads the map's nodes, and counts their views. Owned by `model.Map`, asked by `learner`.
"""

from __future__ import annotations

from zlib import crc32

from headstart.learn.clients import WITH_QUERY
from headstart.learn.node_caches import NodeCaches
from headstart.learn.nodes import Node
from headstart.learn.options import LearnOptions

# After its first block, a page with likely alternatives has so many control views in a block.
_QUESTIONS = 4


class ControlViews:
    """The control views of all pages of a map."""

    __slots__ = ("_nodes", "_share")

    def __init__(self, nodes: NodeCaches, options: LearnOptions) -> None:
        self._nodes = nodes
        self._share = options.control_share

    def is_comparable(self, origin: str, path: str, segment: int = 0) -> bool:
        """Return true if the lot decides whether the view that begins now gets nothing.

        Early views of a page would all be delivered; see `is_control`.
        """
        share = self._share
        node = self._nodes.narrowest(origin, path)
        if node is None or node.unsettled or self._begins(node, segment):
            return False
        return 0 < share <= node.turn

    def _begins(self, node: Node, segment: int) -> bool:
        """Return true if a known page had views of phones only so far, or of others, and now not.

        Its assets may be others, and browsers ask for all that they are hinted. With a query in the
        URL they mostly are the same.
        """
        alike = 1 << segment | 1 << (segment ^ WITH_QUERY)
        return node.segments > 0 and not node.segments & alike

    def is_control(self, origin: str, path: str, segment: int = 0) -> bool:
        """Return true if the view that begins now is one of those that get nothing.

        One in each block of `control_share` views of a page, at a place that a hash chooses: that
        is as fair as chance, and two hundred views hold at least five of them. A page's first half
        block has none, so that new assets are used before they are questioned, unless there is
        something to settle: assets that may be alternatives, or that the page only borrows. The
        first view of a phone is one too.
        """
        share = self._share
        node = self._nodes.narrowest(origin, path)
        if node is None or share <= 0:
            return False
        block, place = divmod(node.turn, share)
        node.turn += 1
        if self._begins(node, segment):
            return True
        if node.unsettled and (
            node.turn - node.asked_at > share // _QUESTIONS if block else not node.asked_at
        ):
            node.asked_at = node.turn
            return True
        chosen = crc32(f"{block} {origin}{path}".encode(errors="replace"))
        if not block:
            return not node.asked_at and place == share // 2 + chosen % (share - share // 2)
        return place == chosen % share
