"""The HTTP/2 connection to one upstream, shared by its requests.

`h2c://` is HTTP/2 by prior knowledge. With `https://` the upstream chooses by ALPN; if it does not
choose HTTP/2, `Pool` takes over with HTTP/1.1. Made by `balance`. Reads the loop's time.
"""

from __future__ import annotations

import asyncio

from headstart.client import NotHttp2Error
from headstart.client.connection import Http2ClientConnection
from headstart.config import ProxyOptions
from headstart.proxy.dialing import Dialer
from headstart.proxy.failures import UpstreamError
from headstart.proxy.http1 import Http1Connection
from headstart.proxy.http2 import Http2Stream
from headstart.proxy.pool import Pool
from headstart.proxy.tunnel import Tunnel
from headstart.proxy.tunnel_pool import TunnelPool
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway

_SWEEP_SECONDS = 1.0


class Http2Pool:
    """Streams to `upstream`.

    Args:
        http1: Takes over if the upstream does not choose HTTP/2; None with prior knowledge.

    Attributes:
        outstanding, failures, resting_until: See `Pool`.
    """

    def __init__(self, upstream: Upstream, options: ProxyOptions, http1: Pool | None) -> None:
        self.upstream = upstream
        self.outstanding = 0
        self.failures = 0
        self.resting_until = 0.0
        self._options = options
        self._http1 = http1
        self._speaks_http1 = False
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._dialer = Dialer(upstream, options)
        self._connection: Http2ClientConnection | None = None
        self._leaving: list[Http2ClientConnection] = []
        self._streams: set[Http2Stream] = set()
        self._tunnels = TunnelPool(upstream, options)
        self._sweeping: asyncio.TimerHandle | None = None

    async def acquire(self, *, fresh: bool = False) -> Http1Connection | Http2Stream:
        """Return a stream for one request; a connection of `Pool` if the upstream chose HTTP/1.1.

        Args:
            fresh: See `Pool`; a connection that was lost is never used again here.

        Raises:
            UpstreamError: It cannot be connected to, or too many requests wait.
        """
        if self._is_full:
            raise UpstreamError(Gateway.BUSY, f"{self.upstream.name} has too many requests")
        async with self._lock:
            if not self._speaks_http1 and not self._usable:
                await self._connect()
        if self._speaks_http1 and self._http1 is not None:
            return await self._http1.acquire(fresh=fresh)
        return self._stream()

    def _stream(self) -> Http2Stream:
        assert self._connection is not None
        stream = Http2Stream(self._connection, self._options)
        self._streams.add(stream)
        return stream

    def idle(self) -> Http1Connection | Http2Stream | None:
        """Return what `acquire` would, if that takes no waiting; else None."""
        if self._speaks_http1 and self._http1 is not None:
            return self._http1.idle()
        return self._stream() if self._usable and not self._is_full else None

    async def acquire_tunnel(self) -> Tunnel | None:
        """Return a tunnel for a WebSocket; None if the upstream is to be asked over HTTP/1.1.

        Raises:
            UpstreamError: It cannot be connected to, or speaks HTTP/2 without WebSockets, by prior
                knowledge.
        """
        tunnel = None
        if not self._speaks_http1:
            try:
                tunnel = await self._tunnels.acquire()
            except NotHttp2Error:
                self._speaks_http1 = self._http1 is not None
        if tunnel is None and self._http1 is None:
            reason = f"{self.upstream.name} does not offer WebSockets over HTTP/2"
            raise UpstreamError(Gateway.MALFORMED, reason)
        return tunnel

    def release(self, connection: Http1Connection | Http2Stream) -> None:
        """Take back the result of `acquire`."""
        if isinstance(connection, Http2Stream):
            self._streams.discard(connection)
            connection.close()
        elif self._http1 is not None:
            self._http1.release(connection)

    def close(self) -> None:
        """Close every connection."""
        self._tunnels.close()
        for stream in list(self._streams):
            stream.close()
        self._dialer.close()
        self._leaving, self._connection = [], None
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        if self._http1 is not None:
            self._http1.close()

    async def wait_closed(self) -> None:
        """Wait until the sockets are closed, after `close`."""
        await self._tunnels.wait_closed()
        await self._dialer.wait_closed()
        if self._http1 is not None:
            await self._http1.wait_closed()

    @property
    def _is_full(self) -> bool:
        options = self._options
        most = options.max_upstream_connections + options.max_upstream_waiting
        return len(self._streams) >= most

    @property
    def _usable(self) -> bool:
        if self._connection is None or not self._connection.available:
            return False
        age = self._loop.time() - self._connection.connected_at
        return age < self._options.upstream_max_age

    async def _connect(self) -> None:
        if self._connection is not None and not self._connection.closed:
            self._leaving.append(self._connection)  # its other requests are still answered
        self._connection = None
        try:
            self._connection = await self._dialer.dial()
        except NotHttp2Error as error:
            if self._http1 is None:
                raise UpstreamError(Gateway.MALFORMED, str(error)) from error
            self._speaks_http1 = True
            return
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        for stream in list(self._streams):
            if stream.when_slow is not None and stream.when_slow():
                stream.when_slow = None
        oldest = self._loop.time() - self._options.upstream_idle_timeout
        # A stream that was given away and has sent nothing is none of its connection yet.
        given = {one.connection for one in self._streams if not (one.ended or one.closed)}
        current = self._connection
        since = None if current is None or current in given else current.idle_since
        if current is not None and since is not None and since < oldest:
            self._leaving.append(current)
            self._connection = None
        leaving = [one for one in self._leaving if one not in given]
        for connection in [one for one in leaving if one.idle_since is not None]:
            connection.leave()
            self._leaving.remove(connection)
        again = self._connection is not None or self._leaving
        self._sweeping = self._loop.call_later(_SWEEP_SECONDS, self._sweep) if again else None
