"""One exchange by itself: what waits is woken, what is read is given back."""

from __future__ import annotations

import asyncio

import pytest

from headstart.client.errors import ClientTimeoutError, RequestError
from headstart.client.response_stream import ResponseStream
from headstart.client.stalls import StallTimeouts
from tests.clock import timeless


class Owner:
    """Remembers what an exchange asks of its connection."""

    def __init__(self) -> None:
        self.stall_timeouts = StallTimeouts(asyncio.get_running_loop())
        self.given_back: list[tuple[int, int]] = []
        self.cancelled = 0

    def extra_info(self, name: str) -> str:
        return f"the {name}"

    def give_back(self, stream_id: int, amount: int) -> None:
        self.given_back.append((stream_id, amount))

    def cancel(self, exchange: ResponseStream) -> None:
        del exchange
        self.cancelled += 1


def exchange(owner: Owner, parent: int = 0) -> ResponseStream:
    return ResponseStream(owner, 1, "GET", "/", asyncio.get_running_loop().time(), parent)


async def test_response_is_read_once_it_has_ended_and_its_parts_were_taken() -> None:
    one = exchange(Owner())
    steps = [one.is_read]

    one.respond(200, [], 0.0)
    one.feed(b"part", 0.0)
    steps.append(one.is_read)
    one.end(0.0)
    steps.append(one.is_read)
    one.take_part()

    assert (steps, one.is_read) == ([False, False, False], True)


async def test_window_is_given_back_when_a_part_is_read_and_not_before() -> None:
    owner = Owner()
    one = exchange(owner)

    one.feed(b"abc", 1.0)
    unread = one.unread
    assert owner.given_back == []
    assert await one.next_part(None) == b"abc"

    assert unread == 3
    assert owner.given_back == [(1, 3)]
    assert one.unread == 0


async def test_what_was_given_back_before_is_not_given_back_again() -> None:
    owner = Owner()
    one = exchange(owner, parent=3)
    for chunk in (b"abc", b"defg", b"hi"):
        one.feed(chunk, 1.0)
    one.given_back = 5

    assert await one.next_part(None) == b"abcdefghi"

    assert owner.given_back == [(1, 4)]
    one.feed(b"jk", 1.0)
    assert await one.next_part(None) == b"jk"
    assert owner.given_back == [(1, 4), (1, 2)]


async def test_a_part_of_which_all_was_given_back_asks_nothing_of_the_connection() -> None:
    owner = Owner()
    one = exchange(owner, parent=3)
    one.feed(b"abc", 1.0)
    one.given_back = 3

    assert await one.next_part(None) == b"abc"

    assert owner.given_back == []


async def test_what_came_before_an_error_can_be_read() -> None:
    one = exchange(Owner())
    one.feed(b"abc", 1.0)
    one.fail(RequestError("gone"), 1.0)

    assert await one.next_part(None) == b"abc"
    with pytest.raises(RequestError):
        await one.next_part(None)


async def test_error_after_the_end_changes_nothing() -> None:
    one = exchange(Owner())
    one.end(1.0)

    one.fail(RequestError("late"), 1.0)

    assert await one.next_part(None) == b""


async def test_first_error_is_the_one_that_is_told() -> None:
    one = exchange(Owner())

    one.fail(RequestError("first"), 1.0)
    one.fail(RequestError("second"), 1.0)

    with pytest.raises(RequestError, match="first"):
        await one.response_begun(None)


async def test_all_who_wait_are_woken() -> None:
    one = exchange(Owner())
    waiting = [asyncio.create_task(one.response_begun(None)) for _ in range(3)]
    await asyncio.sleep(0)

    one.respond(200, [], 1.0)

    await asyncio.gather(*waiting)


@timeless
async def test_time_out_counts_from_the_last_thing_that_moved() -> None:
    one = exchange(Owner())
    loop = asyncio.get_running_loop()
    begun = loop.time()
    loop.call_later(0.05, lambda: setattr(one, "progress", loop.time()))

    with pytest.raises(ClientTimeoutError, match=r"0\.08 s"):
        await one.response_begun(0.08)

    assert loop.time() - begun == pytest.approx(0.13)


async def test_who_asks_late_is_told_of_what_came_before() -> None:
    one = exchange(Owner())
    told: list[int] = []
    one.inform(103, [], 1.0)

    one.tell(lambda status, _: told.append(status))
    one.inform(104, [], 2.0)

    assert told == [103, 104]


async def test_many_frames_are_few_parts_and_the_window_is_given_back_with_each() -> None:
    owner = Owner()
    one = exchange(owner)
    frames = [bytes([number]) * 16 * 1024 for number in range(10)]
    for frame in frames:
        one.feed(frame, 1.0)

    first = await one.next_part(None)
    meanwhile, unread = list(owner.given_back), one.unread
    second = await one.next_part(None)

    assert (first, second) == (b"".join(frames[:6]), b"".join(frames[6:]))
    assert meanwhile == [(1, 96 * 1024)]
    assert unread == 64 * 1024
    assert owner.given_back == [(1, 96 * 1024), (1, 64 * 1024)]
    assert one.unread == 0


async def test_a_frame_larger_than_a_part_is_not_cut() -> None:
    one = exchange(Owner())
    one.feed(bytes(200_000), 1.0)
    one.feed(b"abc", 1.0)

    assert [await one.next_part(None) for _ in range(2)] == [bytes(200_000), b"abc"]
