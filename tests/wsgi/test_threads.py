"""The threads that call a WSGI application."""

from __future__ import annotations

import threading

from headstart.wsgi.threads import ThreadPool
from tests.server.live import PATIENCE, until


def test_calls_beyond_the_threads_wait_for_their_turn_in_order() -> None:
    pool = ThreadPool(1)
    begun, leave, done = threading.Event(), threading.Event(), threading.Event()
    order: list[int] = []

    def first() -> None:
        begun.set()
        assert leave.wait(PATIENCE)
        order.append(1)

    def second() -> None:
        order.append(2)

    def third() -> None:
        order.append(3)
        done.set()

    assert pool.submit(first)
    assert begun.wait(PATIENCE)
    assert not pool.submit(second)
    assert not pool.submit(third)
    leave.set()
    assert done.wait(PATIENCE)

    assert order == [1, 2, 3]


def test_call_that_waits_can_be_taken_back_and_one_that_began_cannot() -> None:
    pool = ThreadPool(1)
    begun, leave = threading.Event(), threading.Event()
    called: list[int] = []

    def first() -> None:
        begun.set()
        assert leave.wait(PATIENCE)

    def second() -> None:
        called.append(2)

    pool.submit(first)
    assert begun.wait(PATIENCE)
    pool.submit(second)

    assert pool.withdraw(second)
    assert not pool.withdraw(second)
    assert not pool.withdraw(first)
    leave.set()
    last = threading.Event()
    pool.submit(last.set)
    assert last.wait(PATIENCE)
    assert called == []


def test_thread_that_is_idle_is_used_again() -> None:
    pool = ThreadPool(5)
    names: set[str] = set()

    for _ in range(3):
        done = threading.Event()

        def call(done: threading.Event = done) -> None:
            names.add(str(threading.get_ident()))
            done.set()

        until(lambda: pool._idle == pool._threads, "an idle thread")
        assert pool.submit(call)
        assert done.wait(PATIENCE)

    assert len(names) == 1


def test_threads_end_with_the_process() -> None:
    pool = ThreadPool(1)
    daemons: list[bool] = []
    done = threading.Event()

    def call() -> None:
        daemons.append(threading.current_thread().daemon)
        done.set()

    pool.submit(call)
    assert done.wait(PATIENCE)

    assert daemons == [True]
