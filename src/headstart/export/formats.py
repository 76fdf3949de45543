"""The parts that all formats share: limits, comments with instructions and omissions, and the text
as a whole. Pure; each format's module makes one `Format`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from textwrap import wrap
from typing import Final, TypeAlias

from headstart.export.plan import LeftOut, LinkedPage, Plan, Reason

Writer: TypeAlias = Callable[[Sequence[LinkedPage]], Iterator[str]]
"""Takes pages that the format can hold, and yields lines."""
Fit: TypeAlias = Callable[[LinkedPage], Reason | None]
"""Says why the format cannot hold a page, or None."""
Key: TypeAlias = Callable[[str], str | None]
"""Returns the form of a path that the server compares."""

TITLE: Final = "# Written by `headstart map export`"
"""The beginning of each configuration."""
_COLUMNS: Final = 100
# Entries that a comment names for each reason, and characters of each.
_EXAMPLES: Final = 10
_SHOWN: Final = 200
# In a comment no format may find anything to expand, and no line may end with a backslash.
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9/._~!&()*+,;=:@%?-]")
_UNVERIFIED: Final = (
    "Some of these assets were learned from an access log, which shows no cache headers. Serve "
    "them with a Cache-Control that has a max-age of a minute or more. A browser may not keep "
    "other assets, so it fetches them twice: once for the 103, and once for the page."
)


@dataclass(frozen=True, slots=True)
class Format:
    """One server's configuration.

    Attributes:
        usage: How to install it; paragraphs, with `{origin}` where the site is named.
        write: Makes the lines.
        fits: Says why a page cannot be written.
        key: The part or form of a path that the server compares. Of two pages with one key the one
            with more views is kept.
        max_value: Characters of all links of one page.
        max_pages: Pages that it takes, 0 for any number.
        early: It sends a 103, or a CDN that reads it does.
    """

    usage: tuple[str, ...]
    write: Writer
    fits: Fit
    key: Key = str
    max_value: int = 3000
    max_pages: int = 0
    early: bool = True


@dataclass(frozen=True, slots=True)
class Configuration:
    """Configuration as text.

    Attributes:
        text: The file.
        pages: Its pages, each with the links that fit.
        left_out: Pages and assets that are not in it.
    """

    text: str
    pages: tuple[LinkedPage, ...]
    left_out: tuple[LeftOut, ...]


def written(plan: Plan, form: Format) -> Configuration:
    """Return a plan as configuration, with comments."""
    left_out = list(plan.left_out)
    pages: list[LinkedPage] = []
    keys: set[str | None] = set()
    # Where there is no room for all, those with the most views stay.
    for page in sorted(plan.pages, key=attrgetter("views"), reverse=True):
        why = form.fits(page)
        if why is None and (key := form.key(page.path)) in keys:
            why = Reason.SAME
        if why is None and form.max_pages and len(pages) == form.max_pages:
            why = Reason.TOO_MANY
        if why is not None:
            left_out.append(LeftOut(page.path, "", why))
            continue
        short = _shortened(page, form.max_value)
        left_out += [
            LeftOut(page.path, link.target, Reason.OVER_BUDGET)
            for link in page.links
            if link not in short.links
        ]
        if short.links:
            keys.add(key)
            pages.append(short)
    pages.sort(key=attrgetter("path"))
    lines = [*_comments(plan.origin, form, pages, left_out), "", *form.write(pages)]
    return Configuration("\n".join(lines) + "\n", tuple(pages), tuple(left_out))


def _shortened(page: LinkedPage, room: int) -> LinkedPage:
    """Return a page with as many links, in their order, as there is room for."""
    kept = []
    for link in page.links:
        size = len(link.value) + len(", ")
        if size <= room:
            room -= size
            kept.append(link)
    return replace(page, links=tuple(kept))


def _comments(
    origin: str, form: Format, pages: Sequence[LinkedPage], left_out: Iterable[LeftOut]
) -> Iterator[str]:
    site = safe(origin) or "your site"
    number = sum(len(page.links) for page in pages)
    links = f"{number} link{'' if number == 1 else 's'}"
    found = f"{len(pages)} page{'' if len(pages) == 1 else 's'} of {site} with {links}"
    yield f"{TITLE}: {found}."
    for usage in form.usage:
        paragraph = usage.replace("{origin}", site)
        yield "#"
        if paragraph.startswith("    "):
            yield from (f"# {line}" for line in paragraph.splitlines())
        else:
            yield from (f"# {line}" for line in wrap(paragraph, _COLUMNS - 2))
    if form.early and not all(link.verified for page in pages for link in page.links):
        yield "#"
        yield from (f"# {line}" for line in wrap(_UNVERIFIED, _COLUMNS - 2))
    yield from _omissions(left_out)


def _omissions(left_out: Iterable[LeftOut]) -> Iterator[str]:
    by_reason: dict[Reason, list[LeftOut]] = defaultdict(list)
    for each in left_out:
        by_reason[each.why].append(each)
    for reason, found in by_reason.items():
        yield "#"
        yield f"# Left out ({reason}):"
        for each in found[:_EXAMPLES]:
            yield f"#   {safe(each.page)}" + (f" with {safe(each.asset)}" if each.asset else "")
        if len(found) > _EXAMPLES:
            yield f"#   and {len(found) - _EXAMPLES} more"


def safe(text: str) -> str:
    """Return text as a comment of any format may have it."""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return _UNSAFE.sub(
        lambda found: "".join(f"%{b:02X}" for b in found[0].encode(errors="replace")), shown
    )
