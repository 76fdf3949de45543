"""The preloads that an application names itself, in the Link fields of its page or in its own 103.

They are the application's word: none is sent a second time, and clients that take pushes get them
as pushes. Pure. Called by the middleware.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from headstart.wire.links import ParsedLink, parse

# What a client is sent without asking; `fetch` may be a call of an API, `document` another page.
_PUSHED = frozenset({"style", "script", "font", "image"})


class OwnLink(NamedTuple):
    """A preload from the page's own origin.

    Attributes:
        target: Path and query.
        kind: Its use, in the words of `as`.
        may_push: It may be pushed: a push of it is safe, and `nopush` does not forbid it.
        module: It is a JavaScript module.
        link: The link as it stands.
    """

    target: str
    kind: str
    may_push: bool
    module: bool
    link: ParsedLink


def links_of(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Return the values of a response's Link fields."""
    return [bytes(value) for name, value in headers if name.lower() == b"link"]


def own_links(values: Iterable[bytes], page: str) -> list[OwnLink]:
    """Return the preloads of the page's own origin that these Link fields name.

    Args:
        values: Of the Link fields.
        page: The page's URL, which relative targets begin from.
    """
    found = []
    for value in values:
        # Most Link fields of pages name other things (`canonical`, an API).
        if b"preload" not in value.lower():
            continue
        for link in parse(value):
            own = _own_link(link, page)
            if own is not None:
                found.append(own)
    return found


def _own_link(link: ParsedLink, page: str) -> OwnLink | None:
    rels = link.rels
    if "preload" in rels:
        kind = link.as_
    elif "modulepreload" in rels:
        kind = link.as_ or "script"
    else:
        return None
    try:
        url, own = urlsplit(urljoin(page, link.target)), urlsplit(page)
    except ValueError:
        return None
    if (url.scheme, url.netloc) != (own.scheme, own.netloc):
        return None
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    may_push = kind in _PUSHED and link.get("nopush") is None
    return OwnLink(target, kind, may_push, "preload" not in rels, link)
