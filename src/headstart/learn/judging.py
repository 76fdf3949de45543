"""Judge how likely an asset is with a page, and whether it is sent.

Pure. `plans` asks for the assets of a page when it makes the page's plan, and `model` for each row
that it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from headstart.learn.counts import Asset, Association
from headstart.learn.naming import is_absent, is_alternate, is_named, named_probability
from headstart.learn.nodes import Judgement, Level, Node
from headstart.learn.options import LearnOptions
from headstart.learn.safety import is_static_name, needs_second

_ASKED_AT = {
    Level.PAGE: Judgement.PAGE,
    Level.PATTERN: Judgement.PATTERN,
    Level.SITE: Judgement.SITE,
}
SENT = (Judgement.PAGE, Judgement.NAMED, Judgement.PATTERN, Judgement.SITE, Judgement.PINNED)
"""The judgements of what is sent. A tuple, since members of an enum are hashed by Python."""
Layer: TypeAlias = tuple[Mapping[str, Association], float, Judgement]
"""Of a node: its associations, the share of it that one view without an asset leaves of a wider
probability, as a divisor, and the judgement of what its clients ask for."""
# Views of a page from which on it is asked whether it needs what it borrows.
_BORROWING_VIEWS = 3


def judgement_of(
    target: str, chain: Sequence[Node], options: LearnOptions, segment: int | None = None
) -> tuple[float, Judgement]:
    """Return how likely the asset is, and whether it is sent.

    Args:
        target: The asset.
        chain: The page and the nodes that it borrows from, the narrowest first.
        options: The thresholds.
        segment: Of the view, or None for all views.
    """
    return judge(target, chain[0], layers_of(chain), options, segment)


def layers_of(chain: Sequence[Node]) -> list[Layer]:
    """Return a page and the nodes that it borrows from as `judge` takes them.

    Args:
        chain: The narrowest first.

    Returns:
        The widest first.
    """
    return [
        (node.assets, node.fresh.tries + 1.0, _ASKED_AT[node.level]) for node in reversed(chain)
    ]


def judge(
    target: str, page: Node, layers: Iterable[Layer], options: LearnOptions, segment: int | None
) -> tuple[float, Judgement]:
    """Return how likely the asset is, and whether it is sent, as `judgement_of` does.

    Called for each asset of a page after each vote, so it asks seldom questions last.

    Args:
        target: The asset.
        page: The page's own node.
        layers: Of it and the nodes that it borrows from.
        options: The thresholds.
        segment: Of the view, or None for all views.
    """
    probability, unconfirmed = 0.0, False
    own = known = None
    why = Judgement.UNLIKELY
    for associations, dilution, asked_at in layers:
        own = associations.get(target)
        if own is None:
            probability /= dilution
        else:
            known, why = own, asked_at
            # Most are confirmed; to ask further costs a third of the time.
            if own.confirmed or own.believed:
                probability = (own.hits + probability) / (own.tries + 1.0)
            else:
                unconfirmed = True
                probability /= own.tries + 1.0
    if known is None:
        return 0.0, why
    asset = known.asset
    naming = own.naming if own is not None else None
    if (naming or asset.named or asset.dropped or page.alternatives or not asset.answered) and (
        without := _refused_by(page, own, target, asset, segment)
    ) is not None:
        return 0.0, without
    if own is not None and naming and is_named(own):
        why, probability = Judgement.NAMED, named_probability(own)
        # The page's HTML is as good as a second asker. It needs a first one where the name does
        # not say that to ask changes nothing.
        lonely = not asset.answered and not is_static_name(target, asset.seen.kind)
    else:
        lonely = asset.asker != 0 and needs_second(target, asset.seen.lifetime)
    if own is not None and own.segments is not None:
        probability = own.in_segment(segment, probability)
    likely = options.likely
    if lonely or (unconfirmed and probability < likely):
        return probability, Judgement.UNCONFIRMED
    # What a hit saves is a round trip, what a miss costs is the asset's bytes; at `break_even`
    # bytes the two are equal, so odds of one to one will do.
    too_large = probability * options.break_even < (1.0 - probability) * asset.seen.size
    if too_large or probability < likely or known.used is not None:
        return probability, _not_worth_it(known, probability, likely, too_large) or why
    return probability, why


def _not_worth_it(
    association: Association, probability: float, likely: float, too_large: bool
) -> Judgement | None:
    """Return why an asset that may be sent is not, or None."""
    if probability < likely:
        return Judgement.UNLIKELY
    if probability * association.usefulness() < likely:
        return Judgement.WASTED
    return Judgement.TOO_LARGE if too_large else None


def lent_by(chain: Sequence[Node], likely: float) -> tuple[tuple[str, float], ...]:
    """Return the assets that a page may borrow which knows nothing of them, and how likely each is.

    Args:
        chain: The nodes that the page borrows from, the narrowest first.
        likely: The least that counts. A page's own views only lower it.
    """
    lent = []
    widest_first = chain[::-1]
    for target in {target: None for node in chain for target in node.assets}:
        probability = 0.0
        for node in widest_first:
            association = node.assets.get(target)
            if association is None:
                probability /= node.fresh.tries + 1.0
            elif association.confirmed or association.believed:
                probability = (association.hits + probability) / (association.tries + 1.0)
            else:
                probability /= association.tries + 1.0
        if probability >= likely:
            lent.append((target, probability))
    return tuple(lent)


def alternatives_among(page: Node, likely: Sequence[tuple[str, float, Judgement]]) -> set[str]:
    """Return likely assets of a page that views ask for in place of others that are sent.

    Such are the assets of two versions of a page, and old ones beside those of a new deployment.
    What the page's HTML names is never one of them, for all of it is in one copy.

    Args:
        page: The page's own node.
        likely: Each asset, how likely it is, and why it would be sent.
    """
    page.settle_bits()
    known = {
        target: (association, probability, why)
        for target, probability, why in likely
        if (association := page.assets.get(target)) is not None
        and why in (Judgement.NAMED, Judgement.PAGE)
    }
    if not any(association.rivals for association, _, _ in known.values()):
        return set()

    def preference(target: str) -> tuple[bool, bool, float]:
        """Return a key that puts the last view's version first, then that with most assets."""
        association, _, why = known[target]
        mates = (each for each in known.values() if each[0].bit & association.mates)
        needed = sum(probability for _, probability, _ in mates)
        return why is not Judgement.NAMED, association.run > 0, -needed

    refused: set[str] = set()
    chosen = rivals = 0
    for target in sorted(known, key=preference):
        association, _, why = known[target]
        is_rival = rivals & association.bit or association.rivals & chosen
        if is_rival and why is Judgement.PAGE:
            refused.add(target)
        else:
            chosen |= association.bit
            rivals |= association.rivals
    return refused


def is_borrowing_untested(page: Node, likely: Sequence[tuple[str, float, Judgement]]) -> bool:
    """Return true if a page goes on to borrow from its site and never did without.

    Browsers follow hints, so that they ask for what they are sent says nothing. Where only some
    pages of a site are made alike, others would be sent these assets for ever.

    Args:
        page: The page's own node.
        likely: Each likely asset, how likely it is, and why it would be sent.
    """
    if page.level is not Level.PAGE or page.views < _BORROWING_VIEWS or page.fresh.tries >= 1.0:
        return False
    return any(why is Judgement.SITE for _, _, why in likely)


def _refused_by(
    page: Node, association: Association | None, target: str, asset: Asset, segment: int | None
) -> Judgement | None:
    """Return why the page's own HTML speaks against an asset, or None."""
    if is_absent(page, association, asset):
        return Judgement.ABSENT
    if is_alternate(association, segment):
        return Judgement.VERSION
    if is_named(association):
        return None
    if target in page.alternatives:
        return Judgement.ALTERNATIVE
    return None if asset.answered else Judgement.UNCONFIRMED
