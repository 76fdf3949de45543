"""The learner's memory under a million distinct URLs and Referers, measured."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from headstart.learn import Learner, LearnOptions, Request
from tests.learn.site import HTML, ORIGIN, asset_answer

LIMIT = 16 * 1024 * 1024
_ANSWER = asset_answer("/a.css")


def _flood(learner: Learner, requests: int, length: int) -> None:
    """Distinct pages with distinct assets: each URL and each Referer is a new one, and so is each
    client and its user agent, now and then."""
    filler = "x" * length
    for number in range(requests // 4):
        now = number * 0.01
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        path = f"/{number % 97}/p{number}{filler}"
        agent = f"agent {number} {filler}"
        page = Request(ORIGIN, path, address, user_agent=agent, destination="document")
        learner.complete(page, HTML, learner.begin(page, now), now)
        for asset in range(3):
            request = Request(
                origin=ORIGIN,
                target=f"/s/{number}/{asset}{filler}.css",
                address=address,
                user_agent=agent,
                referer=ORIGIN + path,
                destination="style",
            )
            learner.complete(request, _ANSWER, None, now)
        if number % 100 == 0:
            learner.sync(now)


def _taken(requests: int, length: int) -> tuple[int, int]:
    """Bytes at the end, and at most at any time."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        learner = Learner(LearnOptions())
        _flood(learner, requests, length)
        after, peak = tracemalloc.get_traced_memory()
        return after - before, peak - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [0, 60, 1900])
def test_a_flood_of_distinct_urls_and_referers_stays_within_the_bound(length: int) -> None:
    taken, peak = _taken(40_000, length)

    assert taken <= LIMIT
    assert peak <= LIMIT


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_million_distinct_urls_and_referers_stay_within_the_bound() -> None:
    _, peak = _taken(1_000_000, 20)

    assert peak <= LIMIT
