"""The rows of the map for an operator: in order, one per page and asset, with the reason in words.

Pure: reads a learner, changes nothing. `map` prints the result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from headstart.deliver.preload import needs_response
from headstart.learn import Candidate, Gain, Judgement, Learner, Row, explain, explain_gain, is_icon
from headstart.learn.urls import path_of, pattern_of

# How a row of an origin names the pages that it is about.
_ANY_PAGE = "/*"
_LEARNED = frozenset((Judgement.NAMED, Judgement.PAGE, Judgement.PATTERN, Judgement.SITE))

# The server's own pushes show none: their responses are not those to a client's request.
_UNSEEN = "no request by a client has shown its cache fields"

_WORDS = {
    Judgement.PINNED: "you pinned it",
    Judgement.NAMED: "the page names it",
    Judgement.ABSENT: "the page does not name it",
    Judgement.ALTERNATIVE: "it is one of several to choose from",
    Judgement.VERSION: "it belongs to one of several versions of the page",
    Judgement.PAGE: "this page's clients ask for it",
    Judgement.PATTERN: "pages like this one need it",
    Judgement.SITE: "pages of this site need it",
    Judgement.UNLIKELY: "too few ask for it",
    Judgement.UNCONFIRMED: "only one client asked for it",
    Judgement.WASTED: "it was sent, and mostly not used",
    Judgement.TOO_LARGE: "too large for how likely it is",
    Judgement.BARRED: "you said never",
}


def all_rows(learner: Learner) -> list[Row]:
    """Return the whole map: origin by origin, page by page, the likeliest asset first."""
    return sorted(map(_delivered, _without_shadows(list(learner.rows()))), key=_place)


def rows_of(learner: Learner, page: str) -> list[Row]:
    """Return the assets of one page, and those that it borrows from its pattern and its site.

    Args:
        learner: The learner with the map.
        page: A path, or a whole URL if there is more than one origin.
    """
    origin, path = split(path_of(page))
    found: list[Row] = []
    for place in [origin] if origin else _origins(learner, path):
        own = _without_shadows(list(learner.rows_at(place, path)))
        found += map(_delivered, [*own, *_borrowed(learner, place, path, own)])
    if not origin and not found:
        found += map(_delivered, learner.rows_at("", path))
    # A pin for every origin is found at each.
    return sorted(dict.fromkeys(found), key=_place)


def split(page: str) -> tuple[str, str]:
    """Split a page into its origin, "" for every one, and its path."""
    scheme, found, rest = page.partition("://")
    if not found:
        return "", page
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}", f"/{path}"


def is_waste(row: Row) -> bool:
    """Return true if the asset is likely enough, but its page wastes the assets sent."""
    likely = row.why in _LEARNED and not is_icon(row.asset)
    return likely and not row.sent and not row.slower


def because(row: Row) -> str:
    """Return why it is sent, or is not, in words."""
    if is_icon(row.asset) and row.why in (*_LEARNED, Judgement.PINNED):
        return "an icon, which browsers ask for when all else is there"
    if row.slower:
        return "views that are sent it are slower"
    return "this page wastes what it is sent" if is_waste(row) else _WORDS[row.why]


def reasons_of(learner: Learner, page: str, now: float) -> Iterator[str]:
    """Yield in words which assets are sent with a page and why, and the obstacles to learning.

    Args:
        learner: The learner with the map.
        page: A path, a whole URL, or "" for the obstacles of all sites.
        now: Seconds since 1970.
    """
    rows = rows_of(learner, page) if page else []
    if page and not rows:
        yield f"{page}: not known, and it borrows no asset from pages like it or from its site."
    place = None
    for row in rows:
        if row.page != place:
            place = row.page
            yield place
            gain = gain_of(learner, place)
            yield from (f"  {line}" for line in (explain_gain(gain) if gain is not None else ()))
        sent = f"sent {sent_by(learner, row)}" if row.sent else "not sent"
        yield f"  {row.asset}: {sent}: {because(row)}"
    origins = {split(row.page)[0] for row in rows} - {""} or {split(page)[0] if page else ""}
    findings = [
        finding for origin in sorted(origins) for finding in learner.findings.of(origin, now)
    ]
    waiting = list(_waiting_of(rows if page else learner.rows()))
    if findings or waiting:
        yield "What keeps Headstart from learning more:"
    yield from waiting
    for finding in findings:
        yield f"  {finding.origin}: {explain(finding)}"
    if not rows and not findings and not waiting:
        yield "Nothing is known that keeps Headstart from learning."


def _waiting_of(rows: Iterable[Row]) -> Iterator[str]:
    """Yield for each origin the assets that wait for a second client, with advice."""
    assets: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.why is Judgement.UNCONFIRMED:
            assets[split(row.page)[0]].add(row.asset)
    for origin, waiting in sorted(assets.items()):
        first = min(waiting)
        many = f"{len(waiting):,} assets, such as {first}, wait" if waiting - {first} else ""
        yield (
            f"  {origin}: {many or f'{first} waits'} for a second client. A lone tester can load "
            "the page from another address, for instance with a phone outside of the WiFi. "
            "An asset with a query needs none if its Cache-Control has a max-age of a minute or "
            "more."
        )


def gain_of(learner: Learner, page: str) -> Gain | None:
    """Return the gain on a row's page, on its whole site for `/*`; None where none is measured."""
    origin, path = split(page)
    return learner.gain(origin if path == _ANY_PAGE else page)


