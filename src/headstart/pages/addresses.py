"""URLs as a page writes them, and as a browser requests them.

Pure. Called by `markup`. The request of a browser is known for certain for most URLs; any other is
left out, since a hint that differs by one character makes a browser fetch twice.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from headstart.learn.safety import bad_target
from headstart.wire.links import LinkError, escape_target

# URL, 4.4: white space around a URL is stripped, tabs and newlines within it are removed.
_AROUND = "".join(map(chr, range(33)))
_WITHIN = str.maketrans("", "", "\t\n\r")
# A path that urljoin would give back as it is.
_ABSOLUTE = re.compile(r"/(?!/)[A-Za-z0-9_/-]+(?:\.[A-Za-z0-9_-]+)*(?:\?[A-Za-z0-9_.=&+-]*)?")
# Of these browsers escape some in a path and some in a query, or read them as something else.
_DOUBTFUL = re.compile(r"[\\^`{|}'\ufffd]|%(?![0-9A-Fa-f]{2})|/(?:\.|%2[eE]){1,2}(?:[/?]|$)")
# HTML, 4.8.4.3.10: commas at its end are not part of a candidate's URL, and end the candidate.
# Possessive, so that a list that is not one takes time in proportion to its length.
_CANDIDATE = re.compile(r"[\s,]*+([^\s,]\S*+)")
_DESCRIPTOR = re.compile(r"\s*+(?:([0-9]++w|[0-9]++(?:\.[0-9]++)?x)\s*+)?(?:,|$)")
_LONGEST = 2048
# Characters of URLs, bases among them, that are joined for one page.
_MOST_JOINED = 1024 * 1024
# What one costs beside them.
_PER_URL = 64
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Address(NamedTuple):
    """Where something is.

    Attributes:
        own: It is on the page's own origin.
        origin: Scheme and authority.
        target: Path and query.
    """

    own: bool
    origin: str
    target: str


class Addresses:
    """Resolves the URLs of one page.

    Args:
        url: The page's own.
    """

    def __init__(self, url: str) -> None:
        self._origin = _origin_of(url)
        # A reference that is not empty never takes the page's own query.
        self._base = _base(url.partition("?")[0])
        self._joinable = _MOST_JOINED

    def rebase(self, href: str) -> None:
        """Take the `href` of the page's first `base` that has one (HTML, 4.2.3)."""
        text = _stripped(href)
        base = _joined(self._base, text) if len(text) <= _LONGEST else ""
        if not base or base.startswith(("http://", "https://")):
            self._base = _base(base)

    def resolve(self, href: str) -> Address | None:
        """Return where a URL leads to, or None if it is unsure or is not fetched over HTTP."""
        text = _stripped(href)
        if not text or text[0] == "#" or len(text) > _LONGEST:
            return None
        self._joinable -= len(self._base) + len(text) + _PER_URL
        if self._joinable < 0:
            return None
        if _ABSOLUTE.fullmatch(text) and self._base.startswith(self._origin + "/"):
            return Address(True, self._origin, text)
        joined = _joined(self._base, text.partition("#")[0])
        if not joined.startswith(("http://", "https://")):
            return None
        origin = _origin_of(joined)
        if origin != self._origin:
            return Address(False, origin, "") if _is_plain(origin) else None
        target = joined[joined.find("/", 8) :] if "/" in joined[8:] else "/"
        return self._own(target)

    def candidates(self, srcset: str) -> list[tuple[str, str]]:
        """Return image candidates: the target of each on the page's own origin, and its descriptor.

        Empty if any is elsewhere, or if this is not a list of candidates.
        """
        found: list[tuple[str, str]] = []
        text, at = srcset.strip(), 0
        while at < len(text):
            candidate = _CANDIDATE.match(text, at)
            if candidate is None:
                return []
            url, at = candidate[1].rstrip(","), candidate.end()
            size = None
            if url == candidate[1]:
                size = _DESCRIPTOR.match(text, at)
                if size is None:
                    return []
                at = size.end()
            address = self.resolve(url)
            if address is None or not address.own:
                return []
            found.append((address.target, size[1] or "" if size else ""))
        return found

    def _own(self, target: str) -> Address | None:
        if _DOUBTFUL.search(target):
            return None
        try:
            target = escape_target(target)
        except LinkError:
            return None
        return None if bad_target(target, _LONGEST) else Address(True, self._origin, target)


def _base(url: str) -> str:
    """Return a URL that others are relative to; "", which makes them unsure, for a long one."""
    return url if len(url) <= _LONGEST else ""


def _stripped(href: str) -> str:
    return href.strip(_AROUND).translate(_WITHIN)


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href)
    except ValueError:  # for instance a bracket that no other closes
        return ""


def _origin_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ''))}"


_PLAIN_ORIGIN = re.compile(r"https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?")


def _is_plain(origin: str) -> bool:
    """Return whether this names a host and nothing else; one with other letters is left out."""
    return _PLAIN_ORIGIN.fullmatch(origin) is not None
