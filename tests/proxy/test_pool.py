"""The connections to one upstream: bounded, kept, and given up in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headstart.config import ProxyOptions
from headstart.proxy.failures import UpstreamError
from headstart.proxy.http1 import Http1Connection
from headstart.proxy.pool import Pool
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway
from tests.proxy.asked import RawUpstream, Script, answering, raw_upstream

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@asynccontextmanager
async def pooled(
    *scripts: Script, options: ProxyOptions | None = None
) -> AsyncIterator[tuple[Pool, RawUpstream]]:
    async with raw_upstream(*(scripts or (answering(OK),))) as upstream:
        pool = Pool(Upstream.parse(upstream.url), options or ProxyOptions(), None)
        try:
            yield pool, upstream
        finally:
            pool.close()


async def served(connection: Http1Connection) -> None:
    connection.begin("GET", b"GET / HTTP/1.1\r\n\r\n", whole=True)
    await connection.next_head()
    assert await connection.next_chunk() is None


async def test_connection_that_served_is_used_again() -> None:
    async with pooled() as (pool, upstream):
        first = await pool.acquire()
        await served(first)
        pool.release(first)

        assert await pool.acquire() is first
        assert await pool.acquire() is not first
    assert upstream.connections == 2


async def test_connection_whose_response_was_not_read_to_its_end_is_closed() -> None:
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"
    async with pooled(answering(half)) as (pool, _):
        connection = await pool.acquire()
        connection.begin("GET", b"GET / HTTP/1.1\r\n\r\n", whole=True)
        await connection.next_head()
        pool.release(connection)

        assert connection.closed
        assert await pool.acquire() is not connection


async def test_new_connection_takes_the_place_of_the_oldest_idle_one() -> None:
    async with pooled(options=ProxyOptions(max_upstream_connections=1)) as (pool, upstream):
        idle = await pool.acquire()
        await served(idle)
        pool.release(idle)

        fresh = await asyncio.wait_for(pool.acquire(fresh=True), 90)

        assert fresh is not idle
        assert idle.closed
    assert upstream.connections == 2


async def test_request_waits_for_a_connection_when_all_are_in_use() -> None:
    async with pooled(options=ProxyOptions(max_upstream_connections=1)) as (pool, upstream):
        held = await pool.acquire()
        waiting = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(0)
        assert not waiting.done()

        await served(held)
        pool.release(held)

        assert await waiting is held
    assert upstream.connections == 1


async def test_waiting_request_gets_a_new_connection_when_the_one_in_use_ends() -> None:
    async with pooled(options=ProxyOptions(max_upstream_connections=1)) as (pool, upstream):
        held = await pool.acquire()
        waiting = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(0)

        pool.release(held)  # it served nothing that is whole

        assert not (await waiting).closed
    assert upstream.connections == 2


async def test_more_requests_than_may_wait_are_refused() -> None:
    options = ProxyOptions(max_upstream_connections=1, max_upstream_waiting=1)
    async with pooled(options=options) as (pool, _):
        held = await pool.acquire()
        waiting = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(0)

        with pytest.raises(UpstreamError) as raised:
            await pool.acquire()

        assert raised.value.reason is Gateway.BUSY
        await served(held)
        pool.release(held)
        await waiting


async def test_request_that_waits_for_too_long_is_refused() -> None:
    options = ProxyOptions(max_upstream_connections=1, upstream_response_timeout=0.01)
    async with pooled(options=options) as (pool, _):
        await pool.acquire()

        with pytest.raises(UpstreamError) as raised:
            await pool.acquire()

    assert raised.value.reason is Gateway.BUSY


async def test_request_that_is_given_up_while_it_waits_loses_no_connection() -> None:
    async with pooled(options=ProxyOptions(max_upstream_connections=1)) as (pool, _):
        held = await pool.acquire()
        waiting = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(0)
        await served(held)
        pool.release(held)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

        assert await pool.acquire() is held


async def test_connection_that_is_old_serves_no_more_so_that_its_name_is_looked_up_again() -> None:
    async with pooled(options=ProxyOptions(upstream_max_age=600)) as (pool, upstream):
        first = await pool.acquire()
        await served(first)
        pool.release(first)
        young = await pool.acquire() is first
        first.made_at -= 600
        await served(first)
        pool.release(first)

        assert first.closed
        assert await pool.acquire() is not first
    assert young
    assert upstream.connections == 2


async def test_idle_connection_is_closed_after_its_time() -> None:
    options = ProxyOptions(upstream_idle_timeout=0.01)
    async with pooled(options=options) as (pool, _):
        connection = await pool.acquire()
        await served(connection)
        pool.release(connection)
        while not connection.closed:
            await asyncio.sleep(0.01)

        assert await pool.acquire() is not connection


async def test_unix_socket_is_an_upstream(tmp_path: Path) -> None:
    path = tmp_path / "site.sock"

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(accepted, path)
    pool = Pool(Upstream.parse(f"unix:{path}"), ProxyOptions(), None)
    try:
        await served(await pool.acquire())
    finally:
        pool.close()
        server.close()
        await server.wait_closed()


async def test_request_waits_no_longer_than_for_a_response() -> None:
    options = ProxyOptions(max_upstream_connections=1, upstream_response_timeout=0.01)
    async with pooled(options=options) as (pool, _):
        held = await pool.acquire()

        with pytest.raises(UpstreamError, match="no connection became free") as failed:
            await asyncio.wait_for(pool.acquire(), 90)

        assert failed.value.reason is Gateway.BUSY
        held.close()
