"""Limits that the engine leaves to us."""

from __future__ import annotations

from headstart.config import WireLimits
from headstart.reasons import Closing
from headstart.wire.guard import Guard, TokenBucket


def test_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(burst=3, rate=2, now=0.0)

    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(1.0) for _ in range(3)] == [True, True, False]


def test_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(burst=2, rate=100, now=0.0)

    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]


def test_guard_allows_the_burst_of_control_frames_and_no_more() -> None:
    guard = Guard(WireLimits(max_control_rate=10), 0.0)

    answers = [guard.control_frame(0.0) for _ in range(21)]

    assert answers[:20] == [None] * 20
    assert answers[20] == Closing.CONTROL_FLOOD


def test_resets_are_forgiven_within_a_minute() -> None:
    guard = Guard(WireLimits(max_resets=60), 0.0)
    spent = [guard.reset(0.0) for _ in range(61)]

    assert spent[-1] == Closing.RESET_FLOOD
    assert [guard.reset(1.0), guard.reset(1.0)] == [None, Closing.RESET_FLOOD]
    assert [guard.reset(60.0) for _ in range(50)] == [None] * 50
