"""The streams of one connection, and their events.

Each open stream is an `ResponseStream` that collects the server's frames; the window of unread and
unwanted bytes is returned to the server at once. Used by `client.connection`, one for each
connection, which passes on events and the time.
"""

from __future__ import annotations

from collections import deque

from headstart.client import failures
from headstart.client.errors import RequestError
from headstart.client.pushed import PushedResponses
from headstart.client.response_stream import (
    ClosedStream,
    Owner,
    ResponseStream,
    StreamInfo,
    closed_info,
)
from headstart.client.slots import Slots
from headstart.client.uploads import Uploads
from headstart.wire.client import ClientConnection
from headstart.wire.connection import ErrorCode
from headstart.wire.events import (
    DataReceived,
    InformationalResponseReceived,
    PromiseReceived,
    ResponseReceived,
    TrailersReceived,
)

_CLOSED_KEPT = 100
# Requests that a server refuses one after the other, with no answer in between, before another
# connection is made: Attempts makes so many of one request.
_MOST_REFUSED = 3
_REFUSING = frozenset({ErrorCode.REFUSED_STREAM, ErrorCode.ENHANCE_YOUR_CALM})


class Streams:
    """Streams that are open, and the last ones that were.

    Args:
        owner: Gives window back.
        slots: Gets back the place of a request whose stream closes.
    """

    def __init__(
        self,
        owner: Owner,
        wire: ClientConnection,
        slots: Slots,
        uploads: Uploads,
        pushed: PushedResponses,
    ) -> None:
        self._owner = owner
        self._wire = wire
        self._slots = slots
        self._uploads = uploads
        self._pushed = pushed
        self._has_answered = False
        """A response came, to whatever request."""
        self._refused = 0
        """Requests that the server refused since its last answer."""
        self._open: dict[int, ResponseStream] = {}
        self._closed: deque[ClosedStream] = deque(maxlen=_CLOSED_KEPT)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def are_refused(self) -> bool:
        """Return true if the server answered before and now refuses each new request.

        Servers count what a connection costs them and may come to refuse all of its streams without
        a GOAWAY. Node does after many cancelled downloads. One that has answered nothing yet would
        refuse the requests of the next connection as well.
        """
        return self._has_answered and self._refused >= _MOST_REFUSED

    def infos(self, closed: bool) -> list[StreamInfo]:
        """Open streams, and pushed ones whose response waits; with `closed` the last 100 too."""
        shown = {**self._pushed.exchanges, **self._open}
        infos = [exchange.info(exchange.stream_id in self._pushed) for exchange in shown.values()]
        if closed:
            infos += [closed_info(one) for one in self._closed if one[0] not in shown]
        return sorted(infos, key=lambda info: info.id)

    def opened(self, exchange: ResponseStream) -> None:
        """Add the stream of a request."""
        exchange.reuses = self._has_answered
        self._open[exchange.stream_id] = exchange

    # What comes from the server; `now` is of the event loop's clock.

    def promised(self, promise: PromiseReceived, now: float) -> None:
        """Reserve the stream of a promised response."""
        parent = self._open.get(promise.stream_id)
        exchange = self._pushed.promised(promise, parent, now)
        self._open[exchange.stream_id] = exchange

    def informed(self, event: InformationalResponseReceived, now: float) -> None:
        """Pass on an informational response."""
        exchange = self._open.get(event.stream_id)
        if exchange is None:
            return
        try:
            exchange.inform(event.status, event.headers, now)
        except Exception as error:
            # The caller's own function failed: the caller gets its own error back.
            exchange.fail(error, now)

    def responded(self, event: ResponseReceived, now: float) -> None:
        """Pass on the header section of the final response."""
        stream_id = event.stream_id
        exchange = self._open.get(stream_id)
        if exchange is None:
            return
        self._has_answered = True
        self._refused = 0
        self._pushed.store.responded(stream_id, event.status, event.headers)
        exchange.respond(event.status, event.headers, now)
        if event.end_stream:
            self._ended(exchange, now)

    def received(self, event: DataReceived, now: float) -> None:
        """Pass on a part of a body."""
        exchange = self._open.get(event.stream_id)
        if exchange is None or exchange.abandoned:
            # What nobody reads must not shrink the connection's window for good.
            self._owner.give_back(event.stream_id, len(event.data))
            return
        exchange.feed(event.data, now)
        if event.end_stream:
            self._ended(exchange, now)
        if event.stream_id in self._pushed:
            self._pushed.grew(exchange, len(event.data))

    def trailed(self, event: TrailersReceived, now: float) -> None:
        """Pass on the trailers."""
        exchange = self._open.get(event.stream_id)
        if exchange is not None:
            exchange.trailers = list(event.headers)
            self._ended(exchange, now)

    def _ended(self, exchange: ResponseStream, now: float) -> None:
        exchange.end(now)
        self._uploads.answered(exchange)
        self._pushed.store.completed(exchange.stream_id)

    def reset(self, stream_id: int, error_code: int, now: float) -> None:
        """Fail a stream that the server reset."""
        exchange = self._open.get(stream_id)
        if exchange is None:
            return
        begun = exchange.status is not None
        if error_code in _REFUSING and not begun and not exchange.parent:
            self._refused += 1
        exchange.fail(failures.stream_reset(stream_id, error_code, begun=begun), now)
        self._uploads.stop(exchange)

    def closed(self, stream_id: int, error_code: int, now: float) -> None:
        """Nothing more is sent or received on a stream."""
        problem = self._wire.take_problem(stream_id)
        exchange = self._open.pop(stream_id, None)
        if exchange is None:
            return
        exchange.closed = True
        if not exchange.parent:
            self._slots.give_back()
        self._uploads.closed(exchange)
        if not exchange.ended:
            begun = exchange.status is not None
            goaway = self._wire.peers_goaway
            error = failures.stream_closed(error_code, problem, goaway=goaway, begun=begun)
            exchange.fail(error, now)
            self._pushed.take(stream_id)
        self._closed.append(exchange.as_closed())

    def refused_above(self, last_stream_id: int, now: float) -> None:
        """Fail the requests above the last stream of a GOAWAY (RFC 9113, 6.8)."""
        # The engine tells of those on the wire by itself, but of those that it holds back for
        # MAX_CONCURRENT_STREAMS only when another stream ends.
        for stream_id in [stream_id for stream_id in self._open if stream_id % 2]:
            if stream_id > last_stream_id:
                self.closed(stream_id, ErrorCode.REFUSED_STREAM, now)

    def lost(self, why: str, by_server: bool, now: float) -> None:
        """Fail all open streams: the connection is closed.

        Args:
            by_server: Without a mistake of either side: the server, or the network, left.
        """
        for exchange in list(self._open.values()):
            stale = by_server and exchange.reuses and exchange.is_unanswered
            exchange.fail(RequestError(why, stale=stale), now)
            self.closed(exchange.stream_id, ErrorCode.NO_ERROR, now)
