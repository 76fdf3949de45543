"""A page's own HTML beside the votes of its clients: the assets that it names, and names no more.

Pure. `model` folds each `Reading` in here, and `judging` asks for an asset's state. The application
wrote the HTML, so an asset that it names needs no second client; votes tell how many clients ask
for it. An asset that was named and no longer is, is gone from the page, in spite of its votes.

A reading is trusted as its response allows (`safety.trust_in`). A copy that is equal for everybody
counts alone. Of others, an asset counts once the copies of two voters name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from headstart.learn.counting import AssetTable
from headstart.learn.counts import Asset, Association, Naming, SeenAsset
from headstart.learn.named import Named
from headstart.learn.nodes import Candidate, Judgement, Node
from headstart.learn.records import Reading
from headstart.learn.safety import Kind, Trust, bad_target, is_static_name
from headstart.learn.urls import extension

# How likely a client that lacks it asks for what the page names, before any did: browsers fetch all
# of it, but for images that scripts replace and scripts that others load first.
_PRIOR = {Kind.STYLE: 0.95, Kind.SCRIPT: 0.9, Kind.FONT: 0.8, Kind.IMAGE: 0.8}
# Views that the prior weighs as much as. Four clients that lack it and do not ask end it.
_PRIOR_VIEWS = 2.0
# Views after which a version of a page that was gone once counts as the only one.
_SETTLED_VIEWS = 4.0


def fold_reading(
    reading: Reading, node: Node, site: Node | None, table: AssetTable, max_url: int
) -> None:
    """Take the assets that one copy of a page names.

    Args:
        reading: The copy's assets.
        node: The page.
        site: The page's origin, or None if it is unknown.
        table: Owns the assets.
        max_url: The length of the longest URL that is learned.
    """
    named = {
        each.target: each for each in reading.named if bad_target(each.target, max_url) is None
    }
    if reading.whole:
        _miss_others(reading, named, node, site, table)
    namer = 0 if reading.trust is Trust.SOLE else reading.voter
    for each in named.values():
        association = node.assets.get(each.target)
        if association is None:
            seen = _likely_seen_asset(each, node, site)
            association = table.associate(node, seen, reading.voter, 0.0, answered=False)
        if association is not None:
            before = association.naming
            naming = _named_again(before, each, namer, reading.time)
            table.set_naming(association, naming)
            if before is not None and not before.live and naming.live:
                association.restart()
            elif before is None and node.read and not each.sheet:
                # Views so far that did without it had a copy that did not name it.
                association.forgive()
            if before is None or not before.named.sheet:
                # Clients who asked before the page was read.
                table.draw(association, association.hits, association.tries)
            if not naming.namer:
                table.name(association.asset)
    if reading.trust is Trust.SOLE:
        node.others = {
            other: _agreed(node.others.get(other), reading.voter) for other in reading.others
        }
        node.alternatives = frozenset(
            target for target in reading.alternatives if bad_target(target, max_url) is None
        )
        if reading.whole:
            node.read = reading.time
    node.changed()


def _agreed(namer: int | None, voter: int) -> int:
    """Return who alone named another origin, after one more copy that does; 0 if two did.

    A header that the application believes, such as X-Forwarded-Host, may have put it there. So the
    copies of two voters are to name it, however public the response is.
    """
    return voter if namer is None or namer == voter else 0


def _miss_others(
    reading: Reading,
    named: Mapping[str, Named],
    node: Node,
    site: Node | None,
    table: AssetTable,
) -> None:
    """Count that a copy does not name assets of earlier ones."""
    for target, association in node.assets.items():
        if (naming := association.naming) is None or target in named:
            continue
        sheet = naming.named.sheet
        if sheet in named and sheet not in reading.sheets:
            continue  # its stylesheet was not read, perhaps by another worker
        after = _missed(naming, reading)
        table.set_naming(association, after)
        if naming.live and after is not None and not after.live:
            association.restart()
        if naming.live and after is not None and not after.live:
            _note_drop(association.asset, site, table, reading.time)


def _note_drop(asset: Asset, site: Node | None, table: AssetTable, now: float) -> None:
    """Note that a page no longer names an asset that others may: a deployment, perhaps.

    An image goes with the content of a page, so it says nothing of other pages.
    """
    if asset.seen.kind is not Kind.IMAGE:
        table.dismiss(asset, now)
        if site is not None:
            site.dropped = now


def first_candidate(
    named: Named, known: Asset | None, origin: str, *, credentials: bool
) -> Candidate | None:
    """Return an asset that a page was not known to need before its HTML went out, as a candidate.

    Args:
        named: As the HTML names it.
        known: The asset as other pages know it, or None.
        origin: Of the page.
        credentials: The page's request had some. Then its HTML may name assets of its client alone,
            and a push, which is made without them, would get something else.

    Returns:
        None if it may not be sent before it was seen to be an asset for everybody, or if a browser
        may take another one in its place.
    """
    if named.imagesrcset or named.media:
        return None
    if known is not None and known.answered:
        return Candidate(known.seen, _PRIOR[named.kind], Judgement.NAMED, known.key, named)
    if credentials or not is_static_name(named.target, named.kind):
        return None
    seen = SeenAsset(named.target, named.kind, cors=bool(named.crossorigin))
    key = hash((origin, named.target))
    return Candidate(seen, _PRIOR[named.kind], Judgement.NAMED, key, named)


def named_probability(association: Association) -> float:
    """Return how likely a client that lacks it asks for an asset that the page names."""
    if association.naming is not None and association.naming.named.sheet:
        # Most fonts of a stylesheet are for other pages: as often as on all pages with it.
        drawn = association.asset.drawn
        prior = 0.0 if drawn is None else drawn.estimate(0.0)
        return (association.hits + prior) / (association.tries + 1.0)
    prior = _PRIOR[association.asset.seen.kind]
    return (association.hits + _PRIOR_VIEWS * prior) / (association.tries + _PRIOR_VIEWS)


def is_named(association: Association | None) -> bool:
    """Return whether the page names the asset, as far as its copies agree."""
    naming = association.naming if association is not None else None
    return naming is not None and naming.live and not naming.namer and not naming.alternates


def is_alternate(association: Association | None, segment: int | None = None) -> bool:
    """Return whether an asset belongs to one of several versions of a page, as in an A/B test.

    If the versions are those of segments, it is not in doubt in a segment of which so many views
    asked for it, and all.

    Its votes start anew with each copy of the page that does without it, or names it again. After
    so many views in a row that ask for it, the page has settled on this version, as after a
    deployment that was taken back.
    """
    if association is None or association.naming is None or not association.naming.alternates:
        return False
    if association.segments is not None and segment is not None:
        share = association.segments.get(segment)
        if share is not None and share.tries >= _SETTLED_VIEWS and share.hits >= share.tries:
            return False
    return association.tries < _SETTLED_VIEWS or association.hits < association.tries


def is_absent(page: Node, association: Association | None, asset: Asset) -> bool:
    """Return whether the page does without an asset that the HTML of pages names.

    Args:
        page: The page's own node.
        association: Of the page with the asset, or None.
        asset: The asset.
    """
    naming = association.naming if association is not None else None
    if naming is not None and naming.alternates:
        return False
    if naming is not None and not naming.namer:
        # Another page's HTML has dropped it since: a deployment, which this page may be part of.
        return not naming.live or asset.dropped > page.read
    if asset.dropped > page.read:
        return True
    # Its own HTML was read, and other pages' HTML is where the asset comes from.
    return bool(page.read and asset.named and (association is None or not association.hits))


def _named_again(naming: Naming | None, named: Named, namer: int, time: float) -> Naming:
    """Return how an asset is named after a copy that names it; `namer` as in `Naming`."""
    if naming is None:
        return Naming(named, namer, since=time)
    alone = naming.namer if namer in (naming.namer, 0) else 0
    return Naming(
        named,
        namer=alone if namer else 0,
        # Deployments do not come back. What does is a version among several, so votes decide.
        alternates=naming.alternates or not naming.live,
        since=naming.since if naming.live else time,
    )


def _missed(naming: Naming, reading: Reading) -> Naming | None:
    """Return how an asset is named after a copy that does not name it."""
    if reading.trust is Trust.SOLE:
        return None if naming.namer else replace(naming, live=False)
    if naming.namer == reading.voter or naming.misser not in (0, reading.voter):
        return None
    return replace(naming, misser=reading.voter)


def _likely_seen_asset(named: Named, node: Node, site: Node | None) -> SeenAsset:
    """Return the likely response to an asset that nobody asked for yet.

    It is that of another asset of its kind in its folder: a deployment gives new names to files
        that are
    served as before.
    """
    folder = _folder(named.target)
    if not folder:
        # All kinds of things lie at the root of a site.
        return SeenAsset(target=named.target, kind=named.kind, cors=bool(named.crossorigin))
    for relative in (*node.assets.values(), *(site.assets.values() if site else ())):
        seen = relative.asset.seen
        if (
            seen.verified
            and relative.asset.answered
            and seen.kind is named.kind
            and extension(seen.target) == extension(named.target)
            and _folder(seen.target) == folder
            and "?" not in seen.target
        ):
            return SeenAsset(
                target=named.target,
                kind=named.kind,
                media_type=seen.media_type if named.kind is not Kind.IMAGE else "",
                cors=bool(named.crossorigin),
                lifetime=seen.lifetime,
                verified=True,
            )
    return SeenAsset(target=named.target, kind=named.kind, cors=bool(named.crossorigin))


def _folder(target: str) -> str:
    return target.partition("?")[0].rpartition("/")[0]
