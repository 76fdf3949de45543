"""The rows of the map as an operator reads them: in order, one for each pair, with why in words.

Pure: reads a learner, changes nothing. `map` prints what it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from headstart.learn import Learner, Row, Standing
from headstart.learn.urls import path_of, pattern_of

# How a row of an origin names the pages that it is about.
_ANY_PAGE = "/*"
_LEARNED = frozenset((Standing.PAGE, Standing.PATTERN, Standing.SITE))


def all_rows(learner: Learner) -> list[Row]:
    """The whole map: origin by origin, page by page, the likeliest asset first."""
    found = list(learner.rows())
    pinned = {(row.page, row.asset) for row in found if row.why is Standing.PINNED}
    kept = [row for row in found if row.why is Standing.PINNED or not _is_pinned(row, pinned)]
    return sorted(kept, key=_place)


def rows_of(learner: Learner, page: str) -> list[Row]:
    """What is known of one page, and what else it is sent: from pages like it, from the site.

    Args:
        learner: Whose map.
        page: A path, or a whole URL where there is more than one origin.
    """
    rows = all_rows(learner)
    origin, path = split(path_of(page))
    own = [row for row in rows if _is_of(row, origin, path)]
    borrowed: list[Row] = []
    for place in [origin] if origin else _origins(rows, path):
        borrowed += _borrowed(learner, place, path, own)
    return sorted([*own, *borrowed], key=_place)


def split(page: str) -> tuple[str, str]:
    """A page's origin, "" where it is every one, and its path."""
    scheme, found, rest = page.partition("://")
    if not found:
        return "", page
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}", f"/{path}"


def is_waste(row: Row) -> bool:
    """Whether the asset is likely enough, but its page wastes what it is sent."""
    return row.why in _LEARNED and not row.sent


def because(row: Row) -> str:
    """Why it is sent, or is not, in words."""
    if is_waste(row):
        return "this page wastes what it is sent"
    match row.why:
        case Standing.PINNED:
            return "you pinned it"
        case Standing.PAGE:
            return "this page's clients ask for it"
        case Standing.PATTERN:
            return "pages like this one need it"
        case Standing.SITE:
            return "pages of this site need it"
        case Standing.UNLIKELY:
            return "too few ask for it"
        case Standing.UNCONFIRMED:
            return "only one client asked for it"
        case Standing.WASTED:
            return "it was sent, and mostly not used"
        case Standing.TOO_LARGE:
            return "too large for how likely it is"
        case Standing.BARRED:
            return "you said never"
        case _:
            assert_never(row.why)


def _is_of(row: Row, origin: str, path: str) -> bool:
    place, its_path = split(row.page)
    return its_path == path and (not origin or place in ("", origin))


def _borrowed(learner: Learner, origin: str, path: str, own: list[Row]) -> Iterator[Row]:
    """What the page is sent that was learned elsewhere."""
    its = [row for row in own if split(row.page)[0] in ("", origin)]
    known = {row.asset for row in its}
    for candidate in learner.candidates(origin, path):
        if candidate.target not in known:
            yield Row(
                page=origin + path,
                asset=candidate.target,
                probability=candidate.probability,
                views=0.0,
                sent=not any(map(is_waste, its)),
                why=candidate.why,
            )


def _origins(rows: Iterable[Row], path: str) -> list[str]:
    """Where a page may be: where it, or its like, is known; else everywhere."""
    like = (path, pattern_of(path) or path)
    found = {split(row.page) for row in rows}
    known = {origin for origin, its_path in found if origin and its_path in like}
    return sorted(known or {origin for origin, _ in found if origin})


def _is_pinned(row: Row, pinned: set[tuple[str, str]]) -> bool:
    return not pinned.isdisjoint(((row.page, row.asset), (split(row.page)[1], row.asset)))


def _place(row: Row) -> tuple[object, ...]:
    origin, path = split(row.page)
    return origin, path == _ANY_PAGE, path, not row.sent, -row.probability, row.asset
