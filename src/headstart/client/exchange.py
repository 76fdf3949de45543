"""One request and its response, or one promised response, as they come.

`Exchange` is what the connection writes into; `Response` is what the caller reads. Bytes that the
caller has read are given back to the server as window, so that a body of any length is held in
bounded memory. Used by `client.connection`.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeAlias

from headstart.client.errors import TimedOut
from headstart.wire.events import Fields

Informational: TypeAlias = tuple[float, int, Fields]
"""Seconds since the request was made, status (1xx), fields."""


Informed: TypeAlias = Callable[[int, Fields], None]
"""Told of each 1xx response when it comes: its status and its fields."""


@dataclass(frozen=True, slots=True)
class Times:
    """When a response came, of the event loop's clock; None for what has not come yet.

    Attributes:
        started: The request was sent, or the promise came.
        responded: The final response's header section came.
        ended: The response was complete.
    """

    started: float
    responded: float | None
    ended: float | None


class Owner(Protocol):
    """What an exchange asks of its connection."""

    def give_back(self, stream_id: int, amount: int) -> None:
        """So many bytes of a body were read: the server may send as many more."""
        ...

    def cancel(self, exchange: Exchange) -> None:
        """Nobody reads on: end the stream with RST_STREAM(CANCEL) if it is open."""
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


class Exchange:
    """One stream.

    Args:
        parent: The stream that this one was promised on, 0 for a request of ours.
        now: Of the event loop's clock.
    """

    def __init__(
        self, owner: Owner, stream_id: int, method: str, target: str, now: float, parent: int = 0
    ) -> None:
        self.owner = owner
        self.stream_id = stream_id
        self.method = method
        self.target = target
        self.started = self.progress = now
        self.parent = parent
        self.responded: float | None = None
        self.completed: float | None = None
        self.informed: Informed | None = None
        self.status: int | None = None
        self.headers: Fields = []
        self.informational: list[Informational] = []
        self.trailers: Fields = []
        self.chunks: deque[bytes] = deque()
        """The body's bytes that nobody has read."""
        self.received = 0
        self.given_back = 0
        """Bytes at the front of `chunks` for which window was given back already."""
        self.queued = 0
        """Bytes of the request's body that the engine holds."""
        self.sent_all = True
        """Nothing more of the request's body will be queued."""
        self.ended = False
        """The response is here, to its end."""
        self.closed = False
        """The stream is: nothing more is sent or received on it."""
        self.abandoned = False
        """Nobody reads the body: what still comes is thrown away."""
        self.error: Exception | None = None
        self.upload: asyncio.Task[None] | None = None
        self.room = asyncio.Event()
        """The queue of the request's body has room."""
        self._waiters: list[asyncio.Future[None]] = []

    # Written by the connection.

    def inform(self, status: int, headers: Fields, now: float) -> None:
        """A 1xx response came."""
        self.informational.append((now - self.started, status, headers))
        self.moved(now)
        if self.informed is not None:
            self.informed(status, headers)

    def respond(self, status: int, headers: Fields, now: float) -> None:
        """The final response's header section came."""
        self.status, self.headers, self.responded = status, headers, now
        self.moved(now)

    def feed(self, data: bytes, now: float) -> None:
        """A part of the body came."""
        if data:
            self.chunks.append(data)
            self.received += len(data)
        self.moved(now)

    def end(self, now: float) -> None:
        """The response has ended."""
        self.ended, self.completed = True, now
        self.moved(now)

    def fail(self, error: Exception, now: float) -> None:
        """The rest will not come; what is here can still be read. Too late once it has ended."""
        if not self.ended and self.error is None:
            self.error = error
            self.moved(now)

    def moved(self, now: float) -> None:
        """Something happened, so that time-outs begin anew and whoever waits looks again."""
        self.progress = now
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def unread(self) -> int:
        """Bytes here for which no window was given back."""
        return sum(map(len, self.chunks)) - self.given_back

    def copy(self) -> Exchange:
        """The same response once more; it has ended, and no window is owed for it."""
        twin = Exchange(
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
            RequestFailed: It will not come.
            TimedOut: Nothing moved for `timeout` seconds.
        """
        while self.status is None:
            if self.error is not None:
                raise self.error
            await self._change(timeout)

    async def next_chunk(self, timeout: float | None) -> bytes:
        """The next part of the body, b"" at its end; gives its window back.

        Raises:
            RequestFailed: The rest will not come.
            TimedOut: Nothing moved for `timeout` seconds.
        """
        while not self.chunks:
            if self.error is not None:
                raise self.error
            if self.ended:
                return b""
            await self._change(timeout)
        data = self.chunks.popleft()
        paid = min(self.given_back, len(data))
        self.given_back -= paid
        self.owner.give_back(self.stream_id, len(data) - paid)
        return data

    async def response_ended(self, timeout: float | None) -> None:
        """Wait until all of the response is here, none of it read; for pushed ones only.

        Raises:
            RequestFailed: It will not come.
            TimedOut: Nothing moved for `timeout` seconds.
        """
        while not self.ended:
            if self.error is not None:
                raise self.error
            await self._change(timeout)

    async def _change(self, timeout: float | None) -> None:
        """Wait for `moved`; what moves without a response, as an upload does, counts too."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiters.append(waiter)
        patience = math.inf if timeout is None else timeout
        asked = loop.time()
        while not waiter.done():
            left = max(asked, self.progress) + patience - loop.time()
            if left <= 0:
                raise TimedOut(
                    f"no answer to {self.method} {self.target} within {patience:g} s",
                    hint="Wait longer with a larger time-out, or look at the server.",
                )
            await asyncio.wait([waiter], timeout=None if math.isinf(left) else left)


class Response:
    """The answer to a request, whose body is read once.

    Close it with `aclose()`, or use it as an async context manager, where its body is not read to
    the end: what is not read holds back the other streams of its connection.

    Attributes:
        status: 200 to 599.
        headers: Names in lower case and values, in order.
        from_push: The server had pushed it, so that nothing was sent for it.
    """

    def __init__(self, exchange: Exchange, timeout: float | None, *, from_push: bool) -> None:
        self._exchange = exchange
        self._timeout = timeout
        self._content: bytes | None = None
        self.status = exchange.status or 0
        self.headers = exchange.headers
        self.from_push = from_push

    def __repr__(self) -> str:
        return f"<Response {self.status} to {self._exchange.method} {self._exchange.target}>"

    @property
    def stream_id(self) -> int:
        """The stream that it came on; even where it was pushed."""
        return self._exchange.stream_id

    @property
    def times(self) -> Times:
        """When it came; complete once the body was read to its end."""
        exchange = self._exchange
        return Times(exchange.started, exchange.responded, exchange.completed)

    @property
    def informational(self) -> list[Informational]:
        """1xx responses that came before it: seconds since the request, status, fields."""
        return self._exchange.informational

    @property
    def trailers(self) -> Fields:
        """Fields behind the body (RFC 9110, 6.5), known once the body was read to its end."""
        return self._exchange.trailers

    def header(self, name: str, default: str = "") -> str:
        """A field's value, several joined with a comma (RFC 9110, 5.3)."""
        wanted = name.lower().encode("latin-1")
        values = [value for other, value in self.headers if other == wanted]
        return b", ".join(values).decode("latin-1") if values else default

    async def body(self) -> AsyncIterator[bytes]:
        """The body's parts as they come.

        Raises:
            RequestFailed: The rest will not come.
            TimedOut: Nothing came for the request's time-out.
        """
        while data := await self._next():
            yield data

    async def _next(self) -> bytes:
        try:
            return await self._exchange.next_chunk(self._timeout)
        except BaseException:
            # Time-out or cancellation: nobody reads on.
            self._exchange.owner.cancel(self._exchange)
            raise

    async def read(self) -> bytes:
        """The whole body, or what of it `body()` has not given yet; the same when called again."""
        if self._content is None:
            self._content = b"".join([data async for data in self.body()])
        return self._content

    @property
    def content(self) -> bytes:
        """The body, once `read()` was called; b"" before."""
        return self._content or b""

    async def aclose(self) -> None:
        """Let go of it: a stream that is still open is reset with CANCEL."""
        self._exchange.owner.cancel(self._exchange)

    async def __aenter__(self) -> Response:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
