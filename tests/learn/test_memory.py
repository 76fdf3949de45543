"""The learner's memory under a million distinct URLs and Referers, measured."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from headstart.learn import Learner, LearnOptions, Request
from tests.learn.site import HTML, ORIGIN, asset_answer

LIMIT = 16 * 1024 * 1024
_ANSWER = asset_answer("/a.css")


def _flood(learner: Learner, requests: int, length: int, assets: int) -> None:
    """Distinct pages with so many distinct assets each: every URL and every Referer is a new one,
    and so is every client and its user agent."""
    filler = "x" * length
    for number in range(requests // (assets + 1)):
        now = number * 0.01
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        path = f"/{number % 97}/p{number}{filler}"
        agent = f"agent {number} {filler}"
        page = Request(ORIGIN, path, address, user_agent=agent, destination="document")
        learner.complete(page, HTML, learner.begin(page, now), now)
        for asset in range(assets):
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
            learner.begin(page, now)


def _taken(requests: int, length: int, assets: int) -> tuple[int, int]:
    """Bytes at the end, and at most at any time."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        learner = Learner(LearnOptions())
        _flood(learner, requests, length, assets)
        after, peak = tracemalloc.get_traced_memory()
        return after - before, peak - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [20, 1900])
def test_a_flood_of_distinct_urls_and_referers_stays_within_the_bound(length: int) -> None:
    taken, peak = _taken(22_000, length, assets=20)

    assert 2_000_000 < taken <= LIMIT
    assert peak <= LIMIT


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_million_distinct_urls_and_referers_stay_within_the_bound() -> None:
    _, peak = _taken(1_000_000, 20, assets=3)

    assert peak <= LIMIT
