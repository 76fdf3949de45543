"""The HTTP/1.1 messages that upgrade a connection to HTTP/2 (RFC 7540, 3.2).

Pure: takes the head of a request or of its response, returns its content. RFC 9113 has deprecated
the upgrade, but servers and curl still support it. Heads are read with httptools. Called by
`wire.frames`.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from dataclasses import dataclass

import httptools

from headstart.wire.payloads import Content, HeaderList, read_payload

MAX_HEAD = 16 * 1024
"""Octets of a head that are looked at."""

_SETTINGS = 0x04


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request for HTTP/2, or the response that grants it.

    Attributes:
        headers: As HTTP/2 would have them: pseudo-header fields first, names in lower case.
        settings: The payload in the HTTP2-Settings field of a request.
    """

    headers: HeaderList
    settings: Content


class _Head:
    """Callbacks for httptools."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def value(self, name: bytes) -> bytes:
        return next((value for found, value in self.fields if found == name), b"")

    @property
    def names_h2c(self) -> bool:
        tokens = self.value(b"upgrade").lower().split(b",")
        return b"h2c" in [token.strip() for token in tokens]


def read_request(octets: bytes) -> Upgrade | None:
    """Read a request for HTTP/2; return None if it is another request or malformed.

    Args:
        octets: Its head, with the empty line.
    """
    head = _Head()
    parser = httptools.HttpRequestParser(head)
    if not _parsed(parser, octets) or not head.names_h2c:
        return None
    pseudo = (
        (b":method", parser.get_method()),
        (b":scheme", b"http"),
        (b":authority", head.value(b"host")),
        (b":path", head.target),
    )
    fields = [field for field in head.fields if field[0] != b"host"]
    return Upgrade((*pseudo, *fields), _settings(head.value(b"http2-settings")))


def read_answer(octets: bytes) -> Upgrade | None:
    """Read a response after which the server uses HTTP/2; return None if it is another response."""
    head = _Head()
    parser = httptools.HttpResponseParser(head)
    if not _parsed(parser, octets) or parser.get_status_code() != 101 or not head.names_h2c:
        return None
    return Upgrade(((b":status", b"101"), *head.fields), Content())


def _parsed(
    parser: httptools.HttpRequestParser | httptools.HttpResponseParser, octets: bytes
) -> bool:
    try:
        parser.feed_data(octets)
    except httptools.HttpParserUpgrade:
        return True
    except httptools.HttpParserError:
        return False
    # With content announced, httptools would go on to read that before it tells of the upgrade.
    return True


def _settings(value: bytes) -> Content:
    """Decode a SETTINGS payload in base64url without padding (RFC 7540, 3.2.1); b"" if invalid."""
    try:
        payload = urlsafe_b64decode(value + b"=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return Content()
    return read_payload(_SETTINGS, 0, 0, payload)
