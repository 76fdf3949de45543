"""The requests of one connection, read.

Programs ask with the same fields again and again, only for another path; HPACK lives on that, and
so does this. A header section that differs from the one before in nothing but `:path` is not
examined again, only its path is. Reads header sections as the engine gives them, keeps the last
one. Each `wire.server.ServerConnection` owns one `RequestReader`.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from headstart.config import WireLimits
from headstart.wire.events import (
    RequestReceived,
    RequestRefused,
    RequestTemplate,
    WebSocketRequested,
)
from headstart.wire.fields import (
    REMEMBERED_LENGTH,
    known_target,
    read_request,
    request_size,
)

_Section = tuple[tuple[bytes, bytes], ...]
_Outcome: TypeAlias = RequestReceived | WebSocketRequested | RequestRefused

_CONNECT: Final = (b":method", b"CONNECT")
# RFC 8441, 4: five pseudo-header fields.
_MOST_PSEUDO: Final = 5


class RequestReader:
    """Checks and reshapes header sections, in the order in which they come.

    Args:
        limits: How many and how large fields may be.
    """

    __slots__ = ("_after", "_before", "_compared", "_limits", "_path_at", "_target", "_template")

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        # The section before, without `:path`: what stood in front of it, and behind it.
        self._before: _Section = ()
        self._after: _Section = ()
        self._path_at = 0
        self._compared = 0
        """The last stream whose section was held against these, or that they were taken from."""
        self._template: RequestTemplate | None = None
        """Made when a section comes for the second time."""
        self._target: bytes | None = None
        """The last one that was found to be well-formed, and small enough, with that template."""

    def read(
        self, stream_id: int, headers: _Section, end_stream: bool, since: int = -1
    ) -> _Outcome:
        """As `wire.fields.read_request`, with its arguments; and see `read_connect`.

        Args:
            since: The stream whose section all later ones are like, but for the path, as
                `wire.repeats` found; -1 for none.
        """
        at = self._path_at
        if stream_id <= since or since != self._compared:
            if headers[at + 1 :] != self._after or headers[:at] != self._before:
                return self._first(stream_id, headers, end_stream)
            self._compared = stream_id
        template = self._template
        if template is None:
            return self._again(stream_id, headers, end_stream)
        target = headers[at][1]
        if target != self._target:
            if len(target) > template.target_room or not known_target(target):
                return self._again(stream_id, headers, end_stream)
            self._target = target
        return RequestReceived(
            stream_id,
            template.method,
            target,
            template.authority,
            [*template.headers],
            end_stream,
            template,
        )

    def _first(self, stream_id: int, headers: _Section, end_stream: bool) -> _Outcome:
        if _CONNECT in headers[:_MOST_PSEUDO]:
            return read_connect(stream_id, headers, end_stream, self._limits)
        names = [name for name, _ in headers[:4]]
        if b":path" in names:
            at = self._path_at = names.index(b":path")
            self._before, self._after = headers[:at], headers[at + 1 :]
            self._compared = stream_id
            self._template = self._target = None
        return read_request(stream_id, headers, end_stream, self._limits)

    def _again(self, stream_id: int, headers: _Section, end_stream: bool) -> _Outcome:
        request = read_request(stream_id, headers, end_stream, self._limits)
        if self._template is None and isinstance(request, RequestReceived):
            room = self._limits.max_header_size - request_size(headers) + len(request.target)
            self._template = RequestTemplate(
                request.method,
                request.authority,
                tuple(request.headers),
                # Longer ones are not remembered.
                min(room, self._limits.max_target_size, REMEMBERED_LENGTH),
            )
            request.template = self._template
        return request


def read_connect(
    stream_id: int, headers: _Section, end_stream: bool, limits: WireLimits
) -> WebSocketRequested | RequestRefused:
    """Check the header section of a CONNECT, which opens a WebSocket or is refused (RFC 8441, 4).

    Its target and fields obey the rules for a GET.

    Args:
        headers: As the engine gives them. The engine has checked that `:scheme` and `:path`
            accompany `:protocol`, and that no `:protocol` came before our SETTINGS allowed it.
    """
    pseudo = {name: value for name, value in headers[:_MOST_PSEUDO] if name.startswith(b":")}
    fields = headers[len(pseudo) :]
    protocol = pseudo.pop(b":protocol", None)
    if protocol is None:
        return RequestRefused(stream_id, 400, "CONNECT is not supported")
    if protocol != b"websocket":
        return RequestRefused(stream_id, 501, "CONNECT for a protocol other than websocket")
    if end_stream or any(name == b"content-length" for name, _ in fields):
        return RequestRefused(stream_id, 400, "CONNECT with content or without a tunnel")
    pseudo[b":method"] = b"GET"
    request = read_request(stream_id, (*pseudo.items(), *fields), False, limits)
    if isinstance(request, RequestRefused):
        return request
    return WebSocketRequested(stream_id, request.target, request.authority, request.headers)
