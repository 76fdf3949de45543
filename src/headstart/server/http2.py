"""One HTTP/2 connection on an asyncio transport.

Reads what the transport gives, tells `wire.server`, starts a `Cycle` for each request and carries
the cycles' calls back; writes what the wire wants written, once per turn of the loop. Made by
`protocol.HeadstartProtocol`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any, Final, assert_never, cast

from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server.abandoned import Abandoned
from headstart.server.admission import Seat
from headstart.server.ahead import Ahead
from headstart.server.cycle import Application, Cycle, Message
from headstart.server.deadlines import Deadlines, seconds_between_looks
from headstart.server.drain import NOTICE_GRACE, Drain
from headstart.server.scope import Scopes, expects_continue
from headstart.server.tls import TlsFailed
from headstart.server.worker import Worker, call_size
from headstart.wire.connection import OUTPUT_CHUNK, ErrorCode
from headstart.wire.events import (
    ConnectionEnded,
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
)
from headstart.wire.responses import ResponseHeads
from headstart.wire.server import ServerConnection

logger = logging.getLogger("headstart.server")

# Seconds.
_SHORTEST_DELAY = 0.001

# Tasks run at once until they first have to wait, which most calls never do, and so never go
# through the loop. Before Python 3.12 none can.
_AT_ONCE: Final[dict[str, Any]] = {"eager_start": True} if sys.version_info >= (3, 12) else {}

# uvicorn's own 503; its type is of uvicorn's narrower messages.
_UNAVAILABLE = cast(Application, service_unavailable)


def _without_proxy_headers(application: Application) -> Application:
    """What uvicorn's middleware would call; it changes nothing without an X-Forwarded field."""
    if isinstance(application, ProxyHeadersMiddleware):
        return cast(Application, application.app)
    return application


