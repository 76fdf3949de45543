"""Responses as bytes of HTTP/1.1: header sections, chunks, and the answers of the server itself.

Pure. Framing is this server's: it knows where a response ends, and a coding of the application's
would make the client take content for the next response. `http1.Http1Connection` writes the bytes;
`protocol` has one answer of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from headstart.errors import LocalProtocolError
from headstart.wire.events import Fields
from headstart.wire.fields import HIGHEST_STATUS, checked_name, checked_value, unreplaced
from headstart.wire.responses import (
    BODILESS,
    EMPTY,
    WITHOUT_LENGTH,
    ResponseHead,
    checked_length,
)

CLOSE: Final = b"connection: close\r\n"
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
END: Final = b"\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def reason_phrase(status: int) -> str:
    """Return the meaning of a status (RFC 9110, 15), or nothing where it is not registered."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


_STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {reason_phrase(status)}\r\n".encode()
    for status in range(200, HIGHEST_STATUS + 1)
}


class Http1Head(ResponseHead):
    """The header section of a final response over HTTP/1.1.

    Attributes:
        lines: The status line and the fields, without framing of the content.
        whole: The same with the empty line behind it, for a response that needs no other framing.
        closes: The application says `Connection: close`.
    """

    __slots__ = ("closes", "lines", "whole")

    def __init__(
        self,
        fields: Fields,
        content_length: int | None,
        bodiless: bool,
        lines: bytes,
        closes: bool,
    ) -> None:
        super().__init__(fields, content_length, bodiless)
        self.lines = lines
        self.whole = lines + END
        self.closes = closes


def http1_head(
    status: object, headers: Iterable[Iterable[bytes]], defaults: Iterable[tuple[bytes, bytes]]
) -> Http1Head:
    """Return the header section of a final response; arguments as in `wire.fields.response_fields`.

    Raises:
        LocalProtocolError: The status is not a final one, a field could not be sent, or
            Content-Length is not a number, or there twice.
    """
    if not isinstance(status, int) or not 200 <= status <= HIGHEST_STATUS:
        raise LocalProtocolError(f"the status of a response is 200 to 999, not {status!r}")
    own: Fields = []
    lengths: list[bytes] = []
    closes = False
    for given_name, given_value in headers:
        name, value = checked_name(given_name), checked_value(given_name, given_value)
        if name == b"content-length":
            if status in WITHOUT_LENGTH:
                continue
            lengths.append(value)
        elif name == b"connection":
            closes = closes or b"close" in [word.strip().lower() for word in value.split(b",")]
        if name != b"transfer-encoding":
            own.append((name, value))
    if status == 205:
        own.append(EMPTY)
        lengths.append(EMPTY[1])
    fields = [(b":status", b"%d" % status), *unreplaced(defaults, own), *own]
    length = checked_length(lengths) if lengths else None
    lines = _STATUS_LINES[status] + b"".join([b"%s: %s\r\n" % field for field in fields[1:]])
    return Http1Head(fields, length, status in BODILESS, lines, closes)


def chunk(data: bytes | memoryview) -> list[bytes | memoryview]:
    """Return a part of a body as a chunk (RFC 9112, 7.1); nothing for an empty one."""
    return [b"%x\r\n" % len(data), data, END] if data else []


def trailer_section(trailers: Fields) -> bytes:
    """Return the end of a body in chunks, with trailers (RFC 9112, 7.1.2)."""
    return b"0\r\n" + b"".join([b"%s: %s\r\n" % field for field in trailers]) + END


def answer(status: int, text: bytes, defaults: Fields, *, bare: bool = False) -> bytes:
    """Return a whole response of the server's own, behind which the connection ends.

    Args:
        status: Its status.
        text: Its content.
        defaults: Fields of every response.
        bare: Leave the content out, for a HEAD.
    """
    fields = [
        *defaults,
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
        (b"connection", b"close"),
    ]
    lines = [b"%s: %s\r\n" % field for field in fields]
    return b"".join([_STATUS_LINES[status], *lines, END, b"" if bare else text])
