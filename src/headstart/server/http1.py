"""One HTTP/1.1 connection: uvicorn's, with checks ahead of the application.

uvicorn's protocol parses with httptools (llhttp), which is strict about the grammar: it refuses a
bare LF, a folded line, white space before a colon, a control character, a wrong or a second
Content-Length. It has no limits, and it accepts requests that `wire.fields` refuses over HTTP/2. So
this class checks in the parser's callbacks, between the end of the fields and the call of the
application, and bounds the parser's memory. It knows where a body ends because the parser does.

A refusal is sent after the responses to earlier requests (RFC 9112, 9.3.2), then the connection
ends. Made by `protocol.HeadstartProtocol`; checked by `worker` about once a second.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from enum import Enum, auto
from typing import Any, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from headstart.reasons import Closing
from headstart.server.abandoned import Abandoned, has_left
from headstart.server.addresses import local_address, remote_address
from headstart.server.admission import ConnectionSlot
from headstart.server.call import Call, ResponseFraming
from headstart.server.counters import EXTENSION
from headstart.server.deadlines import Backlog
from headstart.server.early import Lingering
from headstart.server.ending import Ending
from headstart.server.http1_checks import Answer, Refused, framing_refusal
from headstart.server.tls import TlsBroken
from headstart.server.websocket import WebSocketConnection
from headstart.server.worker import Worker, call_size
from headstart.wire.events import Fields, RequestRefused
from headstart.wire.fields import (
    REMEMBERED_LENGTH,
    known_target,
    read_request,
    split_absolute,
    valid_authority,
)

# What the parser is given at once: it keeps a line that has not ended, however long.
_SLICE: Final = 64 * 1024
# The octets of a request line, and of the colon and line end of each field.
_LINE_OVERHEAD: Final = 1024
# RFC 9112, 7.1: what a chunk's size and its line ends take.
_CHUNK_OVERHEAD: Final = 16
# Chunk extensions and trailers, which nobody reads (CVE-2023-39326).
_MAX_EXTRAS: Final = 16 * 1024
# What must not come behind a body (RFC 9110, 6.5.1).
_FORBIDDEN_TRAILERS: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})
# What asks for another protocol on this connection (RFC 9110, 7.8; RFC 7540, 3.2.1).
_UPGRADE_FIELDS: Final = frozenset({b"upgrade", b"http2-settings"})
# How long what was asked for just when the server stopped may be under way.
DRAIN_GRACE: Final = 0.5


class _Part(Enum):
    """Which part of a request is expected."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class Http1Connection(HttpToolsProtocol):
    """One client's connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = self.access_log and config.access_log
        if self.ws_protocol_class is WebSocketsSansIOProtocol:
            self.ws_protocol_class = WebSocketConnection
        self._worker = worker = Worker.of(server_state, config, self.loop)
        self._limits = limits = worker.options.limits
        self._max_head = limits.max_target_size + limits.max_header_size + _LINE_OVERHEAD
        self._extensions: Any = {EXTENSION: {"counters": worker.counters.number}}
        self.slot: ConnectionSlot | None = None
        self._context = contextvars.copy_context()
        self._part = _Part.HEAD
        self._since = worker.now
        """When the head began to be expected, or the body's rate was last looked at."""
        self._messages = 0
        """Requests that the parser has seen begin."""
        self._extra = 0
        """Bytes of a head that has not ended, or of a body beside its data."""
        self._body = self._body_before = 0
        """Bytes of the body's data, and how many there were at `_since`."""
        self._chunks = 0
        self._trailers = 0
        self._upgrade_ignored = False
        """The request asks for a protocol that nobody offers: it is read once more without."""
        self._begun = False
        """A request has begun and not ended."""
        self._over = False
        """Whatever still comes is not for this object."""
        self._answer: Answer | None = None
        """What the client is still to be told."""
        self._told = False
        self._lingering: Lingering | None = None
        self._draining = False
        self._drain_timer: asyncio.TimerHandle | None = None
        self._backlog = Backlog()
        self._left_at: float | None = None
        """Since when the client has left that nobody reads from."""
        self._abandoned = Abandoned.of(server_state, worker.options, self.loop)
        self._framing = ResponseFraming()
        self._passed: tuple[str, bytes, Fields] = "", b"", []
        """Version, method and fields of the last request that passed all checks..."""
        self._passed_url = b""
        """... and its target: one that is not longer is small enough, too."""
        self._call: Call | None = None
        """The request that is being answered; `cycle` is the newest."""
        self._end: Closing | None = None
        self._ending = Ending(self, worker.counters)
        worker.watched.add(self)
        worker.sheddable.add(self)

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who is at both ends."""
        # A cast, no check: uvloop's transports are not asyncio's by inheritance.
        super().connection_made(cast(asyncio.Transport, transport))
        self.server = local_address(self.transport)
        self.client = remote_address(self.transport)

    def data_received(self, data: bytes) -> None:
        """Parse, in parts small enough that nothing grows large before it is looked at."""
        if self._over:
            self._drop(data)
            return
        self._worker.counters.bytes_received += len(data)
        self._unset_keepalive_if_required()
        if self._part is _Part.NOTHING:
            self._expect_head()
        if len(data) <= _SLICE:
            self._feed(data)
            return
        for begin in range(0, len(data), _SLICE):
            if not self._over:
                self._feed(data[begin : begin + _SLICE])

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the slot back, and say why the connection ended where nobody has yet."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self._call is not None:
            self._call.client_left(self._abandoned)
        self._leave()
        if self.slot is not None:
            self.slot.free(asked=self._latest is not None)
        if isinstance(exc, TlsBroken):
            self._tell(exc.reason, exc.detail)
        elif not self._told:
            self._tell(self._end or Closing.PEER_LEFT)
        self._let_go()

    def _let_go(self) -> None:
        """Leave nothing for the garbage collector, which may not run in a long time.

        TLS's write buffer keeps its largest size as long as the transport is referred to.
        """
        self._ending.detach()
        self.pipeline.clear()
        self._call = None
        self.cycle = cast(Any, None)  # as uvicorn has it before the first

    def _leave(self) -> None:
        self._worker.watched.discard(self)
        self._worker.sheddable.discard(self)
        if self._drain_timer is not None:
            self._drain_timer.cancel()

    def _tell(self, reason: Closing, detail: str = "") -> None:
        self._told = True
        self._worker.refusals.connection(reason, self.client, self._worker.now, detail)

    def resume_writing(self) -> None:
        """Write again, since the client reads."""
        super().resume_writing()
        self._backlog.was_read()

    # Parsing.

    def _feed(self, data: bytes) -> None:
        messages, part, body, chunks = self._messages, self._part, self._body, self._chunks
        rest = data
        try:
            while rest:
                rest = self._parse(rest)
        except Refused as refused:
            self._refuse(refused.answer)
            return
        if self._messages == messages and part is self._part:
            data_size = self._body - body + (self._chunks - chunks) * _CHUNK_OVERHEAD
            self._extra += max(0, len(data) - data_size)
            self._check_extra()

    def _parse(self, data: bytes) -> bytes:
        """Give bytes to the parser; return the rest if a request asked for an upgrade."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._upgrade_ignored:
                self.handle_websocket_upgrade()
                return b""
            return self._without_upgrade() + data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Refused):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError as error:
            raise Refused(Answer(400, str(error), Closing.MALFORMED)) from error
        return b""

    def _check_extra(self) -> None:
        if self._part is _Part.BODY and self._extra > _MAX_EXTRAS:
            self._refuse(Answer(400, "chunk extensions or trailers too large", Closing.TOO_LARGE))
        elif self._part is not _Part.BODY and self._extra > self._max_head:
            self._refuse(Answer(431, "fields too large", Closing.TOO_LARGE))

    def on_message_begin(self) -> None:
        """Begin a request line."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self._messages += 1
        self._begun = True
        self._extra = 0
        if self._part is _Part.NOTHING:
            self._expect_head()

    def _expect_head(self) -> None:
        self._part = _Part.HEAD
        self._since = self._worker.now
        self._extra = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        super().on_url(url)
        if len(self.url) > self._limits.max_target_size:
            raise Refused(Answer(414, "target too long", Closing.TOO_LARGE))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; drop trailers, since ASGI cannot express them."""
        if self._part is _Part.BODY:
            self._check_trailer(name)
            return
        # RFC 9112, 5: white space around a value is not part of it.
        super().on_header(name, value.rstrip(b" \t"))
        if len(self.headers) > self._limits.max_header_count:
            raise Refused(Answer(431, "too many fields", Closing.TOO_LARGE))

    def _check_trailer(self, name: bytes) -> None:
        self._trailers += 1
        if name.lower() in _FORBIDDEN_TRAILERS:
            raise Refused(Answer(400, "a trailer that frames or routes", Closing.MALFORMED))
        if self._trailers > self._limits.max_header_count:
            raise Refused(Answer(431, "too many trailers", Closing.TOO_LARGE))

    def on_headers_complete(self) -> None:
        """All of the head is there: check it, then let uvicorn call the application."""
        answer = self._head_refusal() or self._overload()
        if answer is not None:
            raise Refused(answer)
        self._part = _Part.BODY
        self._since = self._worker.now
        self._extra = self._body = self._body_before = self._trailers = 0
        if self.parser.should_upgrade() and not self._should_upgrade():
            self._upgrade_ignored = True
            return
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # RFC 9110, 10.1.1
        super().on_headers_complete()
        if self._latest is not None:
            self._latest.transport = self._ending
            if self._draining:
                self._latest.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._call = Call(app, cycle, self._framing, self._worker.request_counts)
        # A pipelined request's turn comes in the task of the one before, whose context variables
        # are nothing to it. A cast: uvicorn's type is of its narrower messages.
        start = super()._start_asgi_task
        self._context.copy().run(start, cycle, cast(Any, self._call))

    def on_chunk_header(self) -> None:
        """Begin a chunk."""
        self._chunks += 1

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._part = _Part.NOTHING
        self._begun = False
        if not self._upgrade_ignored:
            super().on_message_complete()

    # Checks.

    def _head_refusal(self) -> Answer | None:
        """Return the reason to refuse the request: a rule of HTTP/2, or its framing."""
        version, method = self.parser.get_http_version(), self.parser.get_method()
        if self._is_like_last(version, method):
            return None
        refusal = self._whole_refusal(version, method)
        if refusal is None and not self.parser.should_upgrade():
            # A copy: the application may change its own.
            self._passed, self._passed_url = (version, method, self.headers.copy()), self.url
        return refusal

    def _is_like_last(self, version: str, method: bytes) -> bool:
        """Return whether it differs from the last one that passed in no more than its target.

        Clients repeat their fields with each request of a connection, and the checks take longer
        than all that the parser does.
        """
        if (version, method, self.headers) != self._passed:
            return False
        url, known = self.url, self._passed_url
        return url == known or (
            len(url) <= min(len(known), REMEMBERED_LENGTH) and known_target(url)
        )

    def _whole_refusal(self, version: str, method: bytes) -> Answer | None:
        fields = self.headers
        if version not in ("1.1", "1.0"):
            return Answer(505, f"HTTP/{version} is not spoken here", Closing.VERSION)
        absolute = split_absolute(self.url, method)
        if absolute is not None:
            authority, self.url = absolute
            if not valid_authority(authority):
                return Answer(400, "malformed authority", Closing.MALFORMED)
        pseudo = [(b":method", method), (b":scheme", b"http")]
        pseudo.append((b":path", self.url))
        if version == "1.0" and not any(name == b"host" for name, _ in fields):
            pseudo.append((b":authority", b"localhost"))  # RFC 9112, 3.2: it need not say
        outcome = read_request(0, (*pseudo, *fields), True, self._limits)
        if isinstance(outcome, RequestRefused):
            reason = Closing.MALFORMED if outcome.status == 400 else Closing.TOO_LARGE
            return Answer(outcome.status, outcome.reason, reason)
        if absolute is not None:
            self._take_host(absolute[0])
        websocket = self.parser.should_upgrade() and self._should_upgrade()
        latest = self._latest
        if websocket and latest is not None and not latest.response_complete:
            # RFC 9110, 7.8: its 101 would come before, and take the place of, that response.
            return Answer(400, "a WebSocket behind a request without answer", Closing.MALFORMED)
        return framing_refusal(version, fields, websocket)

    def _take_host(self, authority: bytes) -> None:
        """Let the target's host take the place of Host, which is ignored (RFC 9112, 3.2.2)."""
        self.headers[:] = [pair for pair in self.headers if pair[0] != b"host"]
        self.headers.insert(0, (b"host", authority))

    def _overload(self) -> Answer | None:
        if self._worker.shedding:
            return Answer(503, "too busy", Closing.MEMORY)
        if len(self.pipeline) >= self._limits.max_concurrent_streams:
            return Answer(503, "too many requests at once", Closing.TOO_MANY_CALLS)
        return None

    # Upgrades.

    def _should_upgrade(self) -> bool:
        # RFC 9110, 7.8: HTTP/1.0 knows of none.
        return self.parser.get_http_version() != "1.0" and super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, its slot too."""
        super().handle_websocket_upgrade()
        self._over = True
        self._leave()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, WebSocketConnection):
            protocol.slot = self.slot
        elif self.slot is not None:
            self._worker.keep_seat(self.slot, self.transport)

    def _without_upgrade(self) -> bytes:
        """Return the request's head without the upgrade, which is not offered.

        A server may ignore it (RFC 9110, 7.8), but the parser does not: it takes the request's body
        for the other protocol. Java's client asks so for HTTP/2 with each first request.
        """
        self._upgrade_ignored = False
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        lines = [b"%s %s HTTP/%s" % (method, self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                words = [word.strip() for word in value.split(b",")]
                kept = [word for word in words if word.lower() not in _UPGRADE_FIELDS]
                lines.append(b"connection: " + b", ".join(kept or [b"keep-alive"]))
            elif name not in _UPGRADE_FIELDS:
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    # Ends.

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """The newest request; before the first, and for a WebSocket's, None."""
        return self.cycle

    def _refuse(self, answer: Answer) -> None:
        """Tell the client why, when it is its turn, and end the connection."""
        self._over = True
        self._tell(answer.reason, f"{answer.status} {answer.text}")
        if self._part is _Part.BODY and not self._give_up_body():
            self.transport.close()  # its response has begun: no other can be sent
            return
        self._answer = answer
        cycle = self._latest
        if cycle is None or cycle.response_complete or cycle.disconnected:
            self._write_answer()

    def _give_up_body(self) -> bool:
        """End the request that breaks off; return true if it can be refused."""
        cycle = self.cycle
        waiting = deque(pair for pair in self.pipeline if pair[0] is not cycle)
        if len(waiting) < len(self.pipeline):
            self.pipeline = waiting
            return True
        cycle.disconnected = True
        cycle.message_event.set()
        return not cycle.response_started

    def on_response_complete(self) -> None:
        """Handle the end of a response: begin the next request or the refusal."""
        last = not self.pipeline
        super().on_response_complete()
        if self._lingering is not None:
            self._unset_keepalive_if_required()
        if last:
            self._write_answer()

    def _write_answer(self) -> None:
        answer, self._answer = self._answer, None
        if answer is None or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        text = f"{answer.text}\n".encode()
        fields = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(text)),
            (b"connection", b"close"),
        ]
        lines = [b"%s: %s\r\n" % field for field in fields]
        self._ending.write(b"".join([STATUS_LINE[answer.status], *lines, b"\r\n", text]))
        self._linger()

    def end(self) -> None:
        """Close after the last response, unless the client is still sending its request."""
        if self._part is _Part.BODY and not self.pipeline and not self.transport.is_closing():
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        self._over = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._lingering = Lingering(self._worker.now)
        else:
            self.transport.close()

    def _drop(self, data: bytes) -> None:
        if self._lingering is not None and not self._lingering.drop(len(data), self._worker.now):
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was asked for in a while."""
        self._end = Closing.IDLE
        super().timeout_keep_alive_handler()

    def abort(self) -> None:
        """End at once."""
        self.transport.abort()

    def shutdown(self) -> None:
        """Stop: respond to open requests, including those just on their way."""
        self._draining = self._worker.draining = True
        self._end = Closing.DRAINED
        cycle = self._latest
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
        elif self._drain_timer is None:
            self._drain_timer = self.loop.call_later(DRAIN_GRACE, self._close_if_idle)

    def _close_if_idle(self) -> None:
        cycle = self._latest
        if not self._begun and (cycle is None or cycle.response_complete):
            self.transport.close()

    # Memory.

    def shed(self, active: bool) -> None:
        """Memory is short, or is so no more: each request looks whether it is."""

    def held(self) -> int:
        """Bytes that this connection keeps in memory: of responses and of requests."""
        cycles = [cycle for cycle, _ in self.pipeline]
        if self._call is not None and not self._call.cycle.response_complete:
            cycles.append(self._call.cycle)
        sizes = [len(cycle.body) + call_size(cycle.scope["headers"]) for cycle in cycles]
        return self.transport.get_write_buffer_size() + sum(sizes)

    def cut_off(self) -> None:
        """Memory is so short that this connection cannot be kept."""
        self._tell(Closing.MEMORY)
        self.transport.abort()

    # Time.

    def second_passed(self, now: float) -> None:
        """Check the timeouts of the client and of its unread responses."""
        options = self._worker.options
        waits = self.transport.get_write_buffer_size()
        if self._backlog.is_stalled(waits, now, options.stall_timeout):
            self._tell(Closing.STALLED)
            self.transport.abort()
        elif self._lingering is not None:
            if self._lingering.is_over(now):
                self.transport.close()
        elif self.flow.read_paused or self._over:
            self._since, self._body_before = now, self._body
            self._look_who_left(now)
        elif self._part is _Part.HEAD and now - self._since >= options.header_timeout:
            self._head_too_late()
        elif self._part is _Part.BODY and now - self._since >= options.body_timeout:
            self._check_rate(now)

    def _look_who_left(self, now: float) -> None:
        """Check for a disconnected client, since nothing is being read from it."""
        if not self.flow.read_paused or self.transport.is_closing() or not has_left(self.transport):
            self._left_at = None
        elif self._left_at is None:
            self._left_at = now
        elif now - self._left_at >= self._abandoned.unread_grace:
            self.transport.abort()

    def _head_too_late(self) -> None:
        if self._begun:
            self._refuse(Answer(408, "the request came too slowly", Closing.HEADERS_TIMEOUT))
        else:
            self._tell(Closing.PREFACE_TIMEOUT)
            self.transport.abort()

    def _check_rate(self, now: float) -> None:
        least = self._worker.options.min_body_rate * (now - self._since)
        came, self._body_before = self._body - self._body_before, self._body
        self._since = now
        if came < least and not (self._has_begun() or self.cycle.waiting_for_100_continue):
            self._refuse(Answer(408, "the body came too slowly", Closing.BODY_TIMEOUT))

    def _has_begun(self) -> bool:
        """Return true if the response to the incoming request has begun and not ended."""
        return self.cycle.response_started and not self.cycle.response_complete
