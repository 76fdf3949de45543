"""One request and its response, or one promised response, as they arrive.

The connection writes into an `ResponseStream`, and an `AsyncResponse` reads from it. Bytes that the
caller has read are returned to the server as window, so that a body of any length needs bounded
memory. Used by `client.connection` and the modules around it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from headstart.client.errors import Phase
from headstart.client.headers import Headers
from headstart.client.stalls import StallTimeouts
from headstart.errors import LocalProtocolError
from headstart.wire.events import Fields


def require_loop(loop: asyncio.AbstractEventLoop) -> None:
    """See that this is the event loop that a connection was made in.

    Raises:
        LocalProtocolError: It is another one, in which nothing would ever come.
    """
    if asyncio.get_running_loop() is not loop:
        raise LocalProtocolError(
            "the connection belongs to another event loop",
            hint="Make an AsyncClient in each event loop, or use Client.",
        )


class Informational(NamedTuple):
    """A response that comes before the final one (RFC 9110, 15.2), a 103 for instance.

    Attributes:
        at: Seconds since the request was made.
        status_code: 100 to 199.
        headers: A mapping whose names ignore case.
    """

    at: float
    status_code: int
    headers: Headers


# What one read of the socket brings, six DATA frames of the usual size, is one part of a body: what
# is done with a part costs more than to put it together. Memory of more than 128 KiB would be taken
# from the system and given back to it each time.
_PART_AT_MOST = 96 * 1024

Informed: TypeAlias = Callable[[int, Fields], None]
"""Told of each 1xx response when it comes: its status and its fields; what it raises fails the
request."""


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a response, on the event loop's clock; None for events that have not happened.

    Attributes:
        started: The request was sent, or the promise came.
        responded: The final response's header section came.
        ended: The response was complete.
    """

    started: float
    responded: float | None
    ended: float | None


class Owner(Protocol):
    """The connection, as an exchange uses it."""

    @property
    def stall_timeouts(self) -> StallTimeouts:
        """Ends the waits that take too long."""
        ...

    def extra_info(self, name: str) -> Any:
        """Return information of asyncio's transport on the connection, or None."""
        ...

    def give_back(self, stream_id: int, amount: int) -> None:
        """So many bytes of a body were read: the server may send as many more."""
        ...

    def cancel(self, exchange: ResponseStream) -> None:
        """End the stream with RST_STREAM(CANCEL) if it is open."""
        ...


@dataclass(frozen=True, slots=True)
class PromisedRequest:
    """The request of a PUSH_PROMISE (RFC 9113, 8.4.1).

    Attributes:
        method: GET or HEAD.
        target: Path and query as sent.
        headers: A mapping whose names ignore case.
    """

    method: str
    scheme: str
    authority: str
    target: str
    headers: Headers

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.scheme}://{self.authority}{self.target}"


