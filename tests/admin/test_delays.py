"""How late an event loop runs what is due."""

from __future__ import annotations

import asyncio
from typing import cast

from headstart.admin.delays import Delays
from headstart.admin.metrics import DELAYS
from tests.clock import ClockLoop, timeless


def the_clock() -> ClockLoop:
    return cast(ClockLoop, asyncio.get_running_loop())


@timeless
async def test_delays_are_counted_in_the_buckets_of_the_metric() -> None:
    delays, loop = Delays(), the_clock()
    delays.start(loop)

    await asyncio.sleep(0.35)
    punctual = delays.numbers()
    delays.stop()

    assert len(punctual) == len(DELAYS) + 2
    assert (punctual[0], sum(punctual[1:-1])) == (3, 0)
    assert punctual[-1] < 1e-6


@timeless
async def test_loop_that_is_held_up_is_late_by_as_much() -> None:
    delays, loop = Delays(), the_clock()
    delays.start(loop)

    loop._clock.now += 3.1  # what runs holds the loop up
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    delays.stop()

    numbers = delays.numbers()
    assert numbers[-2] == 1
    assert 2.9 < numbers[-1] < 3.1


@timeless
async def test_nothing_is_counted_after_the_end() -> None:
    delays, loop = Delays(), the_clock()
    delays.stop()
    delays.start(loop)
    delays.stop()

    await asyncio.sleep(1)

    assert sum(delays.numbers()) == 0
    assert loop.timers == []
