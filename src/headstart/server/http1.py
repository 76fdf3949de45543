"""One HTTP/1.1 connection: uvicorn's, with the checks that come before the application.

uvicorn's protocol parses with httptools (llhttp), which is strict about the grammar: a bare LF, a
folded line, white space before a colon, a control character, a wrong or a second Content-Length
never get through. It has no limits, and it lets in what `wire.fields` refuses, over HTTP/2 as over
HTTP/1.1. So this class checks in the parser's callbacks, between the end of the fields and the call
of the application, and bounds what the parser gathers before. It knows where a body ends because
the parser does.

A refusal is answered behind the responses to what was asked before it (RFC 9112, 9.3.2), then the
connection ends. Made by `protocol.HeadstartProtocol`; looked at by `worker` about once a second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
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
from headstart.server.admission import Seat
from headstart.server.call import Call
from headstart.server.counters import EXTENSION
from headstart.server.deadlines import Backlog
from headstart.server.tls import TlsFailed
from headstart.server.websocket import WebSocketConnection
from headstart.server.worker import Worker, call_size
from headstart.wire.events import Fields, RequestRefused
from headstart.wire.fields import read_request

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
# How long a client that was refused may go on sending: closing at once would reset the connection
# and so take the answer from it (RFC 9112, 9.6).
_LINGER: Final = 2.0


class _Part(Enum):
    """Which part of a request is expected."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a client is told before its connection ends."""

    status: int
    text: str
    reason: Closing


