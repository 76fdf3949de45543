"""The connections of one client, on sockets in memory."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace

import pytest
from hyperframe.frame import GoAwayFrame, RstStreamFrame, SettingsFrame

from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import ClientTimeoutError, Phase, RequestError
from headstart.client.pool import Pool
from headstart.client.prepared import PreparedRequest, RequestBuilder
from headstart.errors import LocalProtocolError
from headstart.wire.connection import ErrorCode
from tests.client import hostile
from tests.client.peer import FakeSocket
from tests.clock import timeless


class Server:
    """Makes the connections of a pool, to as many servers as are named."""

    def __init__(self) -> None:
        self.made: list[Http2ClientConnection] = []
        self.sockets: list[FakeSocket] = []

    async def connect(self, prepared: PreparedRequest) -> Http2ClientConnection:
        connection = Http2ClientConnection(prepared.origin)
        self.made.append(connection)
        self.sockets.append(FakeSocket(connection))
        connection.connection_made(self.sockets[-1])
        connection.data_received(SettingsFrame(0).serialize())
        return connection

    @property
    def closed(self) -> list[bool]:
        return [connection.closed for connection in self.made]


def prepared(host: str) -> PreparedRequest:
    return RequestBuilder("", (), None).make("GET", f"http://{host}.test/", None, {})


async def ask(connection: Http2ClientConnection) -> asyncio.Task[object]:
    """A request that is under way."""
    task = asyncio.create_task(connection.request("GET", "/"))
    await asyncio.sleep(0)
    return task


async def answer(connection: Http2ClientConnection, task: asyncio.Task[object]) -> None:
    stream_id = connection.streams()[0].id
    connection.data_received(hostile.headers(stream_id, end=True))
    await task


async def refuse(connection: Http2ClientConnection, times: int) -> None:
    """So many requests, each of which the server refuses."""
    for _ in range(times):
        task = await ask(connection)
        await asyncio.sleep(0)  # it is written at the end of the turn
        frame = RstStreamFrame(connection.streams()[-1].id, error_code=ErrorCode.REFUSED_STREAM)
        connection.data_received(frame.serialize())
        with pytest.raises(RequestError):
            await task


@timeless
async def test_one_connection_an_origin_is_used_again() -> None:
    server = Server()
    pool = Pool(server.connect, 60, 100)

    first = await pool.connection(prepared("a"))
    other = await pool.connection(prepared("b"))
    again = await asyncio.gather(*[pool.connection(prepared("a")) for _ in range(5)])

    assert set(again) == {first}
    assert server.made == [first, other] == pool.values()
    await pool.aclose()
    assert server.closed == [True, True]


@timeless
async def test_connection_without_requests_is_closed_after_its_time() -> None:
    server = Server()
    pool = Pool(server.connect, 60, 100)
    for host in ("idle", "busy", "used"):
        await pool.connection(prepared(host))
    _, busy, used = server.made
    waiting = await ask(busy)
    await asyncio.sleep(50)
    await answer(used, await ask(used))

    await asyncio.sleep(9)
    assert server.closed == [False, False, False]
    await asyncio.sleep(2)
    assert server.closed == [True, False, False]
    assert b"\7" in {data[3:4] for data in server.sockets[0].written}  # GOAWAY
    await asyncio.sleep(100)
    assert server.closed == [True, False, True]

    await answer(busy, waiting)
    await asyncio.sleep(121)
    assert server.closed == [True, True, True]
    assert pool.values() == []
    assert await pool.connection(prepared("idle")) is server.made[3]
    await pool.aclose()


@timeless
async def test_oldest_of_too_many_idle_connections_is_closed_for_a_new_one() -> None:
    server = Server()
    pool = Pool(server.connect, None, 2)
    tasks = []
    for number in range(4):
        connection = await pool.connection(prepared(f"host-{number}"))
        tasks.append(await ask(connection))
    for connection, task in reversed(list(zip(server.made, tasks, strict=True))):
        await asyncio.sleep(1)
        await answer(connection, task)
    assert server.closed == [False] * 4

    await pool.connection(prepared("new"))

    assert server.closed == [False, True, True, True, False]
    await pool.aclose()


@timeless
async def test_connections_stay_where_idleness_has_no_end() -> None:
    server = Server()
    pool = Pool(server.connect, None, 2)

    connection = await pool.connection(prepared("a"))
    await asyncio.sleep(100_000)

    assert await pool.connection(prepared("a")) is connection
    await pool.aclose()


@timeless
async def test_connection_that_takes_no_requests_is_replaced_and_closed_after_its_last() -> None:
    server = Server()
    pool = Pool(server.connect, 60, 100)
    old = await pool.connection(prepared("a"))
    task = await ask(old)
    old.data_received(GoAwayFrame(0, last_stream_id=1).serialize())

    new = await pool.connection(prepared("a"))

    assert new is not old
    assert server.closed == [False, False]
    await answer(old, task)
    await asyncio.sleep(121)
    assert server.closed == [True, True]
    await pool.aclose()


@timeless
async def test_connection_whose_server_is_silent_is_replaced() -> None:
    server = Server()
    pool = Pool(server.connect, 60, 100)
    old = await pool.connection(prepared("a"))
    with pytest.raises(Exception, match="no answer to GET"):
        await old.request("GET", "/", timeout=3)

    several = await asyncio.gather(*[pool.connection(prepared("a")) for _ in range(3)])

    assert set(several) == {server.made[1]}
    assert len(server.made) == 2
    await pool.aclose()
    assert server.closed == [True, True]


@timeless
async def test_connection_whose_server_answers_the_ping_stays() -> None:
    server = Server()
    pool = Pool(server.connect, 60, 100)
    old = await pool.connection(prepared("a"))
    with pytest.raises(Exception, match="no answer to GET"):
        await old.request("GET", "/", timeout=3)
    ping = struct.pack(">Q", 1)
    old.data_received(hostile.frame(hostile.PING, hostile.ACK, 0, ping))

    assert await pool.connection(prepared("a")) is old
    await pool.aclose()


def test_another_event_loop_gets_an_error_at_once() -> None:
    server = Server()
    pool = Pool(server.connect, 60, 100)

    async def use() -> None:
        await pool.connection(prepared("a"))

    with asyncio.Runner() as first:
        first.run(use())
        for another in (use, pool.aclose):
            with pytest.raises(LocalProtocolError, match="another event loop") as caught:
                asyncio.run(another())
            assert caught.value.hint
        first.run(use())
        first.run(pool.aclose())
    assert server.closed == [True]


@timeless
async def test_pool_that_is_closed_makes_no_connection() -> None:
    server = Server()
    pool = Pool(server.connect, 60, 100)

    await pool.aclose()

    with pytest.raises(LocalProtocolError, match="closed"):
        await pool.connection(prepared("a"))
    assert server.made == []


@timeless
async def test_connection_whose_requests_are_refused_is_used_if_there_is_no_room_for_another() -> (
    None
):
    server = Server()
    pool = Pool(server.connect, 60, 100, max_connections=1)
    first = await pool.connection(prepared("a"))
    await answer(first, await ask(first))
    open_task = await ask(first)
    await refuse(first, 3)

    async with asyncio.timeout(60):
        again = await pool.connection(prepared("a"))
    await answer(first, open_task)
    await refuse(first, 3)
    later = await pool.connection(prepared("a"))

    assert again is first
    assert later is not first
    await pool.aclose()


@timeless
async def test_more_connections_than_are_allowed_wait_until_one_is_idle() -> None:
    server = Server()
    pool = Pool(server.connect, 60, 100, max_connections=1)
    first = await pool.connection(prepared("a"))
    task = await ask(first)

    waiting = asyncio.create_task(pool.connection(prepared("b")))
    await asyncio.sleep(0)
    assert (len(server.made), waiting.done()) == (1, False)
    await answer(first, task)
    second = await waiting

    assert second.origin.host == "b.test"
    assert first.closed
    await pool.aclose()


@timeless
async def test_connection_that_is_not_free_in_time_is_a_timeout_of_the_stream() -> None:
    server = Server()
    pool = Pool(server.connect, 60, 100, max_connections=1)
    task = await ask(await pool.connection(prepared("a")))

    with pytest.raises(ClientTimeoutError, match="no connection became free within 2 s") as caught:
        await pool.connection(replace(prepared("b"), slot_timeout=2.0))

    assert caught.value.phase is Phase.STREAM
    await pool.aclose()
    with pytest.raises(RequestError):
        await task


@timeless
async def test_connection_that_is_lost_makes_room() -> None:
    server = Server()
    pool = Pool(server.connect, 60, 100, max_connections=1)
    first = await pool.connection(prepared("a"))
    task = await ask(first)
    waiting = asyncio.create_task(pool.connection(prepared("b")))
    await asyncio.sleep(0)

    first.connection_lost(None)

    assert (await waiting).origin.host == "b.test"
    with pytest.raises(RequestError):
        await task
    await pool.aclose()
