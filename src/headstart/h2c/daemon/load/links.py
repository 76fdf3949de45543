"""Find the links of a response: in its Link headers, and in its content while it arrives.

Of a Link header, in a 103 (RFC 8297) or in the page's response, browsers are followed: `preload`
with an `as` that they know, `modulepreload`, and `preconnect`. Content in gzip or deflate is
decoded within a bound; other codings are not requested. `loader` makes one reader for each document
and stylesheet. Calls `documents`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from email.message import Message
from typing import Protocol

import webencodings

from headstart.h2c.codings import Inflater, codings_of
from headstart.h2c.daemon.load.documents import Document, kind_of_preload, links_of_stylesheet
from headstart.h2c.daemon.load.fonts import used_families
from headstart.h2c.daemon.load.resource import Kind, Want, resolve, wants
from headstart.wire.links import ParsedLink, parse

LARGEST = 4 * 1024 * 1024
"""Bytes of one document or stylesheet that are read for links."""

_HTML = frozenset({"text/html", "application/xhtml+xml"})


class Reader(Protocol):
    """Finds links in content."""

    @property
    def families(self) -> AbstractSet[str]:
        """Return the families that the content's rules use, so far."""
        ...

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """Return the links found in the next piece."""
        ...


class Stylesheet:
    """Reads a stylesheet at its end.

    Args:
        url: Its own.
    """

    def __init__(self, url: str, charset: str) -> None:
        self._url = url
        self._encoding = webencodings.lookup(charset) or webencodings.UTF8
        self._text = bytearray()
        self.families: set[str] = set()

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """Return the links found at the end."""
        self._text += data
        if not final:
            return []
        text, _ = webencodings.decode(bytes(self._text), self._encoding, "replace")
        self.families = used_families(text)
        return wants(self._url, links_of_stylesheet(text))


class Nothing:
    """Reads content that links nothing."""

    families: frozenset[str] = frozenset()

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """Nothing is found."""
        return []


class Inflated:
    """A reader that decompresses content for another reader, and stops at invalid data."""

    def __init__(self, reader: Reader, coding: str) -> None:
        self._reader = reader
        self._inflater = Inflater(coding)
        self._room = LARGEST

    @property
    def families(self) -> AbstractSet[str]:
        """Return those of the inner reader."""
        return self._reader.families

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """Return the links that the inner reader finds."""
        plain = b""
        try:
            plain = self._inflater.feed(data, self._room)
        except zlib.error:
            self._room = 0
        self._room -= len(plain)
        return self._reader.feed(plain, final=final)


class Bounded:
    """Reads no more than `LARGEST` bytes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._room = LARGEST

    @property
    def families(self) -> AbstractSet[str]:
        """Return those of the inner reader."""
        return self._reader.families

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """Return the links that the inner reader finds within the bound."""
        piece = data[: self._room]
        self._room -= len(piece)
        return self._reader.feed(piece, final=final)


def reader_of(url: str, kind: Kind, content_type: str, encoding: str) -> Reader:
    """Return a reader for the content, or None for content without links.

    Args:
        content_type: The value of Content-Type.
        encoding: The value of Content-Encoding.
    """
    found = _of_type(url, kind, content_type)
    if isinstance(found, Nothing):
        return found
    codings = codings_of(encoding)
    if codings is None:
        return Nothing()
    outer: Reader = found if codings else Bounded(found)
    for coding in codings:  # the last one was applied last, so it is the first to be undone
        outer = Inflated(outer, coding)
    return outer


def essence(content_type: str) -> str:
    """Return the media type in lower case without its parameters; "" if it is missing."""
    return content_type.partition(";")[0].strip().lower()


def _of_type(url: str, kind: Kind, content_type: str) -> Reader:
    charset = _charset(content_type)
    media_type = essence(content_type)
    if kind is Kind.DOCUMENT and (media_type in _HTML or not media_type):
        return Document(url, charset)
    if kind is Kind.STYLE and media_type in ("text/css", ""):
        return Stylesheet(url, charset)
    return Nothing()


def _charset(content_type: str) -> str:
    # The standard library reads a field with parameters where mail has them (RFC 2045).
    message = Message()
    message["content-type"] = content_type.replace("\n", " ").replace("\r", " ")
    found = message.get_param("charset")
    return found if isinstance(found, str) else ""


def is_reusable(fields: Iterable[tuple[bytes, bytes]], status: int) -> bool:
    """Return true if a browser's cache keeps the response for the page (RFC 9111, 3).

    Args:
        fields: Of the response, names in lower case.
    """
    from headstart.learn.safety import directives, lifetime

    named = {name: value.decode("latin-1") for name, value in fields}
    said = named.get(b"cache-control", "")
    if status >= 400 or not {"no-store", "no-cache"}.isdisjoint(directives(said)):
        return False
    seconds = lifetime(said)
    if seconds is not None:
        return seconds > 0
    # RFC 9111, 4.2.2: without a lifetime, one is guessed from the last change.
    return named.get(b"expires", "0") not in ("0", "-1") or b"last-modified" in named


@dataclass(frozen=True, slots=True)
class Preconnect:
    """A connection that is to be made; `url` is anywhere on its origin."""

    url: str


def links_of_headers(
    fields: Iterable[tuple[bytes, bytes]], url: str, *, early: bool
) -> list[Want | Preconnect]:
    """Return the resources that the Link headers name.

    Args:
        fields: The response's headers, names in lower case.
        url: The page's URL.
        early: The response is a 103.
    """
    found = (link for name, value in fields if name == b"link" for link in parse(value))
    return [wanted for link in found for wanted in _wanted(link, url, early)]


def ignored_links(fields: Iterable[tuple[bytes, bytes]], url: str) -> Iterator[str]:
    """Yield the Link headers' links that `links_of_headers` leaves out, each with the reason.

    Args:
        fields, url: As there.
    """
    for name, value in fields:
        for link in parse(value) if name == b"link" else ():
            if why := _obstacle(link, url):
                yield f"<{link.target}>: {why}"


def _obstacle(link: ParsedLink, url: str) -> str:
    """Return the reason why a link is not followed, "" if it is."""
    if resolve(url, link.target) is None:
        return "it is not a URL that is fetched"
    if link.get("anchor"):
        return "it has an anchor, so it is not a link of the page"
    if not {"preconnect", "modulepreload"}.isdisjoint(link.rels):
        return ""
    if "preload" not in link.rels:
        rels = " ".join(link.rels)
        return f"rel={rels!r} asks for nothing; preload, modulepreload and preconnect do"
    if kind_of_preload(link.as_) is None:
        named = f"as={link.as_!r} is unknown" if link.as_ else "it has no 'as'"
        return f"{named}, and browsers then ignore a preload"
    return ""


def _wanted(link: ParsedLink, url: str, early: bool) -> Iterator[Want | Preconnect]:
    target = resolve(url, link.target)
    if target is None or _obstacle(link, url):
        return
    if "preconnect" in link.rels:
        yield Preconnect(target)
    elif "modulepreload" in link.rels:
        yield Want(target, Kind.SCRIPT, url, hinted=True, early=early)
    elif "preload" in link.rels and (kind := kind_of_preload(link.as_)) is not None:
        yield Want(target, kind, url, hinted=True, early=early)
