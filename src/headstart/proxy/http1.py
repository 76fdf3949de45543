"""One HTTP/1.1 connection to an upstream: a request goes out, its response comes back.

An `asyncio.BufferedProtocol` on httptools (llhttp). It reads the upstream's bytes with a bound for
each part: header section, 1xx responses, waiting content. Made by `pool`, driven by `app`.

    free ── begin() ── next_head() ── next_chunk() ... None ── free, or closed

llhttp decides where a response ends. Four cases are decided here: a response to HEAD, content that
ends with the connection, content of a 1xx response (RFC 9110, 15.2: there is none), and bytes
without a request.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

import httptools

from headstart.config import ProxyOptions
from headstart.proxy.failures import UpstreamError
from headstart.proxy.fields import Fields
from headstart.proxy.heads import RequestHead
from headstart.proxy.lengths import with_one_length
from headstart.proxy.responses import NO_CONTENT, PlainResponses, ResponseHead
from headstart.reasons import Gateway
from headstart.wire.fields import HIGHEST_STATUS

# Response content that waits for a client that reads slowly, before the upstream has to wait.
_MAX_WAITING: Final = 64 * 1024
# asyncio and uvloop read up to 256 KB at once. Each slow client would hold several such reads.
READ_SIZE: Final = 64 * 1024
"""Bytes of the buffer that the connections of an event loop are read into."""
_LAST_CHUNK: Final = b"0\r\n\r\n"
# In no standard, but Node and Apache send it: seconds until they close an idle connection.
_KEEP_ALIVE = re.compile(rb"timeout=([0-9]{1,9})")
# A request that arrives just as the time is over finds the connection closed.
_KEEP_ALIVE_MARGIN: Final = 1.0


class Requests:
    """Requests that connections of one event loop have to send: they are written together.

    Once all that acts in this turn of the loop has acted, each is written. A system call between
    two requests would empty the processor's caches of the interpreter's code and data.
    """

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def add(self, transport: asyncio.Transport, data: bytes) -> None:
        """Keep a request until the end of the turn."""
        if not self._waiting:
            self._loop.call_soon(self.write)
        self._waiting.append((transport, data))

    def write(self) -> None:
        """Write all."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)


