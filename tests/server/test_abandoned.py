"""Calls of the application whose clients have left."""

from __future__ import annotations

import asyncio
import logging.handlers
import math
import socket
from collections.abc import Callable

import pytest
import uvloop
from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.server.abandoned import Abandoned, has_left, logger
from tests.clock import timeless


async def forever(started: list[int], number: int) -> None:
    """A call that never looks whether its client is there."""
    started.append(number)
    await asyncio.Event().wait()


async def calls(count: int) -> list[asyncio.Task[None]]:
    """So many of them, all waiting."""
    started: list[int] = []
    tasks = [asyncio.create_task(forever(started, number)) for number in range(count)]
    while len(started) < count:
        await asyncio.sleep(0)
    return tasks


@timeless
async def test_call_is_cancelled_after_its_grace() -> None:
    abandoned = Abandoned(asyncio.get_running_loop(), grace=0.01, most=10)
    first, second = await calls(2)

    abandoned.add(first)
    abandoned.add(first)
    abandoned.add(second)
    await asyncio.wait([first, second])

    assert first.cancelled()
    assert second.cancelled()
    assert len(abandoned) == 0


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_client_may_leave_when_the_time_of_another_call_is_just_over(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """uvloop gives no timer for a time that has come, which once ended the client's connection."""

    async def leave() -> None:
        abandoned = Abandoned(asyncio.get_running_loop(), grace=0, most=10)
        tasks = await calls(3)
        for task in tasks:
            abandoned.add(task)
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(leave())


async def test_oldest_is_cancelled_at_once_where_there_are_too_many() -> None:
    abandoned = Abandoned(asyncio.get_running_loop(), grace=1000, most=2)
    tasks = await calls(3)

    for task in tasks:
        abandoned.add(task)
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    assert [task.done() for task in tasks] == [True, False, False]
    assert len(abandoned) == 2
    for task in tasks:
        task.cancel()


@timeless
async def test_call_that_has_its_whole_request_goes_on_as_long_as_it_takes() -> None:
    abandoned = Abandoned(asyncio.get_running_loop(), grace=math.inf, most=10)
    whole, cut = await calls(2)

    abandoned.add(whole)
    abandoned.add(cut, whole=False)
    await asyncio.wait([cut])
    await asyncio.sleep(3600)

    assert cut.cancelled()
    assert not whole.done()
    whole.cancel()


@timeless
async def test_call_with_less_time_than_those_before_it_is_cancelled_in_time() -> None:
    loop = asyncio.get_running_loop()
    abandoned = Abandoned(loop, grace=100, most=10)
    whole, cut = await calls(2)

    abandoned.add(whole)
    abandoned.add(cut, whole=False)
    await asyncio.wait([cut])

    assert loop.time() < 10
    await asyncio.wait([whole])
    assert loop.time() < 110


@timeless
async def test_each_that_is_cancelled_is_told_in_the_log_but_an_attack_does_not_fill_it() -> None:
    handler = logging.handlers.MemoryHandler(1000)
    logger.addHandler(handler)
    try:
        abandoned = Abandoned(asyncio.get_running_loop(), grace=math.inf, most=1)
        for task in await calls(100):
            abandoned.add(task)
        abandoned.hurry()
        await asyncio.sleep(60)
        (last,) = await calls(1)
        abandoned.add(last)
        abandoned.hurry()
    finally:
        logger.removeHandler(handler)

    lines = [record.getMessage() for record in handler.buffer]
    assert lines[0] == (
        "Cancelled 1 calls of the application whose clients had left; of the last: "
        "it was the oldest of more than 1 such calls (--max-abandoned-calls)."
    )
    assert len(lines) == 11
    assert lines[-1].startswith("Cancelled 91 calls")
    assert lines[-1].endswith("memory is short.")


async def test_call_that_ends_by_itself_is_forgotten() -> None:
    abandoned = Abandoned(asyncio.get_running_loop(), grace=1000, most=2)
    task = asyncio.create_task(asyncio.sleep(0, None))

    abandoned.add(task)
    await task
    await asyncio.sleep(0)
    abandoned.add(task)

    assert len(abandoned) == 0


@timeless
async def test_later_call_has_its_own_grace() -> None:
    abandoned = Abandoned(asyncio.get_running_loop(), grace=0.1, most=10)
    first, second = await calls(2)

    abandoned.add(first)
    await asyncio.sleep(0.05)
    abandoned.add(second)
    await asyncio.wait([first])

    assert not second.done()
    await asyncio.wait([second])
    assert second.cancelled()


async def test_none_goes_on_when_memory_is_short() -> None:
    abandoned = Abandoned(asyncio.get_running_loop(), grace=1000, most=10)
    tasks = await calls(3)
    for task in tasks:
        abandoned.add(task)

    abandoned.hurry()
    await asyncio.wait(tasks)

    assert all(task.cancelled() for task in tasks)
    assert len(abandoned) == 0


async def test_each_server_has_one() -> None:
    loop, options = asyncio.get_running_loop(), ServerOptions()
    here, there = ServerState(), ServerState()

    assert Abandoned.of(here, options, loop) is Abandoned.of(here, options, loop)
    assert Abandoned.of(here, options, loop) is not Abandoned.of(there, options, loop)


class Connected(asyncio.Transport):
    """A transport whose socket is this one."""

    def __init__(self, connection: socket.socket | None) -> None:
        super().__init__({"socket": connection})


def test_end_of_a_connection_that_nobody_reads_is_noticed() -> None:
    here, there = socket.socketpair()
    with here, there:
        transport = Connected(here)
        there.sendall(b"unread")
        assert not has_left(transport)

        there.close()
        assert has_left(transport)


def test_of_a_transport_without_a_socket_nothing_is_known() -> None:
    assert not has_left(Connected(None))
