"""Judge how likely an asset is with a page, and whether it is sent.

Pure. `plans` asks for the assets of a page when it makes the page's plan, and `model` for each row
that it shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from headstart.learn.counts import Asset, Association
from headstart.learn.naming import is_absent, is_alternate, is_named, named_probability
from headstart.learn.nodes import Node, Standing
from headstart.learn.options import LearnOptions
from headstart.learn.safety import is_static_name, needs_second

SENT = frozenset((Standing.PINNED, Standing.NAMED, Standing.PAGE, Standing.PATTERN, Standing.SITE))
"""The standings of what is sent."""


def standing_of(
    target: str, chain: Sequence[Node], options: LearnOptions
) -> tuple[float, Standing]:
    """Return how likely the asset is, and whether it is sent.

    Args:
        target: The asset.
        chain: The page and the nodes that it borrows from, the narrowest first.
        options: The thresholds.
    """
    likely = options.likely
    why = Standing.UNLIKELY
    probability, unconfirmed = 0.0, False
    known = None
    for node in reversed(chain):
        association = node.assets.get(target)
        if association is None:
            probability /= node.fresh.tries + 1.0
            continue
        why = node.level
        # Most are confirmed; to ask further costs a third of the time.
        if association.confirmed or association.believed:
            probability = (association.hits + probability) / (association.tries + 1.0)
        else:
            unconfirmed = True
            probability /= association.tries + 1.0
        known = association
    if known is None:
        return 0.0, why
    asset, page = known.asset, chain[0]
    own = page.assets.get(target)
    if (without := _refused_by(page, own, target, asset)) is not None:
        return 0.0, without
    if own is not None and is_named(own):
        why, probability = Standing.NAMED, named_probability(own)
        # The page's HTML is as good as a second asker. It needs a first one where the name does
        # not say that to ask changes nothing.
        lonely = not asset.answered and not is_static_name(target, asset.seen.kind)
    else:
        lonely = asset.asker != 0 and needs_second(target, asset.seen.lifetime)
    if lonely:
        return probability, Standing.UNCONFIRMED
    if probability < likely:
        return probability, Standing.UNCONFIRMED if unconfirmed else Standing.UNLIKELY
    if probability * known.usefulness() < likely:
        return probability, Standing.WASTED
    # What a hit saves is a round trip, what a miss costs is the asset's bytes; at `break_even`
    # bytes the two are equal, so odds of one to one will do.
    if probability * options.break_even < (1.0 - probability) * asset.seen.size:
        return probability, Standing.TOO_LARGE
    return probability, why


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


def _refused_by(
    page: Node, association: Association | None, target: str, asset: Asset
) -> Standing | None:
    """Return why the page's own HTML speaks against an asset, or None."""
    if is_absent(page, association, asset):
        return Standing.ABSENT
    if is_alternate(association):
        return Standing.VERSION
    if is_named(association):
        return None
    if target in page.alternatives:
        return Standing.ALTERNATIVE
    return None if asset.answered else Standing.UNCONFIRMED
