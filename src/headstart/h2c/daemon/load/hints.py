"""Read the links of a Link header, in a 103 (RFC 8297) or in the page's response.

Follows browsers: `preload` with an `as` that they know, `modulepreload`, and `preconnect`. Pure;
called by `loader`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headstart.h2c.daemon.load.documents import kind_of_preload
from headstart.h2c.daemon.load.resource import Kind, Want, resolve
from headstart.wire import links
from headstart.wire.links import ParsedLink


@dataclass(frozen=True, slots=True)
class Preconnect:
    """A connection that is to be made; `url` is anywhere on its origin."""

    url: str


def read(
    fields: Iterable[tuple[bytes, bytes]], url: str, *, early: bool
) -> list[Want | Preconnect]:
    """Return the resources that the Link headers name.

    Args:
        fields: The response's headers, names in lower case.
        url: The page's URL.
        early: The response is a 103.
    """
    found = (link for name, value in fields if name == b"link" for link in links.parse(value))
    return [wanted for link in found for wanted in _wanted(link, url, early)]


def _wanted(link: ParsedLink, url: str, early: bool) -> Iterator[Want | Preconnect]:
    target = resolve(url, link.target)
    if target is None or link.get("anchor"):
        return
    if "preconnect" in link.rels:
        yield Preconnect(target)
    elif "modulepreload" in link.rels:
        yield Want(target, Kind.SCRIPT, url, hinted=True, early=early)
    elif "preload" in link.rels and (kind := kind_of_preload(link.as_)) is not None:
        yield Want(target, kind, url, hinted=True, early=early)