class _Refused(Exception):
    """Stops the parser."""

    def __init__(self, answer: _Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


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
        if self.ws_protocol_class is WebSocketsSansIOProtocol:
            self.ws_protocol_class = WebSocketConnection
        self._worker = worker = Worker.of(server_state, config, self.loop)
        self._limits = limits = worker.options.limits
        self._max_head = limits.max_target_size + limits.max_header_size + _LINE_OVERHEAD
        self._extensions: Any = {EXTENSION: worker.counters}
        self.seat: Seat | None = None
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
        self._answer: _Answer | None = None
        """What the client is still to be told."""
        self._told = False
        self._lingering: float | None = None
        self._draining = False
        self._drain_timer: asyncio.TimerHandle | None = None
        self._backlog = Backlog()
        self._left_at: float | None = None
        """Since when the client has left that nobody reads from."""
        self._abandoned = Abandoned.of(server_state, worker.options, self.loop)
        self._call: Call | None = None
        """The request that is being answered; `cycle` is the newest."""
        self._end: Closing | None = None
        self._ending = _Ending(self)
        worker.watched.add(self)
        worker.sheddable.add(self)

    # Transport.

    def data_received(self, data: bytes) -> None:
        """Parse, in parts small enough that nothing grows large before it is looked at."""
        if self._over:
            return
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
        """Give the seat back, and say why the connection ended where nobody has yet."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self._call is not None:
            self._call.client_left(self._abandoned)
        self._leave()
        if self.seat is not None:
            self.seat.free(asked=self._latest is not None)
        if isinstance(exc, TlsFailed):
            self._tell(exc.reason, exc.detail)
        elif not self._told:
            self._tell(self._end or Closing.PEER_LEFT)
        self._let_go()

    def _let_go(self) -> None:
        """Leave nothing for the garbage collector, which may not run in a long time.

        What TLS wrote into keeps its largest size as long as the transport is referred to.
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
        """The client reads."""
        super().resume_writing()
        self._backlog.was_read()

    # Parsing.

    def _feed(self, data: bytes) -> None:
        messages, part, body, chunks = self._messages, self._part, self._body, self._chunks
        rest = data
        try:
            while rest:
                rest = self._parse(rest)
        except _Refused as refused:
            self._refuse(refused.answer)
            return
        if self._messages == messages and part is self._part:
            data_size = self._body - body + (self._chunks - chunks) * _CHUNK_OVERHEAD
            self._extra += max(0, len(data) - data_size)
            self._check_extra()

    def _parse(self, data: bytes) -> bytes:
        """Give bytes to the parser; what is left where a request asked for an upgrade."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._upgrade_ignored:
                self.handle_websocket_upgrade()
                return b""
            return self._without_upgrade() + data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, _Refused):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError as error:
            raise _Refused(_Answer(400, str(error), Closing.MALFORMED)) from error
        return b""

    def _check_extra(self) -> None:
        if self._part is _Part.BODY and self._extra > _MAX_EXTRAS:
            self._refuse(_Answer(400, "chunk extensions or trailers too large", Closing.TOO_LARGE))
        elif self._part is not _Part.BODY and self._extra > self._max_head:
            self._refuse(_Answer(431, "fields too large", Closing.TOO_LARGE))

    def on_message_begin(self) -> None:
        """A request line begins."""
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
        """A part of the target came."""
        super().on_url(url)
        if len(self.url) > self._limits.max_target_size:
            raise _Refused(_Answer(414, "target too long", Closing.TOO_LARGE))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field came; behind a body it goes nowhere, since ASGI has no place for it."""
        if self._part is _Part.BODY:
            self._check_trailer(name)
            return
        # RFC 9112, 5: white space around a value is no part of it.
        super().on_header(name, value.rstrip(b" \t"))
        if len(self.headers) > self._limits.max_header_count:
            raise _Refused(_Answer(431, "too many fields", Closing.TOO_LARGE))

    def _check_trailer(self, name: bytes) -> None:
        self._trailers += 1
        if name.lower() in _FORBIDDEN_TRAILERS:
            raise _Refused(_Answer(400, "a trailer that frames or routes", Closing.MALFORMED))
        if self._trailers > self._limits.max_header_count:
            raise _Refused(_Answer(431, "too many trailers", Closing.TOO_LARGE))

    def on_headers_complete(self) -> None:
        """All of the head is there: check it, then let uvicorn call the application."""
        answer = self._head_refusal() or self._overload()
        if answer is not None:
            raise _Refused(answer)
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
        self._call = Call(app, cycle)
        # A cast: uvicorn's type is of its narrower messages.
        super()._start_asgi_task(cycle, cast(Any, self._call))

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._chunks += 1

    def on_body(self, body: bytes) -> None:
        """A part of the body came."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has ended."""
        self._part = _Part.NOTHING
        self._begun = False
        if not self._upgrade_ignored:
            super().on_message_complete()

    # Checks.

    def _head_refusal(self) -> _Answer | None:
        """Why the request may not reach the application: what HTTP/2 refuses, and framing."""
        version, fields = self.parser.get_http_version(), self.headers
        if version not in ("1.1", "1.0"):
            return _Answer(505, f"HTTP/{version} is not spoken here", Closing.VERSION)
        pseudo = [(b":method", self.parser.get_method()), (b":scheme", b"http")]
        pseudo.append((b":path", self.url))
        if version == "1.0" and not any(name == b"host" for name, _ in fields):
            pseudo.append((b":authority", b"localhost"))  # RFC 9112, 3.2: it need not say
        outcome = read_request(0, (*pseudo, *fields), True, self._limits)
        if isinstance(outcome, RequestRefused):
            reason = Closing.MALFORMED if outcome.status == 400 else Closing.TOO_LARGE
            return _Answer(outcome.status, outcome.reason, reason)
        websocket = self.parser.should_upgrade() and self._should_upgrade()
        latest = self._latest
        if websocket and latest is not None and not latest.response_complete:
            # RFC 9110, 7.8: its 101 would come before, and take the place of, that response.
            return _Answer(400, "a WebSocket behind a request without answer", Closing.MALFORMED)
        return _framing_refusal(version, fields, websocket)

    def _overload(self) -> _Answer | None:
        if self._worker.shedding:
            return _Answer(503, "too busy", Closing.MEMORY)
        if len(self.pipeline) >= self._limits.max_concurrent_streams:
            return _Answer(503, "too many requests at once", Closing.TOO_MANY_CALLS)
        return None

    # Upgrades.

    def _should_upgrade(self) -> bool:
        # RFC 9110, 7.8: HTTP/1.0 knows of none.
        return self.parser.get_http_version() != "1.0" and super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, its seat too."""
        super().handle_websocket_upgrade()
        self._over = True
        self._leave()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, WebSocketConnection):
            protocol.seat = self.seat
        elif self.seat is not None:
            self._worker.keep_seat(self.seat, self.transport)

    def _without_upgrade(self) -> bytes:
        """The request's head once more without the upgrade that nobody offers.

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

    def _refuse(self, answer: _Answer) -> None:
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
        """The request that is being read has no good end; whether it can be refused."""
        cycle = self.cycle
        waiting = deque(pair for pair in self.pipeline if pair[0] is not cycle)
        if len(waiting) < len(self.pipeline):
            self.pipeline = waiting
            return True
        cycle.disconnected = True
        cycle.message_event.set()
        return not cycle.response_started

    def on_response_complete(self) -> None:
        """A response is whole: the next request's turn, or the refusal's."""
        last = not self.pipeline
        super().on_response_complete()
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
        self.transport.write(b"".join([STATUS_LINE[answer.status], *lines, b"\r\n", text]))
        self._linger()

    def end(self) -> None:
        """The last response was written: close, unless the client is still at its request."""
        if self._part is _Part.BODY and not self.pipeline and not self.transport.is_closing():
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        self._over = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._lingering = self._worker.now
        else:
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was asked for in a while."""
        self._end = Closing.IDLE
        super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """The server stops: answer what is asked for, also what is just on its way."""
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
        """Look whether the client, or what it does not read, has taken too long."""
        options = self._worker.options
        waits = self.transport.get_write_buffer_size()
        if self._backlog.is_stalled(waits, now, options.stall_timeout):
            self._tell(Closing.STALLED)
            self.transport.abort()
        elif self._lingering is not None:
            if now - self._lingering >= _LINGER:
                self.transport.close()
        elif self.flow.read_paused or self._over:
            self._since, self._body_before = now, self._body
            self._look_who_left(now)
        elif self._part is _Part.HEAD and now - self._since >= options.header_timeout:
            self._head_too_late()
        elif self._part is _Part.BODY and now - self._since >= options.body_timeout:
            self._check_rate(now)

    def _look_who_left(self, now: float) -> None:
        """Nobody hears of a client that leaves while nothing is read from it."""
        if not self.flow.read_paused or self.transport.is_closing() or not has_left(self.transport):
            self._left_at = None
        elif self._left_at is None:
            self._left_at = now
        elif now - self._left_at >= self._worker.options.call_grace:
            self.transport.abort()

    def _head_too_late(self) -> None:
        if self._begun:
            self._refuse(_Answer(408, "the request came too slowly", Closing.HEADERS_TIMEOUT))
        else:
            self._tell(Closing.PREFACE_TIMEOUT)
            self.transport.abort()

    def _check_rate(self, now: float) -> None:
        least = self._worker.options.min_body_rate * (now - self._since)
        came, self._body_before = self._body - self._body_before, self._body
        self._since = now
        if came < least and not self.cycle.waiting_for_100_continue:
            self._refuse(_Answer(408, "the body came too slowly", Closing.BODY_TIMEOUT))


class _Ending(asyncio.Transport):
    """The transport as a request sees it, with an end that lets the client read the response.

    Closing a socket with something unread in it resets the connection, and with it goes what the
    client has not read yet (RFC 9112, 9.6).
    """

    def __init__(self, connection: Http1Connection) -> None:
        super().__init__()
        self._connection: Http1Connection | None = connection

    def detach(self) -> None:
        """The connection is lost."""
        self._connection = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._connection is not None:
            self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection is None or self._connection.transport.is_closing()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.end()


def _framing_refusal(version: str, fields: Fields, websocket: bool) -> _Answer | None:
    """What the parser lets in: any coding before chunked, and chunked in HTTP/1.0."""
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    # RFC 9112, 6.1: what both ends do not read alike smuggles requests. No coding but chunked is
    # spoken here, and HTTP/1.0 has none.
    if codings and (version == "1.0" or [coding.lower() for coding in codings] != [b"chunked"]):
        return _Answer(400, "a transfer coding other than chunked", Closing.MALFORMED)
    body = codings or any(n == b"content-length" and v.strip(b"0") for n, v in fields)
    if websocket and body:
        return _Answer(400, "a WebSocket does not begin with a body", Closing.MALFORMED)
    return None
