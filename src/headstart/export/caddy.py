r"""Caddy: a `map` from the decoded path to the value of `Link`, which `header` and `respond` send.

Values stand between backquotes, in which nothing is escaped; a link has none (`wire.links`). Caddy
replaces `{$NAME}` in the whole file and `{name}` in each value, so a page whose path has braces, or
anything that is not plainly text, is a regular expression with `\xHH` instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from headstart.export.formats import Format
from headstart.export.paths import as_regex, decoded
from headstart.export.plan import LinkedPage, Reason

_LITERAL: Final = re.compile(r"/(?:[A-Za-z0-9/._~!$&'()*+,;:=@%-]|[^\x00-\x7f])*")
_SPECIAL: Final = re.compile(r"[`{}]")

_USAGE: Final = (
    "Caddy 2.6 or newer: import this file in the site block of {origin}, or, if that has handle "
    "blocks, in each of these:",
    "    import headstart.caddy",
    "Browsers that navigate over HTTP/2 or HTTP/3 get a 103 Early Hints, everybody a Link header.",
)


def fits(page: LinkedPage) -> Reason | None:
    """Return why this format cannot have the page, or None."""
    if _SPECIAL.search(page.value):
        return Reason.SYNTAX
    return Reason.ENCODED if decoded(page.path) is None else None


def write(pages: Sequence[LinkedPage]) -> Iterator[str]:
    """Yield the lines for these pages."""
    yield "map {http.request.orig_uri.path} {headstart_link} {headstart_early} {"
    for page in pages:
        yield f"    {_entry(decoded(page.path) or '', page.value, page.early)}"
    yield "    default `` ``"
    yield "}"
    yield "@headstart_early {"
    yield "    not vars {headstart_early} ``"
    yield "    header Sec-Fetch-Mode navigate"
    yield "    protocol http/2+"
    yield "}"
    yield "@headstart_link not vars {headstart_link} ``"
    yield "route {"
    yield "    header @headstart_early Link {headstart_early}"
    yield "    respond @headstart_early 103"
    yield "    header @headstart_link Link {headstart_link}"
    yield "}"


def _entry(path: str, value: str, early: str) -> str:
    if _LITERAL.fullmatch(path):
        return f"`{path}` `{value}` `{early}`"
    # With an expression `$` begins a group of it, and is doubled.
    value, early = (text.replace("$", "$$") for text in (value, early))
    return f"`~^{as_regex(path, octets=False)}$` `{value}` `{early}`"


FORMAT: Final = Format(_USAGE, write, fits, key=decoded)
