"""Numbers of requests."""

from __future__ import annotations

from headstart.observe.counts import DURATIONS, RequestCounts


def test_requests_are_counted_by_version_push_and_status_and_by_duration() -> None:
    counts = RequestCounts()

    counts.add("2", False, 200, 0.0)
    counts.add("2", False, 200, DURATIONS[0])
    counts.add("2", True, 200, DURATIONS[0] * 1.01)
    counts.add("1.1", False, 404, DURATIONS[-1] + 1)

    assert counts.requests == {
        ("2", False, 200): 2,
        ("2", True, 200): 1,
        ("1.1", False, 404): 1,
    }
    assert counts.buckets == [2, 1, *[0] * (len(DURATIONS) - 2), 1]
    assert counts.seconds == DURATIONS[0] * 2.01 + DURATIONS[-1] + 1
