"""Netlify: a `_headers` file, in which each path has its headers below it.

Nothing can be escaped in it: `*` and `:` are placeholders, and a line is trimmed. So a path is
written as it is, if all of its characters surely mean themselves; `cloudflare` has the same syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from headstart.export.formats import Format
from headstart.export.plan import LinkedPage, Reason

_LITERAL: Final = re.compile(r"/[A-Za-z0-9/._~!$&'()+,;=@%-]*")

_USAGE: Final = (
    "Netlify: put this file as _headers into the folder that is published, or add it to the one "
    "that is there.",
)


def literal(page: LinkedPage) -> Reason | None:
    """Return why a `_headers` file cannot have the page's path, or None."""
    return None if _LITERAL.fullmatch(page.path) else Reason.SYNTAX


def blocks(pages: Sequence[LinkedPage]) -> Iterator[str]:
    """Yield the lines of a `_headers` file: a path, and a line for each link."""
    for page in pages:
        yield page.path
        for link in page.links:
            yield f"  Link: {link.value}"


def key(path: str) -> str:
    """Return a path as Netlify compares it: it matches with and without a slash at its end."""
    return path.rstrip("/")


FORMAT: Final = Format(_USAGE, blocks, literal, key=key, early=False)
