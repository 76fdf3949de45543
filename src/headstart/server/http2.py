"""One HTTP/2 connection on an asyncio transport.

Passes the transport's bytes to `wire.server`, starts a `Cycle` for each request and carries out its
calls; writes the wire's output once per turn of the loop. Made by `protocol.HeadstartProtocol`.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias, assert_never, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.errors import StreamGoneError
from headstart.reasons import Closing
from headstart.server.admission import ConnectionSlot
from headstart.server.ahead import Ahead
from headstart.server.calls import Calls
from headstart.server.cycle import Application, Cycle, Message, log_access
from headstart.server.deadlines import Deadlines, seconds_between_looks, standstill
from headstart.server.drain import NOTICE_GRACE, Drain
from headstart.server.early import EarlyResponses
from headstart.server.http2_websocket import StreamWebSocket, offers_websockets
from headstart.server.scheduler import SendScheduler, Waiting
from headstart.server.scope import Scopes, expects_continue
from headstart.server.stored import StoredPushes, StoredResponse
from headstart.server.stream import StreamTransport
from headstart.server.tls import TlsBroken
from headstart.server.windows import UploadWindows
from headstart.server.worker import Worker, call_size
from headstart.wire.connection import OUTPUT_CHUNK, ErrorCode
from headstart.wire.events import (
    ConnectionEnded,
    ConnectionUsedUp,
    DataReceived,
    Fields,
    GoAwayReceived,
    PingAcknowledged,
    PromiseFailed,
    RequestReceived,
    RequestRefused,
    ServerEvent,
    SettingsReceived,
    StreamClosed,
    StreamRefused,
    StreamReset,
    TrailersReceived,
    WebSocketRequested,
)
from headstart.wire.responses import ResponseHeads
from headstart.wire.server import ServerConnection

logger = logging.getLogger("headstart.server")

# Seconds.
_SHORTEST_DELAY = 0.001

_ARE_YOU_THERE: Final = b"present?"

_TOO_LARGE: Final = frozenset({414, 431})

_Stream: TypeAlias = Cycle | StoredResponse | StreamTransport


class Http2ServerConnection(asyncio.Protocol):
    """One client's connection.

    Attributes:
        loop: The event loop.
        access_log: Whether requests are logged.
        counts: Of requests, if somebody wants them.
        notes_responses: Whether there is either of them.
        heads: Makes the header sections of responses.
        calls: Which requests reach the application.
        scheduler: How much each stream may queue.
        server_state: uvicorn's, with Date and Server, which it makes once a second.
    """

    # More attributes than fit into an instance's inline values would make each access slow.
    __slots__ = (
        "_ahead",
        "_app_state",
        "_config",
        "_connections",
        "_context",
        "_cycles",
        "_deadlines",
        "_drain",
        "_early",
        "_flush_due",
        "_last_active",
        "_last_stream",
        "_leaving",
        "_look_at",
        "_options",
        "_promised",
        "_scopes",
        "_stood_still",
        "_stored",
        "_stored_due",
        "_timers",
        "_told",
        "_transport",
        "_turns",
        "_unread",
        "_windows",
        "_wire",
        "_worker",
        "_write_paused",
        "access_log",
        "calls",
        "counts",
        "heads",
        "loop",
        "notes_responses",
        "scheduler",
        "server_state",
        "slot",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self._config = config
        self._options: ServerOptions = getattr(config, "headstart", None) or ServerOptions()
        self.server_state = server_state
        self._app_state = app_state
        self._connections: set[Any] = server_state.connections
        self.calls = Calls(config, server_state, self._options, self.loop)
        self.access_log = config.access_log and logging.getLogger("uvicorn.access").hasHandlers()

        self._worker = Worker.of(server_state, config, self.loop)
        self.counts = self._worker.request_counts
        self.notes_responses = self.access_log or self.counts is not None
        self._turns = self._worker.turns
        self.slot: ConnectionSlot | None = None
        limits = self._options.limits
        self._last_stream = 2 * limits.max_requests - 1
        """Ids of streams go up by two, so this one is the last request that is served."""
        self.heads = ResponseHeads()
        now = self._last_active = self.loop.time()
        self._wire = ServerConnection(limits, now, websockets=offers_websockets(config))
        self.scheduler = SendScheduler(self._wire, limits)
        self._windows = UploadWindows(self._wire, limits, self._worker.window_budget, now)
        self._drain = Drain(self._wire)
        self._early = EarlyResponses(self._wire, now)
        self._deadlines = Deadlines(self._options, self._wire, now)
        self._unread = b""
        """Came, and waits for its turn."""
        self._transport: asyncio.Transport
        self._scopes: Scopes
        self._ahead: Ahead
        self._stored: StoredPushes | None = None
        self._stored_due: list[tuple[RequestReceived, Fields, bytes]] = []
        """Promised requests, and the stored responses that go out with the next write."""
        self._cycles: dict[int, _Stream] = {}
        """Streams that have not closed, but for those whose calls answered at once."""
        self._promised: list[tuple[Cycle, Application]] = []
        """Promised requests whose calls start in the next turn of the loop."""
        self._flush_due = self._write_paused = self._leaving = self._told = False
        self._look_at = self._stood_still = 0.0
        """When to look, and the seconds in which nobody was late since nothing was read."""
        self._timers: list[asyncio.TimerHandle] = []

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client with our SETTINGS."""
        # A cast, no check: uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast(asyncio.Transport, transport)
        # What one call sets in its context variables is nothing to those of other requests.
        self._context = contextvars.copy_context()
        self._connections.add(self)
        self._worker.sheddable.add(self)
        self.shed(self._worker.shedding)
        self._scopes = Scopes(
            self._config,
            self._options,
            self._app_state,
            transport,
            self._wire,
            self._worker.counters,
        )
        self._ahead = Ahead(self._wire, self._scopes, self._options, self._worker.refusals)
        cache = getattr(self._config, "cache", None)
        if cache is not None:
            self._stored = StoredPushes(cache, self._scopes)
        self._look_later()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Keep the client's bytes until the loop has read for all connections."""
        if self._turns.acting:
            self.act(data)  # TLS, which takes part itself
        else:
            self._turns.arrived(self, data)

    def act(self, data: bytes) -> None:
        """Act on the client's bytes, or on a part if they are too much for one turn of the loop.

        The rest waits for the next turn, and nothing more is read: other connections have their
            turn.
        """
        if self._unread:
            self._unread += data  # TLS had more
            return
        if self._transport.is_closing():
            return
        size = self._wire.first_part(data)
        if size < len(data):
            self._unread, data = data[size:], data[:size]
            self._transport.pause_reading()
            self.loop.call_soon(self._go_on)
        self._take(data)

    def _go_on(self) -> None:
        """Act on the next part."""
        if self._transport.is_closing():
            self._unread = b""
            return
        data = self._unread
        size = self._wire.first_part(data)
        self._unread = data[size:]
        if self._unread:
            self.loop.call_soon(self._go_on)
        else:
            self._transport.resume_reading()
        with self._one_write():
            self._take(data[:size])

    def _take(self, data: bytes) -> None:
        """Act on bytes of the client; all that they bring about is written in one go."""
        self._flush_soon()
        now = self._last_active = self.loop.time()
        self._worker.counters.bytes_received += len(data)
        for event in self._wire.receive(data, now):
            if type(event) is RequestReceived:
                self._request_received(event)
            else:
                self._handle(event)
        if self._wire.last_opened >= self._last_stream:
            self._begin_drain()

    def eof_received(self) -> bool:
        """Close: the client will send nothing more, and HTTP/2 has no half-closed connections."""
        self._turns.act()
        return False

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def pause_writing(self) -> None:
        """Stop writing; the rest stays in the engine's bounded queues."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Write again."""
        self._write_paused = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every application that its client is gone."""
        self._connections.discard(self)
        self._worker.sheddable.discard(self)
        if self.slot is not None:
            self.slot.free(asked=self._wire.last_opened > 0)
        if isinstance(exc, TlsBroken):
            self._tell(exc.reason, exc.detail)
        elif not self._told:
            self._tell(self._how_it_ended())
        for timer in self._timers:
            timer.cancel()
        for cycle in list(self._cycles.values()):
            self._disconnect(cycle)
        self._ahead.connection_lost()
        self._windows.connection_lost()
        self._cycles.clear()
        self.scheduler.waiting.clear()

    def _how_it_ended(self) -> Closing:
        if self._wire.ended is not None:
            return self._wire.ended.reason
        if not self._drain.begun:
            return Closing.PEER_LEFT
        if self._drain.reason is not None:
            return self._drain.reason
        return Closing.DRAINED if self._worker.draining else Closing.REQUESTS_USED_UP

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the values that `asyncio.BaseTransport.get_extra_info` names."""
        return self._transport.get_extra_info(name, default)

    @property
    def streams(self) -> int:
        """Return the number of open streams."""
        return len(self._cycles)

    def shed(self, active: bool) -> None:
        """Memory is short, so no stream gets to the application; or it is so no more."""
        self.calls.shed(active)

    def held(self) -> int:
        """Bytes that this connection keeps in memory: of responses and of requests."""
        waiting = self._wire.queued() + self._transport.get_write_buffer_size()
        calls = sum(call_size(cycle.request.headers) for cycle in self._cycles.values())
        return waiting + self._wire.unacknowledged() + len(self._unread) + calls

    def cut_off(self) -> None:
        """Memory is so short that this connection cannot be kept."""
        self._tell(Closing.MEMORY)
        self._transport.abort()

    def shutdown(self) -> None:
        """Stop."""
        self._worker.draining = True
        self._begin_drain()

    def _begin_drain(self) -> None:
        """Finish open requests, accept no new ones."""
        if self._drain.begin():
            self._end_websockets()
            self._later(NOTICE_GRACE, self._last_goaway)
            self._later(self._options.drain_timeout, self._drained_too_long)
            self._flush()

    def _end_websockets(self) -> None:
        """Say 1012 on each: a WebSocket has no end of its own, and its client opens another."""
        for cycle in list(self._cycles.values()):
            if isinstance(cycle, StreamTransport):
                protocol = cycle.get_protocol()
                if isinstance(protocol, StreamWebSocket):
                    protocol.shutdown()

    def _last_goaway(self) -> None:
        if self._drain.say_last():
            self._flush()

    def _drained_too_long(self) -> None:
        self._close(self._drain.reason or Closing.DRAIN_TIMEOUT)

    def _close(self, reason: Closing) -> None:
        self._wire.close(ErrorCode.NO_ERROR, reason)
        self._flush()

    def _look(self) -> None:
        """End streams and connections whose time is over."""
        self._stood_still += standstill(self.loop.time(), self._look_at)
        now = self.loop.time() - self._stood_still
        unwritten = self._transport.get_write_buffer_size() if self._write_paused else 0
        reason = self._deadlines.look(now, self._cycles, unwritten, self._last_active)
        if reason is not None:
            self._tell(reason)
            if unwritten:
                self._transport.abort()  # a GOAWAY would only wait behind it
            else:
                self._close(reason)
            return
        for stream_id in self._deadlines.slow_bodies(now, self._cycles):
            self._tell_request(Closing.BODY_TIMEOUT)
            self.reset(stream_id, ErrorCode.CANCEL)
        early = [number for number, cycle in self._cycles.items() if cycle.answered_early]
        if early:
            self._early.look(early, now)
            self._end_early_uploads()
        if self._deadlines.ping_due:
            with suppress(StreamGoneError):  # the connection ends, and its GOAWAY waits to be read
                self._wire.ping(_ARE_YOU_THERE)
            self._flush_soon()
        self._look_later()

    def _look_later(self) -> None:
        delay = seconds_between_looks(self._options)
        self._look_at = self.loop.time() + delay
        self._later(delay, self._look)

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if timer.when() > self.loop.time()]
        # uvloop makes a handle without a time of a delay that it rounds to none.
        self._timers.append(self.loop.call_later(max(delay, _SHORTEST_DELAY), call))

    # Events.

    def _handle(self, event: ServerEvent) -> None:
        match event:
            case StreamClosed():
                self._stream_closed(event)
            case DataReceived(stream_id=stream_id, data=data, end_stream=end_stream):
                self._data_received(stream_id, data, end_stream)
            case TrailersReceived(stream_id=stream_id) if stream_id in self._cycles:
                self._cycles[stream_id].body_ended()
            case StreamReset(stream_id=stream_id) if stream_id in self._cycles:
                self._disconnect(self._cycles[stream_id])
            case PromiseFailed(stream_id=stream_id, refusal=refusal):
                self._ahead.promise_failed(stream_id, refusal)
            case PingAcknowledged(opaque_data=data) if self._drain.is_answer(data):
                self._last_goaway()
            case RequestReceived():
                self._request_received(event)
            case WebSocketRequested():
                self._websocket_requested(event)
            case RequestRefused() | StreamRefused():
                self._refused(event)
            case ConnectionEnded() | ConnectionUsedUp():
                self._over(event)
            case (
                SettingsReceived()
                | GoAwayReceived()
                | TrailersReceived()
                | StreamReset()
                | PingAcknowledged()
            ):
                pass  # the wire keeps what they say, or the stream has ended meanwhile
            case _:
                assert_never(event)

    def _refused(self, event: RequestRefused | StreamRefused) -> None:
        """Tell of a stream that the wire has answered or reset."""
        if isinstance(event, StreamRefused):
            self._tell_request(event.reason, event.detail)
        else:
            kind = Closing.TOO_LARGE if event.status in _TOO_LARGE else Closing.MALFORMED
            self._tell_request(kind, f"{event.status} {event.reason}")

    def _over(self, event: ConnectionEnded | ConnectionUsedUp) -> None:
        """End the connection after a violation; `_flush` closes the transport, soon or at once."""
        if isinstance(event, ConnectionUsedUp):
            # The wire has told it which stream is the last.
            if self._drain.said_last(event.reason):
                self._later(self._options.drain_timeout, self._drained_too_long)
            return
        if event.error_code:
            self._tell(event.reason, event.detail)
        for cycle in self._cycles.values():
            self._disconnect(cycle)

    def _disconnect(self, cycle: _Stream) -> None:
        if isinstance(cycle, Cycle):
            self.calls.disconnect(cycle)
        else:
            cycle.disconnect()

    def _tell(self, reason: Closing, detail: str = "") -> None:
        self._told = True
        self._worker.refusals.connection(reason, self._scopes.client, self.loop.time(), detail)

    def _tell_request(self, reason: Closing, detail: str = "") -> None:
        self._worker.refusals.request(reason, self._scopes.client, self.loop.time(), detail)

    def _stream_closed(self, event: StreamClosed) -> None:
        cycle = self._cycles.pop(event.stream_id, None)
        if cycle is not None:
            self.scheduler.waiting.pop(cycle, None)
            if not cycle.complete or event.error_code:
                self._disconnect(cycle)
            if not cycle.request.end_stream:
                self._upload_closed(cycle)
        if event.local_error is not None and event.stream_id % 2:
            logger.error("The response could not be sent: %s.", event.local_error)
        if self._ahead.used:
            self._ahead.stream_closed(event.stream_id, event.error_code)

    def _upload_closed(self, cycle: _Stream) -> None:
        """Give back the window of received bytes that nobody will read."""
        stream_id = cycle.request.stream_id
        self._windows.stream_closed(stream_id)
        if self._early.closed(stream_id):
            self._flush_soon()  # the client may have no window left to make us write by
        cycle.drop_body()

    def _data_received(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        cycle = self._cycles.get(stream_id)
        if cycle is None:
            if data:
                self._wire.acknowledge(len(data), stream_id)
            return
        if not cycle.complete:
            cycle.data_received(data, end_stream)
        elif end_stream:
            self._early.ended(stream_id, len(data))
        else:
            self._early.drop_part(stream_id, len(data), self._last_active)

    def _end_early_uploads(self) -> None:
        """Reset uploads that were answered long enough ago; in the end `_flush` does."""
        if self._early.end():
            self._flush_soon()

    def _request_received(self, request: RequestReceived) -> None:
        calls = self.calls
        if len(calls.left) >= calls.max_left:
            self._refuse(request.stream_id)
            return
        scope, watched = self._scopes.of(request, self._wire.push_enabled)
        cycle = Cycle(self, request, scope)
        if watched:
            cycle.continue_due = expects_continue(watched)
        if calls.start(cycle, calls.application(bool(watched))):
            self._cycles[request.stream_id] = cycle

    def _websocket_requested(self, request: WebSocketRequested) -> None:
        if len(self.calls.left) >= self.calls.max_left:
            self._refuse(request.stream_id)
            return
        stream = self._cycles[request.stream_id] = StreamTransport(self, request)
        StreamWebSocket(self, stream, self._config, self._app_state).begin()

    def _refuse(self, stream_id: int) -> None:
        """Refuse a stream for lack of room."""
        self._tell_request(self.calls.refusal)
        self._wire.refuse(stream_id)

    # What cycles ask for.

    def respond(
        self, stream_id: int, head: Fields, end_stream: bool, body: bytes | memoryview
    ) -> None:
        """Send a response's header section and the first part of its body, after a held 103."""
        if self._ahead.links:
            self._ahead.send_links(stream_id)
        self._wire.respond(stream_id, head, end_stream, body)
        if not self._flush_due:
            self._flush_soon()

    def inform(self, stream_id: int, status: int, headers: Fields) -> None:
        """Send an informational response at once."""
        self._wire.inform(stream_id, status, headers)
        self._flush_soon()

    def queued_on(self, stream_id: int) -> int:
        """Return the bytes of a stream that wait for a window or for the next write."""
        return self._wire.queued_on(stream_id)

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Queue a part of a body."""
        self._wire.send_data(stream_id, data, end_stream)
        if not self._flush_due:
            self._flush_soon()

    def send_trailers(self, stream_id: int, trailers: Fields) -> None:
        """End a response with trailers."""
        self._wire.send_trailers(stream_id, trailers)
        self._flush_soon()

    def reset(self, stream_id: int, error_code: ErrorCode) -> None:
        """End one stream; the others go on."""
        self._wire.reset(stream_id, error_code)
        self._flush_soon()

    def reset_for_mistake(self, stream_id: int) -> None:
        """End one stream; it is held against the client."""
        self._wire.refuse(stream_id, ErrorCode.PROTOCOL_ERROR)
        self._flush_soon()

    def wait_for_room(self, stream: Waiting) -> None:
        """Call `stream.writable` when there may be room for more."""
        self.scheduler.wait(stream)
        self._flush_soon()

    def consumed(self, stream_id: int, amount: int, goes_on: bool = False) -> None:
        """Let the client send as much as was read or dropped of a request's body.

        Args:
            stream_id: The request's.
            amount: Bytes.
            goes_on: The application read it, and more is to come.
        """
        self._wire.acknowledge(amount, stream_id)
        if goes_on:
            self._windows.read(stream_id, amount, self.loop.time())
        self._flush_soon()

    def finished(self, cycle: Cycle) -> None:
        """Handle that the application returned."""
        self.server_state.total_requests += 1
        if not cycle.request.stream_id % 2:
            self._ahead.alive -= 1
        elif self.calls.left:
            self.calls.left.discard(cycle)
        if not cycle.request.end_stream:
            cycle.drop_body()
        if not (self._flush_due or self._transport.is_closing()):
            self._flush_soon()

    # Sending ahead.

    def push(self, cycle: Cycle, message: Message) -> None:
        """Promise the application's push; answer it from the cache, or call the application."""
        request = self._ahead.push(cycle, message)
        if request is None:
            return
        if self._stored is not None:
            found = self._stored.find(request, self.server_state.default_headers)
            if found is not None:
                self._stored_due.append((request, *found))
                self._flush_soon()
                return
        self._ahead.alive += 1
        scope, forwarded = self._scopes.of_pushed(request)
        pushed = self._cycles[request.stream_id] = Cycle(self, request, scope)
        # Not at once: the page goes first.
        if not self._promised:
            self.loop.call_soon(self._start_promised, context=self._context)
        self._promised.append((pushed, self.calls.application_for_push(bool(forwarded))))
        self._flush_soon()

    def _start_promised(self) -> None:
        """Call the application for the promises of the last turn of the loop."""
        promised, self._promised = self._promised, []
        with self._one_write():
            for cycle, application in promised:
                if cycle.disconnected:
                    self._ahead.alive -= 1
                elif not self.calls.start(cycle, application):
                    del self._cycles[cycle.request.stream_id]

    def _send_stored(self) -> None:
        """Answer promised requests from the cache, behind what their pages have sent by now."""
        due, self._stored_due = self._stored_due, []
        for request, fields, body in due:
            self.server_state.total_requests += 1
            if self.access_log:
                log_access(request, self._scopes.of_pushed(request)[0], fields)
            if self.counts is not None:
                self.counts.ended("2", True, int(fields[0][1]), False, time.perf_counter())
            with suppress(StreamGoneError):  # reset with its page, or the whole connection closed
                if len(body) <= self.scheduler.own_room:
                    self._wire.respond(request.stream_id, fields, True, body)
                else:
                    self._wire.respond(request.stream_id, fields, False)
                    stored = StoredResponse(self, request, body)
                    self._cycles[request.stream_id] = stored
                    stored.writable()

    def hint(self, cycle: Cycle, message: Message, started: bool) -> None:
        """Send the links in a 103 at the end of this turn of the loop.

        Raises:
            LocalProtocolError: A link has a character that HTTP forbids.
        """
        self._ahead.hint(cycle, message, started)
        self._flush_soon()

    # Output.

    def _flush_soon(self) -> None:
        """Write at the end of this turn of the loop: one write for all that happens in it."""
        if not self._flush_due:
            self._flush_due = True
            self._turns.write_soon(self)

    @contextmanager
    def _one_write(self) -> Iterator[None]:
        """Write at the end of a block, once for all that happens in it."""
        self._flush_due = True
        try:
            yield
        finally:
            self._flush()

    def write_out(self) -> None:
        """Write the output as far as there is room for it."""
        self._flush()

    def _flush(self) -> None:
        self._flush_due = False
        if self._transport.is_closing():
            return
        if self._ahead.links or self._stored_due:
            for stream_id in list(self._ahead.links):
                self._ahead.send_links(stream_id)
            self._send_stored()
        scheduler = self.scheduler
        before = self._wire.queued() if scheduler.waiting else 0
        while not self._write_paused:
            data = self._wire.output()
            if data:
                self._worker.counters.bytes_sent += len(data)
                self._transport.write(data)
            if len(data) < OUTPUT_CHUNK:
                break
        # Calls that answered at once have nothing to learn of how their streams ended.
        watched = self._ahead.used or bool(self._cycles)
        # What a client did wrong it did when its last bytes came, so that is the time to judge by.
        for event in self._wire.after_output(self._last_active, watched):
            if type(event) is StreamClosed:
                self._stream_closed(event)
            else:
                self._handle(event)
        if scheduler.waiting:
            scheduler.wake(before)
        if self._early.waiting:
            self._end_early_uploads()
        drain = self._drain
        if self._wire.ended is not None or (drain.begun and drain.is_over(bool(self._cycles))):
            self._leave()

    def _leave(self) -> None:
        """Close the transport once all is written; a client that does not read it has its time."""
        if not self._leaving:
            self._leaving = True
            self._later(self._options.stall_timeout, self._transport.abort)
        if not self._wire.wants_output:
            self._transport.close()
