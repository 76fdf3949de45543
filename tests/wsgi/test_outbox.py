"""Messages on their way from a thread to the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from headstart.wsgi.outbox import ClientLeft, Message, Outbox
from tests.server.live import PATIENCE, until

BLOCK = bytes(40_000)


def part(content: bytes) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": True}


async def test_messages_come_in_order_and_then_the_end() -> None:
    outbox = Outbox(asyncio.get_running_loop())

    assert outbox.empty
    outbox.put({"type": "http.response.start"}, part(b"a"))
    outbox.put(part(b"b"))
    outbox.end(None)
    came = [await outbox.get() for _ in range(4)]

    assert [message and message.get("body") for message in came] == [None, b"a", b"b", None]
    assert not outbox.empty


async def test_reader_waits_for_a_writer() -> None:
    loop = asyncio.get_running_loop()
    outbox = Outbox(loop)
    reading = loop.create_task(outbox.get())
    await asyncio.sleep(0)

    await loop.run_in_executor(None, outbox.put, part(b"a"))

    assert (await reading) == part(b"a")


async def test_writer_waits_while_the_client_is_slow() -> None:
    loop = asyncio.get_running_loop()
    outbox = Outbox(loop)
    put: list[int] = []

    def write() -> None:
        for number in range(10):
            outbox.put(part(BLOCK))
            put.append(number)
        outbox.end(None)

    writing = threading.Thread(target=write)
    writing.start()
    until(lambda: len(put) == 2)
    assert outbox._size == 80_000
    most = 0
    while await outbox.get() is not None:
        most = max(most, outbox._size)
    writing.join(PATIENCE)

    assert put == list(range(10))
    assert most <= 80_000


async def test_writer_that_waits_hears_that_the_client_left() -> None:
    loop = asyncio.get_running_loop()
    outbox = Outbox(loop)

    def write() -> None:
        while True:
            outbox.put(part(BLOCK))

    writing = loop.run_in_executor(None, write)
    until(lambda: outbox._size == 80_000)
    outbox.close()

    with pytest.raises(ClientLeft):
        await writing
    assert outbox.empty


async def test_error_of_the_application_is_raised_where_its_messages_are_read() -> None:
    outbox = Outbox(asyncio.get_running_loop())
    outbox.put(part(b"a"))
    outbox.end(ValueError("mine"))

    assert await outbox.get() == part(b"a")
    with pytest.raises(ValueError, match="mine"):
        await outbox.get()
    assert await outbox.get() is None


async def test_reader_that_was_cancelled_is_not_woken() -> None:
    outbox = Outbox(asyncio.get_running_loop())
    reading = asyncio.get_running_loop().create_task(outbox.get())
    await asyncio.sleep(0)
    reader = outbox._reader
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    outbox.end(None)
    await asyncio.sleep(0)

    assert reader is not None
    assert reader.cancelled()


def test_loop_that_has_ended_closes_the_queue() -> None:
    loop = asyncio.new_event_loop()
    outbox = Outbox(loop)
    reading = loop.create_task(outbox.get())
    loop.run_until_complete(asyncio.sleep(0))
    reading.cancel()
    loop.run_until_complete(asyncio.gather(reading, return_exceptions=True))
    loop.close()

    outbox.put(part(b"a"))

    with pytest.raises(ClientLeft):
        outbox.put(part(b"b"))
