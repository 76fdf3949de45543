"""Convert a node's counts to a record, and add up the counts of two maps.

Pure. Called by `model` when it writes its records and when it takes another map's.
"""

from __future__ import annotations

from collections.abc import Mapping

from headstart.learn.counts import Association, Naming, Share
from headstart.learn.gains import Durations
from headstart.learn.nodes import Node
from headstart.learn.plain import Bits
from headstart.learn.records import Cooccurrence, PageRecord, SegmentTally, Tally


def record_of(node: Node) -> PageRecord:
    """All that is known of a page, a pattern or an origin."""
    node.settle_bits()
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
        dropped=node.dropped,
        segments=node.segments,
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
        dropped=association.asset.dropped,
        segments=tuple(
            SegmentTally(segment, share.tries, share.hits)
            for segment, share in (association.segments or {}).items()
        ),
        together=_together(association) if association.bit else None,
        personal=association.asset.personal,
    )


def _together(association: Association) -> Cooccurrence:
    return Cooccurrence(
        bit=Bits(association.bit),
        mates=Bits(association.mates),
        apart=Bits(association.apart),
        often_apart=Bits(association.often_apart),
    )


def take_record(node: Node, record: PageRecord, memory: int) -> None:
    """Add a record's counts to a node's, except those of its assets."""
    node.personal = record.personal and (node.personal or node.unseen)
    for voter in record.voters:
        node.voters.admit(voter, record.last)
    node.views += record.views
    node.fresh.tries = min(node.fresh.tries + record.fresh, float(memory))
    merge(node.used, record.sent, record.useful, memory)
    if record.read > node.read:
        node.read, node.others = record.read, dict.fromkeys(record.others, 0)
        node.alternatives = frozenset(record.alternatives)
    # A page that was seen before is not new: its first views may be compared at once.
    node.turn = max(node.turn, int(record.views))
    node.dropped = max(node.dropped, record.dropped)
    if record.stop is not None and (node.stop is None or node.stop.time < record.stop.time):
        node.stop = record.stop
    for measure in record.measures:
        node.durations = node.durations or Durations()
        node.durations.merge(measure)


def take_tally(association: Association, tally: Tally, memory: int) -> None:
    """Add a record's counts of one asset."""
    merge(association, tally.views, tally.asked, memory)
    if tally.sent:
        association.used = association.used or Share()
        merge(association.used, tally.sent, tally.useful, memory)
    association.doubted |= tally.doubted
    association.confirmed |= tally.confirmed or tally.first != association.first
    association.run = max(association.run, tally.run)
    asset = association.asset
    is_another_asker = bool(tally.asked) and asset.asker != tally.first
    if tally.confirmed or is_another_asker:
        asset.asker = 0
    if tally.answered:
        asset.see(tally.asset)


def segments_of(tally: Tally, segments: int) -> tuple[SegmentTally, ...]:
    """Return an asset's shares in segments.

    Args:
        tally: The asset's.
        segments: Of its page's views, as bits. If there is one alone, all counts are that one's.
    """
    if segments and not segments & (segments - 1):
        return (SegmentTally(segments.bit_length() - 1, tally.views, tally.asked),)
    return tally.segments


def take_cooccurrence(node: Node, record: PageRecord) -> None:
    """Add which assets of a page views ask for together, once the page has the record's assets.

    A view that did without an asset in each of two maps may be the same one, so it counts as one.
    """
    node.settle_bits()
    ours = {
        tally.together.bit: association.bit
        for tally in record.assets
        if tally.together is not None
        and (association := node.assets.get(tally.asset.target)) is not None
    }
    for tally in record.assets:
        association, theirs = node.assets.get(tally.asset.target), tally.together
        if association is not None and theirs is not None:
            association.mates |= _translated(theirs.mates, ours)
            association.apart |= _translated(theirs.apart | theirs.often_apart, ours)
            association.often_apart |= _translated(theirs.often_apart, ours)


def _translated(bits: int, ours: Mapping[Bits, int]) -> int:
    """Return a set of a record's bits as one of the page's own."""
    found = 0
    for theirs, our in ours.items():
        if bits & theirs:
            found |= our
    return found


def naming_of(tally: Tally) -> Naming | None:
    """Return how a record says that a page's HTML names an asset."""
    if tally.named is None:
        return None
    return Naming(tally.named, tally.namer, tally.live, tally.alternates)


def merge(share: Share, tries: float, hits: float, memory: int) -> None:
    """Add another worker's share; together they weigh no more than `memory` views."""
    share.tries += tries
    share.hits += hits
    if share.tries > memory:
        share.hits *= memory / share.tries
        share.tries = float(memory)
