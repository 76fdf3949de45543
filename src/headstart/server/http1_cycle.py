"""One request over HTTP/1.1 <-> one call of the application.

A `cycle.Cycle` with the habits of HTTP/1.1: the header section of a response goes out without its
body if the application takes its time, and `send` after a disconnect raises nothing until an
application shows that it never looks. Made by `http1.Http1Connection` for each request.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from headstart.server.cycle import MOST_IN_VAIN, Cycle, CycleConnection, Message, Scope
from headstart.server.cycle_state import HELD
from headstart.server.http1_parser import Http1Template
from headstart.server.worker import call_size
from headstart.wire.events import RequestReceived


class Http1Channel(CycleConnection, Protocol):
    """A connection of HTTP/1.1 as each of its requests needs it."""

    def head_waits(self, cycle: Http1Cycle) -> None:
        """Write a header section when the turn ends, unless its body has begun."""


class NothingAhead:
    """The part of a connection that refuses messages that HTTP/1.1 does not offer."""

    __slots__ = ()

    def push(self, cycle: Cycle, message: Message) -> None:
        """Refuse a push.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(f"Unexpected ASGI message {message['type']!r}.")

    def hint(self, cycle: Cycle, message: Message, started: bool) -> None:
        """Refuse a 103.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(f"Unexpected ASGI message {message['type']!r}.")


class Http1Cycle(Cycle):
    """One request and its response.

    Args:
        connection: The client's.
        request: The request, with a template.
        scope: As given to the application.
        continue_due: The client waits for a 100.
        forwarded: The request has fields that uvicorn's middleware may read.

    Attributes:
        keeps_alive: The connection may go on behind the response. The client, the application, a
            refusal and a server that stops each end that; then the response says
            `Connection: close`.
        takes_chunks: The response may go out in chunks.
        forwarded: See above.
    """

    def __init__(
        self,
        connection: Http1Channel,
        request: RequestReceived,
        scope: Scope,
        continue_due: bool,
        forwarded: bool,
    ) -> None:
        super().__init__(connection, request, scope)
        template = request.template
        assert isinstance(template, Http1Template)
        self.keeps_alive = template.keeps_alive
        self.takes_chunks = template.version != "1.0"
        self.continue_due = continue_due
        self.forwarded = forwarded
        self._channel = connection

    @property
    def request_ended(self) -> bool:
        """Return true if all of the request has come."""
        return self._body_ended

    @property
    def skips_continue(self) -> bool:
        """Return true if the client was to wait for a 100 that never came, and sent nothing.

        It may send its body or leave it out (RFC 9110, 10.1.1): the next bytes on the connection
        could be either.
        """
        return self.continue_due and not (self._body_ended or self._chunks)

    def held(self) -> int:
        """Return the bytes that the request takes, about."""
        return sum(map(len, self._chunks or ())) + call_size(self.request.headers)

    def send_head(self) -> None:
        """Send the header section that waits for a body, if there is one."""
        if self.state is HELD and not self.disconnected:
            self._send_body(b"", True)

    def _start(self, message: Message) -> None:
        super()._start(message)
        self._channel.head_waits(self)

    async def _send_to_nobody(self) -> None:
        """Drop a part that is sent to a client that has left.

        An application that goes on without end is told so, in the call's own task only.
        """
        await asyncio.sleep(0)
        self._in_vain += 1
        if self._in_vain > MOST_IN_VAIN:
            await super()._send_to_nobody()
