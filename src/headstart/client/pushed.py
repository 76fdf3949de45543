"""Pushed responses of one connection: the streams that carry them, and their readers.

`pushes` matches responses to requests and accounts for their memory; here are the bytes. Used by
`client.connection`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headstart.client.errors import RequestError
from headstart.client.headers import Headers
from headstart.client.pushes import PushStore
from headstart.client.response import AsyncResponse
from headstart.client.response_stream import Owner, PromisedRequest, ResponseStream
from headstart.config import ClientLimits
from headstart.wire.events import Fields, PromiseReceived


class PushedResponses:
    """Pushed responses that wait to be asked for.

    Args:
        clock: Seconds since the connection was made.
    """

    def __init__(self, owner: Owner, limits: ClientLimits, clock: Callable[[], float]) -> None:
        self._owner = owner
        self._limits = limits
        self._clock = clock
        self.store = PushStore(limits)
        self.exchanges: dict[int, ResponseStream] = {}
        """Their streams, closed or not."""

    def __len__(self) -> int:
        return len(self.exchanges)

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self.exchanges

    def promised(
        self, promise: PromiseReceived, parent: ResponseStream | None, now: float
    ) -> ResponseStream:
        """Reserve and return the stream of a promised response.

        Args:
            parent: Whose reader is told.
            now: Of the event loop's clock.
        """
        exchange = ResponseStream(
            self._owner,
            promise.promised_stream_id,
            promise.method,
            promise.target.decode("latin-1"),
            now,
            parent=promise.stream_id,
        )
        self.exchanges[exchange.stream_id] = exchange
        self._let_go(self.store.promised(promise, self._clock()))
        if parent is not None:
            parent.promises.append(_Promised(self, exchange, _request_of(promise)))
            del parent.promises[: -self._limits.max_pushes]
            parent.moved(now)
        return exchange

    def grew(self, exchange: ResponseStream, amount: int) -> None:
        """Give back window for a body that nobody has asked for yet; the store bounds it."""
        self._owner.give_back(exchange.stream_id, amount)
        exchange.given_back += amount
        self._let_go(self.store.grew(exchange.stream_id, amount))

    def take(self, stream_id: int) -> bool:
        """Remove the stream, since it has a reader or failed; return false if it is not here."""
        self.store.take(stream_id)
        return self.exchanges.pop(stream_id, None) is not None

    def look(self, stream_id: int) -> bytes:
        """Return the first part of a waiting body, and leave the body whole."""
        return self.exchanges[stream_id].copy().take_part()

    def expire(self) -> None:
        """Drop responses that are too old."""
        self._let_go(self.store.expire(self._clock()))

    async def response(
        self,
        method: str,
        scheme: str,
        authority: bytes,
        target: str,
        fields: Fields,
        keep: bool,
        timeout: float | None,
    ) -> AsyncResponse | None:
        """Return the pushed response to such a request once its header section is here, or None."""
        path = target.encode("latin-1", "replace")
        while True:
            pushed = self.store.find(
                method, scheme.encode(), authority, path, fields, self._clock()
            )
            if pushed is None:
                return None
            exchange = self.exchanges[pushed.stream_id]
            if exchange.status is not None and (exchange.ended or not keep):
                break
            try:
                await (exchange.response_ended if keep else exchange.response_begun)(timeout)
            except RequestError:
                continue  # it was reset; perhaps another one, or a real request, does it
        if keep:
            return AsyncResponse(exchange.copy(), timeout, from_push=True)
        self.take(exchange.stream_id)
        return AsyncResponse(exchange, timeout, from_push=True)

    def _let_go(self, stream_ids: Iterable[int]) -> None:
        """Drop the streams that are useless or do not fit."""
        for stream_id in stream_ids:
            exchange = self.exchanges.pop(stream_id, None)
            if exchange is not None:
                self._owner.cancel(exchange)


class _Promised:
    """See `response_stream.Promise`."""

    __slots__ = ("_exchange", "_pushed", "request")

    def __init__(
        self, pushed: PushedResponses, exchange: ResponseStream, request: PromisedRequest
    ) -> None:
        self._pushed = pushed
        self._exchange = exchange
        self.request = request

    @property
    def stream_id(self) -> int:
        return self._exchange.stream_id

    def take(self) -> ResponseStream | None:
        if self._pushed.take(self.stream_id) or self._exchange.error is not None:
            return self._exchange
        return None


def _request_of(promise: PromiseReceived) -> PromisedRequest:
    return PromisedRequest(
        promise.method,
        promise.scheme.decode("ascii"),
        promise.authority.decode("latin-1"),
        promise.target.decode("latin-1"),
        Headers(promise.headers),
    )