class Promise(Protocol):
    """A promised response, for whoever reads the response that it was promised with."""

    @property
    def stream_id(self) -> int:
        """The promised stream."""
        ...

    @property
    def request(self) -> PromisedRequest:
        """Return the request that this response answers."""
        ...

    def take(self) -> ResponseStream | None:
        """Take the response; return None if it was taken before, or dropped for lack of room."""
        ...


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream for a list of streams.

    Attributes:
        state: As RFC 9113, 5.1 names it: `open`, `half-closed (local)`, `reserved (remote)`, ...
        pushed: The server promised it.
        parent: The stream that it was promised on, 0 for a request of ours.
        status: None until the response's header section has come.
        received: Bytes of the response's body so far.
        cached: The response was pushed and waits to be asked for.
    """

    id: int
    method: str
    target: str
    state: str
    pushed: bool
    parent: int = 0
    status: int | None = None
    received: int = 0
    cached: bool = False


ClosedStream: TypeAlias = tuple[int, str, str, int, int | None, int]
"""A closed stream as it is kept: a `StreamInfo` takes six times as long to make, and there is one
for each request."""


def closed_info(stream: ClosedStream) -> StreamInfo:
    """Return a closed stream for a list of streams."""
    stream_id, method, target, parent, status, received = stream
    return StreamInfo(stream_id, method, target, "closed", bool(parent), parent, status, received)


class ResponseStream:
    """One stream.

    Args:
        parent: The stream that this one was promised on, 0 for a request of ours.
        now: Of the event loop's clock.
        push: The server may promise something on it.
    """

    # How all of them begin; set on the class, as most of it stays so.

    responded: float | None = None
    completed: float | None = None
    informed: Informed | None = None
    status: int | None = None
    received = 0
    given_back = 0
    """Bytes at the front of `chunks` for which window was given back already."""
    queued = 0
    """Bytes of the request's body that the engine holds."""
    paused = False
    """The next part of the request's body is awaited from the caller: no time-out runs."""
    sent_all = True
    """Nothing more of the request's body will be queued."""
    answered_early = False
    """The response ended while the request's body was still being sent."""
    ended = False
    """The response is here, to its end."""
    closed = False
    """The stream is: nothing more is sent or received on it."""
    abandoned = False
    """True once nobody reads the body: the rest is dropped."""
    reuses = False
    """The connection had answered another request before this one was made."""
    error: Exception | None = None
    upload: asyncio.Task[None] | None = None
    room: asyncio.Event | None = None
    """The queue of the request's body has room; for an upload of more than one part."""

    def __init__(
        self,
        owner: Owner,
        stream_id: int,
        method: str,
        target: str,
        now: float,
        parent: int = 0,
        *,
        push: bool = False,
    ) -> None:
        self.owner = owner
        self.stream_id = stream_id
        self.method = method
        self.target = target
        self.started = self.progress = now
        self.parent = parent
        self.push = push
        self.headers: Fields = []
        self.informational: list[Informational] = []
        self.promises: list[Promise] = []
        """What the server promised on it, the oldest first."""
        self.trailers: Fields = []
        self.chunks: deque[bytes] = deque()
        """The body's bytes that nobody has read."""
        self._waiters: list[asyncio.Future[None]] = []

    # Written by the connection.

    def inform(self, status: int, headers: Fields, now: float) -> None:
        """Record an informational response."""
        self.informational.append(Informational(now - self.started, status, Headers(headers)))
        self.moved(now)
        if self.informed is not None:
            self.informed(status, headers)

    def tell(self, informed: Informed | None) -> None:
        """From now on tell of each 1xx, and at once of those that are here already."""
        self.informed = informed
        if informed is not None:
            for _, status, headers in self.informational:
                informed(status, headers.raw)

    def respond(self, status: int, headers: Fields, now: float) -> None:
        """Record the final response's header section."""
        self.status, self.headers, self.responded = status, headers, now
        self.moved(now)

    def feed(self, data: bytes, now: float) -> None:
        """Add a part of the body."""
        if data:
            self.chunks.append(data)
            self.received += len(data)
        self.moved(now)

    def end(self, now: float) -> None:
        """End the response."""
        self.ended, self.completed = True, now
        self.moved(now)

    def fail(self, error: Exception, now: float) -> None:
        """Fail the rest of the response; received parts stay readable. Ignored after its end."""
        if not self.ended and self.error is None:
            self.error = error
            self.moved(now)

    def moved(self, now: float) -> None:
        """Something happened, so that time-outs begin anew and whoever waits looks again."""
        self.progress = now
        if not self._waiters:
            return
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def unread(self) -> int:
        """Bytes that came and for which no window was given back."""
        return sum(map(len, self.chunks)) - self.given_back

    @property
    def is_read(self) -> bool:
        """Return true if the whole response has come, and nothing of its body is left here."""
        return self.ended and not self.chunks and self.error is None

    @property
    def phase(self) -> Phase:
        """Return the step that the caller waits for."""
        waits_for_room = self.status is None and (self.queued or not self.sent_all)
        return Phase.UPLOAD if waits_for_room else Phase.RESPONSE

    @property
    def may_promise(self) -> bool:
        """Return true if a promise may still come: if the server can still send on the stream."""
        return self.push and not self.ended and self.error is None

    @property
    def is_unanswered(self) -> bool:
        """Nothing of the response has come."""
        return self.status is None and not self.informational

    def copy(self) -> ResponseStream:
        """Return a copy of the ended response, which owes no window."""
        twin = ResponseStream(
            self.owner, self.stream_id, self.method, self.target, self.started, self.parent
        )
        twin.status, twin.headers, twin.trailers = self.status, self.headers, self.trailers
        twin.informational = self.informational
        twin.responded, twin.completed = self.responded, self.completed
        twin.chunks = deque(self.chunks)
        twin.given_back = twin.received = self.received
        twin.ended = twin.closed = True
        return twin

    def info(self, cached: bool = False) -> StreamInfo:
        """For a list of streams."""
        return StreamInfo(
            self.stream_id,
            self.method,
            self.target,
            self._state(),
            bool(self.parent),
            self.parent,
            self.status,
            self.received,
            cached,
        )

    def as_closed(self) -> ClosedStream:
        """Return it as it is kept when it has closed."""
        return (self.stream_id, self.method, self.target, self.parent, self.status, self.received)

    def _state(self) -> str:
        if self.closed:
            return "closed"
        if self.parent:
            return "reserved (remote)" if self.status is None else "half-closed (local)"
        if self.sent_all:
            return "half-closed (local)"
        return "half-closed (remote)" if self.ended else "open"

    # Read by the caller.

    async def response_begun(self, timeout: float | None) -> None:
        """Wait for the final response's header section.

        Raises:
            RequestError: It will not come.
            ClientTimeoutError: Nothing moved for `timeout` seconds.
        """
        while self.status is None:
            if self.error is not None:
                raise self.error
            await self.change(timeout)

    async def next_part(self, timeout: float | None) -> bytes:
        """Return the next part of the body, b"" at its end, and give its window back.

        Raises:
            RequestError: The rest will not come.
            ClientTimeoutError: Nothing moved for `timeout` seconds.
        """
        while not self.chunks:
            if self.error is not None:
                raise self.error
            if self.ended:
                return b""
            await self.change(timeout)
        return self.take_part()

    def take_part(self) -> bytes:
        """Return the next part of the body, b"" if none has arrived, and give its window back."""
        if not self.chunks:
            return b""
        part = self.chunks.popleft()
        if self.chunks:
            part = self._join(part)
        paid = min(self.given_back, len(part))
        self.given_back -= paid
        if paid < len(part):
            self.owner.give_back(self.stream_id, len(part) - paid)
        return part

    def _join(self, first: bytes) -> bytes:
        parts, size = [first], len(first)
        while self.chunks and size + len(self.chunks[0]) <= _PART_AT_MOST:
            parts.append(self.chunks.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    async def response_ended(self, timeout: float | None) -> None:
        """Wait until all of the response is here, none of it read; for pushed ones only.

        Raises:
            RequestError: It will not come.
            ClientTimeoutError: Nothing moved for `timeout` seconds.
        """
        while not self.ended:
            if self.error is not None:
                raise self.error
            await self.change(timeout)

    async def change(self, timeout: float | None) -> None:
        """Wait for `moved`; progress without a response, as in an upload, counts too.

        Raises:
            LocalProtocolError: The connection belongs to another event loop.
        """
        stall_timeouts = self.owner.stall_timeouts
        require_loop(stall_timeouts.loop)
        waiter = stall_timeouts.loop.create_future()
        self._waiters.append(waiter)
        if timeout is None:
            await waiter
            return
        stall_timeouts.begin(waiter, self, timeout)
        try:
            await waiter
        finally:
            stall_timeouts.end(waiter)
