"""The connections of one client, one for each origin.

`Pool` gives a request the connection to its origin, and makes one where there is none, or where it
takes no new requests. Connections that nobody uses are closed after a time, and only so many are
kept. Made by `client.client`.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import ClientTimeoutError, Phase
from headstart.client.origin import Origin
from headstart.client.prepared import PreparedRequest
from headstart.client.response_stream import require_loop
from headstart.errors import LocalProtocolError


class Pool:
    """Connections by origin.

    Args:
        connect: Makes the connection that a request needs.
        idle_timeout: Seconds until a connection without requests is closed; None for no end.
        max_idle: Connections without requests that are kept.
        max_connections: Connections with requests at once; a request that needs one more waits.
    """

    def __init__(
        self,
        connect: Callable[[PreparedRequest], Awaitable[Http2ClientConnection]],
        idle_timeout: float | None,
        max_idle: int,
        max_connections: float = math.inf,
    ) -> None:
        self._connect = connect
        self._max_connections = max_connections
        self._connecting = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        """Requests that wait until a connection has no requests."""
        self._idle_timeout = math.inf if idle_timeout is None else idle_timeout
        self._max_idle = max_idle
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop of the first request, to which all connections belong."""
        self._connections: dict[Origin, Http2ClientConnection] = {}
        self._leaving: list[Http2ClientConnection] = []
        """Connections that take no new requests, on which some are still under way."""
        self._refused_promises: Counter[str] = Counter()
        """Of connections that are gone."""
        self._locks: WeakValueDictionary[Origin, asyncio.Lock] = WeakValueDictionary()
        self._timer: asyncio.TimerHandle | None = None
        self.is_closed = False

    def __getitem__(self, origin: Origin) -> Http2ClientConnection:
        """Return the connection to an origin, as it is; KeyError if there is none."""
        return self._connections[origin]

    def values(self) -> list[Http2ClientConnection]:
        """Return the connections that take requests, unless they were lost."""
        return list(self._connections.values())

    @property
    def refused_promises(self) -> dict[str, int]:
        """Return why promises were refused, and how many."""
        counts = Counter(self._refused_promises)
        for connection in (*self._connections.values(), *self._leaving):
            counts.update(connection.refused_promises)
        return dict(counts)

    async def connection(self, prepared: PreparedRequest) -> Http2ClientConnection:
        """Return a connection that takes the request.

        Raises:
            ClientError: See `client.errors`.
            LocalProtocolError: The pool is closed, or belongs to another event loop.
        """
        self._require_usable()
        connection = self._connections.get(prepared.origin)
        if (
            connection is not None
            and connection.available
            and (not connection.is_doubted or await connection.answers())
        ):
            return connection
        # Nobody keeps a lock: it is there as long as somebody uses it.
        lock = self._locks.setdefault(prepared.origin, asyncio.Lock())
        async with lock:
            return await self._renewed(prepared)

    async def _renewed(self, prepared: PreparedRequest) -> Http2ClientConnection:
        """Return the connection to the origin, or another one if it takes no requests."""
        connection = self._connections.get(prepared.origin)
        if connection is not None:
            if connection.available and await connection.answers():
                return connection
            if connection.takes_requests and not connection.available and self._is_full:
                # The server refused the last requests, but another connection would have to wait.
                return connection
            if self._connections.get(prepared.origin) is connection:
                self._leaving.append(self._connections.pop(prepared.origin))
        self._forget_closed()
        for one in self._leaving:
            if prepared.content is None and one.has_pushed(
                prepared.method, prepared.target, prepared.headers
            ):
                return one
        connection = await self._connected(prepared)
        if self.is_closed:  # meanwhile; nobody else would close it
            connection.abort()
            self._require_usable()
        self._connections[prepared.origin] = connection
        self._tend()
        return connection

    async def _connected(self, prepared: PreparedRequest) -> Http2ClientConnection:
        if self._max_connections < math.inf:
            await self._wait_for_room(prepared)
        self._connecting += 1
        try:
            connection = await self._connect(prepared)
        except BaseException:
            self._became_idle()
            raise
        finally:
            self._connecting -= 1
        # Only a pool with a bound has requests that wait for this.
        connection.became_idle = self._became_idle
        return connection

    async def _wait_for_room(self, prepared: PreparedRequest) -> None:
        """Wait until fewer connections than `max_connections` have requests; close idle ones.

        Raises:
            ClientTimeoutError: No connection became idle within the request's `slot_timeout`.
        """
        timeout = prepared.timeout if prepared.slot_timeout is None else prepared.slot_timeout
        try:
            async with asyncio.timeout(timeout):
                while self._is_full:
                    change = asyncio.get_running_loop().create_future()
                    self._waiting.append(change)
                    await change
        except TimeoutError:
            raise ClientTimeoutError(
                f"no connection became free within {timeout:g} s",
                phase=Phase.STREAM,
                hint="Read or close the responses that are open, or allow more connections.",
            ) from None
        # A connection without requests takes the place of one that a request needs.
        room = self._max_connections - self._busy() - 1
        idle = [one for one in self._connections.values() if one.idle_since is not None]
        for one in idle[: max(0, len(idle) - int(room))]:
            self._leave(one)

    @property
    def _is_full(self) -> bool:
        """Return true if a request has to wait for another connection to be idle."""
        return self._busy() >= self._max_connections

    def _busy(self) -> int:
        """Return how many connections have requests, or are being made."""
        every = (*self._connections.values(), *self._leaving)
        return self._connecting + sum(not one.closed and one.idle_since is None for one in every)

    def _became_idle(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for change in waiting:
            if not change.done():
                change.set_result(None)

    def _require_usable(self) -> None:
        if self.is_closed:
            raise LocalProtocolError("the client is closed", hint="Make another one.")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        require_loop(self._loop)

    async def aclose(self) -> None:
        """Close all connections and open no more. Requests under way fail.

        Raises:
            LocalProtocolError: They belong to another event loop.
        """
        if self._loop is not None:
            require_loop(self._loop)
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        connections = [*self._connections.values(), *self._leaving]
        self._connections.clear()
        self._leaving.clear()
        await asyncio.gather(*(connection.aclose() for connection in connections))

    def _forget_closed(self) -> None:
        """Forget those that have ended, and hold no pushed response any more."""
        for one in self._leaving:
            if one.closed and not one.pushes:
                self._refused_promises.update(one.refused_promises)
        self._leaving = [one for one in self._leaving if not one.closed or one.pushes]

    # Connections that nobody uses.

    def _tend(self) -> None:
        """Close connections that have been idle for too long, and the oldest of too many."""
        now = asyncio.get_running_loop().time()
        for one in self._leaving:
            if one.idle_since is not None:
                one.leave()
        idle = sorted(
            (one.idle_since, position)
            for position, one in enumerate(self._connections.values())
            if one.idle_since is not None
        )
        connections = self.values()
        too_many = len(idle) - self._max_idle
        for rank, (since, position) in enumerate(idle):
            if rank < too_many or now - since >= self._idle_timeout:
                self._leave(connections[position])
        self._forget_closed()
        self._schedule(now)

    def _leave(self, connection: Http2ClientConnection) -> None:
        connection.leave()
        del self._connections[connection.origin]
        self._leaving.append(connection)  # for what was pushed on it

    def _schedule(self, now: float) -> None:
        """Look again when the first connection may have been idle for long enough."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        since = [
            now if one.idle_since is None else one.idle_since for one in self._connections.values()
        ]
        if any(not one.closed for one in self._leaving):
            since.append(now)
        due = min(since, default=math.inf) + self._idle_timeout
        if due < math.inf:
            self._timer = asyncio.get_running_loop().call_at(due, self._tend)
