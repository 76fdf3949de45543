"""One WebSocket: uvicorn's, with additional bounds.

uvicorn's protocol, on the parser of `websockets`, bounds one message (`--ws-max-size`) and sends
PINGs. It has four weaknesses: it parses all received bytes at once, though a few compressed frames
expand to hundreds of times their size; it responds without end to a client that sends PINGs and
reads nothing; it keeps each fragment separately, however small; and other connections wait while it
parses. So this class gives the parser little at a time, stops while the application or the client
does not read or others have their turn, joins small fragments, and counts frames without effect.
Made by uvicorn's HTTP/1.1 protocol, which `http1.Http1Connection` is, and by `http2_websocket` for
a stream of HTTP/2; checked by `worker`.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from headstart.reasons import Closing
from headstart.server.abandoned import TIME_OVER
from headstart.server.addresses import local_address, remote_address
from headstart.server.admission import ConnectionSlot
from headstart.server.deadlines import Backlog
from headstart.server.tls import TlsBroken
from headstart.server.worker import Worker
from headstart.wire.guard import TokenBucket

# What the parser is given at once: by permessage-deflate (RFC 7692) it may become a thousand times
# as much, before anybody can say stop.
_SLICE: Final = 4 * 1024
# Frames after which others have their turn.
_A_TURN: Final = 250
# Fragments below this are kept together.
_SMALL: Final = 1024


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One client's connection, from its handshake on.

    Attributes:
        slot: Given back at the end.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._worker = worker = Worker.of(server_state, config, self.loop)
        self._application: Any = self.app
        self.app = self._call
        self.slot: ConnectionSlot | None = None
        self._rest = b""
        """Read, and not parsed yet: somebody does not read."""
        self._sizes: deque[int] = deque()
        """Bytes of each message that the application has not taken."""
        self._messages = self._received = 0
        self._begun: tuple[float, int, int] | None = None
        """When a message went on, which one, and how much had come then; None between two."""
        self._parsed = 0
        """Frames in this turn of the loop."""
        self._turn_due = False
        rate = worker.options.limits.max_control_rate
        self._control = TokenBucket(2 * rate, rate, self.loop.time())
        self._useless = TokenBucket(2 * rate, rate, self.loop.time())
        self._backlog = Backlog()
        self._task: asyncio.Task[None] | None = None
        self._end: Closing | None = None
        worker.watched.add(self)
        worker.sheddable.add(self)

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who is at both ends."""
        super().connection_made(transport)
        self.server = local_address(self.transport)
        self.client = remote_address(self.transport)

    def data_received(self, data: bytes) -> None:
        """Parse as much as can be delivered; the rest waits, and nothing more is read."""
        self._received += len(data)
        data = self._rest + data if self._rest else data
        at = self._parsed = 0
        while at < len(data) and not self._is_held_up() and self._parsed < _A_TURN:
            super().data_received(data[at : at + _SLICE])
            at += _SLICE
            if self._end is not None:
                self._rest = b""
                return
        self._rest = data[at:]
        if self._rest:
            self.transport.pause_reading()
            if not (self._turn_due or self._is_held_up()):
                self._turn_due = True
                self.loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn_due = False
        self._go_on()

    def _is_held_up(self) -> bool:
        """Return true if the application has a message to take, or the client something to read."""
        return self.read_paused or not self.writable.is_set()

    def _go_on(self) -> None:
        if not self._is_held_up() and not self.transport.is_closing():
            self.transport.resume_reading()
            if self._rest:
                self.data_received(b"")

    def resume_writing(self) -> None:
        """Write again, since the client reads."""
        super().resume_writing()
        self._backlog.was_read()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the slot back and say why it ended; a call that does not listen has its time."""
        super().connection_lost(exc)
        self._rest = b""
        self._worker.watched.discard(self)
        self._worker.sheddable.discard(self)
        if self.slot is not None:
            self.slot.free(asked=True)
        self._tell_end(exc)
        grace = self._worker.options.call_grace
        if grace < math.inf:
            self.loop.call_later(grace, self._end_of_grace)
        elif self._task is not None:
            self._worker.abandoned.add(self._task)

    def _tell_end(self, exc: Exception | None) -> None:
        if isinstance(exc, TlsBroken):
            now = self.loop.time()
            self._worker.refusals.connection(exc.reason, self.client, now, exc.detail)
        else:
            self._worker.refusals.connection(*self._how_it_ended())

    def _how_it_ended(self) -> tuple[Closing, object, float, str]:
        reason, detail = self._end, ""
        if self.conn.parser_exc is not None and reason is None:
            reason, detail = Closing.PROTOCOL_ERROR, f"WebSocket: {self.conn.parser_exc}"
        if isinstance(self.conn.parser_exc, EOFError) or reason is None:
            reason = Closing.CLOSED if self.close_sent else Closing.PEER_LEFT
        return reason, self.client, self.loop.time(), detail

    def _end_of_grace(self) -> None:
        """Cancel the application some time after its client disconnected."""
        if self._task is not None and not self._task.done() and not self.queue.empty():
            self._worker.abandoned.cancel(self._task, TIME_OVER)

    # The application.

    def handle_connect(self, event: Request) -> None:
        """Call the application, with context variables of its own where --reset-contextvars is."""
        if self.config.reset_contextvars:
            contextvars.Context().run(super().handle_connect, event)
        else:
            super().handle_connect(event)

    async def _call(self, scope: Any, receive: Any, send: Any) -> Any:
        self._task = asyncio.current_task()
        try:
            return await self._application(scope, receive, send)
        except asyncio.CancelledError:
            if self.disconnected:
                return None
            raise

    async def receive(self) -> Any:
        """ASGI's receive: where nothing waits any more, more is parsed."""
        message = await super().receive()
        if message["type"] == "websocket.receive":
            self._sizes.popleft()
        self._go_on()
        return message

    async def send(self, message: Any) -> None:
        """Send a message of the application; drop messages after `websocket.close`."""
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True  # by a denial, too; uvicorn would log an error
        self._go_on()

    def send_receive_event_to_app(self) -> None:
        """Deliver a complete message."""
        self._messages += 1
        size, waiting = sum(map(len, self.frames)), self.queue.qsize()
        super().send_receive_event_to_app()
        if self.queue.qsize() > waiting:
            self._sizes.append(size)

    # What asks for nothing, or for little.

    def handle_ping(self) -> None:
        """PING: answered, so often a second."""
        if self._may_ask():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """PONG: ours or not."""
        if self._may_ask():
            super().handle_pong(event)

    def _may_ask(self) -> bool:
        if self._end is None and not self._control.take(self.loop.time()):
            self._send_away(Closing.CONTROL_FLOOD)
        return self._end is None

    def handle_text(self, event: Frame) -> None:
        """Take the first fragment of a text message, or all of it."""
        super().handle_text(event)
        self._count(event)

    def handle_bytes(self, event: Frame) -> None:
        """Take the first fragment of a binary message, or all of it."""
        super().handle_bytes(event)
        self._count(event)

    def handle_cont(self, event: Frame) -> None:
        """Another fragment."""
        super().handle_cont(event)
        self._count(event)

    def _count(self, event: Frame) -> None:
        """Keep small fragments in one piece; empty ones are held against the client."""
        self._parsed += 1
        if event.fin or self._end is not None:
            return
        frames: list[Any] = self.frames
        if not event.data:
            if not self._useless.take(self.loop.time()):
                self._send_away(Closing.USELESS_FRAMES)
        elif len(frames) > 1 and len(event.data) < _SMALL:
            del frames[-1]
            if not isinstance(frames[-1], bytearray):
                frames.append(bytearray())
            frames[-1] += event.data

    def _send_away(self, reason: Closing) -> None:
        self._end = reason
        self.conn.fail(CloseCode.POLICY_VIOLATION, reason)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.POLICY_VIOLATION})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()

    # Memory.

    def shed(self, active: bool) -> None:
        """Handle a shortage of memory: messages go on, and the largest connection is cut off."""

    def held(self) -> int:
        """Bytes that this connection keeps in memory."""
        unparsed = len(self._rest) + len(self.conn.reader.buffer)
        messages = sum(map(len, self.frames)) + sum(self._sizes)
        return unparsed + messages + self.transport.get_write_buffer_size()

    def cut_off(self) -> None:
        """Memory is so short that this connection cannot be kept."""
        self._abort(Closing.MEMORY)

    def _abort(self, reason: Closing) -> None:
        self._end = self._end or reason
        self.transport.abort()

    # Time.

    def second_passed(self, now: float) -> None:
        """Look whether the client reads nothing, or sends a message too slowly."""
        options = self._worker.options
        waits = self.transport.get_write_buffer_size()
        if self._backlog.is_stalled(waits, now, options.stall_timeout):
            self._abort(Closing.STALLED)
        elif not (self.frames or self.conn.reader.buffer) or self._is_held_up():
            self._begun = None
        elif self._begun is None or self._begun[1] != self._messages:
            self._begun = now, self._messages, self._received
        elif now - self._begun[0] >= options.body_timeout:
            self._check_rate(now, *self._begun)

    def _check_rate(self, now: float, since: float, message: int, received: int) -> None:
        if self._received - received < (now - since) * self._worker.options.min_body_rate:
            self._send_away(Closing.BODY_TIMEOUT)
        else:
            self._begun = now, message, self._received

    def keepalive_timeout(self) -> None:
        """No answer to our PING."""
        self._end = self._end or Closing.STALLED
        super().keepalive_timeout()

    def shutdown(self) -> None:
        """Stop."""
        self._end = Closing.DRAINED
        super().shutdown()
