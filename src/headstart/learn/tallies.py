"""What is known of a node as a record, and two maps' counts added up.

Pure. Called by `model` when it writes its records and when it takes another map's.
"""

from __future__ import annotations

from headstart.learn.counts import Association, Share
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
    )


def _tally(association: Association) -> Tally:
    used = association.used or Share()
    return Tally(
        asset=association.asset.seen,
        views=association.tries,
        asked=association.hits,
        confirmed=association.confirmed,
        first=association.first,
        run=association.run,
        sent=used.tries,
        useful=used.hits,
    )


def take_record(node: Node, record: PageRecord, memory: int) -> None:
    """Adds a record's counts to a node's, but for those of its assets."""
    for voter in record.voters:
        node.voters.admit(voter, record.last)
    node.views += record.views
    node.fresh.tries = min(node.fresh.tries + record.fresh, float(memory))
    _merge(node.used, record.sent, record.useful, memory)


def take_tally(association: Association, tally: Tally, memory: int) -> None:
    """Adds what a record says of one asset."""
    _merge(association, tally.views, tally.asked, memory)
    if tally.sent:
        association.used = association.used or Share()
        _merge(association.used, tally.sent, tally.useful, memory)
    association.confirmed |= tally.confirmed or tally.first != association.first
    association.run = max(association.run, tally.run)
    association.asset.see(tally.asset)


def _merge(share: Share, tries: float, hits: float, memory: int) -> None:
    """Adds another worker's share; together they weigh no more than `memory` views."""
    share.tries += tries
    share.hits += hits
    if share.tries > memory:
        share.hits *= memory / share.tries
        share.tries = float(memory)
