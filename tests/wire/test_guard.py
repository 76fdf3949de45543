"""Limits that the engine leaves to us."""

from __future__ import annotations

import pytest

from headstart.config import WireLimits
from headstart.reasons import Closing
from headstart.wire.guard import FREE_WINDOW_UPDATES, RequestGuard, TokenBucket
from headstart.wire.walker import RequestWalker


def guarding(**limits: int) -> RequestGuard:
    """A guard at time 0, beside a walker that nobody feeds."""
    return RequestGuard(WireLimits(**limits), RequestWalker({}, FREE_WINDOW_UPDATES, 256), 0.0)


def test_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(burst=3, rate=2, now=0.0)

    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(1.0) for _ in range(3)] == [True, True, False]


def test_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(burst=2, rate=100, now=0.0)

    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]


def test_guard_allows_the_burst_of_control_frames_and_no_more() -> None:
    guard = guarding(max_control_rate=10)

    answers = [guard.control_frame(0.0) for _ in range(21)]

    assert answers[:20] == [None] * 20
    assert answers[20] == Closing.CONTROL_FLOOD


def test_resets_are_forgiven_within_a_minute() -> None:
    guard = guarding(max_resets=60)
    spent = [guard.reset(0.0) for _ in range(61)]

    assert spent[-1] == Closing.RESET_FLOOD
    assert [guard.reset(1.0), guard.reset(1.0)] == [None, Closing.RESET_FLOOD]
    assert [guard.reset(60.0) for _ in range(50)] == [None] * 50


def test_useless_frames_have_a_bucket_of_their_own_that_requests_fill() -> None:
    guard = guarding(max_control_rate=10)
    walker = guard.walker

    walker.useless = 20
    assert guard.judge(0.0, 0, 0) is None
    walker.last, walker.useless = 19, 20  # ten requests
    assert guard.judge(0.0, 0, 0) is None
    walker.useless = 1

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
    walker = guard.walker
    walker.last = last

    walker.window_updates = allowed
    enough = guard.judge(0.0, sends, written)
    walker.window_updates += 1

    assert enough is None
    assert guard.judge(0.0, sends, written) is Closing.WINDOW_FLOOD


def test_thousand_small_data_frames_within_ten_seconds_are_too_many() -> None:
    guard = guarding()
    walker = guard.walker

    walker.data_frames, walker.data_bytes = 1000, 256_000
    large = guard.judge(0.0, 0, 0)
    walker.data_frames, walker.data_bytes = 1000, 255_999
    slow = guard.judge(10.0, 0, 0)
    walker.data_frames, walker.data_bytes = 1000, 255_999

    assert (large, slow) == (None, None)
    assert guard.judge(19.9, 0, 0) is Closing.SMALL_DATA
