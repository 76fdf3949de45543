"""The connection as the handler of one of its requests sees it.

A stream of HTTP/2 is handled by a `cycle.Cycle`, a `stored.StoredResponse` or a
`stream.StreamTransport`, a request over HTTP/1.1 by an `http1_cycle.Http1Cycle`. A handler changes
its own stream by these methods, which `http2_streams.Http2Streams` and `http1.Http1Connection`
have, and knows neither the other streams nor the transport.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from uvicorn.server import ServerState

from headstart.server.request_counts import RequestCounts
from headstart.server.scheduler import SendScheduler, Waiting
from headstart.wire.connection import ErrorCode
from headstart.wire.events import Fields
from headstart.wire.responses import ResponseHead, ResponseHeads


class Room(Protocol):
    """How much of a response's body a connection takes at present."""

    @property
    def own_room(self) -> int:
        """Bytes that each stream may queue, regardless of the others."""

    def room(self, stream_id: int) -> int:
        """Return how many bytes of body may be queued on the stream now."""

    def takes_last(self, stream_id: int, size: int) -> bool:
        """Return true if the last part of a body may be queued as a whole."""


class RequestConnection(Protocol):
    """The connection of a request, of either version of HTTP.

    Attributes:
        loop: The event loop.
        server_state: uvicorn's, with Date and Server, which it makes once a second.
        access_log: Whether requests are logged.
        counts: Of requests, if somebody wants them.
        notes_responses: Whether there is either of them.
        heads: Makes the header sections of responses.
    """

    loop: asyncio.AbstractEventLoop
    server_state: ServerState
    access_log: bool
    counts: RequestCounts | None
    notes_responses: bool
    heads: ResponseHeads

    @property
    def scheduler(self) -> Room:
        """Return how much each stream may queue."""

    def respond(
        self, stream_id: int, head: ResponseHead, end_stream: bool, body: bytes | memoryview
    ) -> None:
        """Send a response's header section and the first part of its body, after a held 103."""

    def inform(self, stream_id: int, status: int, headers: Fields) -> None:
        """Send an informational response at once."""

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Queue a part of a body."""

    def send_trailers(self, stream_id: int, trailers: Fields) -> None:
        """End a response with trailers."""

    def reset(self, stream_id: int, error_code: ErrorCode) -> None:
        """End one stream; the others go on. Over HTTP/1.1 the connection ends."""

    def wait_for_room(self, stream: Waiting) -> None:
        """Call `stream.writable` when there may be room for more."""

    def consumed(self, stream_id: int, amount: int, goes_on: bool = False) -> None:
        """Let the client send as much as was read or dropped of a request's body.

        Args:
            stream_id: The request's.
            amount: Bytes.
            goes_on: The application read it, and more is to come.
        """


class StreamConnection(RequestConnection, Protocol):
    """The connection of a stream of HTTP/2.

    Attributes:
        scheduler: How much each stream may queue.
    """

    scheduler: SendScheduler

    def queued_on(self, stream_id: int) -> int:
        """Return the bytes of a stream that wait for a window or for the next write."""

    def reset_for_mistake(self, stream_id: int) -> None:
        """End one stream; it is held against the client."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the values that `asyncio.BaseTransport.get_extra_info` names."""
