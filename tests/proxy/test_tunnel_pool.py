"""The HTTP/2 connections to one upstream that carry WebSockets: bounded, closed with their last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from headstart.config import ProxyOptions
from headstart.proxy import tunnel_pool
from headstart.proxy.failures import UpstreamError
from headstart.proxy.tunnel import Tunnel
from headstart.proxy.tunnel_pool import TunnelPool
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway
from tests.h2c.frame_server import FrameServer, frame_server

# RFC 9113, 6.5.2, and RFC 8441, 3.
_MAX_CONCURRENT_STREAMS, _ENABLE_CONNECT_PROTOCOL = 0x3, 0x8


@asynccontextmanager
async def pooled(
    settings: dict[int, int], most: int = 100
) -> AsyncIterator[tuple[FrameServer, TunnelPool]]:
    """An upstream with these SETTINGS, and its pool of at most so many connections."""
    with frame_server() as upstream:
        upstream.settings = settings
        url = upstream.origin.replace("http:", "h2c:")
        pool = TunnelPool(Upstream.parse(url), ProxyOptions(max_upstream_connections=most))
        try:
            yield upstream, pool
        finally:
            pool.close()
            await pool.wait_closed()


async def acquired(pool: TunnelPool) -> Tunnel:
    tunnel = await pool.acquire()
    assert tunnel is not None
    return tunnel


async def test_tunnels_share_a_connection_which_is_closed_with_the_last_of_them() -> None:
    async with pooled({_ENABLE_CONNECT_PROTOCOL: 1}) as (upstream, pool):
        first, second = await acquired(pool), await acquired(pool)
        connection = first._connection
        shared = second._connection is connection

        first.abort()
        is_open = not connection.closed
        second.abort()

        assert (shared, is_open, connection.closed) == (True, True, True)
        assert (await acquired(pool))._connection is not connection
        assert len(upstream.connections) == 2


async def test_connection_has_no_more_tunnels_than_the_upstream_allows() -> None:
    async with pooled({_ENABLE_CONNECT_PROTOCOL: 1, _MAX_CONCURRENT_STREAMS: 2}) as (_, pool):
        first, second, third = [await acquired(pool) for _ in range(3)]

        assert first._connection is second._connection
        assert third._connection is not first._connection
        first.abort()
        assert (await acquired(pool))._connection is second._connection


async def test_connection_that_was_lost_takes_no_further_tunnel() -> None:
    async with pooled({_ENABLE_CONNECT_PROTOCOL: 1}) as (_, pool):
        first = await acquired(pool)
        first._connection.abort()

        assert (await acquired(pool))._connection is not first._connection


async def test_tunnel_beyond_the_bound_on_connections_is_refused_as_busy() -> None:
    settings = {_ENABLE_CONNECT_PROTOCOL: 1, _MAX_CONCURRENT_STREAMS: 1}
    async with pooled(settings, most=1) as (_, pool):
        await acquired(pool)

        with pytest.raises(UpstreamError, match="has too many WebSockets") as refused:
            await pool.acquire()

        assert refused.value.reason is Gateway.BUSY


async def test_upstream_that_offers_no_tunnels_is_not_asked_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with pooled({}) as (upstream, pool):
        assert [await pool.acquire() for _ in range(2)] == [None, None]
        assert len(upstream.connections) == 1

    monkeypatch.setattr(tunnel_pool, "_ASK_AGAIN", 0.0)
    async with pooled({}) as (upstream, pool):
        assert [await pool.acquire() for _ in range(2)] == [None, None]
        assert len(upstream.connections) == 2


async def test_tunnel_that_ends_after_the_pool_was_closed_is_counted_by_nobody() -> None:
    async with pooled({_ENABLE_CONNECT_PROTOCOL: 1}) as (_, pool):
        tunnels = [await acquired(pool) for _ in range(2)]
        pool.close()
        for tunnel in tunnels:
            tunnel.abort()

        assert not pool._tunnels
