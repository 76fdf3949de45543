"""One call of the application over HTTP/1.1: the checks that uvicorn's cycle lacks.

Reads the application's messages before uvicorn's `RequestResponseCycle` writes them, and applies
the rules of `wire.responses` for HTTP/2: framing is this server's, and content goes only where it
is allowed, or the client would take it for the next response. Remembers the call's task, so that it
can be cancelled when the client has disconnected. Made by `http1.Http1Connection` for each request.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected

from headstart.deliver.asgi import leave_send
from headstart.errors import LocalProtocolError
from headstart.server.abandoned import Abandoned
from headstart.server.cycle import MOST_IN_VAIN, Application, Message, tells_of_disconnect
from headstart.server.request_counts import RequestCounts
from headstart.wire.events import Fields
from headstart.wire.fields import checked_name, checked_value
from headstart.wire.responses import BODILESS, checked_length, is_unchangeable

# Parts of a body that are written one after the other.
_A_TURN: Final = 100


class ResponseFraming:
    """Checks the fields of one connection's responses; equal ones in a row are checked once."""

    __slots__ = ("_framed", "_given", "_status")

    def __init__(self) -> None:
        self._status = 0
        self._given: Fields = []
        self._framed: tuple[Fields, bool] = [], False

    def of(self, headers: Any, status: int) -> tuple[Fields, bool]:
        """Return the application's fields without its framing, and whether they give a length.

        Raises:
            LocalProtocolError: A field could not be sent, or Content-Length is not a number, or
                there twice.
        """
        if status == self._status and headers == self._given:
            return self._framed
        framed = _framed_by_us(headers, status)
        if is_unchangeable(headers):
            self._status, self._given, self._framed = status, headers.copy(), framed
        return framed


class Call:
    """An application, to be called once.

    Args:
        application: The application.
        cycle: The request, and the way to its client.
        framing: The connection's.
        counts: Of requests, if somebody wants them.

    Attributes:
        cycle: The request's cycle.
    """

    def __init__(
        self,
        application: Application,
        cycle: RequestResponseCycle,
        framing: ResponseFraming,
        counts: RequestCounts | None = None,
    ) -> None:
        self._application = application
        self._framing = framing
        self._counts = counts
        self._status = 0
        # uvicorn's types are of its narrower messages.
        self.cycle: Any = cycle
        self._task: asyncio.Task[Any] | None = None
        self._no_body = False
        self._parts = 0
        """Parts of the body that were sent."""
        self._in_vain = 0
        """Parts that nobody waited for."""
        self._unframed = False
        """The end of the connection ends the body: HTTP/1.0 has no chunks (RFC 9112, 6.3)."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> object:
        """Call it; `send` is the cycle's own."""
        self._task = asyncio.current_task()
        began = 0.0 if self._counts is None else time.perf_counter()
        leave_send(self._send)
        try:
            # uvicorn looks at what it returns.
            return await self._application(scope, receive, self._send)
        except asyncio.CancelledError:
            if self.cycle.disconnected:
                return None
            raise
        except Exception as error:
            if self._in_vain > MOST_IN_VAIN and tells_of_disconnect(error):
                return None
            raise
        finally:
            # The task has a context, which has our `send`: the garbage collector should not have
            # to find that.
            self._task = None
            if self._counts is not None:
                version, left = scope["http_version"], self.cycle.disconnected
                self._counts.ended(version, False, self._status, left, began)

    def client_left(self, abandoned: Abandoned) -> None:
        """Tell the application; work after a complete response is not affected."""
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.disconnected = True
            if self._task is not None:
                abandoned.add(self._task, whole=not (cycle.more_body or cycle.body))
        cycle.message_event.set()

    async def _send(self, message: Message) -> None:
        kind, cycle = message["type"], self.cycle
        if kind == "http.response.start" and not cycle.response_started:
            if cycle.waiting_for_100_continue and cycle.more_body and not cycle.body:
                # The client may send its body or leave it out (RFC 9110, 10.1.1): what comes next
                # on the connection could be either.
                cycle.keep_alive = False
            await cycle.send(self._checked(message))
            self._status = message["status"]
            if self._no_body:
                cycle.expected_content_length = 0
            return
        if kind == "http.response.body":
            if cycle.disconnected or (self._no_body and cycle.response_complete):
                await self._send_in_vain()
                return
            self._parts += 1
            if self._parts % _A_TURN == 0:
                await asyncio.sleep(0)  # writing to a client that reads fast never waits
            if self._no_body:
                message = {**message, "body": b"", "more_body": False}
            elif self._unframed:
                cycle.expected_content_length = len(message.get("body", b""))
        await cycle.send(message)

    async def _send_in_vain(self) -> None:
        """Drop a part of a body that nobody waits for, and let other tasks run.

        An application that goes on without end is told that its client is gone, in the call's own
        task only (see `cycle.Cycle.send`). uvicorn's `send` only drops the message.
        """
        await asyncio.sleep(0)
        self._in_vain += 1
        if self._in_vain > MOST_IN_VAIN and asyncio.current_task() is self._task:
            raise ClientDisconnected

    def _checked(self, message: Message) -> Message:
        """Return the message that starts a response, as uvicorn may write it."""
        status, cycle = message["status"], self.cycle
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise LocalProtocolError(f"the status of a response is 200 to 599, not {status!r}")
        fields, has_length = self._framing.of(message.get("headers") or [], status)
        self._no_body = status in BODILESS or cycle.scope["method"] == "HEAD"
        old = cycle.scope["http_version"] == "1.0"
        if old and not (has_length or self._no_body):
            self._unframed = True
            cycle.chunked_encoding = False
        return {**message, "headers": fields}


def _framed_by_us(headers: Any, status: int) -> tuple[Fields, bool]:
    """Return the application's fields without its framing, and whether they give a length.

    Raises:
        LocalProtocolError: A field could not be sent, or Content-Length is not a number, or there
            twice.
    """
    fields: Fields = []
    lengths: list[bytes] = []
    for given_name, given_value in headers:
        name, value = checked_name(given_name), checked_value(given_name, given_value)
        if name == b"content-length":
            if status == 204:  # RFC 9110, 8.6
                continue
            lengths.append(value)
        if name != b"transfer-encoding":
            fields.append((name, value))
    if lengths:
        checked_length(lengths)
    return fields, bool(lengths)