class Http2Connection(asyncio.Protocol):
    """One client's connection.

    Attributes:
        loop: The event loop.
        access_log: Whether requests are logged.
        heads: Makes the header sections of responses.
        server_state: uvicorn's, with Date and Server, which it makes once a second.
    """

    # More attributes than fit into an instance's inline values would make each access slow.
    __slots__ = (
        "_abandoned",
        "_ahead",
        "_alive",
        "_app_state",
        "_application",
        "_blocked",
        "_config",
        "_connections",
        "_cycles",
        "_deadlines",
        "_drain",
        "_flush_due",
        "_gathering",
        "_last_active",
        "_last_stream",
        "_leaving",
        "_limits_concurrency",
        "_max_alive",
        "_max_queued_stream",
        "_options",
        "_promised",
        "_queued_then",
        "_scopes",
        "_shared_room",
        "_starting",
        "_tasks",
        "_timers",
        "_told",
        "_transport",
        "_unproxied",
        "_wire",
        "_worker",
        "_write_paused",
        "access_log",
        "heads",
        "loop",
        "own_room",
        "seat",
        "server_state",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self._starting: dict[str, Any] = {"loop": self.loop, **_AT_ONCE}
        self._config = config
        self._options: ServerOptions = getattr(config, "headstart", None) or ServerOptions()
        self._application: Application = config.loaded_app
        self._unproxied = _without_proxy_headers(self._application)
        self.server_state = server_state
        self._app_state = app_state
        self._connections: set[Any] = server_state.connections
        self._tasks: set[asyncio.Task[None]] = server_state.tasks
        self.access_log = logging.getLogger("uvicorn.access").hasHandlers()

        self._worker = Worker.of(server_state, config, self.loop)
        self.seat: Seat | None = None
        self._told = False
        limits = self._options.limits
        self._max_alive = limits.max_concurrent_streams
        self._limits_concurrency = config.limit_concurrency is not None
        self._max_queued_stream = limits.max_queued_stream
        self._shared_room = max(1, limits.max_queued_connection // 2)
        self.own_room = self._shared_room // (2 * limits.max_concurrent_streams)
        """Bytes of body that every stream may queue, whatever the others do."""
        self._last_stream = 2 * limits.max_requests - 1
        """Ids of streams go up by two, so this one is the last request that is served."""
        self.heads = ResponseHeads()
        self._wire = ServerConnection(self._options.limits, self.loop.time())
        self._drain = Drain(self._wire)
        self._abandoned = Abandoned.of(server_state, self._options, self.loop)
        self._deadlines = Deadlines(self._options, self._wire, self.loop.time())
        self._transport: asyncio.Transport
        self._scopes: Scopes
        self._ahead: Ahead
        self._cycles: dict[int, Cycle] = {}
        """Streams that have not closed, but for those whose calls answered at once."""
        self._alive = 0
        """Calls of the application for the client's own requests: tasks, not streams."""
        self._blocked: dict[Cycle, None] = {}
        """Cycles that wait for room, in the order in which they came."""
        self._queued_then = 0
        """Bytes that all streams had queued when one of them last found no room, at the most."""
        self._promised: list[tuple[Cycle, Application]] = []
        """Promised requests whose calls start in the next turn of the loop."""
        self._gathering = False
        """Several things happen, and one write at their end serves them all."""
        self._flush_due = False
        self._write_paused = False
        self._leaving = False
        self._last_active = self.loop.time()
        self._timers: list[asyncio.TimerHandle] = []

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client with our SETTINGS."""
        # A cast, no check: uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._worker.sheddable.add(self)
        self.shed(self._worker.shedding)
        self._scopes = Scopes(self._config, self._options, self._app_state, transport)
        self._scopes.counters = self._worker.counters
        self._ahead = Ahead(self._wire, self._scopes, self._options, self._worker.refusals)
        self._later(seconds_between_looks(self._options), self._look)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Act on what the client sent; all that it brings about is written in one go."""
        now = self._last_active = self.loop.time()
        self._gathering = True
        try:
            for event in self._wire.receive(data, now):
                if type(event) is RequestReceived:
                    self._request_received(event)
                else:
                    self._handle(event)
        finally:
            self._gathering = False
        if self._wire.last_opened >= self._last_stream:
            self._begin_drain()
        self._flush()

    def eof_received(self) -> bool:
        """The client will send nothing more; HTTP/2 has no use for half a connection."""
        return False

    def pause_writing(self) -> None:
        """The transport holds enough; what is left stays in the engine's bounded queues."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """The transport has room again."""
        self._write_paused = False
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every application that its client is gone."""
        self._connections.discard(self)
        self._worker.sheddable.discard(self)
        if self.seat is not None:
            self.seat.free(asked=self._wire.last_opened > 0)
        if isinstance(exc, TlsFailed):
            self._tell(exc.reason, exc.detail)
        elif not self._told:
            self._tell(self._how_it_ended())
        for timer in self._timers:
            timer.cancel()
        for cycle in list(self._cycles.values()):
            self._disconnect(cycle)
        self._ahead.connection_lost()
        self._cycles.clear()
        self._blocked.clear()

    def _how_it_ended(self) -> Closing:
        if self._wire.ended is not None:
            return self._wire.ended.reason
        if not self._drain.begun:
            return Closing.PEER_LEFT
        return Closing.DRAINED if self._worker.draining else Closing.REQUESTS_USED_UP

    def shed(self, active: bool) -> None:
        """Memory is short, so no stream gets to the application; or it is so no more."""
        self._max_alive = 0 if active else self._options.limits.max_concurrent_streams

    def held(self) -> int:
        """Bytes that this connection keeps in memory: of responses and of requests."""
        waiting = self._wire.queued() + self._transport.get_write_buffer_size()
        calls = sum(call_size(cycle.request.headers) for cycle in self._cycles.values())
        return waiting + self._wire.unacknowledged() + calls

    def cut_off(self) -> None:
        """Memory is so short that this connection cannot be kept."""
        self._tell(Closing.MEMORY)
        self._transport.abort()

    def shutdown(self) -> None:
        """The server stops."""
        self._worker.draining = True
        self._begin_drain()

    def _begin_drain(self) -> None:
        """Finish what is under way, take nothing new."""
        if self._drain.begin():
            self._later(NOTICE_GRACE, self._last_goaway)
            self._later(self._options.drain_timeout, self._drained_too_long)
            self._flush()

    def _last_goaway(self) -> None:
        if self._drain.say_last():
            self._flush()

    def _drained_too_long(self) -> None:
        self._close(Closing.DRAIN_TIMEOUT)

    def _close(self, reason: Closing) -> None:
        self._wire.close(ErrorCode.NO_ERROR, reason)
        self._flush()

    def _look(self) -> None:
        """End what takes too long."""
        now = self.loop.time()
        unwritten = self._transport.get_write_buffer_size() if self._write_paused else 0
        reason = self._deadlines.look(now, self._cycles, unwritten)
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
        self._later(seconds_between_looks(self._options), self._look)

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
            case RequestRefused(status=status, reason=reason):
                kind = Closing.MALFORMED if status == 400 else Closing.TOO_LARGE
                self._tell_request(kind, f"{status} {reason}")
            case StreamRefused(reason=refused, detail=detail):
                self._tell_request(refused, detail)
            case ConnectionEnded():
                self._ended(event)
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

    def _ended(self, event: ConnectionEnded) -> None:
        """The client broke a rule, or a limit: `_flush` closes the transport."""
        if event.error_code:
            self._tell(event.reason, event.detail)
        for cycle in self._cycles.values():
            self._disconnect(cycle)

    def _disconnect(self, cycle: Cycle) -> None:
        """Tell the application that its client has left; it should come to its end.

        What it does behind a whole answer, such as Starlette's background tasks, is nobody's loss.
        """
        cycle.disconnect()
        if cycle.task is not None and not cycle.complete:
            self._abandoned.add(cycle.task)

    def _tell(self, reason: Closing, detail: str = "") -> None:
        self._told = True
        self._worker.refusals.connection(reason, self._scopes.client, self.loop.time(), detail)

    def _tell_request(self, reason: Closing, detail: str = "") -> None:
        self._worker.refusals.request(reason, self._scopes.client, self.loop.time(), detail)

    def _stream_closed(self, event: StreamClosed) -> None:
        cycle = self._cycles.pop(event.stream_id, None)
        if cycle is not None:
            if self._blocked:
                self._blocked.pop(cycle, None)
            if not cycle.complete or event.error_code:
                self._disconnect(cycle)
            if cycle.complete and not cycle.request.end_stream:
                cycle.drop_body()
        if event.local_error is not None and event.stream_id % 2:
            logger.error("The response could not be sent: %s.", event.local_error)
        if self._ahead.used:
            self._ahead.stream_closed(event.stream_id, event.error_code)

    def _data_received(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        cycle = self._cycles.get(stream_id)
        if cycle is None:
            if data:
                self._wire.acknowledge(len(data), stream_id)
            return
        cycle.data_received(data, end_stream)
        if cycle.complete and not end_stream and not self._wire.queued_on(stream_id):
            # RFC 9113, 8.1: the response is whole, the rest of the request is not wanted.
            self._wire.reset(stream_id, ErrorCode.NO_ERROR)

    def _request_received(self, request: RequestReceived) -> None:
        if self._alive >= self._max_alive:
            # Streams that were reset do not count, the calls they left behind do.
            self._tell_request(Closing.MEMORY if self._max_alive == 0 else Closing.TOO_MANY_CALLS)
            self._wire.refuse(request.stream_id)
            return
        self._alive += 1
        scope, watched = self._scopes.of(request, self._wire.push_enabled)
        cycle = Cycle(self, request, scope)
        application = self._unproxied
        if watched:
            application = self._application
            cycle.continue_due = expects_continue(watched)
        if self._limits_concurrency and self._overloaded():
            application = _UNAVAILABLE
        self._call(cycle, application)

    def _call(self, cycle: Cycle, application: Application) -> None:
        task = asyncio.Task(cycle.run(application), **self._starting)
        if not task.done():
            cycle.task = task
            # uvicorn waits for these, or cancels them, when it stops.
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif cycle.complete and cycle.request.end_stream:
            return  # answered at once: what is left of it is bytes to write
        self._cycles[cycle.request.stream_id] = cycle

    def _overloaded(self) -> bool:
        limit = self._config.limit_concurrency
        if limit is None or max(len(self._connections), len(self._tasks)) < limit:
            return False
        logger.warning("Exceeded concurrency limit.")
        return True

    # What cycles ask for.

    def respond(
        self, stream_id: int, head: Fields, end_stream: bool, body: bytes | memoryview
    ) -> None:
        """Send a response's header section and what is there of its body, behind a held 103."""
        if self._ahead.links:
            self._ahead.send_links(stream_id)
        self._wire.respond(stream_id, head, end_stream, body)
        if not self._gathering:
            self._flush_soon()

    def inform(self, stream_id: int, status: int, headers: Fields) -> None:
        """Send an informational response at once."""
        self._wire.inform(stream_id, status, headers)
        self._flush_soon()

    def room(self, stream_id: int) -> int:
        """How many bytes of body may be queued on the stream now.

        Half of the connection's allowance is shared by whoever comes first; the other half is
        kept in equal parts, so that streams whose windows are closed cannot keep one whose window
        is open from its share.
        """
        queued = self._wire.queued_on(stream_id)
        free = min(self._max_queued_stream - queued, self._shared_room - self._wire.queued())
        return max(self.own_room - queued, free)

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Queue a part of a body."""
        self._wire.send_data(stream_id, data, end_stream)
        if not self._gathering:
            self._flush_soon()

    def send_trailers(self, stream_id: int, trailers: Fields) -> None:
        """End a response with trailers."""
        self._wire.send_trailers(stream_id, trailers)
        self._flush_soon()

    def reset(self, stream_id: int, error_code: ErrorCode) -> None:
        """End one stream; the others go on."""
        self._wire.reset(stream_id, error_code)
        self._flush_soon()

    def wait_for_room(self, cycle: Cycle) -> None:
        """`cycle.writable` will be called when `room` may have grown."""
        self._blocked[cycle] = None
        self._queued_then = max(self._queued_then, self._wire.queued())
        self._flush_soon()

    def consumed(self, stream_id: int, amount: int) -> None:
        """That much of a request's body was read or dropped: the client may send as much."""
        self._wire.acknowledge(amount, stream_id)
        self._flush_soon()

    def finished(self, cycle: Cycle) -> None:
        """The application returned."""
        self.server_state.total_requests += 1
        if cycle.request.stream_id % 2:
            self._alive -= 1
        else:
            self._ahead.alive -= 1
        if not cycle.request.end_stream:
            cycle.drop_body()
        if not (self._gathering or self._flush_due or self._transport.is_closing()):
            self._flush_soon()

    # Sending ahead.

    def push(self, cycle: Cycle, message: Message) -> None:
        """Promise what the application asked for, and call the application for it."""
        request = self._ahead.push(cycle, message)
        if request is None:
            return
        scope, forwarded = self._scopes.of_pushed(request)
        pushed = self._cycles[request.stream_id] = Cycle(self, request, scope)
        # Not at once: the page goes first.
        if not self._promised:
            self.loop.call_soon(self._start_promised)
        self._promised.append((pushed, self._application if forwarded else self._unproxied))
        self._flush_soon()

    def _start_promised(self) -> None:
        """Call the application for what was promised in the last turn of the loop."""
        promised, self._promised = self._promised, []
        self._gathering = True
        try:
            for cycle, application in promised:
                if cycle.disconnected:
                    self._ahead.alive -= 1
                else:
                    del self._cycles[cycle.request.stream_id]
                    self._call(cycle, application)
        finally:
            self._gathering = False
        self._flush()

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
        if not (self._gathering or self._flush_due):
            self._flush_due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if self._transport.is_closing():
            return
        if self._ahead.links:
            for stream_id in list(self._ahead.links):
                self._ahead.send_links(stream_id)
        before = self._wire.queued() if self._blocked else 0
        while not self._write_paused:
            data = self._wire.output()
            if data:
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
        if self._blocked:
            self._wake_blocked(before)
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

    def _wake_blocked(self, before: int) -> None:
        queued = self._wire.queued()
        if queued >= before >= self._queued_then:
            return  # nothing went out or was dropped; else each PING would ask a hundred streams
        self._queued_then = queued
        low_water = self._options.limits.max_queued_stream // 2
        for cycle in list(self._blocked):
            stream_id = cycle.request.stream_id
            if self.room(stream_id) > 0 and self._wire.queued_on(stream_id) <= low_water:
                del self._blocked[cycle]
                cycle.writable()
