"""The relay over real sockets: what comes through, in which order, and when."""

from __future__ import annotations

import asyncio

from bench.relay import DelayingRelay

DELAY = 0.05
PATIENCE = 90.0


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def echoing() -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    return server, port


async def test_there_and_back_takes_twice_the_delay() -> None:
    server, port = await echoing()
    clock = asyncio.get_running_loop().time
    async with server, DelayingRelay(port, DELAY) as relay, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        took = []
        for _ in range(5):
            began = clock()
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"ping"
            took.append(clock() - began)

        # A busy machine makes some of them late, and none of them early.
        assert 2 * DELAY <= min(took) < 2 * DELAY + 1.0
        writer.close()


async def test_bytes_keep_their_order_and_do_not_wait_for_each_other() -> None:
    server, port = await echoing()
    clock = asyncio.get_running_loop().time
    sent = [bytes([number]) * 1000 for number in range(200)]
    async with server, DelayingRelay(port, DELAY) as relay, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        began = clock()

        for part in sent:
            writer.write(part)
            await asyncio.sleep(0)
        answer = await reader.readexactly(200_000)

        assert answer == b"".join(sent)
        assert clock() - began < 10  # one after the other would take 20 s
        writer.close()


async def test_an_end_arrives_behind_the_last_byte() -> None:
    server, port = await echoing()
    async with server, DelayingRelay(port, DELAY) as relay, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)

        writer.write(b"last words")
        answer = await reader.readexactly(10)
        writer.close()

        assert answer == b"last words"


async def test_connection_is_closed_where_nothing_listens_behind_the_relay() -> None:
    server, port = await echoing()
    server.close()
    await server.wait_closed()
    async with DelayingRelay(port, DELAY) as relay, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)

        assert await reader.read() == b""
        writer.close()


async def test_leaving_ends_the_connections_that_are_open() -> None:
    server, port = await echoing()
    async with server, asyncio.timeout(PATIENCE):
        async with DelayingRelay(port, DELAY) as relay:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"

        assert await reader.read() == b""
        writer.close()


async def test_link_with_a_capacity_carries_no_more_and_loses_nothing() -> None:
    server, port = await echoing()
    clock = asyncio.get_running_loop().time
    size, capacity = 400_000, 2_000_000.0
    async with (
        server,
        DelayingRelay(port, DELAY, capacity=capacity) as relay,
        asyncio.timeout(PATIENCE),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        began = clock()
        writer.write(bytes(size))
        assert await reader.readexactly(size) == bytes(size)
        took = clock() - began
        writer.close()

    # A busy machine makes it longer, and never shorter.
    assert took >= size / capacity + 2 * DELAY
    assert relay.carried == [size, size]
