"""One HTTP/2 connection on an asyncio transport.

Reads what the transport gives, tells `wire.server`, starts a `Cycle` for each request and carries
the cycles' calls back; writes what the wire wants written, once per turn of the loop. Made by
`protocol.HeadstartProtocol`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, assert_never, cast
from urllib.parse import quote, unquote

from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.deliver.outcome import Hint, Push, PushState
from headstart.errors import StreamGone
from headstart.reasons import Refusal
from headstart.server.cycle import Application, Cycle, Message, Scope
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
    StreamReset,
    TrailersReceived,
)
from headstart.wire.fields import checked_fields
from headstart.wire.server import ServerConnection

logger = logging.getLogger("headstart.server")

_DRAIN_PING = b"draining"
# How long a client may take to answer that PING before the last GOAWAY goes out all the same.
_DRAIN_GRACE = 1.0
_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
_WATCHED = _FORWARDED | {b"expect", b"te", b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-dest"}
# ASGI gives push paths decoded; what may stand in a target stays, a fragment never does.
_TARGET_SAFE = "/?%:@!$&'()*+,;=-._~"

# uvicorn's own 503; its type is of uvicorn's narrower messages.
_UNAVAILABLE = cast(Application, service_unavailable)

_Task: TypeAlias = "asyncio.Task[None]"

_connection_ids = itertools.count(1)


if sys.version_info >= (3, 12):

    def _start(call: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> _Task:
        # The task runs at once until it first has to wait; most requests never do, and so never
        # go through the loop.
        return asyncio.Task(call, loop=loop, eager_start=True)

else:

    def _start(call: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> _Task:
        return loop.create_task(call)


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
    """

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
        self._application: Application = config.loaded_app
        self._unproxied = _without_proxy_headers(self._application)
        self._server_state = server_state
        self._app_state = app_state
        self._connections: set[Any] = server_state.connections
        self._tasks: set[asyncio.Task[None]] = server_state.tasks
        self.access_log = logging.getLogger("uvicorn.access").hasHandlers()
        self._root_path = config.root_path
        self._raw_root = config.root_path.encode()
        self._asgi = {"version": config.asgi_version, "spec_version": "2.4"}
        self._id = next(_connection_ids)

        limits = self._options.limits
        self._max_queued_stream = limits.max_queued_stream
        self._shared_room = limits.max_queued_connection // 2
        self.own_room = self._shared_room // (2 * limits.max_concurrent_streams)
        """Bytes of body that every stream may queue, whatever the others do."""
        self._wire = ServerConnection(self._options.limits, self.loop.time())
        self._transport: asyncio.Transport
        self._cycles: dict[int, Cycle] = {}
        """Streams that have not closed."""
        self._pushes: dict[int, Push] = {}
        """Promised streams that have not closed -> what the application knows of them."""
        self._alive = 0
        """Calls of the application for the client's own requests: tasks, not streams."""
        self._pushes_alive = 0
        """Calls of the application for promised requests."""
        self._blocked: dict[Cycle, None] = {}
        """Cycles that wait for room, in the order in which they came."""
        self._hints: dict[int, Fields] = {}
        """Streams -> links that go out with the next write."""
        self._hinted: set[int] = set()
        """Streams that had their 103 and have not closed."""
        self._reading = False
        self._flush_due = False
        self._write_paused = False
        self._progress = False
        self._stall_check: asyncio.TimerHandle | None = None
        self._draining = False
        self._last_goaway_sent = False
        self._leaving = False
        self._finished = False
        """Nothing is left to do but to write what is queued."""
        self._last_active = self.loop.time()
        self._timers: list[asyncio.TimerHandle] = []

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client with our SETTINGS."""
        # A cast, no check: uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._server = get_local_addr(transport)
        self._client = get_remote_addr(transport)
        self._scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self._later(self._options.idle_timeout, self._check_idle)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Act on what the client sent; all that it brings about is written in one go."""
        now = self._last_active = self.loop.time()
        self._reading = True
        try:
            for event in self._wire.receive(data, now):
                if isinstance(event, RequestReceived):
                    self._request_received(event)
                else:
                    self._handle(event)
        finally:
            self._reading = False
        self._flush()

    def eof_received(self) -> bool:
        """The client will send nothing more; HTTP/2 has no use for half a connection."""
        return False

    def pause_writing(self) -> None:
        """The transport holds enough; what is left stays in the engine's bounded queues."""
        self._write_paused = True
        if self._stall_check is None:
            self._expect_progress()

    def resume_writing(self) -> None:
        """The transport has room again."""
        self._write_paused = False
        self._progress = True
        self._flush()

    def _expect_progress(self) -> None:
        self._progress = False
        size = self._transport.get_write_buffer_size()
        self._stall_check = self.loop.call_later(
            self._options.stall_timeout, self._check_progress, size
        )

    def _check_progress(self, before: int) -> None:
        """A client that reads nothing at all holds a place that others could have."""
        self._stall_check = None
        if not self._write_paused:
            return
        if self._progress or self._transport.get_write_buffer_size() < before:
            self._expect_progress()
            return
        logger.warning("%s - connection aborted: the client does not read", self._client)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every application that its client is gone."""
        self._connections.discard(self)
        for timer in self._timers:
            timer.cancel()
        if self._stall_check is not None:
            self._stall_check.cancel()
        for cycle in list(self._cycles.values()):
            cycle.disconnect()
        for push in self._pushes.values():
            push.state = PushState.RESET
        self._cycles.clear()
        self._pushes.clear()
        self._blocked.clear()

    def shutdown(self) -> None:
        """The server stops: finish what is under way, take nothing new (RFC 9113, 6.8)."""
        if self._draining or self._wire.ended is not None:
            return
        self._draining = True
        self._wire.shutdown_notice()
        # Its answer proves that the client saw the notice: streams it opened before are known.
        self._wire.ping(_DRAIN_PING)
        self._later(_DRAIN_GRACE, self._last_goaway)
        self._flush()

    def _last_goaway(self) -> None:
        if self._last_goaway_sent or self._wire.ended is not None:
            return
        self._last_goaway_sent = True
        self._wire.last_goaway()
        self._flush()
        self._close_if_drained()

    def _close_if_drained(self) -> None:
        if self._last_goaway_sent and not self._cycles:
            self._finished = True
            self._flush_soon()

    def _close(self, reason: str) -> None:
        self._wire.close(ErrorCode.NO_ERROR, reason)
        self._flush()

    def _check_idle(self) -> None:
        idle = self.loop.time() - self._last_active
        # A client that never ends a request that was answered long ago is idle too.
        busy = any(not cycle.complete for cycle in self._cycles.values())
        if busy or idle < self._options.idle_timeout:
            self._later(max(self._options.idle_timeout - idle, 1.0), self._check_idle)
        else:
            self._close("idle")

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if timer.when() > self.loop.time()]
        self._timers.append(self.loop.call_later(delay, call))

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
                self._cycles[stream_id].disconnect()
            case PromiseFailed(stream_id=stream_id, refusal=refusal) if stream_id in self._pushes:
                self._pushes.pop(stream_id).refuse(refusal)
            case PingAcknowledged(opaque_data=data) if data == _DRAIN_PING:
                self._last_goaway()
            case RequestReceived():
                self._request_received(event)
            case RequestRefused(status=status, reason=reason):
                logger.info("%s - request refused with %d: %s", self._client, status, reason)
            case ConnectionEnded():
                self._ended(event)
            case (
                SettingsReceived()
                | GoAwayReceived()
                | TrailersReceived()
                | StreamReset()
                | PromiseFailed()
                | PingAcknowledged()
            ):
                pass  # the wire keeps what they say, or the stream has ended meanwhile
            case _:
                assert_never(event)

    def _ended(self, event: ConnectionEnded) -> None:
        """The client broke a rule, or a limit: `_flush` closes the transport."""
        if event.error_code:
            logger.warning("%s - connection closed: %s", self._client, event.reason)
        for cycle in self._cycles.values():
            cycle.disconnect()

    def _stream_closed(self, event: StreamClosed) -> None:
        cycle = self._cycles.pop(event.stream_id, None)
        if cycle is not None:
            if self._blocked:
                self._blocked.pop(cycle, None)
            if not cycle.complete or event.error_code:
                cycle.disconnect()
            if cycle.complete:
                cycle.drop_body()
        if self._hints:
            self._hints.pop(event.stream_id, None)
        if self._hinted:
            self._hinted.discard(event.stream_id)
        push = self._pushes.pop(event.stream_id, None) if self._pushes else None
        if push is not None:
            push.state = PushState.RESET if event.error_code else PushState.FINISHED
        if self._draining:
            self._close_if_drained()

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
        if self._alive >= self._options.limits.max_concurrent_streams:
            # Streams that were reset do not count, the calls they left behind do.
            self._wire.reset(request.stream_id, ErrorCode.REFUSED_STREAM)
            return
        self._alive += 1
        headers = request.headers
        watched = (
            []
            if _WATCHED.isdisjoint(dict(headers))
            else [pair for pair in headers if pair[0] in _WATCHED]
        )
        scope = self._scope(request, watched, pushed=False)
        expect = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in watched
        )
        cycle = self._cycles[request.stream_id] = Cycle(self, request, scope, expect)
        application = self._application if watched else self._unproxied
        if self._config.limit_concurrency is not None and self._overloaded():
            application = _UNAVAILABLE
        task = _start(cycle.run(application), self.loop)
        if not task.done():
            self._keep(task)

    def _overloaded(self) -> bool:
        limit = self._config.limit_concurrency
        if limit is None or max(len(self._connections), len(self._tasks)) < limit:
            return False
        logger.warning("Exceeded concurrency limit.")
        return True

    def _keep(self, task: asyncio.Task[None]) -> None:
        """uvicorn waits for these, or cancels them, when it stops."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Scope.

    def _scope(self, request: RequestReceived, watched: Fields, pushed: bool) -> Scope:
        raw_path, _, query = request.target.partition(b"?")
        path = raw_path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        return {
            "type": "http",
            "asgi": self._asgi,
            "http_version": "2",
            "method": request.method,
            "scheme": self._scheme,
            "path": self._root_path + path,
            "raw_path": self._raw_root + raw_path,
            "query_string": query,
            "root_path": self._root_path,
            "headers": request.headers,
            "client": self._client,
            "server": self._server,
            "state": self._app_state.copy(),
            "extensions": self._extensions(request, watched, pushed),
        }

    def _extensions(self, request: RequestReceived, watched: Fields, pushed: bool) -> Scope:
        """Only what will work for this client and this request."""
        options = self._options
        push = options.push and self._wire.push_enabled and not pushed
        extensions: Scope = {
            "http.response.pathsend": {},
            "headstart": {
                "connection": self._id,
                "push_enabled": push,
                "pushed": pushed,
                "pushes": [],
            },
        }
        if push:
            extensions["http.response.push"] = {}
        if (
            request.method == "GET"
            and not pushed
            and options.early_hints
            and self._hint_refusal(request, watched) is None
        ):
            extensions["http.response.early_hint"] = {}
        if watched and (b"te", b"trailers") in watched:
            extensions["http.response.trailers"] = {}
        return extensions

    def _hint_refusal(self, request: RequestReceived, watched: Fields) -> Refusal | None:
        if request.method != "GET":
            return Refusal.NOT_NAVIGATION
        marked = watched and [pair for pair in watched if pair[0].startswith(b"sec-fetch-")]
        if not marked:
            return None if self._options.hint_unmarked_clients else Refusal.NOT_NAVIGATION
        return None if (b"sec-fetch-mode", b"navigate") in marked else Refusal.NOT_NAVIGATION

    # What cycles ask for.

    @property
    def default_headers(self) -> Fields:
        """Date and Server, made once a second by uvicorn."""
        return self._server_state.default_headers

    def respond(self, stream_id: int, head: Fields, end_stream: bool) -> None:
        """Send a response's header section, behind a 103 that is still held."""
        if self._hints:
            self._send_hint(stream_id)
        self._wire.respond(stream_id, head, end_stream)
        if not self._reading:
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
        if not self._reading:
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
        self._flush_soon()

    def consumed(self, stream_id: int, amount: int) -> None:
        """That much of a request's body was read or dropped: the client may send as much."""
        self._wire.acknowledge(amount, stream_id)
        self._flush_soon()

    def completed(self, cycle: Cycle) -> None:
        """The whole response is queued."""
        self._server_state.total_requests += 1

    def finished(self, cycle: Cycle) -> None:
        """The application returned."""
        if cycle.request.stream_id % 2:
            self._alive -= 1
        else:
            self._pushes_alive -= 1
        cycle.drop_body()
        if not (self._reading or self._flush_due or self._transport.is_closing()):
            self._flush_soon()

    # Sending ahead.

    def push(self, cycle: Cycle, message: Message) -> None:
        """Promise what the application asked for, and call the application for it."""
        push = message.get("headstart")
        if not isinstance(push, Push):
            push = Push(message["path"])
        cycle.scope["extensions"]["headstart"]["pushes"].append(push)
        outcome = self._promise(cycle, message)
        if isinstance(outcome, Refusal):
            push.refuse(outcome)
            logger.debug("push of %r refused: %s", push.path, outcome)
            return
        promised_id, request = outcome
        push.sent(promised_id)
        self._pushes[promised_id] = push
        scope = self._scope(request, [], pushed=True)
        pushed = Cycle(self, request, scope, expect=False)
        self._cycles[promised_id] = pushed
        self._pushes_alive += 1
        # Not at once: the page goes first.
        self._keep(self.loop.create_task(pushed.run(self._application)))
        self._flush_soon()

    def _promise(self, cycle: Cycle, message: Message) -> Refusal | tuple[int, RequestReceived]:
        if not self._options.push:
            return Refusal.UNSUPPORTED
        if self._pushes_alive >= self._options.limits.max_concurrent_streams:
            return Refusal.TOO_MANY
        page = cycle.request
        method = message.get("method", "GET")
        target = quote(message["path"].partition("#")[0], safe=_TARGET_SAFE).encode("ascii")
        # The application's paths have the root path; on the wire, it was taken away before us.
        if self._raw_root and target.startswith(self._raw_root + b"/"):
            target = target[len(self._raw_root) :]
        headers = [(name.lower(), value) for name, value in message.get("headers") or ()]
        if not any(name == b"referer" for name, _ in headers):
            headers.append((b"referer", self._url(page)))
        outcome = self._wire.promise(
            page.stream_id,
            method,
            self._scheme.encode("ascii"),
            page.authority,
            target,
            headers,
            # What was learned goes to anybody, so it never carries what is one user's.
            credentials=not message.get("learned", False),
            urgency=message.get("urgency", 0),
        )
        if isinstance(outcome, Refusal):
            return outcome
        headers.insert(0, (b"host", page.authority))
        return outcome, RequestReceived(outcome, method, target, page.authority, headers, True)

    def _url(self, page: RequestReceived) -> bytes:
        return self._scheme.encode("ascii") + b"://" + page.authority + page.target

    def hint(self, cycle: Cycle, message: Message, started: bool) -> None:
        """Hold the links until this turn of the loop ends: browsers read one 103 only.

        Raises:
            LocalProtocolError: A link has a character that HTTP forbids.
        """
        hint = message.get("headstart")
        if not isinstance(hint, Hint):
            hint = Hint()
        links = checked_fields([(b"link", bytes(link)) for link in message["links"]], [])
        refusal = self._hint_now_refusal(cycle, links, started)
        if refusal is not None:
            hint.refuse(refusal)
            logger.debug("103 for %r refused: %s", cycle.request.target, refusal)
            return
        hint.sent = True
        self._hints.setdefault(cycle.request.stream_id, []).extend(links)
        self._flush_soon()

    def _hint_now_refusal(self, cycle: Cycle, links: Fields, started: bool) -> Refusal | None:
        request, stream_id = cycle.request, cycle.request.stream_id
        if started:
            return Refusal.RESPONSE_STARTED
        if not links:
            return Refusal.NO_LINKS
        if not self._options.early_hints or stream_id % 2 == 0:
            return Refusal.UNSUPPORTED
        held = self._hints.get(stream_id)
        if held is None and stream_id in self._hinted:
            return Refusal.ALREADY_HINTED
        # RFC 9113, 6.5.2: an entry counts for 32 octets besides its own.
        size = sum(len(value) + 32 for _, value in links + (held or []))
        if size > self._options.limits.max_hint_size:
            return Refusal.TOO_LARGE
        return self._hint_refusal(request, [p for p in request.headers if p[0] in _WATCHED])

    def _send_hint(self, stream_id: int) -> None:
        links = self._hints.pop(stream_id, None)
        if links:
            self._hinted.add(stream_id)
            try:
                self._wire.inform(stream_id, 103, links)
            except StreamGone:
                return  # reset, or the whole connection closed, while the links were held

    # Output.

    def _flush_soon(self) -> None:
        """Write at the end of this turn of the loop: one write for all that happens in it."""
        if not (self._reading or self._flush_due):
            self._flush_due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if self._transport.is_closing():
            return
        for stream_id in list(self._hints):
            self._send_hint(stream_id)
        while not self._write_paused:
            data = self._wire.output()
            if data:
                self._transport.write(data)
            if len(data) < OUTPUT_CHUNK:
                break
        for event in self._wire.after_output(self.loop.time()):
            if isinstance(event, StreamClosed):
                self._stream_closed(event)
            else:
                self._handle(event)
        if self._blocked:
            self._wake_blocked()
        if self._finished or self._wire.ended is not None:
            self._leave()

    def _leave(self) -> None:
        """Close the transport once all is written; a client that does not read it has its time."""
        if not self._leaving:
            self._leaving = True
            self._later(self._options.stall_timeout, self._transport.abort)
        if not self._wire.wants_output:
            self._transport.close()

    def _wake_blocked(self) -> None:
        low_water = self._options.limits.max_queued_stream // 2
        for cycle in list(self._blocked):
            stream_id = cycle.request.stream_id
            if self.room(stream_id) > 0 and self._wire.queued_on(stream_id) <= low_water:
                del self._blocked[cycle]
                cycle.writable()
