"""The learner's memory under a flood of distinct URLs and Referers, measured."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from headstart.learn import Learner, LearnOptions, Metric, Report, Vote
from headstart.learn.gains import Durations
from headstart.learn.urls import origin_and_path
from tests.learn.flood import flood

# Tracing each allocation, with coverage beside it, takes minutes on a busy machine.
pytestmark = [pytest.mark.cost, pytest.mark.timeout(900)]
LIMIT = 16 * 1024 * 1024


def _taken(requests: int, length: int, assets: int) -> tuple[int, int]:
    """Bytes at the end, and at most at any time."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        learner = Learner(LearnOptions())
        flood(learner, requests, length, assets)
        after, peak = tracemalloc.get_traced_memory()
        return after - before, peak - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [20, 1900])
def test_a_flood_of_distinct_urls_and_referers_stays_within_the_bound(length: int) -> None:
    taken, peak = _taken(22_000, length, assets=20)

    assert 2_000_000 < taken <= LIMIT
    assert peak <= LIMIT


@pytest.mark.parametrize(
    "metrics", [(Metric.BLOCKING, Metric.LOADED), (Metric.FCP, Metric.LCP, Metric.LOAD)]
)
def test_durations_take_no_more_than_they_say(metrics: tuple[Metric, ...]) -> None:
    chance = random.Random(1)
    _durations(metrics, chance)  # coverage keeps something for each line that it sees first
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [_durations(metrics, chance) for _ in range(10)]
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert taken <= sum(each.bytes for each in kept) <= 2 * taken


def _durations(metrics: tuple[Metric, ...], chance: random.Random) -> Durations:
    """Durations of voters with large numbers, spread over all buckets."""
    made = Durations()
    for _ in range(300):
        for control in (False, True):
            seconds = {metric: chance.lognormvariate(-1, 2) for metric in metrics}
            reported = Metric.LCP in metrics
            made.add(seconds, chance.getrandbits(62), 1.0, control=control, reported=reported)
    return made


def test_a_map_with_durations_of_all_its_pages_stays_within_the_bound() -> None:
    learner = Learner(LearnOptions(max_bytes=LIMIT // 2))
    chance = random.Random(2)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        flood(learner, 3000, 80, 2)
        for page in {row.page for row in learner.rows()}:
            _measure(learner, page, chance)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert any(gain.page.count("/") > 2 for gain in learner.gains())
    assert taken <= LIMIT // 2


def _measure(learner: Learner, page: str, chance: random.Random) -> None:
    """Views and reports of a page, spread over all buckets."""
    origin, path = origin_and_path(page)
    for voter in range(12):
        control, seconds = voter % 2 == 0, chance.lognormvariate(-1, 4)
        timed = Vote(1e9, origin, path, voter, control=control, blocking=seconds, loaded=seconds)
        report = Report(1e9, origin, path, voter, control, seconds, seconds, seconds)
        learner.absorb([timed, report])


@pytest.mark.slow
def test_process_that_learns_grows_by_no_more_than_the_bound() -> None:
    """Of resident memory, in which the waste of the allocator counts too."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.learn.flood", "100000"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )

    assert 2_000_000 < int(done.stdout) <= LIMIT
