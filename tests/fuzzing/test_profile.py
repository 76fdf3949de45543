"""How often is asked for, on the command line of a user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzzing.profile import _wanted

ROOT = Path(__file__).parents[2]


def test_number_of_runs_is_the_users() -> None:
    assert [_wanted(text) for text in ("0", "20000")] == [0, 20000]


@pytest.mark.parametrize("text", ["x", "", "-1", "1.5"])
def test_anything_else_is_a_mistake(text: str) -> None:
    with pytest.raises(pytest.UsageError, match=f"FUZZ_RUNS={text} is not a number of runs"):
        _wanted(text)


def test_mistake_is_told_in_one_line() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/fuzzing"],
        cwd=ROOT,
        env={**os.environ, "FUZZ_RUNS": "x"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == pytest.ExitCode.USAGE_ERROR
    assert said.stderr.strip() == "ERROR: FUZZ_RUNS=x is not a number of runs, such as 20000"
    assert said.stdout == ""
