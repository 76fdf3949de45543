"""The HTTP/2 connections to one upstream that carry WebSockets.

They are not those of requests: a WebSocket holds its stream for hours, and a hundred of them would
leave none for anything else. A connection is closed with its last WebSocket. Owned by
`http2_pool.Http2Pool`; reads the loop's time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Final

from headstart.client.connection import Http2ClientConnection
from headstart.config import ProxyOptions
from headstart.proxy.dialing import Dialer
from headstart.proxy.failures import UpstreamError
from headstart.proxy.tunnel import Tunnel
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway

# RFC 9113, 6.5.2: what a server should allow at the least.
_FEWEST_STREAMS: Final = 100
# Seconds after which an upstream that offers no tunnels is asked again.
_ASK_AGAIN: Final = 60.0


class TunnelPool:
    """Tunnels to `upstream`."""

    def __init__(self, upstream: Upstream, options: ProxyOptions) -> None:
        self._upstream = upstream
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._dialer = Dialer(upstream, options)
        self._tunnels: Counter[Http2ClientConnection] = Counter()
        """Open connections -> their tunnels."""
        self._lock = asyncio.Lock()
        self._not_before = 0.0
        """Until when nothing is asked of an upstream that offers no tunnels."""

    async def acquire(self) -> Tunnel | None:
        """Return a tunnel to be opened, or None if the upstream offers none.

        Raises:
            UpstreamError: The upstream cannot be connected to, or too many connections are open.
            NotHttp2Error: It does not speak HTTP/2.
        """
        async with self._lock:
            connection = self._with_room() or await self._connect()
        if connection is None:
            return None
        self._tunnels[connection] += 1
        return Tunnel(connection, partial(self._release, connection))

    def close(self) -> None:
        """Close every connection."""
        self._dialer.close()
        self._tunnels.clear()

    async def wait_closed(self) -> None:
        """Wait until the sockets are closed, after `close`."""
        await self._dialer.wait_closed()

    def _with_room(self) -> Http2ClientConnection | None:
        for connection, count in self._tunnels.items():
            most = connection.max_streams
            if connection.available and count < (_FEWEST_STREAMS if most is None else most):
                return connection
        return None

    async def _connect(self) -> Http2ClientConnection | None:
        if self._loop.time() < self._not_before:
            return None
        if len(self._tunnels) >= self._options.max_upstream_connections:
            raise UpstreamError(Gateway.BUSY, f"{self._upstream.name} has too many WebSockets")
        connection = await self._dialer.dial()
        if connection.offers_tunnels:
            return connection
        connection.leave()
        self._not_before = self._loop.time() + _ASK_AGAIN
        return None

    def _release(self, connection: Http2ClientConnection) -> None:
        if connection not in self._tunnels:
            return  # `close` has ended all of them
        self._tunnels[connection] -= 1
        if not self._tunnels[connection]:
            del self._tunnels[connection]
            connection.leave()
