"""Make a vote of a view.

Pure. `learner` makes one vote of each view that ends, and a partial one of an open view.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from headstart.learn.model import Map
from headstart.learn.records import Reading, Record, Vote
from headstart.learn.views import How, View


def partial_vote(view: View) -> Vote:
    """Return the requests of an open view so far, and mark them as counted."""
    view.counted = set(view.asked)
    return Vote(
        time=view.opened,
        origin=view.origin,
        path=view.path,
        voter=view.viewer.voter,
        asked=tuple(view.asked.values()),
        partial=True,
        segment=view.segment,
        personal=view.personal,
    )


def vote_of(view: View, known: Map, cached: Collection[int]) -> Vote:
    """Return the vote of a view that has ended.

    Args:
        view: The view.
        known: The map that the vote is for.
        cached: The keys of the assets that the client had before it came.
    """
    counted = view.counted or set()
    blocking, loaded = view.durations
    used, unused = judged_deliveries(view)
    return Vote(
        time=view.opened,
        origin=view.origin,
        path=view.path,
        voter=view.viewer.voter,
        # A client that was hinted and fetched nothing has everything, or is a robot. One that was
        # pushed to may be either, or have been sent all that it needs.
        rendered=view.rendered or How.PUSHED in view.delivered.values(),
        # Views of clients that had assets, or were sent some, do not say that a page does without.
        fresh=view.fresh and not view.delivered and not cached,
        asked=tuple(seen for target, seen in view.asked.items() if target not in counted),
        held=(*counted, *_held(view, known, cached)),
        used=tuple(used),
        wasted=tuple(unused),
        worth=_worth(view, used, unused),
        continues=view.counted is not None,
        before=tuple(counted),
        segment=view.segment,
        quiet=not view.rendered and (view.returning or bool(view.wasted)),
        personal=view.personal,
        control=view.control,
        blocking=blocking,
        loaded=loaded,
    )


def weight(record: Record) -> int:
    """Return about the bytes of a record that waits for other workers."""
    if isinstance(record, Reading):
        return 500 + sum(500 + len(named.imagesrcset) for named in record.named)
    if not isinstance(record, Vote):
        return 300
    targets = sum([len(seen.target) + 300 for seen in record.asked])
    return 500 + targets + sum(map(len, record.held)) + sum(map(len, record.before))


def _held(view: View, known: Map, cached: Collection[int]) -> Iterable[str]:
    """Return assets that the client did not request because it had them or was sent them."""
    had, delivered, asked, conditional = (
        view.viewer.had, view.delivered, view.asked, view.conditional
    )  # fmt: skip
    if not (conditional or had or delivered or cached):
        return ()
    nodes = known.nodes_of(view.origin, view.path)
    if conditional:
        return {target: None for node in nodes for target in node.assets if target not in asked}
    # A client has fewer assets than a site.
    keys = {*had, *cached}
    targets = [asset.seen.target for key in keys if (asset := known.asset_with(key)) is not None]
    return {
        target: None
        for target in (*delivered, *targets)
        if target not in asked
        for node in nodes
        if (held := node.assets.get(target)) is not None
        and (target in delivered or held.asset.key in keys)
    }


def judged_deliveries(view: View) -> tuple[list[str], list[str]]:
    """Return the deliveries that were surely of use and those that surely were not.

    A hint that was not followed is neither: the browser has the asset, or the client is a robot,
    and the hint cost a line of a header. A push is of no use if the client reset it or asked again.
    One that a returning client reset is neither: it has the asset, and the next one may lack it.
    Nor is one that the client did not get.
    """
    used, unused = [], []
    for target, how in view.delivered.items():
        if target in view.failed:
            continue
        if target in view.wasted:
            if not view.returning:
                unused.append(target)
        elif how is How.PUSHED and target in view.fetched:
            unused.append(target)
        elif how is How.PUSHED or target in view.fetched:
            used.append(target)
    return used, unused


def _worth(view: View, used: list[str], unused: list[str]) -> float | None:
    """Return the share of sent assets that were of use; if nothing was sent, of the candidates.

    A view that fetched nothing proves nothing: its client may have everything in its cache.
    """
    if view.delivered:
        return len(used) / (len(used) + len(unused)) if used or unused else None
    if not view.judged or not view.rendered:
        return None
    return sum(candidate.target in view.asked for candidate in view.judged) / len(view.judged)
