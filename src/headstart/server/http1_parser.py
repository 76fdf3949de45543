"""The requests of one HTTP/1.1 connection, sans-I/O: bytes in, checked events out.

httptools (llhttp) is strict about the grammar: it refuses a bare LF, a folded line, white space
before a colon, a control character, a wrong or a second Content-Length. It has no limits, and it
accepts requests that `wire.fields` refuses over HTTP/2. So the head of each request is checked here
before anybody sees it, and the parser's memory is bounded. The parser knows where a body ends, so
that nothing else has to.

A `RequestParser` is owned by `http1.Http1Connection`; it changes only itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, TypeAlias

import httptools

from headstart.config import WireLimits
from headstart.reasons import Closing
from headstart.server.http1_checks import Answer, Refused, framing_refusal
from headstart.wire.events import Fields, RequestReceived, RequestRefused, RequestTemplate
from headstart.wire.fields import (
    REMEMBERED_LENGTH,
    known_target,
    read_request,
    split_absolute,
    valid_authority,
)

SLICE: Final = 64 * 1024
"""The most that `feed` may be given at once: the parser keeps a line that has not ended."""
STREAM: Final = 1
"""The number of each request: HTTP/1.1 has no streams, and what a client asks for is odd."""
# The octets of a request line, and of the colon and line end of each field.
_LINE_OVERHEAD: Final = 1024
# RFC 9112, 7.1: what a chunk's size and its line ends take.
_CHUNK_OVERHEAD: Final = 16
# Chunk extensions and trailers, which nobody reads (CVE-2023-39326).
_MAX_EXTRAS: Final = 16 * 1024
# What must not come behind a body (RFC 9110, 6.5.1).
_FORBIDDEN_TRAILERS: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})
# What asks for another protocol on this connection (RFC 9110, 7.8; RFC 7540, 3.2.1).
_UPGRADE_FIELDS: Final = frozenset({b"upgrade", b"http2-settings"})


class Part(Enum):
    """The part of a request that is expected."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class Http1Template(RequestTemplate):
    """The common part of requests over HTTP/1.1 that differ only in their targets.

    Attributes:
        version: 1.1 or 1.0.
        keeps_alive: The client lets the connection go on (RFC 9112, 9.3).
        end_stream: No body follows.
    """

    __slots__ = ("end_stream", "keeps_alive", "version")

    def __init__(
        self,
        version: str,
        method: str,
        headers: Fields,
        keeps_alive: bool,
        end_stream: bool,
    ) -> None:
        super().__init__(method, b"", tuple(headers), 0)
        self.version = version
        self.keeps_alive = keeps_alive
        self.end_stream = end_stream


@dataclass(slots=True)
class BodyReceived:
    """A part of the body of the newest request; `ended` with the last."""

    data: bytes
    ended: bool


@dataclass(slots=True)
class UpgradeReceived:
    """A request for a WebSocket, without a body.

    Attributes:
        target, headers: As in `RequestReceived`.
        rest: The bytes behind it.
    """

    target: bytes
    headers: Fields
    rest: bytes = b""


Event: TypeAlias = RequestReceived | BodyReceived | UpgradeReceived | Answer
"""What `feed` returns. Behind an `Answer`, which refuses a request, or an upgrade nothing comes."""


