"""How long pages take to answer."""

from __future__ import annotations

import pytest

from headstart.middleware.think_times import ThinkTimes


def test_think_time_follows_the_last_answers() -> None:
    times = ThinkTimes()
    unknown = times.of("/")
    times.add("/", 1.0)
    first = times.of("/")
    for _ in range(20):
        times.add("/", 0.2)

    assert (unknown, first) == (None, 1.0)
    assert times.of("/") == pytest.approx(0.2, abs=0.01)


def test_think_times_of_the_pages_seen_last_are_kept() -> None:
    times = ThinkTimes(max_pages=2)
    for page in ("/a", "/b", "/a", "/c"):
        times.add(page, 0.1)

    assert [times.of(page) is None for page in ("/a", "/b", "/c")] == [False, True, False]
