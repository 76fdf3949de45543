"""Convert a node's counts to a record, and add up the counts of two maps.

Pure. Called by `model` when it writes its records and when it takes another map's.
"""

from __future__ import annotations

from headstart.learn.counts import Association, Naming, Share
from headstart.learn.gains import Durations
from headstart.learn.nodes import Node
from headstart.learn.records import PageRecord, Tally


def record_of(node: Node) -> PageRecord:
    """All that is known of a page, a pattern or an origin."""
    return PageRecord(
        level=node.level,
        origin=node.origin,
        path=node.path,
        views=node.views,
        fresh=node.fresh.tries,
        sent=node.used.tries,
        useful=node.used.hits,
        voters=tuple(node.voters.recent),
        last=node.voters.last,
        assets=tuple(_tally(association) for association in node.assets.values()),
        read=node.read,
        others=tuple(other for other, namer in node.others.items() if not namer),
        alternatives=tuple(node.alternatives),
        personal=node.personal,
        measures=tuple(node.durations.records()) if node.durations is not None else (),
        stop=node.stop,
    )


def _tally(association: Association) -> Tally:
    used, naming = association.used or Share(), association.naming
    return Tally(
        asset=association.asset.seen,
        views=association.tries,
        asked=association.hits,
        confirmed=association.confirmed,
        first=association.first,
        run=association.run,
        sent=used.tries,
        useful=used.hits,
        answered=association.asset.answered,
        named=naming.named if naming else None,
        namer=naming.namer if naming else 0,
        live=naming is None or naming.live,
        alternates=naming is not None and naming.alternates,
        doubted=association.doubted,
    )


def take_record(node: Node, record: PageRecord, memory: int) -> None:
    """Add a record's counts to a node's, except those of its assets."""
    node.personal = record.personal and (node.personal or node.unseen)
    for voter in record.voters:
        node.voters.admit(voter, record.last)
    node.views += record.views
    node.fresh.tries = min(node.fresh.tries + record.fresh, float(memory))
    _merge(node.used, record.sent, record.useful, memory)
    if record.read > node.read:
        node.read, node.others = record.read, dict.fromkeys(record.others, 0)
        node.alternatives = frozenset(record.alternatives)
    # A page that was seen before is not new: its first views may be compared at once.
    node.turn = max(node.turn, int(record.views))
    if record.stop is not None and (node.stop is None or node.stop.time < record.stop.time):
        node.stop = record.stop
    for measure in record.measures:
        node.durations = node.durations or Durations()
        node.durations.merge(measure)


def take_tally(association: Association, tally: Tally, memory: int) -> None:
    """Add a record's counts of one asset."""
    _merge(association, tally.views, tally.asked, memory)
    if tally.sent:
        association.used = association.used or Share()
        _merge(association.used, tally.sent, tally.useful, memory)
    association.doubted |= tally.doubted
    association.confirmed |= tally.confirmed or tally.first != association.first
    association.run = max(association.run, tally.run)
    if tally.answered:
        association.asset.see(tally.asset)


def naming_of(tally: Tally) -> Naming | None:
    """Return how a record says that a page's HTML names an asset."""
    if tally.named is None:
        return None
    return Naming(tally.named, tally.namer, tally.live, tally.alternates)


def _merge(share: Share, tries: float, hits: float, memory: int) -> None:
    """Add another worker's share; together they weigh no more than `memory` views."""
    share.tries += tries
    share.hits += hits
    if share.tries > memory:
        share.hits *= memory / share.tries
        share.tries = float(memory)