class Http1Connection(asyncio.BufferedProtocol):
    """A connection to an upstream.

    Args:
        options: Timeouts and limits.
        lost: Called once the connection has ended.
        buffer: READ_SIZE bytes. Connections of one event loop can share it: a read is parsed, and
            its content copied, before the next read.
        requests: Writes what connections of one event loop have to send first.
        responses: Reads the plain ones. Connections to one upstream can share it.

    Attributes:
        closed: It can serve nothing more.
        used: It has carried a whole response before.
        made_at: When it was made, on the event loop's clock.
        idle_timeout: Seconds that it may be kept without a request.
        deadline: When the upstream will have been silent for too long, in the loop's time, while
            something waits for it; else None. `pool` looks at it once a second.
        when_slow: Called by `pool` once a second until it returns True.
    """

    # More attributes than fit into an instance's inline values would make each access slow.
    __slots__ = (
        "_at_start",
        "_buffer",
        "_chunked",
        "_chunks",
        "_drain",
        "_ended",
        "_error",
        "_fields",
        "_final",
        "_header_size",
        "_heads",
        "_heard",
        "_informational",
        "_lengths_error",
        "_loop",
        "_lost",
        "_method",
        "_options",
        "_overhead",
        "_parser",
        "_reading",
        "_request_sent",
        "_requests",
        "_responses",
        "_section",
        "_transport",
        "_until_close",
        "_waiter",
        "_waiting",
        "_writable",
        "closed",
        "deadline",
        "idle_timeout",
        "made_at",
        "used",
        "when_slow",
    )

    def __init__(
        self,
        options: ProxyOptions,
        lost: Callable[[Http1Connection], None],
        buffer: bytearray,
        requests: Requests,
        responses: PlainResponses,
    ) -> None:
        self.closed = False
        self.used = False
        self.idle_timeout = options.upstream_idle_timeout
        self.made_at = asyncio.get_running_loop().time()
        self.deadline: float | None = None
        self.when_slow: Callable[[], bool] | None = None
        self._options = options
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = _parser_for(self)
        self._buffer = buffer
        self._requests = requests
        self._responses = responses
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._writable = True
        self._chunked = False
        self._error: UpstreamError | None = None
        self._reset_response()
        self._ended = True  # nothing is under way

    def _reset_response(self) -> None:
        self._method = ""
        self._fields: Fields = []
        self._heads: list[ResponseHead] = []
        self._informational = 0
        self._final: ResponseHead | None = None
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._reading = True
        self._overhead = 0
        self._header_size = 0
        self._until_close = False
        self._ended = False
        self._request_sent = False
        self._heard = False
        self._at_start = True
        self._section: bytearray | None = bytearray()
        """The bytes before the content; None once the content has begun."""
        self._lengths_error = ""

    # Called by `app`.

    def begin(self, method: str, data: bytes, *, whole: bool) -> None:
        """Send a request.

        Args:
            method: Responses to HEAD have no content, in spite of their headers.
            data: The header section, and the first part of the content.
            whole: Nothing of the request will follow.
        """
        self._reset_response()
        self._method = method
        self._request_sent = whole
        if self.closed and self._error is None:
            # It ended between the moment when the pool gave it away and this one.
            self._fail(self._lost_error("it closed the connection"))
        elif self._transport is not None:
            self._requests.add(self._transport, data)

    def start(self, head: RequestHead, target: bytes, first: bytes, *, more: bool) -> None:
        """Send a request.

        Args:
            head: Its header section.
            target: Its path and query.
            first: Its content as far as it is there.
            more: More content follows by `send_content`.
        """
        self._chunked = head.content_length is None and (more or bool(first))
        data = head.framed(target, self._chunked)
        if first or self._chunked:
            data += self._framed(first, last=not more)
        self.begin(head.method, data, whole=not more)

    async def send_content(self, data: bytes, *, last: bool) -> None:
        """Send more of the request's content; see `write`."""
        await self.write(self._framed(data, last=last), last=last)

    def _framed(self, data: bytes, *, last: bool) -> bytes:
        if not self._chunked:
            return data
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return chunk + _LAST_CHUNK if last else chunk

    async def write(self, data: bytes, *, last: bool) -> None:
        """Send more of the request; waits while the upstream takes no more.

        Raises:
            UpstreamError: The connection ended.
        """
        self._write(data)
        self._request_sent = last
        while not self._writable:
            self._drain = self._loop.create_future()
            self._expect(self._options.upstream_read_timeout)
            await self._drain
        # Only what waits has a deadline: the client may take its time with the rest.
        if self._waiter is not None:
            self._expect(self._options.upstream_response_timeout)
        else:
            self.deadline = None
        if self._error is not None:
            raise self._error

    async def next_head(self) -> ResponseHead:
        """Return the next header section: any number of 1xx, then the final one.

        Raises:
            UpstreamError: None comes.
        """
        while not self._heads:
            await self._arrival(self._options.upstream_response_timeout)
        return self._heads.pop(0)

    async def next_chunk(self) -> bytes | None:
        """Return the received part of the response's content; None at its end.

        Raises:
            UpstreamError: It broke off. The returned parts are incomplete.
        """
        while not self._chunks:
            if self._ended:
                return None
            await self._arrival(self._options.upstream_read_timeout)
        return self.take()

    def check(self) -> None:
        """Look whether the response broke off before any of its content.

        Raises:
            UpstreamError: It did, as far as is known without waiting.
        """
        if self._error is not None and not self._chunks:
            raise self._error

    def take(self) -> bytes:
        """Return the content that is there without waiting, or b""."""
        if not self._chunks:
            return b""
        chunks, self._chunks, self._waiting = self._chunks, [], 0
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    @property
    def ended(self) -> bool:
        """The whole response has come."""
        return self._ended

    @property
    def trailers(self) -> Fields:
        """Fields behind the content; there once it has ended."""
        return self._fields

    @property
    def reusable(self) -> bool:
        """Another request may be sent: both messages are whole, and the upstream stays."""
        return self._ended and self._request_sent and not self.closed and not self._until_close

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
        self._fail(UpstreamError(Gateway.CLOSED, "the proxy closed the connection"))

    def expire(self) -> None:
        """End the connection, since the upstream has been silent for too long."""
        self._fail(UpstreamError(Gateway.RESPONSE_TIMEOUT, "nothing came from the upstream"))
        if self._transport is not None:
            self._transport.abort()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not a subclass

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return the buffer for the next read, of our size and not of the event loop's."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the bytes that were read into the buffer."""
        if self._at_start:  # mostly the whole response, which is read from bytes
            self._received(bytes(memoryview(self._buffer)[:nbytes]))
            return
        with memoryview(self._buffer) as buffer, buffer[:nbytes] as data:
            self._received(data)

    def _received(self, data: bytes | memoryview) -> None:
        if self._ended:  # nothing was asked (a late response, or one response too many)
            self.close()
            return
        self._heard = True
        self._overhead += len(data)
        self._parse(data)
        if self._error is not None and self._transport is not None:
            self._transport.abort()
        self._wake()

    def _parse(self, data: bytes | memoryview) -> None:
        if self._at_start:
            self._at_start = False
            if self._method != "HEAD" and self._read_at_once(bytes(data)):
                return
        if self._section is not None:
            self._section += data
        if self._lengths_error:
            self._merge_lengths()
        else:
            self._feed(data)
        if self._overhead > self._options.max_upstream_header_size and not self._ended:
            self._fail(_too_large())
        if self._ended and self._method == "HEAD":
            # llhttp still waits for content that no response to HEAD has (RFC 9110, 9.3.2).
            self._parser = _parser_for(self)

    def _feed(self, data: bytes | memoryview) -> None:
        """Let the parser read more."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(UpstreamError(Gateway.MALFORMED, "it switched protocols unasked"))
        except httptools.HttpParserError as error:
            if self._ended:
                self.closed = True  # something came behind the response
            elif self._error is None:
                detail = _detail(error)
                if self._section is None or "Content-Length" not in detail:
                    self._fail(UpstreamError(Gateway.MALFORMED, detail))
                    return
                self._lengths_error = detail
                self._merge_lengths()

    def _merge_lengths(self) -> None:
        """Read a refused header section again, with one Content-Length instead of equal ones."""
        # Each 1xx ends as a header section does, and was read already.
        *_, rest = bytes(self._section or b"").split(b"\r\n\r\n", self._informational)
        section, end, content = rest.partition(b"\r\n\r\n")
        merged = with_one_length(section) if end else None
        if merged is not None:
            self._lengths_error, self._section = "", None
            self._parser = _parser_for(self)
            self._feed(merged + end + content)
        elif end or b"\n\n" in rest:
            self._fail(UpstreamError(Gateway.MALFORMED, self._lengths_error))

    def _read_at_once(self, data: bytes) -> bool:
        """Read a plain response that came in one piece; return whether it is one."""
        plain = self._responses.head_of(data)
        if plain is None:
            return False
        head, size = plain
        self._header_size = size
        if size > self._options.max_upstream_header_size:
            self._fail(_too_large())
            return True
        self._heads.append(head)
        self._final = head
        if size < len(data):
            self._chunks.append(data[size:])
            self._waiting = len(data) - size
        if b"keep-alive" in head.single:
            self._heed_keep_alive(head.fields)
        self._ended = self.used = True
        return True

    def eof_received(self) -> bool:
        """Handle the end of the upstream's bytes; the connection is closed."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the end of the connection, and of content without a length (RFC 9112, 6.3)."""
        if error is not None and not (self._ended or self._error):
            self._read_the_rest()
        if self._until_close and self._final is not None and error is None and not self._error:
            self._ended = True
        elif not self._ended:
            detail = str(error) if error is not None else "it closed the connection"
            self._fail(self._lost_error(detail))
        self.closed = True
        self._wake()
        self._wake_writer()
        self._lost(self)

    def _read_the_rest(self) -> None:
        """Read the bytes that came before the connection was reset.

        An upstream that responds before it has read the whole request, and closes, resets the
        connection. Then writing fails, and its response still waits to be read.
        """
        transport = self._transport
        connection = transport.get_extra_info("socket") if transport is not None else None
        if connection is None or (transport and transport.get_extra_info("ssl_object")):
            return
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as rest:
            rest.setblocking(False)
            while not (self._ended or self._error) and (data := rest.recv(READ_SIZE)):
                self._received(data)

    def _lost_error(self, detail: str) -> UpstreamError:
        return UpstreamError(
            Gateway.CLOSED,
            detail,
            stale=self.used and not self._heard,
            unanswered=not self._heard,
        )

    def pause_writing(self) -> None:
        """Stop sending the request while the upstream does not read."""
        self._writable = False

    def resume_writing(self) -> None:
        """Send the request again."""
        self._writable = True
        self._wake_writer()

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Begin a header section of a 1xx or of the final response."""
        if self._ended:
            self.closed = (
                True  # a second response to one request: this connection is of no more use
            )
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field, of the header section or of the trailers."""
        self._fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """Complete a header section."""
        if self._ended:
            return
        status = self._parser.get_status_code()
        head = ResponseHead(status, self._fields)
        self._check_size()
        self._fields = []
        self._overhead = 0
        if status == 101 or not 100 <= status <= HIGHEST_STATUS:
            self._fail(UpstreamError(Gateway.MALFORMED, f"its status is {status}"))
        elif status < 200:
            self._informational += 1
            if self._informational > self._options.max_upstream_informational:
                self._fail(UpstreamError(Gateway.TOO_LARGE, "it sends 1xx responses without end"))
        else:
            self._final = head
            self._section = None
            self._frame(head)
        if self._error is None:
            self._heads.append(head)

    def on_body(self, data: bytes) -> None:
        """Content, without the framing of its chunks."""
        if self._ended:
            self.closed = True
            return
        if self._final is None:
            # llhttp knows that a 100, 102 or 103 has none, and takes any other at its word.
            self._fail(UpstreamError(Gateway.MALFORMED, "a 1xx response of it has content"))
            return
        self._overhead = 0
        self._chunks.append(data)
        self._waiting += len(data)
        if self._waiting > _MAX_WAITING and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Complete a response."""
        if self._final is None or self._ended:
            return
        if self._fields:  # trailers
            self._check_size()
        if self._error is not None:
            return
        self._ended = True
        self.used = True
        if not self._parser.should_keep_alive():
            self.closed = True

    # Framing, time, errors.

    def _frame(self, head: ResponseHead) -> None:
        """Determine how the content ends, and refuse framing that two readers could see
        differently.
        """
        single = head.single
        length, coding = single.get(b"content-length"), single.get(b"transfer-encoding")
        ambiguous = len(single) != len(head.fields) and _differ(head.fields)
        if coding is not None and (coding.lower() != b"chunked" or length is not None):
            ambiguous = True
        if ambiguous:
            self._fail(UpstreamError(Gateway.MALFORMED, "its framing is ambiguous"))
        elif length is not None and not length.isdigit():
            self._fail(UpstreamError(Gateway.MALFORMED, "its Content-Length is not a number"))
        elif self._method == "HEAD":
            self._ended = True
            self.used = True
            self.closed = self.closed or not self._parser.should_keep_alive()
        elif coding is not None and head.status in NO_CONTENT:
            # RFC 9112, 6.1: a 204 has no coding. A server that names one may send a last chunk.
            self.closed = True
        elif coding is None and length is None and head.status not in NO_CONTENT:
            self._until_close = True
        if b"keep-alive" in single:
            self._heed_keep_alive(head.fields)

    def _heed_keep_alive(self, fields: Fields) -> None:
        for name, value in fields:
            if name == b"keep-alive" and (found := _KEEP_ALIVE.search(value)):
                seconds = max(0.0, int(found[1]) - _KEEP_ALIVE_MARGIN)
                self.idle_timeout = min(seconds, self._options.upstream_idle_timeout)

    def _check_size(self) -> None:
        """Count the fields; what one read can hold beyond the limit is not passed on."""
        self._header_size += sum([len(name) + len(value) + 4 for name, value in self._fields])
        if self._header_size > self._options.max_upstream_header_size:
            self._fail(_too_large())

    def _write(self, data: bytes) -> None:
        """Send content at once, or nobody could tell when there is too much of it."""
        self._requests.write()
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    def _arrival(self, seconds: float) -> asyncio.Future[None]:
        """Return a future that is done when something has come of the response.

        Not a coroutine: that would cost each request as much as the future.
        """
        if self._error is not None:
            raise self._error
        self._waiter = waiter = self._loop.create_future()
        self.deadline = self._loop.time() + seconds
        return waiter

    def _expect(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self.deadline = None
            if not waiter.done():  # the one who waited may have been cancelled
                waiter.set_result(None)

    def _wake_writer(self) -> None:
        drain, self._drain = self._drain, None
        if drain is not None and not drain.done():
            drain.set_result(None)

    def _fail(self, error: UpstreamError) -> None:
        self.closed = True
        if self._error is None:
            self._error = error
        self._wake()
        self._writable = True
        self._wake_writer()


def _differ(fields: Fields) -> bool:
    """Return whether fields that frame the content are there twice, in a way that matters."""
    lengths = {value for name, value in fields if name == b"content-length"}
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    return len(lengths) > 1 or len(codings) > 1


def _too_large() -> UpstreamError:
    return UpstreamError(Gateway.TOO_LARGE, "its header section is too large")


def _detail(error: Exception) -> str:
    """Return the parser's words for the log, printable and short."""
    return str(error).encode("ascii", "backslashreplace").decode()[:200]


def _parser_for(connection: Http1Connection) -> httptools.HttpResponseParser:
    """Return a parser that overlooks two faults of servers, each of which has one meaning only.

    Bun has sent a Content-Length among trailers; servers of small devices, and old ones, pad the
    size of a chunk with spaces. The response goes on with framing of its own.

    One in the header section beside a Transfer-Encoding is refused by the connection itself.
    """
    parser = httptools.HttpResponseParser(connection)
    parser.set_dangerous_leniencies(
        lenient_chunked_length=True, lenient_spaces_after_chunk_size=True
    )
    return parser
