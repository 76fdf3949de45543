"""One WebSocket on a transport: `websockets`' Sans-I/O protocol, with additional bounds.

The parser of `websockets` bounds one message (`--ws-max-size`) and answers PINGs. It parses all
bytes that it is given at once, though a few compressed frames expand to hundreds of times their
size. So this class gives it little at a time, and stops while the application or the client does
not read or others have their turn; it counts frames without effect, and sends a client away that
sends too many. `websocket_call` is the application's side, `websocket_messages` puts messages
together, `websocket_pings` looks whether the client is there.

Made by `http1.Http1Connection`, and as an `http2_websocket.StreamWebSocket` for a stream of HTTP/2;
checked by `worker`.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from headstart.reasons import Closing
from headstart.server.abandoned import TIME_OVER
from headstart.server.addresses import local_address, remote_address
from headstart.server.admission import ConnectionSlot
from headstart.server.deadlines import Backlog
from headstart.server.http1_response import reason_phrase
from headstart.server.lingering import linger
from headstart.server.tls import TlsBroken
from headstart.server.websocket_call import Stage, WebSocketCall, websocket_scope
from headstart.server.websocket_messages import Message
from headstart.server.websocket_pings import Pings
from headstart.server.worker import Worker
from headstart.wire.events import Fields
from headstart.wire.fields import unreplaced
from headstart.wire.guard import TokenBucket

# What the parser is given at once: by permessage-deflate (RFC 7692) it may become a thousand times
# as much, before anybody can say stop.
_SLICE: Final = 4 * 1024
# Frames after which others have their turn.
_A_TURN: Final = 250
# Seconds in which a client may answer a close frame.
_CLOSE_TIMEOUT: Final = 10.0
# The handshake has been read elsewhere: the parser, which begins with one, is given the least.
_ANY_HANDSHAKE: Final = b"GET / HTTP/1.1\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Handshake:
    """The request for a WebSocket.

    Attributes:
        target: Path and query.
        headers: Its fields, as the application is told.
        version: Of HTTP.
        added: Fields of HTTP/1.1's handshake that take the place of its own.
    """

    target: bytes
    headers: Fields
    version: str = "1.1"
    added: tuple[tuple[str, str], ...] = ()


class WebSocketConnection(asyncio.Protocol):
    """One client's connection, from its handshake on.

    Attributes:
        loop: The event loop.
        slot: Given back at the end.
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
        self._server_state = server_state
        self._connections: set[Any] = server_state.connections
        self._app_state = app_state
        self._worker = worker = Worker.of(server_state, config, self.loop)
        self.slot: ConnectionSlot | None = None
        self._conn = ServerProtocol(
            extensions=_extensions(config),
            max_size=config.ws_max_size,
            logger=logging.getLogger("uvicorn.error"),
        )
        self._transport: asyncio.Transport
        self._client: tuple[str, int] | None = None
        self._response: Response
        """Accepts the handshake."""
        self._call: WebSocketCall | None = None
        self._task: asyncio.Task[None] | None = None
        self._pings = Pings(
            self.loop,
            config.ws_ping_interval,
            config.ws_ping_timeout,
            self._ping,
            self._unanswered,
        )
        self._message = Message()
        self._messages = self._received = 0
        self._rest = b""
        """Read, and not parsed yet: somebody does not read."""
        self._begun: tuple[float, int, int] | None = None
        """When a message went on, which one, and how much had come then; None between two."""
        self._parsed = 0
        """Frames in this turn of the loop."""
        self._turn_due = False
        self._writable = asyncio.Event()
        self._writable.set()
        rate = worker.options.limits.max_control_rate
        self._control = TokenBucket(2 * rate, rate, self.loop.time())
        self._useless = TokenBucket(2 * rate, rate, self.loop.time())
        self._backlog = Backlog()
        self._closing = False
        """A close frame, or the refusal of the handshake, was sent by this side."""
        self._has_left = False
        """All is written, and the transport closes behind it, once the client has read it."""
        self._close_timer: asyncio.TimerHandle | None = None
        self._end: Closing | None = None
        worker.watched.add(self)
        worker.sheddable.add(self)

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who is at both ends."""
        # A cast, no check: uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast(asyncio.Transport, transport)
        self._client = remote_address(transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Parse as much as can be delivered; the rest waits, and nothing more is read."""
        if self._has_left:
            return
        self._received += len(data)
        data = self._rest + data if self._rest else data
        at = self._parsed = 0
        while at < len(data) and not self._is_held_up() and self._parsed < _A_TURN:
            self._parse(data[at : at + _SLICE])
            at += _SLICE
            if self._end is not None or self._conn.parser_exc is not None:
                self._rest = b""
                return
        self._rest = data[at:]
        if self._rest or self._is_held_up():
            self._transport.pause_reading()
        if self._rest and not (self._turn_due or self._is_held_up()):
            self._turn_due = True
            self.loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn_due = False
        self._go_on()

    def _is_held_up(self) -> bool:
        """Return true if the application has a message to take, or the client something to read."""
        call = self._call
        if call is None or self._closing:
            return False
        # Frames that come before the 101 wait for it: there may be another answer.
        waits = call.stage is Stage.CALLED or call.has_messages
        return waits or not self._writable.is_set()

    def _go_on(self) -> None:
        if not self._is_held_up() and not self._is_over():
            self._transport.resume_reading()
            if self._rest:
                self.data_received(b"")

    def pause_writing(self) -> None:
        """Let the application wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Write again, since the client reads."""
        self._writable.set()
        self._backlog.was_read()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the slot back and say why it ended; a call that does not listen has its time."""
        self._pings.stop()
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._connections.discard(self)
        if self._call is not None:
            self._call.client_left()
        # Nobody says any more that there is room.
        self._writable.set()
        self._rest = b""
        self._worker.watched.discard(self)
        self._worker.sheddable.discard(self)
        if self.slot is not None:
            self.slot.free(asked=True)
        if not self._has_left:
            self._tell_end(exc)
        if self._task is None:
            return
        grace = self._worker.options.call_grace
        if grace < math.inf:
            timer = self.loop.call_later(grace, self._end_of_grace)
            # Most calls end at once, and the timer keeps all that the connection holds.
            self._task.add_done_callback(lambda _: timer.cancel())
        else:
            self._worker.abandoned.add(self._task)

    def _tell_end(self, exc: Exception | None) -> None:
        if isinstance(exc, TlsBroken):
            now = self.loop.time()
            self._worker.refusals.connection(exc.reason, self._client, now, exc.detail)
        else:
            self._worker.refusals.connection(*self._how_it_ended())

    def _how_it_ended(self) -> tuple[Closing, object, float, str]:
        reason, detail = self._end, ""
        if self._conn.parser_exc is not None and reason is None:
            reason, detail = Closing.PROTOCOL_ERROR, f"WebSocket: {self._conn.parser_exc}"
        if reason is None:
            reason = Closing.CLOSED if self._closing else Closing.PEER_LEFT
        return reason, self._client, self.loop.time(), detail

    def _end_of_grace(self) -> None:
        """Cancel the application some time after its client disconnected."""
        call, task = self._call, self._task
        if call is not None and task is not None and not (task.done() or call.heard):
            self._worker.abandoned.cancel(task, TIME_OVER)

    # The handshake.

    def begin(self, handshake: Handshake) -> None:
        """Call the application, or refuse the handshake."""
        target = handshake.target.decode("ascii")
        self._conn.receive_data(_ANY_HANDSHAKE)
        self._conn.events_received()
        self._response = self._conn.accept(Request(target, _as_http1(handshake)))
        if self._response.status_code != 101:
            self._closing = True
            self._respond(self._response)
            self._leave()
            return
        tls = bool(self._transport.get_extra_info("sslcontext"))
        common = {
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "scheme": "wss" if tls else "ws",
            "server": local_address(self._transport),
            "client": self._client,
            "state": self._app_state.copy(),
        }
        version, root = handshake.version, self._config.root_path
        scope = websocket_scope(target, handshake.headers, version, common, root)
        self._call = WebSocketCall(self, scope)
        context = contextvars.Context() if self._config.reset_contextvars else None
        application: Any = self._config.loaded_app
        self._task = self.loop.create_task(self._call.run(application), context=context)
        self._server_state.tasks.add(self._task)
        self._task.add_done_callback(self._server_state.tasks.discard)

    def _respond(self, response: Response) -> None:
        """Send the answer to the handshake."""
        self._conn.send_response(response)
        self._write()

    def _write(self) -> None:
        data = b"".join(self._conn.data_to_send())
        if data and not self._is_over():
            self._transport.write(data)

    def _is_over(self) -> bool:
        """Return true if nothing can be written any more."""
        return self._has_left or self._transport.is_closing()

    def _leave(self) -> None:
        """Close behind all that was written: a client that still sends is to read it too."""
        if self._is_over():
            return
        self._has_left = True
        self._rest = b""
        self._pings.stop()
        self._worker.watched.discard(self)  # `linger` has its own bounds
        self._writable.set()  # nobody says any more that there is room
        self._tell_end(None)
        linger(self._transport, self._worker)

    # What the application asks for.

    async def ready(self) -> None:
        """Wait until the client reads."""
        await self._writable.wait()

    def accept(self, fields: Fields, subprotocol: str | None) -> None:
        """Open the WebSocket."""
        given = [*unreplaced(self._server_state.default_headers, fields), *fields]
        headers = self._response.headers
        del headers["Date"]
        headers.update(_as_text(given))
        if subprotocol:
            headers["Sec-WebSocket-Protocol"] = subprotocol
        if not self._is_over():
            self._respond(self._response)
            self._pings.begin()
            self._go_on()

    def deny(self, status: int, fields: Fields, body: bytes) -> None:
        """Answer the handshake with another response, and end."""
        headers = Headers(_as_text(fields))
        headers.setdefault("Date", formatdate(usegmt=True))
        headers.setdefault("Connection", "close")
        headers.setdefault("Content-Length", str(len(body)))
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        response = Response(status, reason_phrase(status), headers, body)
        self._closing = True
        if not self._is_over():
            self._respond(response)
            self._leave()

    def send_message(self, data: bytes | None, text: str | None) -> None:
        """Send a message.

        Raises:
            ClientDisconnected: The client has closed.
        """
        try:
            if data is not None:
                self._conn.send_binary(data)
            elif text is not None:
                self._conn.send_text(text.encode())
        except InvalidState as error:
            raise ClientDisconnected from error
        self._write()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame; the client has some time to answer it."""
        self._closing = True
        if self._is_over():
            return
        self._conn.send_close(code, reason)
        self._write()
        self._close_timer = self.loop.call_later(_CLOSE_TIMEOUT, self._leave)
        self._go_on()

    def taken(self) -> None:
        """Parse more, if no message waits any more."""
        self._go_on()

    def returned(self) -> None:
        """End the WebSocket, since the application has returned."""
        call = self._call
        if call is not None and call.stage is Stage.CALLED and not call.left:
            self._fail_handshake()
        elif call is not None and not (self._closing or self._is_over()):
            code = call.unclosed
            if code is not None:
                call.close(code)
                self._conn.send_close(code)
                self._write()
        # An application that has closed leaves the client its time to answer.
        if self._close_timer is None:
            self._leave()

    def _fail_handshake(self) -> None:
        self._closing = True
        if not self._is_over():
            self._respond(self._conn.reject(500, "Internal Server Error"))

    # Frames.

    def _parse(self, data: bytes) -> None:
        self._conn.receive_data(data)
        if self._conn.parser_exc is not None:
            self._give_up()
            return
        for event in self._conn.events_received():
            if isinstance(event, Frame) and self._end is None:
                self._frame_received(event)

    def _frame_received(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                self._data_received(frame)
            case Opcode.CLOSE:
                self._close_received()
            case Opcode.PING if self._may_ask():
                self._write()
            case Opcode.PONG if self._may_ask():
                self._pings.answered(bytes(frame.data))

    def _data_received(self, frame: Frame) -> None:
        self._parsed += 1
        size = self._message.size + len(frame.data)
        try:
            message = self._message.add(frame)
        except UnicodeDecodeError:
            self._end = Closing.PROTOCOL_ERROR
            self._conn.fail(CloseCode.INVALID_DATA, "not UTF-8")
            self._give_up()
            return
        if message is None:
            if not frame.data and not self._useless.take(self.loop.time()):
                self._send_away(Closing.USELESS_FRAMES)
            return
        self._messages += 1
        # Behind a close frame of this side, nobody takes it.
        if self._call is not None and not self._closing:
            self._call.deliver(message, size)

    def _may_ask(self) -> bool:
        """Return whether the client may send another frame that asks for little."""
        if not self._control.take(self.loop.time()):
            self._send_away(Closing.CONTROL_FLOOD)
        return self._end is None

    def _close_received(self) -> None:
        """End: the closing handshake is complete with the echo of either side's frame."""
        if not self._closing and self._call is not None:
            received = self._conn.close_rcvd
            code, reason = (received.code, received.reason) if received is not None else (None, "")
            self._call.client_left(code, reason)
            self._write()
        self._transport.close()

    def _give_up(self) -> None:
        """End after a mistake of the client's, which the parser has noticed."""
        sent = self._conn.close_sent
        if self._call is not None:
            code, reason = (sent.code, sent.reason) if sent is not None else (None, "")
            self._call.client_left(code, reason)
        self._write()
        self._closing = True
        self._leave()

    def _send_away(self, reason: Closing) -> None:
        self._end = reason
        self._conn.fail(CloseCode.POLICY_VIOLATION, reason)
        self._give_up()

    # PINGs.

    def _ping(self, payload: bytes) -> bool:
        if self._closing or self._is_over():
            return False
        self._conn.send_ping(payload)
        self._write()
        return True

    def _unanswered(self) -> None:
        if self._is_held_up():
            # The answer may have come: nothing is read until a message is taken or there is room.
            self._pings.begin()
            return
        if not (self._closing or self._is_over()):
            self._end = self._end or Closing.STALLED
            self._conn.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            self._write()
            self._closing = True
            self._leave()

    # Memory.

    def shed(self, active: bool) -> None:
        """Handle a shortage of memory: messages go on, and the largest connection is cut off."""

    def held(self) -> int:
        """Bytes that this connection keeps in memory."""
        unparsed = len(self._rest) + len(self._conn.reader.buffer)
        waiting = 0 if self._call is None else self._call.waiting_size
        messages = self._message.size + waiting
        return unparsed + messages + self._transport.get_write_buffer_size()

    def cut_off(self) -> None:
        """Memory is so short that this connection cannot be kept."""
        self._abort(Closing.MEMORY)

    def _abort(self, reason: Closing) -> None:
        self._end = self._end or reason
        self._transport.abort()

    # Time.

    def second_passed(self, now: float) -> None:
        """Look whether the client reads nothing, or sends a message too slowly."""
        options = self._worker.options
        waits = self._transport.get_write_buffer_size()
        unfinished = self._message.begun or self._conn.reader.buffer
        if self._backlog.is_stalled(waits, now, options.stall_timeout):
            self._abort(Closing.STALLED)
        elif not unfinished or self._is_held_up():
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

    # The end of the server.

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def shutdown(self) -> None:
        """Say 1012 and end: the server stops."""
        self._end = Closing.DRAINED
        self._pings.stop()
        call = self._call
        if call is not None and not self._closing:
            if call.stage is Stage.OPEN:
                call.close(CloseCode.SERVICE_RESTART)
                self._conn.send_close(CloseCode.SERVICE_RESTART)
                self._write()
            elif call.stage is Stage.CALLED:
                self._fail_handshake()
        self._leave()


def _as_text(fields: Fields) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]


def _as_http1(handshake: Handshake) -> Headers:
    """Return the fields of a handshake as HTTP/1.1 has it."""
    replaced = {name.lower() for name, _ in handshake.added}
    given = [pair for pair in _as_text(handshake.headers) if pair[0] not in replaced]
    return Headers([*handshake.added, *given])


def _extensions(config: Config) -> list[ServerPerMessageDeflateFactory]:
    if not config.ws_per_message_deflate:
        return []
    return [
        ServerPerMessageDeflateFactory(
            server_max_window_bits=12,
            client_max_window_bits=12,
            compress_settings={"memLevel": 5},
        )
    ]
