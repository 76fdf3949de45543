"""One request <-> one call of the application.

A `Cycle` is made for each request, a pushed one included: by `http2_streams.Http2Streams`, and, as
an `http1_cycle.Http1Cycle`, by `http1.Http1Connection`. It gives the application `receive` and
`send`, keeps the order of ASGI's messages, and waits in both directions: `send` while the client is
slow, and, by not giving the window back, the client while the application is slow. It changes only
its own stream.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol, TypeAlias

from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_path_with_query_string,
)

from headstart.deliver.asgi import current_send, leave_send
from headstart.errors import LocalProtocolError, StreamGoneError
from headstart.server.cycle_state import AWAITED, BODY, COMPLETE, HELD, LAST_PART, ResponseState
from headstart.server.remainder import Remainder
from headstart.server.stream_connection import RequestConnection
from headstart.wire.connection import ErrorCode
from headstart.wire.events import Fields, RequestReceived
from headstart.wire.fields import checked_fields
from headstart.wire.responses import ResponseHead

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Application: TypeAlias = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[object],
]
"""An ASGI application. It should return None; what it returns is looked at, hence `object`."""

logger = logging.getLogger("uvicorn.error")
access_logger = logging.getLogger("uvicorn.access")

_FILE_CHUNK: Final = 64 * 1024
# Parts of a body below this are kept together.
_SMALL: Final = 1024
MOST_IN_VAIN: Final = 1000
"""Parts of a body that an application may send where nobody waits for one."""
# Parts of a body that are sent one after the other, if none has to wait, before others have their
# turn.
_A_TURN: Final = 100


class CycleConnection(RequestConnection, Protocol):
    """The connection of a request."""

    def push(self, cycle: Cycle, message: Message) -> None:
        """Promise the application's push."""

    def hint(self, cycle: Cycle, message: Message, started: bool) -> None:
        """Send the links in a 103 at the end of this turn of the loop.

        Raises:
            LocalProtocolError: A link has a character that HTTP forbids.
        """

    def finished(self, cycle: Cycle) -> None:
        """Handle that the application returned."""


