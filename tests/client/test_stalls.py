"""Waits end when nothing has moved for their time-out, and not before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from headstart.client.errors import ClientTimeoutError, Phase
from headstart.client.stalls import StallTimeouts
from tests.clock import timeless


@dataclass
class Asked:
    """A request under way."""

    method: str = "GET"
    target: str = "/"
    progress: float = 0.0
    paused: bool = False
    phase: Phase = Phase.RESPONSE


async def wait(stall_timeouts: StallTimeouts, what: Asked, timeout: float) -> float:
    """Wait in vain; seconds that it took."""
    loop = asyncio.get_running_loop()
    begun, waiter = loop.time(), loop.create_future()
    stall_timeouts.begin(waiter, what, timeout)
    try:
        with pytest.raises(ClientTimeoutError):
            await waiter
    finally:
        stall_timeouts.end(waiter)
    return loop.time() - begun


def timeouts_of_this_loop() -> StallTimeouts:
    return StallTimeouts(asyncio.get_running_loop())


def timers() -> int:
    """Timers that will fire."""
    scheduled: list[asyncio.TimerHandle] = vars(asyncio.get_running_loop())["_scheduled"]
    return sum(not timer.cancelled() for timer in scheduled)


@timeless
async def test_what_does_not_move_is_given_up_with_its_name() -> None:
    stall_timeouts = timeouts_of_this_loop()
    waiter = asyncio.get_running_loop().create_future()

    stall_timeouts.begin(waiter, Asked("POST", "/slow"), 0.01)

    with pytest.raises(ClientTimeoutError, match=r"no answer to POST /slow within 0\.01 s"):
        await waiter


@timeless
async def test_each_wait_has_its_own_time_out_whichever_began_first() -> None:
    stall_timeouts = timeouts_of_this_loop()

    took = await asyncio.gather(
        wait(stall_timeouts, Asked(), 0.15),
        wait(stall_timeouts, Asked(), 0.05),
        wait(stall_timeouts, Asked(), 0.1),
    )

    assert took == pytest.approx([0.15, 0.05, 0.1])
    assert timers() == 0


@timeless
async def test_what_moves_begins_anew() -> None:
    stall_timeouts, what, loop = timeouts_of_this_loop(), Asked(), asyncio.get_running_loop()
    loop.call_later(0.05, lambda: setattr(what, "progress", loop.time()))

    took = await wait(stall_timeouts, what, 0.08)

    assert took == pytest.approx(0.13)


@timeless
async def test_what_the_caller_holds_up_is_not_given_up() -> None:
    stall_timeouts, what, loop = (
        timeouts_of_this_loop(),
        Asked(paused=True),
        asyncio.get_running_loop(),
    )
    loop.call_later(0.1, lambda: setattr(what, "paused", False))

    took = await wait(stall_timeouts, what, 0.04)

    assert took == pytest.approx(0.1, abs=0.04)


@timeless
async def test_many_waits_one_after_the_other_share_one_timer() -> None:
    stall_timeouts, loop = timeouts_of_this_loop(), asyncio.get_running_loop()

    for _ in range(100):
        waiter = loop.create_future()
        stall_timeouts.begin(waiter, Asked(), 10.0)
        stall_timeouts.end(waiter)

    assert timers() == 1
    stall_timeouts.stop()
    assert timers() == 0


@timeless
async def test_a_wait_that_has_ended_is_left_alone() -> None:
    stall_timeouts, loop = timeouts_of_this_loop(), asyncio.get_running_loop()
    waiter = loop.create_future()
    stall_timeouts.begin(waiter, Asked(), 0.01)
    waiter.set_result(None)

    await wait(stall_timeouts, Asked(), 0.05)
    stall_timeouts.end(waiter)

    assert waiter.result() is None


@timeless
async def test_no_end_is_no_time_out() -> None:
    stall_timeouts = timeouts_of_this_loop()
    waiter = asyncio.get_running_loop().create_future()

    stall_timeouts.begin(waiter, Asked(), float("inf"))

    assert timers() == 0
    stall_timeouts.end(waiter)


@timeless
async def test_time_out_that_is_no_number_holds_up_nobody_else() -> None:
    stall_timeouts, loop = timeouts_of_this_loop(), asyncio.get_running_loop()
    wrong: Any = "5"
    with pytest.raises(TypeError):
        stall_timeouts.begin(loop.create_future(), Asked(), wrong)

    assert await wait(stall_timeouts, Asked(), 0.05) == pytest.approx(0.05)
