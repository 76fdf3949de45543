"""The header sections of final responses.

Applications respond with equal fields again and again, to all clients. A section equal to one
before is not checked and built again. All connections of a worker share the sections: a hundred
equal ones would take the processor's caches from other data. Reads the applications' fields, keeps
the latest sections. Each `server.worker.Worker` owns one `ResponseHeads` for HTTP/2, and one that
makes sections of HTTP/1.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias, TypeGuard

from headstart.errors import LocalProtocolError
from headstart.wire.events import Fields
from headstart.wire.fields import response_fields

# RFC 9110, 6.4.1: these have no content; HEAD's responses neither, which is not ours to know.
BODILESS: Final = frozenset({204, 205, 304})
# RFC 9110, 8.6 and 15.3.6: a 204 has no Content-Length, and that of a 205 is 0. Applications send
# others; clients reset the stream, or take the content for the beginning of the next response.
WITHOUT_LENGTH: Final = frozenset({204, 205})
EMPTY: Final = (b"content-length", b"0")
# Sections that are kept until the defaults change, which have the time in seconds.
_MOST: Final = 64


class ResponseHead:
    """The header section of a final response, checked. Treat it as immutable.

    Attributes:
        fields: `:status` first, ready for `ServerConnection.respond`.
        content_length: The value of Content-Length; None without one.
        bodiless: The status allows no content.
    """

    __slots__ = ("bodiless", "content_length", "fields")

    def __init__(self, fields: Fields, content_length: int | None, bodiless: bool) -> None:
        self.fields = fields
        self.content_length = content_length
        self.bodiless = bodiless


MakeHead: TypeAlias = Callable[[object, Iterable[Iterable[bytes]], Fields], ResponseHead]
"""Status, the application's fields and the defaults -> a header section; see `response_head`."""


class ResponseHeads:
    """Check and build the header sections of responses.

    Args:
        make: Builds one; None for those of HTTP/2.
    """

    __slots__ = ("_defaults", "_head", "_headers", "_known", "_make", "_status")

    def __init__(self, make: MakeHead | None = None) -> None:
        self._make = make or response_head
        self._status: object = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._defaults: Fields = []
        self._head = ResponseHead([], None, bodiless=False)
        self._known: dict[tuple[object, ...], ResponseHead] = {}
        """Status and fields -> the section with these defaults."""

    def of(
        self, status: object, headers: Iterable[Iterable[bytes]], defaults: Fields
    ) -> ResponseHead:
        """Return the header section of one response; arguments as in `wire.fields.response_fields`.

        Args:
            defaults: The same object as long as its content is the same.

        Raises:
            LocalProtocolError: The status is not a final one, or a field could not be sent.
        """
        if status == self._status and headers == self._headers and defaults is self._defaults:
            return self._head
        if not (isinstance(status, int) and is_unchangeable(headers)):
            return self._make(status, headers, defaults)
        head = self._kept(status, headers, defaults)
        self._status, self._headers, self._defaults = status, headers.copy(), defaults
        self._head = head
        return head

    def _kept(self, status: int, headers: Fields, defaults: Fields) -> ResponseHead:
        known, key = self._known, (status, *headers)
        if defaults is not self._defaults:
            known.clear()
        head = known.get(key)
        if head is None:
            head = self._make(status, headers, defaults)
            if len(known) >= _MOST:
                del known[next(iter(known))]
            known[key] = head
        return head


def is_unchangeable(headers: object) -> TypeGuard[Fields]:
    """Return true for a list whose copy nobody can change: one of tuples of bytes."""
    if not isinstance(headers, list):
        return False
    # Loops, since a generator for each pair takes longer than all checks of a response.
    for pair in headers:
        if type(pair) is not tuple:
            return False
        for part in pair:
            if type(part) is not bytes:
                return False
    return True


def response_head(
    status: object, headers: Iterable[Iterable[bytes]], defaults: Fields
) -> ResponseHead:
    """Return the section of `wire.fields.response_fields` with the facts about its content.

    Raises:
        LocalProtocolError: The status is not a final one, a field could not be sent, or
            Content-Length is not a number, or there twice.
    """
    fields = response_fields(status, headers, defaults)
    if status in WITHOUT_LENGTH:
        fields = [field for field in fields if field[0] != b"content-length"]
        if status == 205:
            fields.append(EMPTY)
    return ResponseHead(fields, _content_length(fields), status in BODILESS)


def _content_length(fields: Fields) -> int | None:
    lengths = [value for name, value in fields if name == b"content-length"]
    return checked_length(lengths) if lengths else None


def checked_length(values: list[bytes]) -> int:
    """Return the value of a response's only Content-Length field.

    Raises:
        LocalProtocolError: There are several (RFC 9110, 8.6), or it is not a number.
    """
    if len(values) > 1:
        raise LocalProtocolError(f"Content-Length is given {len(values)} times")
    if not values[0].isdigit():  # int() takes "1_0", " 10" and "+10" as well
        raise LocalProtocolError(f"content-length is not a number: {values[0]!r}")
    return int(values[0])
