"""A thread with an event loop: work from many threads, its end, and a fork."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from headstart.client.background import Background, each
from headstart.client.errors import RequestError
from headstart.errors import LocalProtocolError


class Last:
    """Counts how often the last work ran."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(self) -> None:
        self.runs += 1


@contextmanager
def started() -> Iterator[tuple[Background, Last]]:
    """Make one, and stop it in the end."""
    last = Last()
    background = Background(last)
    try:
        yield background, last
    finally:
        background.stop()


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def named() -> list[threading.Thread]:
    """Return the threads of all clients."""
    return [one for one in threading.enumerate() if one.name == "headstart-client"]


def test_thread_begins_with_the_first_work_and_serves_all_of_it() -> None:
    with started() as (background, _):
        before = len(named())
        results = [background.run(double(number)) for number in range(5)]
        during = len(named())

    assert results == [0, 2, 4, 6, 8]
    assert (before, during, len(named())) == (0, 1, 0)


def test_work_of_many_threads_goes_on_side_by_side_on_one_loop() -> None:
    arrived: list[asyncio.AbstractEventLoop] = []
    gate: list[asyncio.Future[None]] = []

    async def meet() -> None:
        loop = asyncio.get_running_loop()
        arrived.append(loop)
        if not gate:
            gate.append(loop.create_future())
        if len(arrived) == 8:
            gate[0].set_result(None)
        await gate[0]

    with started() as (background, _):
        threads = [threading.Thread(target=lambda: background.run(meet())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)

        assert not any(thread.is_alive() for thread in threads)
    assert len(set(arrived)) == 1


def test_error_of_the_work_is_raised_where_it_was_asked_for_and_the_next_work_runs() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with started() as (background, _):
        for _ in range(3):
            with pytest.raises(ValueError, match="no"):
                background.run(fail())

        assert background.run(double(4)) == 8


def test_last_work_runs_once_however_often_it_is_stopped() -> None:
    with started() as (background, last):
        background.run(double(1))
        background.stop()
        background.stop()

    assert last.runs == 1


def test_one_that_was_never_used_has_nothing_to_end() -> None:
    with started() as (_, last):
        pass

    assert last.runs == 0


def test_closed_one_refuses_work_and_leaves_none_unawaited() -> None:
    with started() as (background, _):
        pass

    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="closed"):
            background.run(double(1))


def test_work_that_is_under_way_at_the_end_fails_and_its_thread_goes_on() -> None:
    begun = threading.Event()
    failures: list[BaseException] = []

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    def ask(background: Background) -> None:
        try:
            background.run(wait())
        except RequestError as error:
            failures.append(error)

    with started() as (background, _):
        thread = threading.Thread(target=ask, args=(background,))
        thread.start()
        assert begun.wait(90)
        background.stop()
        thread.join(90)

    assert [str(failure) for failure in failures] == ["the client was closed"]


def test_work_that_asks_its_own_client_is_refused_and_does_not_wait_for_ever() -> None:
    with started() as (background, _):

        async def ask_again() -> None:
            background.run(double(1))

        async def stop_it() -> None:
            background.stop()

        for work in (ask_again, stop_it):
            with pytest.raises(LocalProtocolError, match="waits for the function"):
                background.run(work())
        assert background.run(double(2)) == 4


def test_interrupt_ends_the_work_and_not_the_client() -> None:
    ended = threading.Event()

    async def wait() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            ended.set()

    with started() as (background, _):
        with pytest.raises(KeyboardInterrupt):
            background.run(wait())

        assert ended.wait(90)
        assert background.run(double(3)) == 6


def test_unclosed_one_is_told_and_its_thread_ends() -> None:
    held = [Background(Last())]
    held[0].run(double(1))
    thread = named()[0]

    with pytest.warns(ResourceWarning, match="not closed"):
        held.clear()
    thread.join(90)

    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_child_is_told_that_the_client_is_its_parents_and_ends_nothing_of_it() -> None:
    with started() as (background, last):
        background.run(double(1))
        child = os.fork()
        if not child:
            try:
                background.run(double(1))
            except LocalProtocolError:
                background.stop()
                os._exit(7)
            finally:
                os._exit(1)
        deadline = time.monotonic() + 90
        while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
            time.sleep(0.01)
        if not ended[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(ended[1]) == 7
        assert last.runs == 0
        assert background.run(double(2)) == 4


def test_asynchronous_iterator_is_read_one_item_at_a_time() -> None:
    made: list[int] = []

    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            made.append(number)
            yield number

    with started() as (background, _):
        read = []
        for item in each(numbers(), background):
            read.append((item, len(made)))

    assert read == [(0, 1), (1, 2), (2, 3)]
