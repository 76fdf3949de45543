"""The resources of a page and their responses.

Pure; made by `documents` and `links`, filled in by `loader`, shown by `report` and `picture`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit

from headstart.client.origin import split_url
from headstart.errors import ConfigurationError


class Kind(StrEnum):
    """The use of a resource, in the order in which a browser wants them."""

    DOCUMENT = "document"
    STYLE = "style"
    SCRIPT = "script"
    FONT = "font"
    IMAGE = "image"
    OTHER = "other"


class Way(StrEnum):
    """How a resource came."""

    PUSH = "push"
    HINT = "hint"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Want:
    """A resource to fetch.

    Attributes:
        url: Absolute, without a fragment.
        initiator: The URL of the resource that names it; "" for the page itself.
        hinted: Named by a 103 or by a Link header of the page.
        early: Named by a 103.
        family: The family that a stylesheet's font belongs to, in lower case.
    """

    url: str
    kind: Kind
    initiator: str
    hinted: bool = False
    early: bool = False
    family: str = ""


@dataclass(slots=True)
class Resource:
    """One response. Times are seconds since the load began, None for events that did not happen.

    Attributes:
        way: How it arrived.
        started: When the request was sent, or the promise came.
        responded: When the final response's header section came.
        ended: When it was complete.
        size: Bytes of its content as sent.
        stream: Its stream's id.
        reusable: A cache may give it to the page after a 103 named it.
        used: Something in the page asks for it.
        error: Why it failed or broke off; "" if it did not.
    """

    url: str
    kind: Kind
    initiator: str
    way: Way
    started: float
    responded: float | None = None
    ended: float | None = None
    status: int | None = None
    media_type: str = ""
    size: int = 0
    stream: int = 0
    origin: str = ""
    reusable: bool = True
    used: bool = True
    error: str = ""

    @property
    def name(self) -> str:
        """Path and query of its URL."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def is_good(self) -> bool:
        """Return true if it is complete and its status is not an error."""
        return not self.error and self.status is not None and self.status < 400


@dataclass(frozen=True, slots=True)
class Early:
    """A 103 for the page.

    Attributes:
        at: Seconds since the load began.
        links: The URLs of its links that are followed.
        ignored: Its other links, each with the reason.
    """

    at: float
    links: tuple[str, ...]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that was made for the load; seconds since it began."""

    origin: str
    started: float
    ended: float


@dataclass(slots=True)
class Load:
    """A page and all its resources.

    Attributes:
        resources: In the order in which they started; the page is the first.
        skipped: Resources that were not fetched because a bound was reached.
    """

    url: str
    resources: list[Resource] = field(default_factory=list)
    early: list[Early] = field(default_factory=list)
    connections: list[Opened] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def duration(self) -> float:
        """Seconds until everything was there."""
        times = [resource.ended or resource.responded or 0.0 for resource in self.resources]
        return max(times, default=0.0)

    @property
    def size(self) -> int:
        """Bytes of all contents."""
        return sum(resource.size for resource in self.resources)

    def by(self, way: Way) -> list[Resource]:
        """Return the useful resources that arrived in this way."""
        return [one for one in self.resources if one.way is way and one.used]

    @property
    def wasted(self) -> list[Resource]:
        """Return the resources sent ahead that the page did not use."""
        return [one for one in self.resources if not one.used]

    @property
    def failed(self) -> list[Resource]:
        """Return the resources that failed or broke off."""
        return [one for one in self.resources if one.error]


def resolve(base: str, reference: str) -> str | None:
    """Return the URL of a reference in a document, in normal form.

    Returns None for a URL that is not fetched over HTTP. A URL without a usable host is returned
    unchanged, so that fetching it reports the error.
    """
    reference = reference.strip()
    if not reference or reference.startswith("#"):
        return None
    try:
        url = urldefrag(urljoin(base, reference)).url
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    try:
        origin, target = split_url(url)
    except ConfigurationError:
        return url
    return f"{origin}{target}"


class Reference(NamedTuple):
    """A reference in a page or a stylesheet, and the family of a font, "" if it has none."""

    target: str
    kind: Kind
    family: str = ""


def wants(base: str, found: Iterable[Reference], initiator: str | None = None) -> list[Want]:
    """Resolve references; leave out invalid ones and the base itself."""
    source = base if initiator is None else initiator
    resolved = ((resolve(base, one.target), one) for one in found)
    return [
        Want(url, one.kind, source, family=one.family)
        for url, one in resolved
        if url and url != source
    ]
