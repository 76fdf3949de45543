"""How long to fuzz.

Reads FUZZ_RUNS. Without it a test runs as often as it says itself, with the same examples every
time, so that a failure in CI is one at every desk. With it (`make fuzz`) each test runs that often,
with new examples, and a failure prints what repeats it.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings


def _wanted(text: str) -> int:
    """Runs that the user asks for; 0 for as many as each test says."""
    if not text.isdecimal():
        raise pytest.UsageError(f"FUZZ_RUNS={text} is not a number of runs, such as 20000")
    return int(text)


WANTED = _wanted(os.environ.get("FUZZ_RUNS", "0"))


def fuzzing(runs: int) -> settings:
    """Settings of a test that runs `runs` times where nothing else is asked for."""
    return settings(
        max_examples=WANTED or runs,
        derandomize=not WANTED,
        print_blob=True,
        # A slow machine is not a failure; a loop without end is ended by pytest-timeout.
        deadline=timedelta(seconds=20),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
