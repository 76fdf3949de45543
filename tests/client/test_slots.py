"""How many streams may be open at once."""

from __future__ import annotations

import asyncio

import pytest

from headstart.client.errors import ClientTimeoutError, RequestError
from headstart.client.slots import Slots


def now() -> float:
    return asyncio.get_running_loop().time()


async def turns() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def test_places_go_to_those_who_wait_in_their_order() -> None:
    slots, got = Slots(), list[int]()
    slots.limit_to(1)
    assert slots.take_at_once()

    async def want(number: int) -> None:
        await slots.take(None, now)
        got.append(number)

    waiting = [asyncio.create_task(want(number)) for number in range(3)]
    await turns()
    assert not slots.take_at_once()
    slots.give_back()
    await turns()
    first = list(got)
    slots.limit_to(3)
    await asyncio.gather(*waiting)

    assert first == [0]
    assert got == [0, 1, 2]
    assert not slots.take_at_once()


async def test_lower_limit_takes_nothing_away_and_gives_nothing_out() -> None:
    slots = Slots()
    assert all(slots.take_at_once() for _ in range(3))
    slots.limit_to(1)
    waiting = asyncio.create_task(slots.take(None, now))
    await turns()

    slots.give_back()
    slots.give_back()
    await turns()
    early = waiting.done()
    slots.give_back()
    await waiting

    assert not early


@pytest.mark.parametrize("given", [False, True])
async def test_place_of_one_who_gave_up_goes_to_the_next(given: bool) -> None:
    slots = Slots()
    slots.limit_to(1)
    slots.take_at_once()
    one, two = (asyncio.create_task(slots.take(None, now)) for _ in range(2))
    await turns()

    if given:
        slots.give_back()
    one.cancel()
    if not given:
        await turns()
        slots.give_back()
    await two

    assert one.cancelled()


async def test_nothing_that_moves_times_out_and_what_moves_does_not() -> None:
    slots, moved = Slots(), [now()]
    slots.limit_to(0)
    begun = now()
    asyncio.get_running_loop().call_later(0.05, lambda: moved.append(now()))

    with pytest.raises(ClientTimeoutError, match=r"0\.08 s") as caught:
        await slots.take(0.08, lambda: moved[-1])

    assert caught.value.hint
    assert now() - begun >= 0.12


async def test_end_of_the_connection_is_told_to_all_who_wait() -> None:
    slots = Slots()
    slots.limit_to(0)
    waiting = [asyncio.create_task(slots.take(None, now)) for _ in range(3)]
    await turns()
    waiting[0].cancel()
    await turns()

    slots.close(RequestError("over", sent=False))
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(results[0], asyncio.CancelledError)
    assert [str(result) for result in results[1:]] == ["over", "over"]


async def test_one_who_gives_up_as_the_connection_ends_disturbs_nobody() -> None:
    slots = Slots()
    slots.limit_to(0)
    waiting = asyncio.create_task(slots.take(None, now))
    await turns()

    slots.close(RequestError("over", sent=False))
    waiting.cancel()

    with pytest.raises((asyncio.CancelledError, RequestError)):
        await waiting
    slots.limit_to(1)
    assert slots.take_at_once()
