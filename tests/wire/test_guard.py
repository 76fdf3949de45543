"""Limits that the engine leaves to us."""

from __future__ import annotations

import tracemalloc

import pytest

from headstart.config import WireLimits
from headstart.reasons import Closing
from headstart.wire.frame_checks import ClientFrameChecker
from headstart.wire.guard import FREE_WINDOW_UPDATES, RequestGuard, TokenBucket


def guarding(**limits: int) -> RequestGuard:
    """A guard at time 0, beside a checker that nobody feeds."""
    return RequestGuard(WireLimits(**limits), ClientFrameChecker({}, FREE_WINDOW_UPDATES), 0.0)


@pytest.mark.cost
def test_a_connections_guard_is_small_and_stays_so_however_many_streams_are_opened() -> None:
    checker = ClientFrameChecker({}, FREE_WINDOW_UPDATES)
    tracemalloc.start()
    try:
        begin = tracemalloc.get_traced_memory()[0]
        guard = RequestGuard(WireLimits(), checker, 0.0)
        idle = tracemalloc.get_traced_memory()[0] - begin
        for turn in range(5000):
            checker.last = 2 * turn + 1
            guard.opened(turn / 10)
        busy = tracemalloc.get_traced_memory()[0] - begin
    finally:
        tracemalloc.stop()

    assert idle < 1000  # a deque alone takes 760
    assert busy < 6000


def test_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(burst=3, rate=2, now=0.0)

    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(1.0) for _ in range(3)] == [True, True, False]


def test_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(burst=2, rate=100, now=0.0)

    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]


def test_guard_allows_the_burst_of_control_frames_and_no_more() -> None:
    guard = guarding(max_control_rate=10)

    answers = [guard.control_frame(0.0, 0, 0) for _ in range(21)]

    assert answers[:20] == [None] * 20
    assert answers[20] == Closing.CONTROL_FLOOD


@pytest.mark.parametrize(
    ("last", "sends", "moved"),
    [(0, 1, 0), (2, 0, 0), (0, 0, 4096)],
    ids=["a part of a body", "a request", "bytes"],
)
def test_two_pings_for_all_that_is_useful_are_free(last: int, sends: int, moved: int) -> None:
    guard = guarding(max_control_rate=10)
    guard.checker.last = -1
    answers = []

    for turn in range(1, 1001):
        guard.checker.last = -1 + turn * last
        for _ in range(2):
            answers.append(guard.control_frame(0.0, turn * sends, turn * moved))

    assert answers == [None] * 2000
    assert [guard.control_frame(0.0, 1000 * sends, 1000 * moved) for _ in range(20)] == [
        *[None] * 19,
        Closing.CONTROL_FLOOD,
    ]


def test_pings_that_were_earned_are_not_kept_beyond_the_burst() -> None:
    guard = guarding(max_control_rate=10)
    guard.control_frame(0.0, 1000, 0)

    answers = [guard.control_frame(0.0, 1000, 0) for _ in range(21)]

    assert answers == [*[None] * 20, Closing.CONTROL_FLOOD]


def test_resets_are_forgiven_within_half_a_minute() -> None:
    guard = guarding(max_resets=60)
    spent = [guard.reset(1, 0.0, 0) for _ in range(61)]

    assert spent == [*[None] * 60, Closing.RESET_FLOOD]
    assert [guard.reset(1, 1.0, 0) for _ in range(3)] == [None, None, Closing.RESET_FLOOD]
    assert [guard.reset(1, 31.0, 0) for _ in range(60)] == [None] * 60


def test_each_request_that_is_answered_pays_for_a_reset() -> None:
    guard = guarding(max_resets=60)

    assert [guard.reset(1, 0.0, turn) for turn in range(1000)] == [None] * 1000
    assert [guard.reset(1, 0.0, 999) for _ in range(60)] == [*[None] * 59, Closing.RESET_FLOOD]


def test_request_that_was_given_up_after_a_while_costs_a_quarter() -> None:
    guard = guarding(max_resets=60)
    for turn in range(1000):  # streams 1 to 1999, one a millisecond
        guard.checker.last = 2 * turn + 1
        guard.opened(turn / 1000)

    # Stream 1899 is 0.05 s old, those behind it are younger.
    old = [guard.reset(1899, 1.0, 0) for _ in range(200)]
    young = [guard.reset(1905, 1.0, 0) for _ in range(11)]

    assert old == [None] * 200
    assert young == [*[None] * 10, Closing.RESET_FLOOD]


def test_mistakes_cost_more_than_resets_and_large_requests_by_their_size() -> None:
    guards = [guarding(max_resets=60) for _ in range(3)]

    assert [guards[0].mistake(0.0) for _ in range(13)] == [*[None] * 12, Closing.RESET_FLOOD]
    assert [guards[1].refused(0.0) for _ in range(61)] == [*[None] * 60, Closing.RESET_FLOOD]
    assert [guards[2].too_large(0.0, 1000) for _ in range(6)] == [
        *[None] * 5,
        Closing.RESET_FLOOD,
    ]


def test_useless_frames_have_a_bucket_of_their_own_that_requests_fill() -> None:
    guard = guarding(max_control_rate=10)
    checker = guard.checker

    checker.useless = 20
    assert guard.judge(0.0, 0, 0) is None
    checker.last, checker.useless = 19, 20  # ten requests
    assert guard.judge(0.0, 0, 0) is None
    checker.useless = 1

    assert guard.judge(0.0, 0, 0) is Closing.USELESS_FRAMES


@pytest.mark.parametrize(
    ("last", "sends", "written", "allowed"),
    [(-1, 0, 0, 100), (1, 0, 0, 110), (1, 5, 0, 160), (1, 0, 40_960, 210)],
    ids=["nothing", "a request", "parts of a body", "bytes"],
)
def test_windows_may_be_opened_ten_times_for_each_part_worth_sending(
    last: int, sends: int, written: int, allowed: int
) -> None:
    guard = guarding()
    checker = guard.checker
    checker.last = last

    checker.window_updates = allowed
    enough = guard.judge(0.0, sends, written)
    checker.window_updates += 1

    assert enough is None
    assert guard.judge(0.0, sends, written) is Closing.WINDOW_FLOOD
