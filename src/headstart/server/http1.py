"""One HTTP/1.1 connection on an asyncio transport.

Passes the transport's bytes to `http1_parser`, makes an `http1_cycle.Http1Cycle` for each request,
and calls the application for one after the other (`calls`, as over HTTP/2): responses come in the
order of their requests (RFC 9112, 9.3.2), and `http1_state` says how far they are. `http1_output`
frames and writes the responses, `http1_deadlines` has the time-outs. A
WebSocket's handshake hands the connection over.

A refusal is sent after the responses to earlier requests, then the connection ends. Made by
`protocol.HeadstartProtocol`; checked by `worker` about once a second.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from headstart.reasons import Closing
from headstart.server.abandoned import has_closed
from headstart.server.admission import ConnectionSlot
from headstart.server.calls import Calls
from headstart.server.cycle import Cycle
from headstart.server.http1_checks import Answer
from headstart.server.http1_cycle import Http1Cycle, NothingAhead
from headstart.server.http1_deadlines import Http1Deadlines
from headstart.server.http1_output import Output
from headstart.server.http1_parser import (
    BodyReceived,
    Http1Template,
    Part,
    RequestParser,
    UpgradeReceived,
)
from headstart.server.http1_response import CONTINUE, Http1Head
from headstart.server.http1_response import answer as whole_answer
from headstart.server.http1_state import Answers, State
from headstart.server.http1_unparsed import Unparsed
from headstart.server.http1_upgrade import open_websocket
from headstart.server.lingering import DRAIN_SILENCE, Lingering, end_output
from headstart.server.scheduler import Waiting
from headstart.server.scope import Http1Scopes, expects_continue
from headstart.server.tls import TlsBroken
from headstart.server.worker import Worker
from headstart.wire.connection import ErrorCode
from headstart.wire.events import Fields, RequestReceived
from headstart.wire.responses import ResponseHead

DRAIN_GRACE: Final = 0.5
"""Seconds that a request sent just when the server stopped may be under way."""
# Bytes of a request's body that wait for the application before nothing more is read.
_MOST_UNREAD: Final = 64 * 1024
# Requests of one connection that are answered at once before others have their turn.
_A_TURN: Final = 50


class Http1Connection(NothingAhead, asyncio.Protocol):
    """One client's connection.

    Attributes:
        loop: The event loop.
        server_state: uvicorn's.
        counts, access_log, notes_responses, heads: See `stream_connection.RequestConnection`.
        scheduler: The output.
        calls: Which requests reach the application.
        slot: Given back at the end.
    """

    # More attributes than fit into an instance's inline values would make each access slow.
    __slots__ = (
        "__weakref__",
        "_advancing",
        "_answer",
        "_answers",
        "_app_state",
        "_asked",
        "_begun",
        "_config",
        "_connections",
        "_context",
        "_current",
        "_deadlines",
        "_drain_timer",
        "_end",
        "_half_closed",
        "_incoming",
        "_lingering",
        "_over",
        "_parser",
        "_reading_paused",
        "_scopes",
        "_told",
        "_transport",
        "_turn_due",
        "_unparsed",
        "_unread",
        "_waiting",
        "_worker",
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
        self.server_state = server_state
        self._config = config
        self._app_state = app_state
        self._connections: set[Any] = server_state.connections
        self._worker = worker = Worker.of(server_state, config, self.loop)
        self.calls = Calls(config, server_state, worker)
        self.access_log = config.access_log and logging.getLogger("uvicorn.access").hasHandlers()
        self.counts = worker.request_counts
        self.notes_responses = self.access_log or self.counts is not None
        self.heads = worker.http1_heads
        self.scheduler: Output
        self.slot: ConnectionSlot | None = None
        offers_websockets = config.ws_protocol_class is not None
        self._parser = RequestParser(worker.options.limits, offers_websockets)
        self._unparsed = Unparsed()
        """Bytes that wait until fewer requests do."""
        self._half_closed = False
        """True once the client sends nothing any more and is still answered."""
        self._answers = Answers()
        self._context = contextvars.copy_context()
        self._transport: asyncio.Transport
        self._scopes: Http1Scopes
        self._deadlines: Http1Deadlines
        self._waiting: deque[Http1Cycle] = deque()
        """Requests whose turn has not come."""
        self._current: Http1Cycle | None = None
        """The request that is being answered, or whose call goes on behind its response."""
        self._incoming: Http1Cycle | None = None
        """The newest request, as long as its body has not ended."""
        self._asked = 0
        """Requests that came, with the one that `_request_received` has not put in line yet."""
        self._begun = 0
        """Calls of this turn of the loop."""
        self._advancing = self._turn_due = False
        self._over = False
        """True once bytes that still come are another object's, or dropped."""
        self._answer: Answer | None = None
        """The refusal that the client still gets, behind the responses."""
        self._lingering: Lingering | None = None
        self._reading_paused = False
        self._unread = 0
        """Bytes of requests' bodies that no application has read."""
        self._drain_timer: asyncio.TimerHandle | None = None
        self._end: Closing | None = None
        """Why this side ends the connection; None if the client does."""
        self._told = False
        """The end was reported."""
        worker.watched.add(self)
        worker.sheddable.add(self)

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who is at both ends."""
        # A cast, no check: uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        worker = self._worker
        self.scheduler = Output(transport, worker.turns, worker.counters)
        self._scopes = Http1Scopes(self._config, self._app_state, transport, worker.counters)
        keep_alive = self._config.timeout_keep_alive
        self._deadlines = Http1Deadlines(worker.options, keep_alive, self._parser, transport)

    def data_received(self, data: bytes) -> None:
        """Keep the client's bytes until the loop has read for all connections."""
        if self._worker.turns.acting:
            self.act(data)  # TLS, which takes part itself
        else:
            self._worker.turns.arrived(self, data)

    def act(self, data: bytes) -> None:
        """Parse, in parts small enough that nothing grows large before it is looked at."""
        if self._over:
            self._drop(data)
            return
        # What an earlier turn began has had its share.
        self._begun = 0
        self._worker.counters.bytes_received += len(data)
        self._unparsed.add(data)
        self._parse()

    def _parse(self) -> None:
        """Parse the bytes that have come, as long as not too many requests wait for their turn."""
        most, unparsed = self._worker.options.limits.max_concurrent_streams, self._unparsed
        while unparsed.size and not self._over and len(self._waiting) < most:
            self._take(unparsed.take(in_body=self._parser.part is Part.BODY))
        if not self._over:
            self._mind_reading()

    def _stop_parsing(self) -> None:
        """Take nothing more: bytes that wait would keep the turns going for ever."""
        self._over = True
        self._unparsed.take_all()

    def _drop(self, data: bytes) -> None:
        lingering = self._lingering
        if lingering is not None and not lingering.drop(len(data), self._worker.time()):
            self._transport.close()

    def eof_received(self) -> bool:
        """Answer the requests that have come, and then close.

        A client may have closed its side alone, right behind its request, as `nc -N` and old tools
        do. That looks as if it had left altogether until something is written, so it is waited with
        for seconds only, but on a Unix socket, which tells. Behind the start of a response it has
        left, as browsers leave a stream.
        """
        self._worker.turns.act()
        self.scheduler.write()
        transport = self._transport
        ends = self._incoming is not None or self._over or not transport.can_write_eof()
        self._half_closed = not ends and self._owes_a_response and not has_closed(transport)
        return self._half_closed

    @property
    def _owes_a_response(self) -> bool:
        """Return true if a request has come whose response has not begun."""
        waits = bool(self._waiting or self._unparsed.size)
        return waits or self._answers.state is State.CALLED

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def pause_writing(self) -> None:
        """Let the application wait."""
        self.scheduler.is_full(True)

    def resume_writing(self) -> None:
        """Let the application send again, since the client reads."""
        self.scheduler.is_full(False)
        self._deadlines.backlog.was_read()
        if self._current is not None:
            self._current.writable()
        if self._waiting or self._unparsed.size:
            self._advance_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, give the slot back, and say why the connection ended."""
        self._connections.discard(self)
        self._leave()
        if self.slot is not None:
            self.slot.free(asked=self._asked > 0)
        if isinstance(exc, TlsBroken):
            self._tell(exc.reason, exc.detail)
        elif not self._told:
            self._tell(self._end or Closing.PEER_LEFT)
        if self._current is not None:
            self.calls.disconnect(self._current)
        # Nothing is left for the garbage collector, which may not run in a long time: TLS's write
        # buffer keeps its largest size as long as the transport is referred to.
        self._current = self._incoming = None
        self._waiting.clear()
        self._parser.close()

    def _leave(self) -> None:
        self._stop_parsing()
        self._answers.become(State.CLOSED)
        self._worker.watched.discard(self)
        self._worker.sheddable.discard(self)
        if self._drain_timer is not None:
            self._drain_timer.cancel()

    def _tell(self, reason: Closing, detail: str = "") -> None:
        self._told = True
        self._worker.refusals.connection(reason, self._scopes.client, self._worker.now, detail)

    # Requests.

    def _take(self, data: bytes) -> None:
        for event in self._parser.feed(data):
            if type(event) is RequestReceived:
                self._request_received(event)
            else:
                self._handle(event)
            if self._over:
                break
        if self._waiting:
            self._advance()

    def _handle(self, event: BodyReceived | UpgradeReceived | Answer) -> None:
        match event:
            case BodyReceived(data=data, ended=ended):
                self._body_received(data, ended)
            case UpgradeReceived():
                self._upgrade(event)
            case Answer():
                self._refuse(event, broken=self._parser.part is Part.BODY)

    def _request_received(self, request: RequestReceived) -> None:
        """Let a request wait for its turn: more of it may have come by then."""
        self._asked += 1
        if self._waiting:
            self._advance()
            if self._over:
                return
        if self._worker.shedding:
            self._refuse(Answer(503, "too busy", Closing.MEMORY))
            return
        template = request.template
        assert isinstance(template, Http1Template)
        scope, watched = self._scopes.of(request, template.version)
        # RFC 9110, 10.1.1: HTTP/1.0 knows of no 100.
        waits = bool(watched) and template.version != "1.0" and expects_continue(watched)
        cycle = Http1Cycle(self, request, scope, waits, forwarded=bool(watched))
        # Not called yet: an answer that needs no body would come before the body, and end it.
        if not request.end_stream:
            self._incoming = cycle
        self._waiting.append(cycle)

    def _body_received(self, data: bytes, ended: bool) -> None:
        cycle = self._incoming
        if cycle is None:
            return
        if ended:
            self._incoming = None
        self._unread += len(data)
        cycle.data_received(data, ended)

    def _advance(self) -> None:
        """Call the application for the requests whose turn it is."""
        if self._advancing:
            return
        self._advancing = True
        waiting, answers, output = self._waiting, self._answers, self.scheduler
        # A response without content never waits for room, so its call waits for it.
        while waiting and answers.state is State.IDLE and output.own_room:
            if self._begun >= _A_TURN:
                self._advance_soon()
                break
            self._begun += 1
            cycle = self._current = waiting.popleft()
            if self._worker.draining and not waiting:
                cycle.keeps_alive = False
            answers.become(State.CALLED)
            self.calls.start(cycle, self.calls.application(cycle.forwarded))
        self._advancing = False
        if self._unparsed.size and not waiting:
            self._advance_soon()
        if waiting or self._reading_paused:
            self._mind_reading()

    def _advance_soon(self) -> None:
        """Go on in the next turn of the loop.

        The context is not that of the request that ends here: its variables are nothing to others.
        """
        if not self._turn_due:
            self._turn_due = True
            self.loop.call_soon(self._next_turn, context=self._context)

    def _next_turn(self) -> None:
        self._turn_due = False
        self._begun = 0
        self._advance()
        self._parse()

    def _mind_reading(self) -> None:
        """Read as long as there is somebody to read for."""
        # What was read is parsed, so a client that pipelines without end is stopped here.
        pause = self._unread > _MOST_UNREAD or bool(self._waiting or self._unparsed.size)
        if pause is not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # What cycles ask for.

    def respond(
        self, stream_id: int, head: ResponseHead, end_stream: bool, body: bytes | memoryview
    ) -> None:
        """Send a response's header section and the first part of its body."""
        cycle = self._current
        assert cycle is not None
        assert isinstance(head, Http1Head)
        if head.closes or cycle.skips_continue:
            cycle.keeps_alive = False
        self.scheduler.head(head, cycle)
        if end_stream or body:
            self.scheduler.content(body, end_stream)
        if end_stream:
            self._response_ended(cycle)
        else:
            self._answers.become(State.RESPONDING)

    def inform(self, stream_id: int, status: int, headers: Fields) -> None:
        """Send a 100, which is the only informational response that HTTP/1.1 gets."""
        self.scheduler.put(CONTINUE)

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Send another part of a body."""
        self.scheduler.content(data, end_stream)
        if end_stream and self._current is not None:
            self._response_ended(self._current)

    def send_trailers(self, stream_id: int, trailers: Fields) -> None:
        """End a response with trailers."""
        self.scheduler.trailers(trailers)
        if self._current is not None:
            self._response_ended(self._current)

    def reset(self, stream_id: int, error_code: ErrorCode) -> None:
        """Break a response off: the connection ends."""
        self._stop_parsing()
        self.scheduler.write()
        self._transport.close()

    def wait_for_room(self, stream: Waiting) -> None:
        """Do nothing: `resume_writing` calls `writable`."""

    def head_waits(self, cycle: Http1Cycle) -> None:
        """Write a header section when the turn ends, unless its body has begun."""
        self.scheduler.head_waits(cycle)

    def consumed(self, stream_id: int, amount: int, goes_on: bool = False) -> None:
        """Let the client send as much as was read or dropped of a request's body."""
        self._unread -= amount
        if self._reading_paused:
            self._mind_reading()

    def finished(self, cycle: Cycle) -> None:
        """Forget a call that has ended."""
        self.server_state.total_requests += 1
        if self.calls.left:
            self.calls.left.discard(cycle)
        if cycle is self._current and cycle.complete:
            self._current = None

    # Ends of responses.

    def _response_ended(self, cycle: Http1Cycle) -> None:
        """Begin the next request, or the end."""
        self._answers.become(State.IDLE)
        if not cycle.keeps_alive:
            self._finish()
        elif self._waiting or self._unparsed.size:
            if not self._advancing:
                self._advance_soon()
        elif self._answer is not None:
            self._write_answer(self._answer)
        elif self._half_closed:
            self._finish()

    def _finish(self) -> None:
        """End the connection behind all that was written.

        The client may still be sending, if only a request behind its last one. A socket that is
        closed with bytes unread resets the connection, and the part of the response that the client
        has not read is lost. So all that comes is read and dropped (RFC 9112, 9.6).
        """
        self._stop_parsing()
        self._waiting.clear()
        self.scheduler.write()
        if self._transport.is_closing():
            return
        if not self._half_closed and end_output(self._transport):
            self._answers.become(State.LINGERING)
            worker = self._worker
            self._lingering = Lingering(self._transport, worker.options, worker.time())
            self._unread = 0
            self._mind_reading()
        else:
            self._transport.close()

    def _refuse(self, answer: Answer, broken: bool = False) -> None:
        """Tell the client why, when it is its turn, and end the connection.

        Args:
            answer: The refusal.
            broken: The body of the newest request breaks off.
        """
        self._stop_parsing()
        self._tell(answer.reason, f"{answer.status} {answer.text}")
        if broken:
            self._advance()  # the application hears of it if its turn has come
        if broken and not self._give_up_body():
            self.scheduler.write()
            self._transport.close()  # its response has begun: no other can be sent
            return
        if self._answers.state is State.IDLE and not self._waiting:
            self._write_answer(answer)
            return
        self._answer = answer
        self._advance()

    def _give_up_body(self) -> bool:
        """End the request that breaks off; return true if it can be refused."""
        cycle, self._incoming = self._incoming, None
        if cycle is None:
            return True
        # Its turn has not come, so that the application knows nothing of it.
        if cycle in self._waiting:
            self._waiting.remove(cycle)
            return True
        self.calls.disconnect(cycle)
        if self._answers.state is not State.CALLED:
            return False
        self._answers.become(State.IDLE)
        return True

    def _write_answer(self, answer: Answer) -> None:
        self._answer = None
        if self._transport.is_closing():
            return
        text = f"{answer.text}\n".encode()
        self.scheduler.put(whole_answer(answer.status, text, self.server_state.default_headers))
        self._finish()

    def shutdown(self) -> None:
        """Stop: respond to open requests, including those just on their way."""
        self._worker.draining = True
        self._end = Closing.DRAINED
        if self._answers.state in (State.CALLED, State.RESPONDING):
            if self._current is not None and not self._waiting:
                self._current.keeps_alive = False
        elif self._drain_timer is None:
            self._drain_timer = self.loop.call_later(DRAIN_GRACE, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not (self._parser.begun or self._waiting) and self._answers.state is State.IDLE:
            self._transport.close()

    # Upgrades.

    def _upgrade(self, event: UpgradeReceived) -> None:
        """Hand the connection over to a WebSocket, its slot too."""
        if self._waiting or self._answers.state is not State.IDLE:
            # RFC 9110, 7.8: its 101 would come before, and take the place of, that response.
            text = "a WebSocket behind a request without answer"
            self._refuse(Answer(400, text, Closing.MALFORMED))
            return
        self.scheduler.write()
        self._connections.discard(self)
        self._leave()
        self._parser.close()
        event.rest += self._unparsed.take_all()
        self._mind_reading()
        open_websocket(
            event,
            self._transport,
            self.slot,
            self.loop,
            self._worker,
            self._config,
            self.server_state,
            self._app_state,
        )

    # Memory.

    def shed(self, active: bool) -> None:
        """Do nothing: each request looks whether memory is short."""

    def held(self) -> int:
        """Bytes that this connection keeps in memory: of responses and of requests."""
        cycles = [*self._waiting]
        if self._current is not None and self._answers.state is not State.IDLE:
            cycles.append(self._current)
        size = sum([cycle.held() for cycle in cycles]) + self._unparsed.size
        return self._transport.get_write_buffer_size() + self.scheduler.size + size

    def cut_off(self) -> None:
        """Memory is so short that this connection cannot be kept."""
        self._tell(Closing.MEMORY)
        self._transport.abort()

    # Time.

    def second_passed(self, now: float) -> None:
        """Check the timeouts of the client and of its unread responses."""
        incoming = self._incoming
        if self._worker.draining and self._lingering is not None and incoming is None:
            self._lingering.silence = DRAIN_SILENCE  # no upload, so the stop need not wait for more
        reason = self._deadlines.look(
            now,
            self._answers.state,
            self._asked,
            reads=not (self._reading_paused or self._over or self._half_closed),
            writes=self.scheduler.was_written(),
            waits_for_100=incoming is not None and incoming.continue_due,
            lingering=self._lingering,
        )
        match reason:
            case None:
                pass
            case Closing.HEADERS_TIMEOUT:
                self._refuse(Answer(408, "the request came too slowly", reason))
            case Closing.BODY_TIMEOUT:
                self._refuse(Answer(408, "the body came too slowly", reason), broken=True)
            case Closing.STALLED | Closing.PREFACE_TIMEOUT | Closing.UNREACHABLE:
                self._tell(reason)
                self._transport.abort()
            case Closing.PEER_LEFT:
                self._transport.abort()
            case _:
                self._end = self._end or reason
                self._transport.close()
