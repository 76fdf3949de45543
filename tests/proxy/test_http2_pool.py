"""The HTTP/2 connection to one upstream: shared, bounded, and given up in time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headstart.config import ProxyOptions
from headstart.proxy import http2_pool
from headstart.proxy.failures import UpstreamError
from headstart.proxy.heads import request_head
from headstart.proxy.http1 import Http1Connection
from headstart.proxy.http2 import Http2Stream
from headstart.proxy.http2_pool import Http2Pool
from headstart.proxy.pool import Pool
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway
from tests.proxy.asked import Conversation, answering, raw_upstream, scope_of
from tests.server.apps import Receive, Scope, Send, answer, lifespan
from tests.server.live import Gate, LiveServer, certificate, running

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n1.1"


@asynccontextmanager
async def served(gate: Gate | None) -> AsyncIterator[LiveServer]:
    """Serve in a thread; this thread's loop goes on while the server stops."""

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if gate is not None and scope["path"] == "/gated":
            await gate.passed()
        await answer(send, b"two")

    with running(site) as server:
        yield server
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def pooled(gate: Gate | None = None, **options: Any) -> AsyncIterator[Http2Pool]:
    """A pool for an upstream that is known to speak HTTP/2, and answers /gated behind the gate."""
    async with served(gate) as upstream:
        pool = pool_of(f"h2c://localhost:{upstream.port}", **options)
        try:
            yield pool
        finally:
            pool.close()


def pool_of(url: str, **options: Any) -> Http2Pool:
    return Http2Pool(Upstream.parse(url), ProxyOptions(**options), None)


async def asked(connection: Http1Connection | Http2Stream, target: bytes = b"/") -> bytes:
    """Ask on a stream, and return the content."""
    connection.start(request_head(scope_of(), ProxyOptions()), target, b"", more=False)
    await connection.next_head()
    content = b""
    while (chunk := await connection.next_chunk()) is not None:
        content += chunk
    return content


async def test_requests_at_once_and_in_turn_share_one_connection() -> None:
    async with pooled() as pool:
        streams = await asyncio.gather(*(pool.acquire() for _ in range(3)))
        contents = await asyncio.gather(*map(asked, streams))
        connection = pool._connection
        for stream in streams:
            pool.release(stream)
        again = pool.idle()
        assert again is not None
        contents.append(await asked(again))
        pool.release(again)

        assert pool._connection is connection
    assert contents == [b"two"] * 4


async def test_pool_without_a_connection_has_no_stream_that_takes_no_waiting() -> None:
    async with pooled() as pool:
        before = pool.idle()
        pool.release(await pool.acquire())

        assert before is None
        assert pool.idle() is not None


async def test_as_many_streams_as_may_be_in_use_or_wait_are_given_and_one_more_is_refused() -> None:
    async with pooled(max_upstream_connections=2, max_upstream_waiting=1) as pool:
        streams = [await pool.acquire() for _ in range(3)]
        with pytest.raises(UpstreamError) as refused:
            await pool.acquire()
        full = pool.idle()
        pool.release(streams[0])
        another = await pool.acquire()

        assert refused.value.reason is Gateway.BUSY
        assert full is None
        assert await asked(another) == b"two"


async def test_old_connection_takes_no_more_requests_and_answers_the_one_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http2_pool, "_SWEEP_SECONDS", 0.01)
    gate = Gate()
    async with pooled(gate, upstream_max_age=600) as pool:
        first = await pool.acquire()
        old = pool._connection
        assert old is not None
        under_way = asyncio.ensure_future(asked(first, b"/gated"))
        while old.idle_since is not None:
            await asyncio.sleep(0.01)
        old.connected_at -= 500
        young = await pool.acquire()
        kept = pool._connection is old
        pool.release(young)
        old.connected_at -= 100
        second = await pool.acquire()

        assert kept
        assert pool._connection is not old
        assert await asked(second) == b"two"
        assert not old.closed
        gate.open()
        assert await under_way == b"two"
        while not old.closed:  # as nothing is under way there
            await asyncio.sleep(0.01)


def sweep(pool: Http2Pool) -> None:
    """Look after the connections now, as the timer does once a second."""
    assert pool._sweeping is not None
    pool._sweeping.cancel()
    pool._sweep()