class RequestParser:
    """The parser of one connection.

    Args:
        limits: How large requests may be.
        offers_websockets: An upgrade to a WebSocket is not ignored.

    Attributes:
        part: The one that is expected.
        begun: A request has begun and not ended.
        body_size: Bytes of content of the newest request that came.
    """

    def __init__(self, limits: WireLimits, offers_websockets: bool) -> None:
        self._limits = limits
        self._offers_websockets = offers_websockets
        self._max_head = limits.max_target_size + limits.max_header_size + _LINE_OVERHEAD
        self._parser: Any = self._new_parser()
        self.part = Part.HEAD
        self.begun = False
        self.body_size = 0
        self._events: list[Event] = []
        self._url = b""
        self._fields: Fields = []
        """Fields as they came; behind the head, trailers."""
        self._has_body = False
        """The last `RequestReceived` told of a body that has not ended."""
        self._parts: list[bytes] = []
        """Of a body, since the last event."""
        self._extra = 0
        """Bytes of a head that has not ended, or of a body beside its data."""
        self._messages = self._chunks = 0
        self._upgrade: UpgradeReceived | None = None
        self._ignored: Fields | None = None
        """Fields of a request for a protocol that nobody offers: it is read again without."""
        self._known_fields: Fields = []
        """Fields of the last request that passed all checks, as they came..."""
        self._known_line = "", b""
        """... its version and method, ..."""
        self._known_url = b""
        """... its target: one that is not longer is small enough, too, ..."""
        self._known = Http1Template("", "", [], keeps_alive=False, end_stream=True)
        """... and all that follows from these."""

    def _new_parser(self) -> Any:
        parser = httptools.HttpRequestParser(self)
        # A request behind one with `Connection: close` is nobody's, but no reason for a 400.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def close(self) -> None:
        """Leave nothing for the garbage collector: the parser refers to its callbacks."""
        self._parser = None

    def feed(self, data: bytes) -> list[Event]:
        """Return the events of some bytes, of which there are `SLICE` at the most."""
        if self.part is Part.NOTHING:
            self.part = Part.HEAD
            self._extra = 0
        messages, part, size, chunks = self._messages, self.part, self.body_size, self._chunks
        rest = data
        try:
            while rest:
                rest = self._parse(rest)
            if self._parts:
                self._take_parts(ended=False)
            if self._messages == messages and part is self.part:
                framed = self.body_size - size + (self._chunks - chunks) * _CHUNK_OVERHEAD
                # A client may write a chunk's size, data and line end one by one: what one takes
                # less than its allowance is left for the bytes of the same chunk that follow.
                self._extra = max(-_CHUNK_OVERHEAD, self._extra + len(data) - framed)
                self._check_extra()
            if self._fields and self.part is Part.BODY:
                self._check_trailers()
        except Refused as refused:
            self._events.append(refused.answer)
        events, self._events = self._events, []
        return events

    def _parse(self, data: bytes) -> bytes:
        """Give bytes to the parser; return the rest if a request asked for an upgrade."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._upgrade is not None:
                self._upgrade.rest = data[upgrade.args[0] :]
                self._events.append(self._upgrade)
                return b""
            return self._without_upgrade() + data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Refused):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError as error:
            raise Refused(Answer(400, str(error), Closing.MALFORMED)) from error
        return b""

    def _check_extra(self) -> None:
        if self.part is Part.BODY:
            if self._extra > _MAX_EXTRAS:
                text = "chunk extensions or trailers too large"
                raise Refused(Answer(400, text, Closing.TOO_LARGE))
        elif self._extra > self._max_head:
            raise Refused(Answer(431, "fields too large", Closing.TOO_LARGE))

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Begin a request line."""
        self._messages += 1
        self.begun = True
        self.part = Part.HEAD
        self._extra = 0
        self._url = b""
        self._fields = []

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._url += url
        if len(self._url) > self._limits.max_target_size:
            raise Refused(Answer(414, "target too long", Closing.TOO_LARGE))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field, or a trailer."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Check the head, and begin the request."""
        parser, came = self._parser, self._fields
        line = parser.get_http_version(), parser.get_method()
        if came == self._known_fields and line == self._known_line and self._has_known_target():
            template = self._known
        else:
            template = self._checked(*line, came)
        self.part = Part.BODY
        self._extra = self.body_size = 0
        self._fields = []
        if self._ignored is None and self._upgrade is None:
            self._has_body = not template.end_stream
            self._events.append(
                RequestReceived(
                    STREAM,
                    template.method,
                    self._url,
                    b"",
                    list(template.headers),  # the application may change its own
                    template.end_stream,
                    template,
                )
            )

    def on_chunk_header(self) -> None:
        """Begin a chunk."""
        self._chunks += 1

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self.body_size += len(body)
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """End the request; drop trailers, since ASGI cannot express them."""
        if self._fields:
            self._check_trailers()
        self.part = Part.NOTHING
        self.begun = False
        if self._has_body:
            self._has_body = False
            self._take_parts(ended=True)

    def _take_parts(self, ended: bool) -> None:
        parts, self._parts = self._parts, []
        self._events.append(BodyReceived(b"".join(parts), ended))

    # Checks.

    def _check_trailers(self) -> None:
        if any(name.lower() in _FORBIDDEN_TRAILERS for name, _ in self._fields):
            raise Refused(Answer(400, "a trailer that frames or routes", Closing.MALFORMED))
        if len(self._fields) > self._limits.max_header_count:
            raise Refused(Answer(431, "too many trailers", Closing.TOO_LARGE))

    def _has_known_target(self) -> bool:
        """Return true if the target is as good as that of the last request that passed.

        Clients repeat their fields with each request of a connection, and the checks take longer
        than all that the parser does.
        """
        url, known = self._url, self._known_url
        return url == known or (
            len(url) <= min(len(known), REMEMBERED_LENGTH) and known_target(url)
        )

    def _checked(self, version: str, method: bytes, came: Fields) -> Http1Template:
        """Return all that a head says but for its target, which may be changed.

        Raises:
            Refused: A rule of HTTP/2 is broken, or one of framing.
        """
        if len(came) > self._limits.max_header_count:
            raise Refused(Answer(431, "too many fields", Closing.TOO_LARGE))
        # RFC 9112, 5: white space around a value is not part of it.
        fields = [(name.lower(), value.rstrip(b" \t")) for name, value in came]
        absolute = split_absolute(self._url, method)
        refusal = self._refusal(version, method, fields, absolute)
        if refusal is not None:
            raise Refused(refusal)
        if absolute is not None:
            # RFC 9112, 3.2.2: the target's host takes the place of Host, which is ignored.
            fields = [(b"host", absolute[0]), *[pair for pair in fields if pair[0] != b"host"]]
        upgrades = self._parser.should_upgrade()
        if upgrades and self._is_websocket(version, method, fields):
            self._upgrade = UpgradeReceived(self._url, fields)
        elif upgrades:
            self._ignored = fields
        keeps_alive = version != "1.0" and self._parser.should_keep_alive()
        template = Http1Template(
            version, method.decode("ascii"), fields, keeps_alive, not _has_body(fields)
        )
        # The host of an absolute target is in these fields, and not in those that came.
        if absolute is None and not upgrades:
            self._known, self._known_fields, self._known_url = template, came, self._url
            self._known_line = version, method
        return template

    def _refusal(
        self,
        version: str,
        method: bytes,
        fields: Fields,
        absolute: tuple[bytes, bytes] | None,
    ) -> Answer | None:
        if version not in ("1.1", "1.0"):
            return Answer(505, f"HTTP/{version} is not spoken here", Closing.VERSION)
        if absolute is not None:
            authority, self._url = absolute
            if not valid_authority(authority):
                return Answer(400, "malformed authority", Closing.MALFORMED)
        pseudo = [(b":method", method), (b":scheme", b"http"), (b":path", self._url)]
        if version == "1.0" and not any(name == b"host" for name, _ in fields):
            pseudo.append((b":authority", b"localhost"))  # RFC 9112, 3.2: it need not say
        outcome = read_request(STREAM, (*pseudo, *fields), True, self._limits)
        if isinstance(outcome, RequestRefused):
            reason = Closing.MALFORMED if outcome.status == 400 else Closing.TOO_LARGE
            return Answer(outcome.status, outcome.reason, reason)
        websocket = self._parser.should_upgrade() and self._is_websocket(version, method, fields)
        return framing_refusal(version, fields, websocket)

    # Upgrades.

    def _is_websocket(self, version: str, method: bytes, fields: Fields) -> bool:
        """Return true if a request that asks for an upgrade asks for a WebSocket.

        RFC 9110, 7.8: HTTP/1.0 knows of none; RFC 6455, 4.1: it is a GET.
        """
        if version == "1.0" or method != b"GET" or not self._offers_websockets:
            return False
        asked = [value.lower() for name, value in fields if name == b"upgrade"]
        return asked[-1:] == [b"websocket"]

    def _without_upgrade(self) -> bytes:
        """Return the request's head without the upgrade, which is not offered.

        A server may ignore it (RFC 9110, 7.8), but the parser does not: it takes the request's body
        for the other protocol. Java's client asks so for HTTP/2 with each first request.
        """
        fields, self._ignored = self._ignored or [], None
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        self._parser = self._new_parser()
        lines = [b"%s %s HTTP/%s" % (method, self._url, version)]
        for name, value in fields:
            if name == b"connection":
                words = [word.strip() for word in value.split(b",")]
                kept = [word for word in words if word.lower() not in _UPGRADE_FIELDS]
                lines.append(b"connection: " + b", ".join(kept or [b"keep-alive"]))
            elif name not in _UPGRADE_FIELDS:
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join([*lines, b"", b""])


def _has_body(fields: Fields) -> bool:
    """Return whether content follows a head that passed all checks (RFC 9112, 6.3)."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
        for name, value in fields
    )
