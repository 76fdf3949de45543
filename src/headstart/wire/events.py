"""The events of a connection.

The engine's own events are immutable and typed, so those that need no change pass through under
their own names (a copy of each would cost a third of a microsecond, several times per request); no
other package names the engine. Events whose content is checked or changed first are ours. Made by
`wire.server` and `wire.client`; read by `server.protocol` and `client`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, final

from ngh2 import (
    DataReceived,
    GoAwayReceived,
    PingAcknowledged,
    SettingsReceived,
    StreamClosed,
    StreamReset,
    TrailersReceived,
)

from headstart.reasons import Closing, Refusal

Fields: TypeAlias = list[tuple[bytes, bytes]]
"""Header fields in order: lower-case names and values, without pseudo-header fields."""
StreamSet: TypeAlias = dict[int, None]
"""Streams, as the keys. An empty set takes 216 bytes and an empty dict 64, and most are empty."""


class RequestTemplate:
    """The common part of requests that differ only in `:path`; see `wire.requests`.

    Treat it as immutable. Whoever works something out from these may keep it beside the template,
    and use it again for each request that has the same one.

    Attributes:
        method, authority: As in `RequestReceived`.
        headers: As in `RequestReceived`.
        target_room: How long a target may be without another look at the section as a whole.
    """

    __slots__ = ("authority", "headers", "method", "target_room")

    def __init__(
        self, method: str, authority: bytes, headers: tuple[tuple[bytes, bytes], ...], room: int
    ) -> None:
        self.method = method
        self.authority = authority
        self.headers = headers
        self.target_room = room


@final
class RequestReceived:
    """A well-formed request has come; its body, if any, follows as `DataReceived`.

    Not a dataclass, and without slots: one is made per request, a frozen dataclass takes three
    times as long, and CPython makes objects with slots by a slower way. Treat it as immutable.

    Attributes:
        stream_id: An odd number; even for a promised request that re-enters the server.
        method: Upper case, for instance `GET`.
        target: Path and query as sent, printable ASCII, never empty.
        authority: `:authority`, or the Host field if it is missing.
        headers: `host` first (from `authority`), cookie crumbs joined (RFC 9113, 8.2.3).
        end_stream: No body follows.
        template: The part that it shares with the previous request on the connection; None if
            it differs in more than the target.
    """

    def __init__(
        self,
        stream_id: int,
        method: str,
        target: bytes,
        authority: bytes,
        headers: Fields,
        end_stream: bool,
        template: RequestTemplate | None = None,
    ) -> None:
        self.stream_id = stream_id
        self.method = method
        self.target = target
        self.authority = authority
        self.headers = headers
        self.end_stream = end_stream
        self.template = template


@dataclass(frozen=True, slots=True)
class WebSocketRequested:
    """A well-formed extended CONNECT for a WebSocket has come (RFC 8441, 4).

    Attributes:
        stream_id: An odd number.
        target, authority, headers: As in `RequestReceived`.
        end_stream: Always False: DATA in both directions is the WebSocket.
    """

    stream_id: int
    target: bytes
    authority: bytes
    headers: Fields
    end_stream: bool = False


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request was malformed or too large: answered with `status` here, shown to nobody else."""

    stream_id: int
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class StreamRefused:
    """The engine reset a stream for the client's mistake, whether or not a request was shown.

    Attributes:
        reason: For the log and the counters.
        detail: More for the log.
    """

    reason: Closing
    detail: str


@dataclass(frozen=True, slots=True)
class PromiseFailed:
    """A promise that was accepted could not be sent after all: the peer changed its SETTINGS."""

    stream_id: int
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """The final response to a request or a promise; its body follows unless `end_stream`."""

    stream_id: int
    status: int
    headers: Fields
    end_stream: bool


@dataclass(frozen=True, slots=True)
class InformationalResponseReceived:
    """A 1xx response (RFC 9110, 15.2); the final one is still to come."""

    stream_id: int
    status: int
    headers: Fields


@dataclass(frozen=True, slots=True)
class PromiseReceived:
    """The server promised a response to a request that we did not send (RFC 9113, 8.4)."""

    stream_id: int
    promised_stream_id: int
    method: str
    scheme: bytes
    authority: bytes
    target: bytes
    headers: Fields


@dataclass(frozen=True, slots=True)
class PromiseRefused:
    """A promise that RFC 9113, 8.4 forbids, or that we have no room for: reset and counted."""

    stream_id: int
    promised_stream_id: int
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """The connection has ended: write the rest of `output`, then close the transport.

    Attributes:
        error_code: As in the last GOAWAY (RFC 9113, 7).
        reason: For the log and the counters.
        detail: More for the log; never a peer's bytes.
    """

    error_code: int
    reason: Closing
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionUsedUp:
    """The client exceeded a limit: new streams are refused, open ones are served.

    Attributes:
        reason: For the log and the counters.
    """

    reason: Closing


ServerEvent: TypeAlias = (
    RequestReceived
    | WebSocketRequested
    | RequestRefused
    | DataReceived
    | TrailersReceived
    | StreamReset
    | StreamClosed
    | StreamRefused
    | PromiseFailed
    | SettingsReceived
    | PingAcknowledged
    | GoAwayReceived
    | ConnectionUsedUp
    | ConnectionEnded
)

ClientEvent: TypeAlias = (
    ResponseReceived
    | InformationalResponseReceived
    | DataReceived
    | TrailersReceived
    | PromiseReceived
    | PromiseRefused
    | StreamReset
    | StreamClosed
    | SettingsReceived
    | PingAcknowledged
    | GoAwayReceived
    | ConnectionEnded
)

__all__ = [
    "ClientEvent",
    "ConnectionEnded",
    "ConnectionUsedUp",
    "DataReceived",
    "Fields",
    "GoAwayReceived",
    "InformationalResponseReceived",
    "PingAcknowledged",
    "PromiseFailed",
    "PromiseReceived",
    "PromiseRefused",
    "RequestReceived",
    "RequestRefused",
    "RequestTemplate",
    "ResponseReceived",
    "ServerEvent",
    "SettingsReceived",
    "StreamClosed",
    "StreamRefused",
    "StreamReset",
    "TrailersReceived",
    "WebSocketRequested",
]