async def test_idle_connection_is_closed_after_its_time_and_the_next_request_makes_one() -> None:
    async with pooled(upstream_idle_timeout=0.000001) as pool:
        contents, closed = [], []
        for _ in range(3):
            stream = await pool.acquire()
            connection = pool._connection
            assert connection is not None
            contents.append(await asked(stream))
            pool.release(stream)
            sweep(pool)
            closed.append(connection.closed)
            assert pool._sweeping is None  # nothing is left to look after

        assert pool.idle() is None
    assert contents == [b"two"] * 3
    assert closed == [True] * 3


async def test_connection_that_idles_for_less_than_its_time_is_kept() -> None:
    async with pooled(upstream_idle_timeout=3600) as pool:
        stream = await pool.acquire()
        await asked(stream)
        pool.release(stream)
        for _ in range(3):
            sweep(pool)

        assert pool.idle() is not None


async def test_connection_of_a_stream_that_has_not_begun_is_kept() -> None:
    async with pooled(upstream_idle_timeout=0.000001) as pool:
        stream = await pool.acquire()
        connection = pool._connection
        assert connection is not None
        sweep(pool)
        content = await asked(stream)
        pool.release(stream)
        sweep(pool)

        assert content == b"two"
        assert connection.closed


async def test_old_connection_of_a_stream_that_has_not_begun_is_kept() -> None:
    async with pooled(upstream_max_age=600) as pool:
        stream = await pool.acquire()
        old = pool._connection
        assert old is not None
        old.connected_at -= 600
        pool.release(await pool.acquire())
        sweep(pool)
        content = await asked(stream)
        pool.release(stream)
        sweep(pool)

        assert pool._connection is not old
        assert content == b"two"
        assert old.closed


async def test_slow_stream_is_asked_each_time_until_it_says_true() -> None:
    results = [False, False, True]
    asked_for: list[bool] = []
    async with pooled() as pool:
        stream = await pool.acquire()

        def slow() -> bool:
            asked_for.append(results[len(asked_for)])
            return asked_for[-1]

        stream.when_slow = slow
        for _ in range(5):
            sweep(pool)

    assert asked_for == results


async def test_closed_pool_leaves_no_connection_no_stream_and_no_timer() -> None:
    async with pooled() as pool:
        stream = await pool.acquire()
        connection = pool._connection
        assert connection is not None

        for _ in range(2):
            pool.close()

        assert (stream.closed, connection.closed, pool._sweeping) == (True, True, None)


async def test_upstream_that_chooses_http_1_1_is_asked_so_from_the_first_request() -> None:
    made = certificate()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certfile, made.keyfile)
    context.set_alpn_protocols(["http/1.1"])
    options = ProxyOptions(upstream_cacert=str(made.ca_certfile))
    ours = ssl.create_default_context(cafile=made.ca_certfile)
    async with raw_upstream(answering(OK), ssl=context) as upstream:
        parsed = Upstream.parse(upstream.url.replace("127.0.0.1", "localhost"))
        pool = Http2Pool(parsed, options, Pool(parsed, options, ours))
        try:
            contents, connections = [], []
            for _ in range(3):
                connections.append(await pool.acquire())
                contents.append(await asked(connections[-1]))
                pool.release(connections[-1])
            again = pool.idle()
            tunnel = await pool.acquire_tunnel()
        finally:
            pool.close()

    assert contents == [b"1.1"] * 3
    assert isinstance(again, Http1Connection)
    assert [one is again for one in connections] == [True] * 3
    assert tunnel is None


async def test_upstream_that_speaks_no_http2_by_prior_knowledge_is_malformed_each_time() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.say(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await conversation.reader.read()

    reasons = []
    async with raw_upstream(script) as upstream:
        pool = pool_of(upstream.url.replace("http:", "h2c:"))
        for _ in range(3):
            with pytest.raises(UpstreamError) as refused:
                await pool.acquire()
            reasons.append(refused.value.reason)
        pool.close()

    assert reasons == [Gateway.MALFORMED] * 3
    assert upstream.connections == 3


async def test_upstream_that_is_not_there_is_told_and_found_when_it_is_back() -> None:
    async with raw_upstream(answering(OK)) as gone:
        pass
    pool = pool_of(gone.url.replace("http:", "h2c:"))

    for _ in range(2):
        with pytest.raises(UpstreamError) as refused:
            await pool.acquire()
        assert refused.value.reason is Gateway.CONNECT_FAILED
    assert pool.idle() is None
    pool.close()
