"""Reads content while it comes, for what it links.

Content that is compressed with gzip or deflate is inflated, within a bound; other encodings are not
asked for. Made by `loader`, one for each document and stylesheet; calls `documents` and
`stylesheets`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from email.message import Message
from typing import Protocol

import webencodings

from headstart.h2c.daemon.load import stylesheets
from headstart.h2c.daemon.load.documents import Document
from headstart.h2c.daemon.load.resource import Kind, Want, wants

LARGEST = 4 * 1024 * 1024
"""Bytes of one document or stylesheet that are read for links."""

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_INFLATED = frozenset({"gzip", "x-gzip", "deflate"})
# zlib's manual, inflateInit2: 15 bits, and 32 for "zlib or gzip, whichever it is".
_ANY_HEADER = 47


class Reader(Protocol):
    """Finds links in content."""

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """What is found in the next piece."""
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

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """What is found, at the end."""
        self._text += data
        if not final:
            return []
        text, _ = webencodings.decode(bytes(self._text), self._encoding, "replace")
        return wants(self._url, stylesheets.links(text))


class Nothing:
    """Reads content that links nothing."""

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """Nothing is found."""
        return []


class Inflated:
    """Inflates what another one reads; what is no such stream ends it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._inflate = zlib.decompressobj(_ANY_HEADER)
        self._room = LARGEST
        self._is_broken = False

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """What the other one finds."""
        plain = b""
        if self._room and not self._is_broken:
            try:
                plain = self._inflate.decompress(data, self._room)
            except zlib.error:
                self._is_broken = True
            self._room -= len(plain)
        return self._reader.feed(plain, final=final)


class Bounded:
    """Reads no more than `LARGEST` bytes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._room = LARGEST

    def feed(self, data: bytes, *, final: bool = False) -> list[Want]:
        """What the other one finds within the bound."""
        piece = data[: self._room]
        self._room -= len(piece)
        return self._reader.feed(piece, final=final)


def reader(url: str, kind: Kind, content_type: str, encoding: str) -> Reader:
    """What reads such content.

    Args:
        content_type: The value of Content-Type.
        encoding: That of Content-Encoding.
    """
    found = _of_type(url, kind, content_type)
    if isinstance(found, Nothing):
        return found
    if encoding.strip().lower() in ("", "identity"):
        return Bounded(found)
    if encoding.strip().lower() in _INFLATED:
        return Inflated(found)
    return Nothing()


def essence(content_type: str) -> str:
    """The media type without its parameters, in lower case; "" where there is none."""
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
    """Whether a browser's cache keeps the response, so that the page finds it there (RFC 9111, 3).

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
