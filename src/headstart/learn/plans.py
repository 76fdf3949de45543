"""Each page's plan: the candidates to send with it, kept until something that they rest on changes.

A vote at one page costs no other page its plan. Each node has a version, and a plan knows those
that it was made from. That of a pattern or an origin grows with each vote as long as there are few,
and later with each eighth, because one vote then moves no share by more than a thirty-third.

Pure. `model` owns one, tells it of each change, and asks it for plans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

from headstart.learn.clients import SEGMENTS
from headstart.learn.counting import AssetTable
from headstart.learn.counts import Asset
from headstart.learn.judging import (
    SENT,
    alternatives_among,
    is_borrowing_untested,
    judge,
    layers_of,
    lent_by,
)
from headstart.learn.named import Named
from headstart.learn.nodes import Candidate, Judgement, Node
from headstart.learn.options import LearnOptions
from headstart.learn.rules import Rules

# What a candidate takes in a plan, in bytes; and a plan and what is lent, without their assets.
_CANDIDATE_BYTES = 120
_PLAN_BYTES = 400

_PROBABILITY = attrgetter("probability")
_LENDERS = 32
"""Patterns and origins of which it is kept what they lend: 0.4 MB at the most."""
_Basis: TypeAlias = tuple[int, ...]
"""The versions of what something was made from: the assets', then each node's."""


@dataclass(slots=True)
class _Plan:
    """A page's candidates.

    Attributes:
        time: The map's, when the plan was found to hold.
        basis: The versions that it was made from.
        candidates: The most likely first.
    """

    time: int
    basis: _Basis
    candidates: tuple[Candidate, ...]

    @property
    def bytes(self) -> int:
        """Return about its size in memory."""
        return _PLAN_BYTES + _CANDIDATE_BYTES * len(self.candidates)


class Plans:
    """The plans of pages, as many as there is room for; the least recently used goes first.

    Attributes:
        bytes: About the bytes that they take.
    """

    def __init__(self, options: LearnOptions, rules: Rules, assets: AssetTable) -> None:
        self._options = options
        self._rules = rules
        self._assets = assets
        self._plans: dict[tuple[Node, int | None], _Plan] = {}
        self._lent: dict[Node, tuple[_Basis, tuple[tuple[str, float], ...]]] = {}
        self.bytes = 0
        self._room = options.max_bytes
        self._time = 0

    def changed(self) -> None:
        """Record a change of the map; versions show where."""
        self._time += 1

    def forget(self, node: Node) -> None:
        """Drop the plans made from a removed node."""
        self._lent.pop(node, None)
        for segment in (None, *range(SEGMENTS)):
            if (plan := self._plans.pop((node, segment), None)) is not None:
                self.bytes -= plan.bytes

    def clear(self) -> None:
        """Drop all plans: a rule has changed."""
        self._plans.clear()
        self.bytes = 0

    def make_room(self, room: int) -> None:
        """Take no more than so many bytes from now on."""
        self._room = room
        while self.bytes > room and self._plans:
            self.bytes -= self._plans.pop(next(iter(self._plans))).bytes

    def known(self, node: Node, segment: int | None) -> tuple[Candidate, ...] | None:
        """Return a page's candidates if nothing at all has changed since they were looked up."""
        plan = self._plans.get((node, segment))
        return plan.candidates if plan is not None and plan.time == self._time else None

    def of(self, chain: Sequence[Node], segment: int | None) -> tuple[Candidate, ...]:
        """Return a page's candidates.

        Args:
            chain: The page and the nodes that it borrows from, the narrowest first.
            segment: Of the view, or None for all views.
        """
        node, wider = chain[0], [node.lent for node in chain[1:]]
        basis = (self._assets.changes, node.version, *wider)
        key = (node, segment)
        plan = self._plans.pop(key, None)
        if plan is not None and plan.basis == basis:
            plan.time = self._time
            self._plans[key] = plan
            return plan.candidates
        if plan is not None:
            self.bytes -= plan.bytes
        candidates = tuple(self._made(chain, segment))
        plan = self._plans[key] = _Plan(self._time, basis, candidates)
        self.bytes += plan.bytes
        if self.bytes > self._room:
            self.make_room(self._room)
        return candidates

    def _made(self, chain: Sequence[Node], segment: int | None) -> list[Candidate]:
        page, options, layers = chain[0], self._options, layers_of(chain)
        targets, rules, likely = self._targets(chain), self._rules, []
        if rules.bars:
            targets = [each for each in targets if not rules.is_barred(page.origin, each)]
        for target in targets:
            probability, why = judge(target, page, layers, options, segment)
            if why in SENT:
                likely.append((target, probability, why))
        refused = alternatives_among(page, likely)
        page.unsettled = bool(refused) or is_borrowing_untested(page, likely)
        found = []
        for target, probability, why in likely:
            if target not in refused:
                own = page.assets.get(target)
                asset = own.asset if own is not None else self._assets.get(page.origin, target)
                assert asset is not None, "associations hold it"
                naming = own.naming if own is not None and why is Judgement.NAMED else None
                named = naming.named if naming is not None else None
                found.append(
                    Candidate(asset.seen, probability, why, asset.key, named, asset.personal)
                )
        found.sort(key=_PROBABILITY, reverse=True)
        return found[: options.max_assets]

    def _targets(self, chain: Sequence[Node]) -> list[str]:
        """Return the assets that may be likely with a page."""
        page, likely = chain[0], self._options.likely
        # Of assets that nothing but votes speak for, too few views of this page may have asked for
        # one even if all pages like it do.
        found = [
            target
            for target, own in page.assets.items()
            if own.hits + 1.0 >= likely * (own.tries + 1.0)
            or own.naming is not None
            or own.segments is not None
        ]
        dilution = page.fresh.tries + 1.0
        if dilution * likely > 1.0 or len(chain) < 2:
            return found
        lender, basis = chain[1], (self._assets.changes, *[node.lent for node in chain[1:]])
        known = self._lent.get(lender)
        if known is None or known[0] != basis:
            known = self._lent[lender] = basis, lent_by(chain[1:], likely)
            if len(self._lent) > _LENDERS:
                del self._lent[next(iter(self._lent))]
        found += [
            target
            for target, probability in known[1]
            if probability >= likely * dilution and target not in page.assets
        ]
        return found


def candidate_of(
    asset: Asset, probability: float, why: Judgement, named: Named | None = None
) -> Candidate:
    """Return an asset as a candidate."""
    return Candidate(asset.seen, probability, why, asset.key, named)
