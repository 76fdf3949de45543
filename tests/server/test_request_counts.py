"""Numbers of requests."""

from __future__ import annotations

import time

import pytest

from headstart.server.request_counts import DURATIONS, RequestCounts


class Clock:
    """The time, as the test sets it."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_requests_are_counted_by_version_push_and_status_and_by_duration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, counts = Clock(), RequestCounts()
    monkeypatch.setattr(time, "perf_counter", clock.perf_counter)

    for version, pushed, status, seconds in (
        ("2", False, 200, 0.0),
        ("2", False, 200, DURATIONS[0]),
        ("2", True, 200, DURATIONS[0] * 1.01),
        ("1.1", False, 404, DURATIONS[-1] + 1),
    ):
        clock.now = seconds
        counts.ended(version, pushed, status, False, 0.0)

    assert counts.requests == {
        ("2", False, 200): 2,
        ("2", True, 200): 1,
        ("1.1", False, 404): 1,
    }
    assert counts.buckets == [2, 1, *[0] * (len(DURATIONS) - 2), 1]
    assert counts.seconds == DURATIONS[0] + DURATIONS[0] * 1.01 + DURATIONS[-1] + 1


def test_request_without_a_response_counts_as_failed_or_as_left() -> None:
    counts = RequestCounts()

    counts.ended("2", False, 0, False, time.perf_counter())
    counts.ended("2", False, 0, True, time.perf_counter())
    counts.ended("2", False, 206, True, time.perf_counter())

    assert counts.requests == {("2", False, code): 1 for code in (500, 499, 206)}
