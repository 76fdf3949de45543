"""The streams of one HTTP/2 connection: which are open, and what handles each.

Starts a `Cycle` for each request and promised request that is admitted, and a `StreamTransport` for
each WebSocket; passes on what comes for their streams, and carries out their calls on the wire.
Owned by `http2.Http2ServerConnection`, which reads and writes the bytes.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any, Final, TypeAlias

from uvicorn.config import Config
from uvicorn.server import ServerState

from headstart.errors import StreamGoneError
from headstart.reasons import Closing, Refusal
from headstart.server.ahead import Ahead
from headstart.server.calls import Calls
from headstart.server.cycle import Application, Cycle, Message
from headstart.server.early import EarlyResponses
from headstart.server.http2_websocket import StreamWebSocket
from headstart.server.scheduler import SendScheduler, Waiting
from headstart.server.scope import Scopes, expects_continue
from headstart.server.stored import StoredPushes, StoredResponse
from headstart.server.stream import StreamTransport
from headstart.server.turns import PendingWrite
from headstart.server.windows import UploadWindows
from headstart.server.worker import Worker, call_size
from headstart.wire.connection import ErrorCode
from headstart.wire.events import (
    Fields,
    RequestReceived,
    RequestRefused,
    StreamClosed,
    StreamRefused,
    WebSocketRequested,
)
from headstart.wire.responses import ResponseHead
from headstart.wire.server import ServerConnection

logger = logging.getLogger("headstart.server")

_FAILED: Final = b"500"
"""The lowest status of an error of the server; those above 599 are taken for one (RFC 9110, 15)."""
_TOO_LARGE: Final = frozenset({414, 431})

Handler: TypeAlias = Cycle | StoredResponse | StreamTransport


class Http2Streams:
    """The streams of one connection.

    Args:
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: The lifespan's.
        loop: The event loop.
        worker: The process's.
        wire: The connection's.
        transport: The connection's.
        write: The connection's next write.

    Attributes:
        open: The handlers of streams that have not closed, but for those whose calls answered at
            once.
        calls: Which requests reach the application.
        ahead: The pushes and hints.
        early: The streams whose responses are complete and whose requests are not.
        uses_ahead: An application asked for something to be sent ahead; if not, there is nothing to
            send or to forget.

    For the others see `stream_connection.StreamConnection`.
    """

    __slots__ = (
        "_app_state",
        "_config",
        "_context",
        "_promised",
        "_scopes",
        "_stored",
        "_transport",
        "_windows",
        "_wire",
        "_worker",
        "_write",
        "access_log",
        "ahead",
        "calls",
        "counts",
        "early",
        "heads",
        "loop",
        "notes_responses",
        "open",
        "scheduler",
        "server_state",
        "uses_ahead",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        worker: Worker,
        wire: ServerConnection,
        transport: asyncio.Transport,
        write: PendingWrite,
    ) -> None:
        self.loop = loop
        self.server_state = server_state
        self._config = config
        self._app_state = app_state
        self._worker = worker
        self._wire = wire
        self._transport = transport
        self._write = write
        options, limits, now = worker.options, worker.options.limits, loop.time()
        self.access_log = config.access_log and logging.getLogger("uvicorn.access").hasHandlers()
        self.counts = worker.request_counts
        self.notes_responses = self.access_log or self.counts is not None
        self.heads = worker.heads
        self.calls = Calls(config, server_state, worker)
        self.scheduler = SendScheduler(wire, limits)
        self._windows = UploadWindows(wire, limits, worker.window_budget, now)
        self.early = EarlyResponses(wire, now)
        self._scopes = Scopes(config, options, app_state, transport, wire, worker.counters)
        self.ahead = Ahead(wire, self._scopes, options, worker.refusals, worker.push_templates)
        self.uses_ahead = False
        cache = getattr(config, "cache", None)
        self._stored = None if cache is None else StoredPushes(cache, self._scopes, wire)
        self.open: dict[int, Handler] = {}
        self._promised: list[tuple[Cycle, Application]] = []
        """Promised requests whose calls start in the next turn of the loop."""
        # What one call sets in its context variables is nothing to those of other requests.
        self._context = contextvars.copy_context()

    def __len__(self) -> int:
        return len(self.open)

    def held(self) -> int:
        """Return the bytes that the requests under way take in memory, about."""
        return sum(call_size(handler.request.headers) for handler in self.open.values())

    # Admission.

    def request_received(self, request: RequestReceived) -> None:
        """Call the application, or refuse the request while too many calls go on."""
        calls = self.calls
        # The engine counts streams, but not the calls that outlive them.
        if len(calls.left) >= calls.max_left:
            self._refuse(request.stream_id)
            return
        scope, watched = self._scopes.of(request, self._wire.push_enabled)
        cycle = Cycle(self, request, scope)
        if watched:
            cycle.continue_due = expects_continue(watched)
        application = None if watched else calls.plain
        if calls.start(cycle, application or calls.application(bool(watched))):
            self.open[request.stream_id] = cycle

    def websocket_requested(self, request: WebSocketRequested) -> None:
        """Open a WebSocket on the stream, or refuse it like a request."""
        if len(self.calls.left) >= self.calls.max_left:
            self._refuse(request.stream_id)
            return
        stream = self.open[request.stream_id] = StreamTransport(self, request)
        websocket = StreamWebSocket(
            stream, self.calls, self._config, self.server_state, self._app_state, self.loop
        )
        websocket.open()

    def _refuse(self, stream_id: int) -> None:
        """Refuse a stream for lack of room."""
        self.report(self.calls.refusal)
        self._wire.refuse(stream_id)

    def refused(self, event: RequestRefused | StreamRefused) -> None:
        """Report a stream that the wire has answered or reset."""
        if isinstance(event, StreamRefused):
            self.report(event.reason, event.detail)
        else:
            kind = Closing.TOO_LARGE if event.status in _TOO_LARGE else Closing.MALFORMED
            self.report(kind, f"{event.status} {event.reason}")

    def report(self, reason: Closing, detail: str = "") -> None:
        """Count and log a stream that was refused or reset."""
        self._worker.refusals.request(reason, self._scopes.client, self.loop.time(), detail)

    # Events.

    def data_received(self, stream_id: int, data: bytes, end_stream: bool, now: float) -> None:
        """Pass on a part of a request's body.

        Args:
            stream_id: The request's.
            data: The part.
            end_stream: It is the last one.
            now: The loop's time.
        """
        handler = self.open.get(stream_id)
        if handler is None:
            # Nobody reads it, and the connection's window is that of all streams.
            if data:
                self._wire.acknowledge(len(data), stream_id)
        elif not handler.complete:
            handler.data_received(data, end_stream)
        elif end_stream:
            self.early.ended(stream_id, len(data))
        else:
            self.early.drop_part(stream_id, len(data), now)

    def body_ended(self, stream_id: int) -> None:
        """Handle that trailers ended a request's body."""
        if stream_id in self.open:
            self.open[stream_id].body_ended()

    def stream_reset(self, stream_id: int) -> None:
        """Handle a stream that the client has reset."""
        self.ahead.stream_reset(stream_id)
        if stream_id in self.open:
            self._disconnect(self.open[stream_id])

    def promise_failed(self, stream_id: int, refusal: Refusal) -> None:
        """Record that a queued promise could not be sent."""
        self.ahead.promise_failed(stream_id, refusal)

    def stream_closed(self, event: StreamClosed) -> None:
        """Forget a stream; disconnect its handler unless the response is complete."""
        stream_id = event.stream_id
        handler = self.open.pop(stream_id, None)
        if handler is not None:
            self.scheduler.waiting.pop(handler, None)
            # Work behind a whole response, such as a background task, goes on.
            if not handler.complete or event.error_code:
                self._disconnect(handler)
            if not handler.request.end_stream:
                self._upload_closed(handler)
        elif not (stream_id % 2 or event.error_code):
            # A stored response that was queued whole, as most of a page's pushes are.
            push = self.ahead.pushes.pop(stream_id, None)
            if push is not None:
                push.mark_finished()
            return
        if stream_id % 2 and event.local_error is not None:
            logger.error("The response could not be sent: %s.", event.local_error)
        if self.uses_ahead:
            self.ahead.stream_closed(stream_id, event.error_code)

    def _upload_closed(self, handler: Handler) -> None:
        """Give back the window of received bytes that nobody will read."""
        stream_id = handler.request.stream_id
        self._windows.stream_closed(stream_id)
        if self.early.closed(stream_id):
            self._write.soon()  # the client may have no window left to make us write by
        handler.drop_body()

    def _disconnect(self, handler: Handler) -> None:
        if isinstance(handler, Cycle):
            self.calls.disconnect(handler)
        else:
            handler.disconnect()

    def disconnect_all(self) -> None:
        """Tell every handler that its client is gone."""
        for handler in list(self.open.values()):
            self._disconnect(handler)

    def connection_lost(self) -> None:
        """Disconnect and forget all handlers."""
        self.disconnect_all()
        self.ahead.connection_lost()
        self._windows.connection_lost()
        self.open.clear()
        self.scheduler.waiting.clear()

    # Time.

    def look_at_early(self, now: float) -> None:
        """End uploads that were answered long enough ago and have stopped."""
        early = [number for number, handler in self.open.items() if handler.answered_early]
        if early:
            self.early.look(early, now)
            self._end_early_uploads()

    def _end_early_uploads(self) -> None:
        """Reset uploads that were answered long enough ago; in the end the next write does."""
        if self.early.end():
            self._write.soon()

    def end_websockets(self) -> None:
        """Say 1012 on each: a WebSocket has no end of its own, and its client opens another."""
        for handler in list(self.open.values()):
            if isinstance(handler, StreamTransport):
                protocol = handler.get_protocol()
                if isinstance(protocol, StreamWebSocket):
                    protocol.shutdown()

    # Around each write.

    @property
    def has_waiting(self) -> bool:
        """A write has to look at streams that wait, even if it writes nothing."""
        # Streams that wait are open. To look no further than here touches less memory.
        return bool(self.open and (self.scheduler.waiting or self.early.waiting))

    def before_write(self) -> None:
        """Queue the links and the stored responses that waited for this write."""
        if self.ahead.links:
            for stream_id in list(self.ahead.links):
                self.ahead.send_links(stream_id)
        if self._stored is not None and self._stored.due:
            for response in self._stored.send(self):
                self.open[response.stream_id] = response
                response.writable()

    def after_write(self, queued_before: int) -> None:
        """Let those streams go on that may have room now.

        Args:
            queued_before: Bytes that all streams had queued before the write.
        """
        if self.scheduler.waiting:
            self.scheduler.wake(queued_before)
        if self.early.waiting:
            self._end_early_uploads()

    # Calls of the handlers.

    def respond(
        self, stream_id: int, head: ResponseHead, end_stream: bool, body: bytes | memoryview
    ) -> None:
        """Send a response's header section and the first part of its body, after a held 103.

        Raises:
            StreamGoneError: It cannot be sent any more, or it is a push whose response failed.
        """
        if self.uses_ahead and self.ahead.links:
            self.ahead.send_links(stream_id)
        # Promised streams have even numbers (RFC 9113, 5.1.1).
        if not stream_id % 2 and head.fields[0][1] >= _FAILED:
            # A client may keep a pushed response; one that asks itself may find the fault gone.
            self.ahead.promise_failed(stream_id, Refusal.RESPONSE_FAILED)
            self.reset(stream_id, ErrorCode.CANCEL)
            raise StreamGoneError("a push whose response failed is not sent")
        self._wire.respond(stream_id, head.fields, end_stream, body)
        write = self._write
        if not write.is_due:
            write.soon()

    def inform(self, stream_id: int, status: int, headers: Fields) -> None:
        """Send an informational response at once."""
        self._wire.inform(stream_id, status, headers)
        self._write.soon()

    def queued_on(self, stream_id: int) -> int:
        """Return the bytes of a stream that wait for a window or for the next write."""
        return self._wire.queued_on(stream_id)

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Queue a part of a body."""
        self._wire.send_data(stream_id, data, end_stream)
        write = self._write
        if not write.is_due:
            write.soon()

    def send_trailers(self, stream_id: int, trailers: Fields) -> None:
        """End a response with trailers, if there are any in the end."""
        if trailers:
            self._wire.send_trailers(stream_id, trailers)
        else:
            self._wire.send_data(stream_id, b"", end_stream=True)
        self._write.soon()

    def reset(self, stream_id: int, error_code: ErrorCode) -> None:
        """End one stream; the others go on."""
        self._wire.reset(stream_id, error_code)
        self._write.soon()

    def reset_for_mistake(self, stream_id: int) -> None:
        """End one stream; it is held against the client."""
        self._wire.refuse(stream_id, ErrorCode.PROTOCOL_ERROR)
        self._write.soon()

    def wait_for_room(self, stream: Waiting) -> None:
        """Call `stream.writable` when there may be room for more."""
        self.scheduler.wait(stream)
        self._write.soon()

    def consumed(self, stream_id: int, amount: int, goes_on: bool = False) -> None:
        """Let the client send as much as was read or dropped; see `StreamConnection`."""
        self._wire.acknowledge(amount, stream_id)
        if goes_on:
            self._windows.read(stream_id, amount, self.loop.time())
        self._write.soon()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the values that `asyncio.BaseTransport.get_extra_info` names."""
        return self._transport.get_extra_info(name, default)

    def finished(self, cycle: Cycle) -> None:
        """Handle that the application returned."""
        self.server_state.total_requests += 1
        # Promised streams have even numbers (RFC 9113, 5.1.1).
        if not cycle.request.stream_id % 2:
            self.ahead.alive -= 1
        elif self.calls.left:
            self.calls.left.discard(cycle)
        if not cycle.request.end_stream:
            cycle.drop_body()
        write = self._write
        if not (write.is_due or self._transport.is_closing()):
            write.soon()

    def push(self, cycle: Cycle, message: Message) -> None:
        """Promise the application's push; answer it from the cache, or call the application."""
        self.uses_ahead = True
        sent = self.ahead.push(cycle, message)
        if sent is None:
            return
        stream_id, promised = sent
        defaults = self.server_state.default_headers
        if self._stored is None or not self._stored.take(stream_id, promised, defaults):
            self._call_for_promise(promised.on(stream_id))
        write = self._write
        if not write.is_due:
            write.soon()

    def _call_for_promise(self, request: RequestReceived) -> None:
        """Call the application in the next turn of the loop: the page goes first."""
        self.ahead.alive += 1
        scope, forwarded = self._scopes.of_pushed(request)
        pushed = self.open[request.stream_id] = Cycle(self, request, scope)
        if not self._promised:
            self.loop.call_soon(self._start_promised, context=self._context)
        self._promised.append((pushed, self.calls.application_for_push(bool(forwarded))))

    def _start_promised(self) -> None:
        """Call the application for the promises of the last turn of the loop."""
        promised, self._promised = self._promised, []
        with self._write.once():
            for cycle, application in promised:
                if cycle.disconnected:
                    self.ahead.alive -= 1
                elif not self.calls.start(cycle, application):
                    del self.open[cycle.request.stream_id]

    def hint(self, cycle: Cycle, message: Message, started: bool) -> None:
        """Send the links in a 103 at the end of this turn of the loop.

        Raises:
            LocalProtocolError: A link has a character that HTTP forbids.
        """
        self.uses_ahead = True
        self.ahead.hint(cycle, message, started)
        self._write.soon()
