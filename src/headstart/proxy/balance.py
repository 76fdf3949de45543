"""Which upstream a request goes to: of those that do not rest, the one with the least to do.

An upstream that cannot be connected to, or whose responses cannot be used three times in
succession, rests for some seconds, and is then tried again. If all rest, the one whose rest ends
first is tried: an answer is better than none. Called by `app` and `websocket`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TypeAlias

from headstart.config import ProxyOptions
from headstart.proxy.failures import UpstreamError
from headstart.proxy.http1 import Http1Connection
from headstart.proxy.http2 import Http2Stream
from headstart.proxy.http2_pool import Http2Pool
from headstart.proxy.pool import Pool
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway

logger = logging.getLogger("headstart.proxy")

_CANNOT_CONNECT = frozenset((Gateway.CONNECT_FAILED, Gateway.CONNECT_TIMEOUT))
_UNUSABLE = frozenset((Gateway.CLOSED, Gateway.MALFORMED, Gateway.RESPONSE_TIMEOUT))
# One URL that an upstream fails for must not make it rest at once.
_FAILURES = 3


AnyPool: TypeAlias = Pool | Http2Pool
AnyConnection: TypeAlias = Http1Connection | Http2Stream


def _pool(upstream: Upstream, options: ProxyOptions, context: ssl.SSLContext | None) -> AnyPool:
    if upstream.http2:
        return Http2Pool(upstream, options, None)
    http1 = Pool(upstream, options, context)
    return Http2Pool(upstream, options, http1) if upstream.tls else http1


class Balance:
    """The pools of all upstreams of one worker process.

    Attributes:
        context: For TLS to upstreams; None where none speaks it.
    """

    def __init__(
        self,
        upstreams: tuple[Upstream, ...],
        options: ProxyOptions,
        context: ssl.SSLContext | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = options
        self.context = context
        self._pools: list[AnyPool] = [_pool(upstream, options, context) for upstream in upstreams]

    @property
    def several(self) -> bool:
        """Return true if there is more than one upstream."""
        return len(self._pools) > 1

    @property
    def outstanding(self) -> int:
        """Return how many requests have a connection, or wait for one."""
        return sum(pool.outstanding for pool in self._pools)

    def idle(self) -> tuple[AnyPool, AnyConnection] | None:
        """Return a connection of the best upstream if that takes no waiting; else None.

        The caller gives it back with `release`.
        """
        pool = self._pools[0] if len(self._pools) == 1 else self.in_order()[0]
        connection = pool.idle()
        if connection is None:
            return None
        pool.outstanding += 1
        return pool, connection

    async def acquire(
        self, *, fresh: bool = False, last: AnyPool | None = None
    ) -> tuple[AnyPool, AnyConnection]:
        """Return a connection to the best upstream that can be connected to.

        The caller gives it back with `release`.

        Args:
            fresh: Only a new connection will do.
            last: The upstream that is asked only if no other can be.

        Raises:
            UpstreamError: None can be.
        """
        failure: UpstreamError | None = None
        for pool in self.in_order(last):
            pool.outstanding += 1
            try:
                return pool, await pool.acquire(fresh=fresh)
            except UpstreamError as error:
                pool.outstanding -= 1
                failure = error
                self.failed(pool, error)
            except BaseException:
                pool.outstanding -= 1
                raise
        assert failure is not None
        raise failure

    def release(self, pool: AnyPool, connection: AnyConnection) -> None:
        """Take back the result of `acquire`."""
        pool.outstanding -= 1
        if isinstance(pool, Http2Pool):
            pool.release(connection)
            return
        assert isinstance(connection, Http1Connection)
        pool.release(connection)

    def failed(self, pool: AnyPool, error: UpstreamError) -> None:
        """Note that the upstream failed; it rests if that is likely to go on."""
        if error.reason in _CANNOT_CONNECT:
            self._rest(pool, error)
        elif error.reason in _UNUSABLE and not error.stale:
            pool.failures += 1
            if pool.failures >= _FAILURES:
                self._rest(pool, error)

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            pool.close()

    async def wait_closed(self) -> None:
        """Wait until the sockets are closed, after `close`."""
        await asyncio.gather(*(pool.wait_closed() for pool in self._pools))

    def in_order(self, last: AnyPool | None = None) -> list[AnyPool]:
        """Return the upstreams, the one to ask first in front.

        Args:
            last: The one to put behind all others.
        """
        if len(self._pools) == 1:
            return self._pools
        now = self._loop.time()
        awake = [pool for pool in self._pools if pool.resting_until <= now]
        resting = [pool for pool in self._pools if pool.resting_until > now]
        awake.sort(key=lambda pool: pool.outstanding)
        resting.sort(key=lambda pool: pool.resting_until)
        return sorted(awake + resting, key=lambda pool: pool is last)

    def _rest(self, pool: AnyPool, error: UpstreamError) -> None:
        now = self._loop.time()
        if pool.resting_until <= now:
            logger.warning("The upstream rests for %g s: %s", self._options.upstream_rest, error)
        pool.resting_until = now + self._options.upstream_rest
        pool.failures = 0
