"""The learner's memory under a flood of distinct URLs and Referers, measured."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from headstart.learn import Learner, LearnOptions
from tests.learn.flood import flood

pytestmark = pytest.mark.cost
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
