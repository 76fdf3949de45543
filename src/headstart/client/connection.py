"""One HTTP/2 connection to a server, under asyncio.

Acts on the events of the wire (`client.channel`). Events of a stream go to `client.streams`; pushed
responses are kept for the next matching request (`client.pushed`). Made by `client.connect`; used
by `client.AsyncClient` and by the background process of `h2c`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import TypeAlias, assert_never

from headstart.client import failures
from headstart.client.channel import Channel, Tap
from headstart.client.contents import Content, length_of
from headstart.client.errors import ClientError, ClientTimeoutError, RequestError
from headstart.client.liveness import Liveness
from headstart.client.origin import Origin, as_ascii
from headstart.client.pings import Pings
from headstart.client.pushed import PushedResponses
from headstart.client.pushes import Pushed, PushStore
from headstart.client.response import AsyncResponse
from headstart.client.response_stream import Informed, ResponseStream, StreamInfo, require_loop
from headstart.client.slots import Slots
from headstart.client.stalls import StallTimeouts
from headstart.client.streams import Streams
from headstart.client.upgrade import FirstRequest, upgrade_request
from headstart.client.uploads import Trailers, Uploads
from headstart.config import ClientLimits
from headstart.errors import LocalProtocolError, StreamGoneError
from headstart.reasons import Closing
from headstart.wire.client import ClientConnection, Upgraded, settings_payload
from headstart.wire.connection import ErrorCode, Setting
from headstart.wire.events import (
    ClientEvent,
    ConnectionEnded,
    DataReceived,
    Fields,
    GoAwayReceived,
    InformationalResponseReceived,
    PingAcknowledged,
    PromiseReceived,
    PromiseRefused,
    ResponseReceived,
    SettingsReceived,
    StreamClosed,
    StreamReset,
    TrailersReceived,
)

_Words: TypeAlias = tuple[str, bytes, str, Fields]
"""What is said of a request: method, authority, target, fields."""

_OfConnection: TypeAlias = (
    PromiseRefused | SettingsReceived | PingAcknowledged | GoAwayReceived | ConnectionEnded
)

_LIMITS = ClientLimits()
# RFC 9110, 8.6: servers expect a Content-Length with these, even if there is no content.
_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})


class Http2ClientConnection(Channel):
    """An open connection; made by `client.connect`.

    Attributes:
        server_settings: The SETTINGS received from the server so far, by number.
        stall_timeouts: Ends the wait for a response that takes too long.
        upgrade: The request to send over HTTP/1.1 before this begins; None for prior knowledge.
        closed: True once it is closed; `closed_reason` says why.
        was_asked: A request was made on it, or asked for the upgrade that it began with.
        became_idle: Called when its last stream has closed, and when it is closed.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        push: bool = True,
        limits: ClientLimits = _LIMITS,
        tap: Tap | None = None,
        first: FirstRequest | None = None,
    ) -> None:
        super().__init__(origin, tap)
        self.server_settings: dict[int, int] = {}
        self.closed = False
        self.closed_reason = ""
        self.upgrade: bytes | None = None
        self.was_asked = False
        self.became_idle: Callable[[], None] | None = None
        self._scheme, self._authority = origin.scheme.encode(), origin.authority
        self._completed: tuple[list[tuple[bytes, bytes]], bytes, Fields] = [], self._authority, []
        """The caller's headers of the last request, and the result of `_complete`."""
        self._used_at = self.connected_at
        self._limits = limits
        self._push = push
        self._slots = Slots()
        self._first: tuple[_Words, ResponseStream] | None = None
        """The request that the connection began with, while nobody has asked for its response."""
        upgraded, begun = (None, None) if first is None else self._expect(first)
        self._wire = ClientConnection(limits, push, self.connected_at, upgraded)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._uploads = Uploads(self._wire, limits, self._schedule_flush)
        self._pushed = PushedResponses(self, limits, self.now)
        self._streams = Streams(self, self._wire, self._slots, self._uploads, self._pushed)
        if begun is not None:
            self._streams.opened(begun)
        self._pings = Pings(self._wire, self._schedule_flush)
        self._liveness = Liveness(self._pings, lambda: self._moved_at)
        self.stall_timeouts = StallTimeouts(
            self._loop, self._liveness.timed_out, lambda: self.goaway
        )

    # What it is.

    @property
    def takes_requests(self) -> bool:
        """Return true if requests can be sent: it is open, and no GOAWAY has come."""
        return not self.closed and not self._wire.goaway

    @property
    def available(self) -> bool:
        """Return true if it takes requests, and the server does not refuse one after the other."""
        return self.takes_requests and not self._streams.are_refused

    @property
    def offers_tunnels(self) -> bool:
        """Return true if the server takes an extended CONNECT (RFC 8441, 3)."""
        return self.server_settings.get(Setting.ENABLE_CONNECT_PROTOCOL) == 1

    @property
    def max_streams(self) -> int | None:
        """Return how many streams the server allows at once, or None if it sets no limit."""
        return self.server_settings.get(Setting.MAX_CONCURRENT_STREAMS)

    @property
    def goaway(self) -> str:
        """The server's GOAWAY in words: its error code and debug data; "" before."""
        return self._wire.peers_goaway

    @property
    def last_stream_id(self) -> int | None:
        """From the server's GOAWAY: it has not acted on our streams above; None before."""
        return self._wire.last_stream_id

    @property
    def pushes(self) -> PushStore:
        """Return the waiting pushed responses; their times are those of `now()`."""
        return self._pushed.store

    @property
    def refused_promises(self) -> dict[str, int]:
        """Why promises were refused, and how many."""
        counts = list(self._wire.refused_promises.items())  # Client asks on another thread
        return {refusal.value: count for refusal, count in counts}

    def streams(self, closed: bool = False) -> list[StreamInfo]:
        """Open streams, and pushed ones whose response waits; with `closed` the last 100 too."""
        return self._streams.infos(closed)

    @property
    def idle_since(self) -> float | None:
        """When the last stream closed, of the event loop's clock; None if one is open."""
        return None if len(self._streams) else self._used_at

    def windows(self, stream_id: int = 0) -> tuple[int, int] | None:
        """Bytes that may still be sent and received on a stream, 0 for the whole connection.

        None for a stream, or a connection, that is gone.
        """
        return self._wire.windows(stream_id)

    # What one does with it.

    async def ready(self) -> None:
        """Wait for the server's first SETTINGS.

        Raises:
            NotHttp2Error: Something else came.
            ConnectError: The server closed the connection before.
        """
        await self._ready

    async def request(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
        content: Content = None,
        *,
        trailers: Trailers = None,
        timeout: float | None = None,
        read_timeout: float | None = None,
        slot_timeout: float | None = None,
        use_pushes: bool = True,
        keep_push: bool = False,
        informed: Informed | None = None,
        protocol: str = "",
    ) -> AsyncResponse:
        """Send a request, and wait for the response's header section.

        Cancelling this, or the reading of the body, resets the stream with CANCEL.

        Args:
            target: Path and query, ASCII; see `client.origin.split_url`.
            headers: A `host` header replaces the origin's authority.
            content: Bytes, or parts as they become available; sent while the server takes them.
            trailers: Trailers after the content (RFC 9110, 6.5), names in lower case.
            timeout: Seconds without any progress, here and for each part of the body; None for no
                end.
            read_timeout: The same for the parts of the body alone, in place of `timeout`.
            slot_timeout: The same for the wait for a stream, in place of `timeout`.
            use_pushes: Take a matching pushed response, once.
            keep_push: Leave the pushed response for another request, too.
            informed: Called with each 1xx response at once; an exception from it fails the request.
            protocol: Makes the request an extended CONNECT for this protocol, such as websocket
                (RFC 8441). `method` is CONNECT then, and `content` and the response's body are the
                tunnel. Only with `offers_tunnels`.

        Raises:
            RequestError: The server reset the stream, or the connection was lost.
            ClientTimeoutError: Nothing moved for `timeout` seconds.
            LocalProtocolError: HTTP forbids something in the request.
        """
        if protocol and not self.offers_tunnels:
            raise LocalProtocolError("The server does not offer the extended CONNECT of RFC 8441")
        authority, fields = self._complete(headers)
        if len(self._pushed):
            self._pushed.expire()
        if len(self._pushed) and use_pushes and content is None:
            pushed = await self._pushed.response(
                method, self.origin.scheme, authority, target, fields, keep_push, timeout
            )
            if pushed is not None:
                return pushed
        exchange = self._first_exchange((method, authority, target, fields), content)
        if exchange is None:
            self._require_open()
            if not self._slots.take_at_once():
                await self._wait_for_slot(timeout if slot_timeout is None else slot_timeout)
            exchange = self._send(method, authority, target, fields, content, trailers, protocol)
        try:
            exchange.tell(informed)
            await exchange.response_begun(timeout)
        except BaseException:
            self.cancel(exchange)
            raise
        patience = timeout if read_timeout is None else read_timeout
        return AsyncResponse(exchange, patience, from_push=False)

    async def _wait_for_slot(self, timeout: float | None) -> None:
        begun = self._loop.time()
        try:
            await self._slots.take(timeout, lambda: self._moved_at)
        except ClientTimeoutError:
            self._liveness.timed_out(begun)
            raise

    async def answers(self) -> bool:
        """Return whether the server is still there, as far as anybody has reason to doubt it.

        If the last request got no answer and nothing was received meanwhile, this waits up to a
        second for the answer to a PING. On a connection without an answer, new requests would time
        out as well.
        """
        return await self._liveness.confirmed()

    @property
    def is_doubted(self) -> bool:
        """Return whether `answers` has to wait."""
        return self._liveness.is_doubted()

    def has_pushed(
        self, method: str, target: str, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> bool:
        """Return true if a pushed response matches such a request, even on a lost connection.

        It may still be on its way, and then fail.
        """
        return self._find_pushed(method, target, headers) is not None

    def look_at_pushed(
        self, method: str, target: str, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> bytes:
        """Return the first part of the matching pushed body, and leave it there.

        Empty where there is none, and where nothing of it has come.
        """
        pushed = self._find_pushed(method, target, headers)
        return b"" if pushed is None else self._pushed.look(pushed.stream_id)

    def _find_pushed(
        self, method: str, target: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> Pushed | None:
        authority, fields = self._complete(headers)
        path = target.encode("latin-1", "replace")
        return self.pushes.find(method, self._scheme, authority, path, fields, self.now())

    async def ping(self, timeout: float | None = 10.0) -> float:
        """Seconds that a PING takes to the server and back (RFC 9113, 6.7).

        Raises:
            RequestError: The connection is over.
            ClientTimeoutError: No answer within `timeout` seconds.
        """
        self._require_open()
        try:
            return await self._pings.send(timeout)
        except StreamGoneError as error:
            raise self._unavailable() from error

    async def aclose(self) -> None:
        """Say GOAWAY and close; requests under way fail."""
        if not self.closed:
            self._over("closed by this side", by_server=False)
            self._wire.close()
            self._flush()
        await self._close_socket()
        await self._uploads.wait_stopped()

    def refuse(self, error: ClientError) -> None:
        """Fail `ready` with this error: the connection will not reach HTTP/2."""
        self._end(error)

    def leave(self) -> None:
        """Say GOAWAY and close, without waiting for it."""
        if not self.closed:
            self._over("closed by this side", by_server=False)
            self._wire.close()
            self._leave()

    def abort(self) -> None:
        """Close without a word."""
        self._over("closed by this side", by_server=False)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the loss of the socket."""
        # RFC 8446, 4.4.2.4: in TLS 1.3 a server judges the client's certificate after the client's
        # handshake has ended.
        if isinstance(error, ssl.SSLError) and not self._first_bytes:
            self.refuse(failures.tls_failed(error, self.origin))
        super().connection_lost(error)

    # What an exchange asks of it.

    def give_back(self, stream_id: int, amount: int) -> None:
        """So many bytes of a body were read: the server may send as many more."""
        self._wire.acknowledge(amount, stream_id)
        if self._wire.wants_output:
            self._schedule_flush()

    def cancel(self, exchange: ResponseStream) -> None:
        """Discard the body that nobody reads, and end the stream if it is open."""
        if not exchange.closed and (not exchange.ended or exchange.stream_id in self._uploads):
            self._wire.reset(exchange.stream_id, ErrorCode.CANCEL)
            self._schedule_flush()
        if not exchange.closed and not exchange.ended and exchange.error is None:
            self._liveness.given_up(exchange.started)
        exchange.fail(RequestError("cancelled by this side"), self._loop.time())
        self._forget_body(exchange)
        self._uploads.stop(exchange)

    def _forget_body(self, exchange: ResponseStream) -> None:
        unread = exchange.unread
        exchange.chunks.clear()
        exchange.given_back = 0
        exchange.abandoned = True
        self.give_back(exchange.stream_id, unread)

    # Sending.

    def _send(
        self,
        method: str,
        authority: bytes,
        target: str,
        fields: Fields,
        content: Content,
        trailers: Trailers,
        protocol: str,
    ) -> ResponseStream:
        try:
            stream_id = self._open_stream(
                method, authority, target, fields, content, trailers, protocol
            )
        except BaseException:
            self._slots.give_back()
            raise
        exchange = ResponseStream(
            self, stream_id, method, target, self._loop.time(), push=self._push
        )
        self._streams.opened(exchange)
        self.was_asked = True
        self._uploads.begin(exchange, content, trailers)
        if len(self._streams) == 1 and not self._flush_scheduled:
            self._flush()  # there is nobody whose words could go with it
        else:
            self._schedule_flush()
        return exchange

    def _open_stream(
        self,
        method: str,
        authority: bytes,
        target: str,
        fields: Fields,
        content: Content,
        trailers: Trailers,
        protocol: str,
    ) -> int:
        if not self.takes_requests:  # any more, after a wait for a slot
            raise self._unavailable()
        if content is not None or method in _WITH_CONTENT:
            length = length_of(b"" if content is None else content)
            if length is not None and not any(name == b"content-length" for name, _ in fields):
                fields = [*fields, (b"content-length", b"%d" % length)]
        is_all = content is None and not trailers
        path, tunnel = as_ascii(target), protocol.encode("ascii")
        try:
            return self._wire.request(method, self._scheme, authority, path, fields, is_all, tunnel)
        except StreamGoneError as error:
            raise self._unavailable() from error

    def _complete(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, Fields]:
        """Return the authority of a request and its other headers, which nobody changes."""
        given, authority, fields = self._completed
        if headers == given:
            return authority, fields
        given, authority, fields = [(*pair,) for pair in headers], self._authority, []
        for name, value in given:
            if name.lower() != b"host":
                fields.append((name.lower(), value))
            elif value:
                authority = value
        self._completed = given, authority, fields
        return authority, fields

    def _require_open(self) -> None:
        require_loop(self._loop)
        if not self.takes_requests:
            raise self._unavailable()

    def _unavailable(self) -> RequestError:
        reason = self.closed_reason or f"the server is about to close it ({self.goaway})"
        return RequestError(
            f"the connection to {self.origin} takes no requests: {reason}",
            sent=False,
            hint="Connect again.",
        )

    # What an upgrade from HTTP/1.1 began with.

    def _expect(self, first: FirstRequest) -> tuple[Upgraded, ResponseStream]:
        authority, fields = self._complete(first.headers)
        settings = settings_payload(self._limits, self._push)
        self.upgrade = upgrade_request(first.method, authority, first.target, fields, settings)
        exchange = ResponseStream(
            self, 1, first.method, first.target, self.connected_at, push=self._push
        )
        self._slots.take_at_once()
        self.was_asked = True
        if first.is_wanted:
            self._first = (first.method, authority, first.target, fields), exchange
        else:
            exchange.abandoned = True
        return Upgraded(first.method, self._scheme, authority), exchange

    def _first_exchange(self, words: _Words, content: Content) -> ResponseStream | None:
        """Return the stream that already has a response for this request, or None."""
        if self._first is None or content is not None or self._first[0] != words:
            return None
        _, exchange = self._first
        self._first = None
        return exchange

    # The channel's side.

    def _is_acceptable(self) -> bool:
        if self.origin.scheme == "https" and self.alpn != "h2":
            self.refuse(failures.not_http2(self.origin))
        return not self.closed

    def _written(self, now: float) -> None:
        self._uploads.written(now)

    def _act(self, event: ClientEvent, now: float) -> None:
        match event:
            case DataReceived():
                self._streams.received(event, now)
            case ResponseReceived():
                self._streams.responded(event, now)
            case StreamClosed():
                self._used_at = now
                self._streams.closed(event.stream_id, event.error_code, now)
                if self.became_idle is not None and not len(self._streams):
                    self.became_idle()
            case InformationalResponseReceived():
                self._streams.informed(event, now)
            case TrailersReceived():
                self._streams.trailed(event, now)
            case PromiseReceived():
                self._streams.promised(event, now)
            case StreamReset(stream_id=stream_id, error_code=error_code):
                self._streams.reset(stream_id, error_code, now)
            case _:
                self._act_on_connection(event)

    def _act_on_connection(self, event: _OfConnection) -> None:
        match event:
            case PromiseRefused():
                pass  # counted and reset by the wire
            case SettingsReceived(settings=settings):
                self.server_settings.update(settings)
                if Setting.MAX_CONCURRENT_STREAMS in settings:
                    self._slots.limit_to(settings[Setting.MAX_CONCURRENT_STREAMS])
                if not self._ready.done():
                    self._ready.set_result(None)
            case PingAcknowledged(opaque_data=payload):
                self._pings.answered(payload)
            case GoAwayReceived(last_stream_id=last_stream_id):
                self._slots.close(self._unavailable())
                self._streams.refused_above(last_stream_id, self._loop.time())
            case ConnectionEnded():
                by_server = event.reason is Closing.PEER_LEFT
                self._over(failures.connection_ended(event), by_server=by_server)
                self._leave()
            case _:
                assert_never(event)

    # The end.

    def _over(self, reason: str, *, by_server: bool = True) -> None:
        reason += failures.after(self.goaway)
        failure = failures.no_start(self.origin, self._first_bytes, reason)
        self._end(failure, reason, by_server=by_server)

    def _end(self, before_ready: ClientError, reason: str = "", *, by_server: bool = False) -> None:
        """No more requests; those under way fail at once.

        Args:
            by_server: Without a mistake of either side: the server, or the network, left.
        """
        if self.closed:
            return
        self.closed = True
        self.closed_reason = reason or str(before_ready)
        if not self._ready.done():
            self._ready.set_exception(before_ready)
            # Whoever made the connection may have stopped to wait for it.
            self._ready.exception()
        why = f"the connection is over: {self.closed_reason}"
        self._streams.lost(why, by_server, self._loop.time())
        self.stall_timeouts.stop()
        self._slots.close(self._unavailable())
        self._pings.fail(RequestError(why))
        if self.became_idle is not None:
            self.became_idle()
