"""What a page wants, and what came of it.

Pure; made by `documents`, `stylesheets` and `hints`, filled in by `loader`, shown by `table`,
`picture` and `report`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urldefrag, urljoin, urlsplit


class Kind(StrEnum):
    """What a resource is used as, in the order in which a browser wants them."""

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
    """Something that is to be fetched.

    Attributes:
        url: Absolute, without a fragment.
        initiator: The URL of what named it; "" for the page itself.
        hinted: A 103 named it, or a Link field of the page.
        early: It was a 103.
    """

    url: str
    kind: Kind
    initiator: str
    hinted: bool = False
    early: bool = False


@dataclass(slots=True)
class Resource:
    """One response. Times are seconds since the load began, None for what did not happen.

    Attributes:
        way: How it came.
        started: The request was sent, or the promise came.
        responded: The final response's header section came.
        ended: It was complete.
        size: Bytes of its content as they were sent.
        stream: The stream that it came on.
        reusable: A cache may give it to the page after a 103 named it.
        used: Something in the page asks for it.
        error: Why it did not come, or not to its end; "" for nothing.
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
        """It came to its end, with a status that is no error."""
        return not self.error and self.status is not None and self.status < 400


@dataclass(frozen=True, slots=True)
class Early:
    """A 103 that came for the page: seconds since the load began, and what its links name."""

    at: float
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that was made for the load; seconds since it began."""

    origin: str
    started: float
    ended: float


@dataclass(slots=True)
class Load:
    """A page and all that came with it.

    Attributes:
        resources: In the order in which they started; the page is the first.
        skipped: What was wanted and not fetched, since a bound was reached.
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
        """What came so, and was of use."""
        return [one for one in self.resources if one.way is way and one.used]

    @property
    def wasted(self) -> list[Resource]:
        """What was sent ahead for nothing."""
        return [one for one in self.resources if not one.used]

    @property
    def failed(self) -> list[Resource]:
        """What did not come, or not to its end."""
        return [one for one in self.resources if one.error]


def resolve(base: str, reference: str) -> str | None:
    """The URL that a reference in a document means, None for what is not fetched over HTTP."""
    reference = reference.strip()
    if not reference or reference.startswith("#"):
        return None
    try:
        url = urldefrag(urljoin(base, reference)).url
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def wants(base: str, found: Iterable[tuple[str, Kind]], initiator: str | None = None) -> list[Want]:
    """References resolved; those that mean nothing, or the base itself, are left out."""
    resolved = ((resolve(base, reference), kind) for reference, kind in found)
    source = base if initiator is None else initiator
    return [Want(url, kind, source) for url, kind in resolved if url and url != source]
