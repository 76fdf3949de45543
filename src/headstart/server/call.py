"""One call of the application over HTTP/1.1: what uvicorn's cycle leaves to us.

Reads what the application sends, before uvicorn's `RequestResponseCycle` writes it, and holds it to
what `wire.responses` wants of HTTP/2: framing is this server's, and content goes only where there
may be some, or the client would take it for the next response. Remembers the call's task, so that
it can be cancelled when the client has left. Made by `http1.Http1Connection` for each request.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from headstart.errors import LocalProtocolError
from headstart.server.abandoned import Abandoned
from headstart.server.cycle import Application, Message
from headstart.wire.events import Fields
from headstart.wire.responses import BODILESS


class Call:
    """An application, to be called once.

    Args:
        application: What to call.
        cycle: The request, and the way to its client.

    Attributes:
        cycle: The same.
    """

    def __init__(self, application: Application, cycle: RequestResponseCycle) -> None:
        self._application = application
        # uvicorn's types are of its narrower messages.
        self.cycle: Any = cycle
        self._task: asyncio.Task[Any] | None = None
        self._no_body = False
        self._unframed = False
        """The end of the connection ends the body: HTTP/1.0 has no chunks (RFC 9112, 6.3)."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> object:
        """Call it; `send` is the cycle's own."""
        self._task = asyncio.current_task()
        try:
            # uvicorn looks at what it returns.
            return await self._application(scope, receive, self._send)
        except asyncio.CancelledError:
            if self.cycle.disconnected:
                return None
            raise

    def client_left(self, abandoned: Abandoned) -> None:
        """Tell the application; what it does behind a whole answer is nobody's loss."""
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.disconnected = True
            if self._task is not None:
                abandoned.add(self._task)
        cycle.message_event.set()

    async def _send(self, message: Message) -> None:
        kind, cycle = message["type"], self.cycle
        if kind == "http.response.start" and not cycle.response_started:
            await cycle.send(self._checked(message))
            if self._no_body:
                cycle.expected_content_length = 0
            return
        if kind == "http.response.body":
            if self._no_body:
                message = {**message, "body": b""}
            elif self._unframed:
                cycle.expected_content_length = len(message.get("body", b""))
        await cycle.send(message)

    def _checked(self, message: Message) -> Message:
        """The message that starts a response, as uvicorn may write it."""
        status, cycle = message["status"], self.cycle
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise LocalProtocolError(f"the status of a response is 200 to 599, not {status!r}")
        fields, lengths = _framed_by_us(message.get("headers") or (), status)
        self._no_body = status in BODILESS
        old = cycle.scope["http_version"] == "1.0"
        if old and not (lengths or self._no_body or cycle.scope["method"] == "HEAD"):
            self._unframed = True
            cycle.chunked_encoding = False
        return {**message, "headers": fields}


def _framed_by_us(headers: Any, status: int) -> tuple[Fields, set[bytes]]:
    """What the application says, without how it would cut it; and the lengths that it gives.

    Raises:
        LocalProtocolError: Content-Length is no number, or several.
    """
    fields: Fields = []
    lengths = set()
    for name, value in headers:
        lower = bytes(name).lower()
        if lower == b"content-length":
            if status == 204:  # RFC 9110, 8.6
                continue
            lengths.add(bytes(value))
        if lower != b"transfer-encoding":
            fields.append((name, value))
    if len(lengths) > 1 or not all(length.isdigit() for length in lengths):
        raise LocalProtocolError(f"content-length is no number: {b', '.join(sorted(lengths))!r}")
    return fields, lengths