class Cycle:
    """One request and its response.

    Without slots, and with fewer attributes than fit into an instance: one is made per request, and
    CPython makes objects with slots by a slower way.

    Attributes:
        request: The received or promised request.
        scope: As given to the application.
        disconnected: The stream was reset or the connection lost.
        state: How far the response is.
        no_body: The response that was started has no content, even if the application sends some.
        read_whole: After the client disconnected: the request's body was complete and read.
        received: Bytes of the request's body that came.
        task: The call of the application, if it did not end at once.
    """

    _in_vain = 0
    """Parts of a body that were dropped; most responses have none."""
    _parts = 0
    """Parts of a body that went out without waiting, but for the last."""
    _noted: ResponseHead | None = None
    """The head of the response that was sent, if somebody counts."""
    _rest: Remainder | None = None
    """The last part of the body, while it has more than there was room for; most have not."""

    def __init__(self, connection: CycleConnection, request: RequestReceived, scope: Scope) -> None:
        self._connection = connection
        self.request = request
        self.scope = scope
        self._body_ended = request.end_stream
        self.disconnected = False
        self.state: ResponseState = AWAITED
        self.read_whole = True
        self.continue_due = False
        self.received = 0
        self.task: asyncio.Task[None] | None = None
        self._chunks: list[bytes | bytearray] | None = None
        """Body received and not yet read; None where there is none."""
        self._discards = False
        """Nobody reads what comes of the body: the application knows that it ended, or is done."""
        self._waiters: list[asyncio.Future[None]] | None = None
        self._feeding = False
        self._head: ResponseHead | None = None
        """The header section, while it is held."""
        self._length_left: int | None = None
        self.no_body = False
        self._trailers_due = False
        self._trailers: Fields | None = None

    # Called by the connection.

    async def run(self, application: Application) -> None:
        """Call the application; the stream ends in any case."""
        counts = self._connection.counts
        began = 0.0 if counts is None else time.perf_counter()
        send = self.send
        leave_send(send)
        try:
            result = await application(self.scope, self.receive, send)
        except asyncio.CancelledError:
            self._fail("ASGI application was cancelled")
        except BaseException as error:
            # An application that passes on, in its own words, that its client is gone has not
            # failed: Starlette raises a ClientDisconnect of its own.
            if not ((self.disconnected or self._in_vain) and tells_of_disconnect(error)):
                self._fail("Exception in ASGI application\n", trace=True)
        else:
            if result is not None:
                self._fail(f"ASGI callable should return None, but returned {result!r}.")
            elif self.state < LAST_PART and not self.disconnected:
                began_to = self.state is not AWAITED
                what = "completing" if began_to else "starting"
                self._fail(f"ASGI callable returned without {what} response.")
        finally:
            if counts is not None:
                status = 0 if self._noted is None else int(self._noted.fields[0][1])
                pushed = self.request.stream_id % 2 == 0
                version = self.scope["http_version"]
                counts.ended(version, pushed, status, self.disconnected, began)
            self._connection.finished(self)
            if self.task is not None:
                self._connection.server_state.tasks.discard(self.task)
                if current_send.get() is not None:
                    # The garbage collector should not have to find our `send` in its context.
                    current_send.set(None)

    def data_received(self, data: bytes, end_stream: bool) -> None:
        """Take a part of the request's body."""
        self.received += len(data)
        if self._discards or self.state is COMPLETE:
            self._connection.consumed(self.request.stream_id, len(data))
        elif self._chunks:
            self._keep(data)
        elif data:
            self._chunks = [data]
        if end_stream:
            self._body_ended = True
        self._wake()

    def _keep(self, data: bytes) -> None:
        """Keep a part behind others; small ones in one piece, or each would take far more room."""
        chunks = self._chunks or []
        if len(data) >= _SMALL:
            chunks.append(data)
        elif isinstance(chunks[-1], bytearray):
            chunks[-1] += data
        else:
            chunks.append(bytearray(data))

    def body_ended(self) -> None:
        """End the request's body after trailers, which ASGI cannot express."""
        self._body_ended = True
        self._wake()

    @property
    def stream_id(self) -> int:
        """The stream's number."""
        return self.request.stream_id

    @property
    def complete(self) -> bool:
        """The whole response was handed to the wire."""
        return self.state is COMPLETE

    @property
    def answered(self) -> bool:
        """The application has sent the whole response."""
        return self.state >= LAST_PART

    @property
    def answered_early(self) -> bool:
        """The response is complete, and the request is not."""
        return self.state is COMPLETE and not self._body_ended

    @property
    def awaits_body(self) -> bool:
        """Nothing of the request's body is there, more must come, and no response has begun."""
        return self.state is AWAITED and not (self._body_ended or self._chunks)

    @property
    def uploads(self) -> bool:
        """The client has not ended the request's body."""
        return not self._body_ended

    def disconnect(self) -> None:
        """Handle a reset stream or a lost connection."""
        if not self.disconnected:
            self.read_whole = self._body_ended and not self._chunks
        self.disconnected = True
        if self._rest is not None:
            self._rest.drop()  # the application has answered all the same
        self.drop_body()
        self._wake()

    def writable(self) -> None:
        """There may be room for more of the response."""
        rest = self._rest
        if rest is None or self.disconnected:
            self._wake()
            return
        try:
            self._send_rest(rest)
        except StreamGoneError:
            self.disconnect()

    def drop_body(self) -> None:
        """Give the window of the unread body back to the connection."""
        self._discards = True
        chunks, self._chunks = self._chunks, None
        if chunks:
            self._connection.consumed(self.request.stream_id, sum(map(len, chunks)))

    # Called by the application.

    async def receive(self) -> Message:
        """ASGI's receive: the body in parts, then `http.disconnect` when there is one."""
        if self.continue_due:
            self.continue_due = False
            if self.state is AWAITED and not self.disconnected:
                self._say_continue()
        while not (self.disconnected or self.state is COMPLETE):
            if self._chunks or (self._body_ended and not self._discards):
                return self._take_body()
            await self._wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI's send; waits while more than the bounded queue is under way.

        When the client is gone, another task than the call's own is told nothing here: such a task
        serves the call, as a2wsgi's does, and one that died of it would leave its call waiting for
        ever. `receive` tells the call. Most frameworks that send from other tasks listen there.

        Raises:
            ClientDisconnected: (an OSError, as ASGI 2.4 has it) the client is gone.
            LocalProtocolError: The message may not be sent as it is.
            RuntimeError: The message is out of order.
        """
        if self.no_body and self.complete and message["type"] == "http.response.body":
            await self._send_in_vain()
            return
        while self._feeding and not self.disconnected:
            await self._wait()  # another task of the application is sending; parts keep their order
        if self.disconnected:
            await self._send_to_nobody()
            return
        try:
            kind = message["type"]
            if kind == "http.response.body":
                rest = self._send_body(message.get("body", b""), message.get("more_body", False))
                if rest is not None:
                    await self._send_later(*rest)
                elif self.state is not COMPLETE:
                    self._parts += 1
                    if not self._parts % _A_TURN:
                        await asyncio.sleep(0)
            elif kind == "http.response.start":
                self._start(message)
            elif kind == "http.response.push":
                self._connection.push(self, message)
            else:
                await self._send_other(kind, message)
        except StreamGoneError:
            self.disconnected = True
            await self._send_to_nobody()

    async def _send_in_vain(self) -> None:
        """Drop a part of a body that the response has no place for: to HEAD, in 204, 205 and 304.

        Others have their turn meanwhile, and an application that goes on without end is told that
        its client is gone.
        """
        await asyncio.sleep(0)
        self._in_vain += 1
        if self._in_vain > MOST_IN_VAIN:
            await self._send_to_nobody()

    async def _send_to_nobody(self) -> None:
        if self.task is None or asyncio.current_task() is self.task:
            raise ClientDisconnected from None
        await asyncio.sleep(0)  # a task that only sends must not keep the loop

    # Request.

    def _say_continue(self) -> None:
        try:
            self._connection.inform(self.request.stream_id, 100, [])
        except StreamGoneError:  # the client has reset it, and the event is still to come
            self.disconnect()

    def _take_body(self) -> Message:
        chunks = self._chunks or []
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = None
        self._discards = self._body_ended
        if body:
            self._connection.consumed(self.request.stream_id, len(body), not self._body_ended)
        return {"type": "http.request", "body": body, "more_body": not self._body_ended}

    async def _wait(self) -> None:
        # One future per call: a reader and a listener for the disconnect may wait side by side.
        waiter: asyncio.Future[None] = self._connection.loop.create_future()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        if self._waiters:
            waiters, self._waiters = self._waiters, None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # Response.

    def _start(self, message: Message) -> None:
        if self.state is not AWAITED:
            raise RuntimeError("Unexpected ASGI message 'http.response.start': it was sent before.")
        connection = self._connection
        head = connection.heads.of(
            message["status"], message.get("headers") or (), connection.server_state.default_headers
        )
        self._head = head
        self.state = HELD
        if "trailers" in message:
            self._trailers_due = bool(message["trailers"])
        if head.bodiless or self.request.method == "HEAD":
            self.no_body = True
        else:
            self._length_left = head.content_length

    def _send_body(self, body: bytes, more: bool) -> tuple[bytes, bool] | None:
        """Send the part that can go without waiting.

        Not a coroutine: most bodies never wait, and two coroutines cost a microsecond.

        Returns:
            The rest, and whether the stream ends with it.
        """
        head = self._head
        if head is None:
            self._check_turn()
        if self.no_body:
            body, more = b"", False
        elif self._length_left is not None and (more or len(body) != self._length_left):
            self._count(len(body), more)
        end_stream = self.no_body or not (more or self._trailers_due)
        stream_id, connection = self.request.stream_id, self._connection
        fits = False
        if head is not None:
            self._head = None
            self.state = BODY
            if connection.notes_responses:
                self._noted = head
                if connection.access_log:
                    log_access(self.request, self.scope, head.fields)
            scheduler = connection.scheduler
            fits = len(body) <= scheduler.own_room or (
                end_stream and scheduler.takes_last(stream_id, len(body))
            )
            connection.respond(stream_id, head, end_stream and fits, body if fits else b"")
        if not fits and (body or end_stream):
            if connection.scheduler.room(stream_id) < len(body):
                return body, end_stream
            connection.send_data(stream_id, body, end_stream)
        if end_stream:
            self.state = COMPLETE
            if self._chunks or self._waiters:
                self._complete()
        return None

    def _check_turn(self) -> None:
        """Raise RuntimeError where a part of the body is out of order."""
        if self.state is not BODY:
            raise RuntimeError(
                "Unexpected ASGI message 'http.response.body': "
                + ("the response is complete." if self.answered else "no 'http.response.start'.")
            )

    def _count(self, length: int, more: bool) -> None:
        """Hold the body against the Content-Length that was sent (RFC 9110, 8.6)."""
        left = (self._length_left or 0) - length
        if left < 0:
            raise LocalProtocolError("Response content longer than Content-Length")
        if left and not more:
            raise LocalProtocolError("Response content shorter than Content-Length")
        self._length_left = left

    async def _send_later(self, body: bytes, is_last: bool) -> None:
        """Send a part of a body that found no room."""
        if is_last:
            self._send_rest(Remainder(self._connection, self.stream_id, body))
        else:
            await self._feed(body)

    async def _feed(self, body: bytes | memoryview) -> None:
        """Queue a part of a body that goes on, bit by bit, as there is room."""
        stream_id, connection = self.request.stream_id, self._connection
        self._feeding = True
        try:
            while (room := connection.scheduler.room(stream_id)) < len(body):
                if room > 0:
                    body = memoryview(body)
                    connection.send_data(stream_id, body[:room], False)
                    body = body[room:]
                connection.wait_for_room(self)
                await self._wait()
                if self.disconnected:
                    await self._send_to_nobody()
                    return
            connection.send_data(stream_id, body, False)
        finally:
            self._feeding = False
            self._wake()

    def _send_rest(self, rest: Remainder) -> None:
        """Queue the last part of a body, as far as there is room; the call need not wait for it."""
        self._rest = rest
        self.state = LAST_PART
        if rest.go_on():
            self._rest = None
            self._complete()
        else:
            self._connection.wait_for_room(self)

    def _complete(self) -> None:
        self.state = COMPLETE
        if self._chunks:
            self.drop_body()
        if self._waiters:
            self._wake()

    async def _send_other(self, kind: str, message: Message) -> None:
        match kind:
            case "http.response.early_hint":
                started = self.state is not AWAITED
                self._connection.hint(self, message, started)
            case "http.response.trailers":
                self._send_trailers(message)
            case "http.response.pathsend":
                await self._send_path(message["path"])
            case _:
                raise RuntimeError(f"Unexpected ASGI message {kind!r}.")

    def _send_trailers(self, message: Message) -> None:
        if self.no_body and self.complete:
            return
        if not self._trailers_due or self.state is not BODY:
            raise RuntimeError(
                "Unexpected ASGI message 'http.response.trailers': they come after the body, "
                "and 'http.response.start' must say 'trailers': True."
            )
        self._trailers = checked_fields(message.get("headers") or (), self._trailers or [])
        if message.get("more_trailers", False):
            return
        self._connection.send_trailers(self.request.stream_id, self._trailers)
        self._complete()

    async def _send_path(self, path: str) -> None:
        loop = self._connection.loop
        with await loop.run_in_executor(None, open, path, "rb") as file:
            while not self.complete and (
                chunk := await loop.run_in_executor(None, file.read, _FILE_CHUNK)
            ):
                await self.send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not self.complete:
            await self.send({"type": "http.response.body"})

    # When the application fails.

    def _fail(self, what: str, trace: bool = False) -> None:
        if self.disconnected and not trace:
            return
        logger.error(what, exc_info=trace)
        if self.answered or self.disconnected:
            return
        stream_id = self.request.stream_id
        if self.state is BODY:
            self._connection.reset(stream_id, ErrorCode.INTERNAL_ERROR)
            self.disconnected = True
            return
        body = b"Internal Server Error"
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),  # over HTTP/1.1; dropped over HTTP/2
        ]
        connection = self._connection
        head = connection.heads.of(500, headers, connection.server_state.default_headers)
        self._noted = head
        if connection.access_log:
            log_access(self.request, self.scope, head.fields)
        try:
            self.no_body = self.request.method == "HEAD"
            connection.respond(stream_id, head, True, b"" if self.no_body else body)
            self._complete()
        except StreamGoneError:
            self.disconnected = True


def log_access(request: RequestReceived, scope: Any, fields: Fields) -> None:
    """Write a line of the access log.

    Args:
        fields: The response's, `:status` first.
    """
    access_logger.info(
        '%s - "%s %s HTTP/%s" %d',
        get_client_addr(scope),
        request.method,
        get_path_with_query_string(scope),
        scope["http_version"] if request.stream_id % 2 else "2 pushed",
        int(fields[0][1]),
    )


def tells_of_disconnect(error: BaseException | None) -> bool:
    """Return whether an error is, or was raised while handling, the one that `send` raised."""
    while error is not None:
        if isinstance(error, ClientDisconnected):
            return True
        if isinstance(error, BaseExceptionGroup):
            return all(tells_of_disconnect(inner) for inner in error.exceptions)
        error = error.__cause__ or error.__context__
    return False