def sent_by(learner: Learner, row: Row) -> str:
    """Return in words how an asset reaches programs that take pushes, and browsers."""
    origin, path = split(row.page)
    found = [c for c in learner.candidates(origin, path) if c.target == row.asset]
    if not found:
        return "by push, 103 or Link"
    ways = _ways_of(found[0])
    return f"{ways}, to clients with cookies or credentials" if found[0].personal else ways


def _ways_of(candidate: Candidate) -> str:
    asset = candidate.asset
    if needs_response(candidate.named):
        return "by push or Link (no 103: browsers heed media and imagesrcset in a response only)"
    if not asset.verified and candidate.named is None:
        return f"by push only (no 103 or Link: {_UNSEEN})"
    if not asset.verified:
        return f"by push or Link (no 103: {_UNSEEN})"
    if asset.lifetime is None:
        return "by push or Link (no 103: nothing says how long it stays fresh)"
    if asset.lifetime < 1:
        return "by push or Link (no 103: browsers must not use it again without asking)"
    return "by push, 103 or Link"


def _delivered(row: Row) -> Row:
    """Return a row as it is delivered: icons are learned like all else, but never sent."""
    return replace(row, sent=False) if row.sent and is_icon(row.asset) else row


def _borrowed(learner: Learner, origin: str, path: str, own: list[Row]) -> Iterator[Row]:
    """Return the assets that the page gets from its pattern and its site."""
    known = {row.asset for row in own}
    slower = learner.stops(origin, path)
    for candidate in learner.candidates(origin, path):
        if candidate.target not in known:
            yield Row(
                page=origin + path,
                asset=candidate.target,
                probability=candidate.probability,
                views=0.0,
                sent=not slower and not any(map(is_waste, own)),
                why=candidate.why,
                slower=slower,
            )


def _origins(learner: Learner, path: str) -> list[str]:
    """Return the origins that know the page, or one like it; otherwise all."""
    like = (path, pattern_of(path) or path)
    origins = learner.origins()
    known = [
        origin for origin in origins if any(learner.knows_exactly(origin, each) for each in like)
    ]
    return known or origins


def _without_shadows(rows: list[Row]) -> list[Row]:
    """Leave out the learned rows of assets that are pinned to their page."""
    pinned = {(row.page, row.asset) for row in rows if row.why is Judgement.PINNED}
    return [row for row in rows if row.why is Judgement.PINNED or not _is_pinned(row, pinned)]


def _is_pinned(row: Row, pinned: set[tuple[str, str]]) -> bool:
    return not pinned.isdisjoint(((row.page, row.asset), (split(row.page)[1], row.asset)))


def _place(row: Row) -> tuple[object, ...]:
    origin, path = split(row.page)
    return origin, path == _ANY_PAGE, path, not row.sent, -row.probability, row.asset
