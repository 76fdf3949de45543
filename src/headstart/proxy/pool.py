"""The connections to one upstream: kept open between requests, bounded in number and in age.

Made by `balance`, one for each upstream and worker process. Reads the loop's time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from typing import TypeAlias

from headstart.config import ProxyOptions
from headstart.proxy.dialing import CLOSE_PATIENCE
from headstart.proxy.failures import UpstreamError
from headstart.proxy.http1 import READ_SIZE, Http1Connection, Requests
from headstart.proxy.responses import PlainResponses
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway

# How often silent and idle connections are looked for.
_SWEEP_SECONDS = 1.0

_Waiter: TypeAlias = "asyncio.Future[Http1Connection | None]"


class Pool:
    """Connections to `upstream`.

    Attributes:
        outstanding: Requests that have, or wait for, a connection.
        failures: Responses in succession that could not be used; see `balance`.
        resting_until: Until when, in the loop's time, other upstreams are asked instead.
    """

    def __init__(
        self, upstream: Upstream, options: ProxyOptions, context: ssl.SSLContext | None
    ) -> None:
        self.upstream = upstream
        self.outstanding = 0
        self.failures = 0
        self.resting_until = 0.0
        self._options = options
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(READ_SIZE)
        self._requests = Requests(self._loop)
        self._responses = PlainResponses()
        self._open: set[Http1Connection] = set()
        self._connecting = 0
        self._is_closed = False
        self._all_lost = asyncio.Event()
        """Set once the last connection is lost, after `close`."""
        self._idle: deque[tuple[Http1Connection, float]] = deque()
        self._waiters: deque[tuple[_Waiter, float]] = deque()
        """Requests in the order in which they came, and until when each waits."""
        self._sweeping: asyncio.TimerHandle | None = None

    def idle(self) -> Http1Connection | None:
        """Return a connection that is kept and not in use, or None."""
        while self._idle:
            connection, since = self._idle.pop()  # the last one used: the others may go idle
            if connection.closed:
                continue
            if self._loop.time() < since + connection.idle_timeout:
                return connection
            connection.close()
        return None

    async def acquire(self, *, fresh: bool = False) -> Http1Connection:
        """Return a connection that nobody uses: an idle one, or a new one.

        Args:
            fresh: Only a new one will do.

        Raises:
            UpstreamError: It cannot be connected to, or too many requests wait.
        """
        kept = None if fresh else self.idle()
        if kept is not None:
            return kept
        if len(self._open) + self._connecting < self._options.max_upstream_connections:
            return await self._connect()
        if len(self._waiters) >= self._options.max_upstream_waiting:
            raise UpstreamError(Gateway.BUSY, f"{self.upstream.name} has no connection left")
        if self._idle:  # only where a new one is asked for: the oldest makes room
            self._idle.popleft()[0].close()
        given = await self._wait()
        return given if given is not None else await self._connect()

    async def _wait(self) -> Http1Connection | None:
        """Return a connection that became free, or None where a new one may be made."""
        waiter: _Waiter = self._loop.create_future()
        # All have the same time, so the first is the first to be late. A timer for each would cost
        # as much as a tenth of all that a request costs.
        deadline = self._loop.time() + self._options.upstream_response_timeout
        self._waiters.append((waiter, deadline))
        self._sweep_later()
        try:
            return await waiter
        except asyncio.CancelledError:
            self._pass_on(waiter)
            raise

    def _pass_on(self, waiter: _Waiter) -> None:
        """Pass the connection of a cancelled request on to the next one."""
        if not waiter.done() or waiter.cancelled() or waiter.exception() is not None:
            return
        given = waiter.result()
        if given is not None:
            self.release(given)
        else:
            self._let_one_connect()

    def release(self, connection: Http1Connection) -> None:
        """Take back a connection: it is kept if it can serve again, else closed."""
        now = self._loop.time()
        age = now - connection.made_at
        if not connection.reusable or age >= self._options.upstream_max_age:
            connection.close()
            return
        while self._waiters:
            waiter, _ = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append((connection, now))

    def close(self) -> None:
        """Close every connection, one that is being made as soon as it is."""
        self._is_closed = True
        for connection in list(self._open):
            connection.close()
        if not self._open:
            self._all_lost.set()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    async def wait_closed(self) -> None:
        """Wait until the sockets are closed, after `close`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_lost.wait(), CLOSE_PATIENCE)

    async def _connect(self) -> Http1Connection:
        self._connecting += 1
        try:
            async with asyncio.timeout(self._options.upstream_connect_timeout):
                connection = await self._dial()
        except TimeoutError as error:
            raise UpstreamError(Gateway.CONNECT_TIMEOUT, self.upstream.name) from error
        except OSError as error:  # ssl.SSLError is one
            raise UpstreamError(Gateway.CONNECT_FAILED, f"{self.upstream.name}: {error}") from error
        finally:
            self._connecting -= 1
            self._let_one_connect()
        if connection.closed:  # `_lost` was called before
            return connection
        self._open.add(connection)
        if self._is_closed:
            connection.close()
        else:
            self._sweep_later()
        return connection

    async def _dial(self) -> Http1Connection:
        def made() -> Http1Connection:
            return Http1Connection(
                self._options, self._lost, self._buffer, self._requests, self._responses
            )

        upstream = self.upstream
        if upstream.path:
            _, connection = await self._loop.create_unix_connection(made, upstream.path)
        else:
            # Names are looked up anew for each connection, so a changed address is soon followed.
            _, connection = await self._loop.create_connection(
                made, upstream.host, upstream.port, ssl=self._context if upstream.tls else None
            )
        return connection

    def _lost(self, connection: Http1Connection) -> None:
        self._open.discard(connection)
        if self._is_closed and not self._open:
            self._all_lost.set()
        self._let_one_connect()

    def _let_one_connect(self) -> None:
        if len(self._open) + self._connecting >= self._options.max_upstream_connections:
            return
        while self._waiters:
            waiter, _ = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _sweep_later(self) -> None:
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        while self._waiters and self._waiters[0][1] < now:
            waiter, _ = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(UpstreamError(Gateway.BUSY, "no connection became free"))
        for connection in list(self._open):
            if connection.deadline is not None and connection.deadline < now:
                connection.expire()
            elif connection.when_slow is not None and connection.when_slow():
                connection.when_slow = None
        kept = deque[tuple[Http1Connection, float]]()
        for connection, since in self._idle:
            if connection.closed or now >= since + connection.idle_timeout:
                connection.close()
            else:
                kept.append((connection, since))
        self._idle = kept
        self._sweeping = None
        if self._open or self._waiters:
            self._sweep_later()
