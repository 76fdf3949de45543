"""Cloudflare Pages: a `_headers` file with at most 100 paths and lines of at most 2,000 characters.

https://developers.cloudflare.com/pages/configuration/headers/
"""

from __future__ import annotations

from typing import Final

from headstart.export.formats import Format
from headstart.export.netlify import blocks, literal
from headstart.export.plan import LinkedPage, Reason

_LINE: Final = 2000

_USAGE: Final = (
    "Cloudflare Pages: put this file as _headers into the folder that is built, or add it to the "
    "one that is there; together they may have 100 paths. Cloudflare makes a 103 Early Hints of "
    "the Link headers that it has seen.",
)


def fits(page: LinkedPage) -> Reason | None:
    """Return why this format cannot have the page, or None."""
    too_long = len(page.path) > _LINE or any(len(link.value) + 8 > _LINE for link in page.links)
    return Reason.SYNTAX if too_long else literal(page)


FORMAT: Final = Format(_USAGE, blocks, fits, max_pages=100)
