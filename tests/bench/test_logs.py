"""The cost of a long log: that it is measured, and a missed figure is said."""

from __future__ import annotations

import sys

import pytest

from bench import logs
from bench.logs import Cost, Use


def test_log_is_read_and_played(capsys: pytest.CaptureFixture[str]) -> None:
    status = logs.main(200)

    printed = capsys.readouterr().out.splitlines()
    assert status in (0, 3)
    assert printed[0].startswith("200 lines: ")
    assert [line[:20].strip() for line in printed[1:]] == ["reading", "headstart replay"]


@pytest.mark.parametrize(
    ("uses", "status"),
    [
        ((Use(60.0, 75.0), Use(60.0, 75.0)), 0),
        ((Use(9.0, 9.0), Use(61.0, 9.0)), 3),
        ((Use(9.0, 75.0), Use(9.0, 76.0)), 3),
    ],
)
def test_figure_that_is_not_as_wanted_is_missed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    uses: tuple[Use, ...],
    status: int,
) -> None:
    monkeypatch.setattr(logs, "lines", lambda number: [])
    monkeypatch.setattr(logs, "cost_of", lambda name, command: Cost(name, 99.0, uses))

    assert logs.main() == status
    assert capsys.readouterr().out.count("missed") == (2 if status else 0)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are told apart by /proc")
def test_each_process_of_a_command_has_its_own_time_and_memory() -> None:
    busy = "import time\nwhile time.process_time() < 1: pass"
    holder = "import subprocess, sys; held = b'x' * (60 << 20); "
    holder += f"subprocess.run([sys.executable, '-c', {busy!r}])"

    first, second = logs.cost_of("two", [sys.executable, "-c", holder]).uses

    assert first.megabytes > 60 > second.megabytes
    assert first.seconds < second.seconds


def test_command_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ended with 7"):
        logs.cost_of("failing", [sys.executable, "-c", "raise SystemExit(7)"])


def test_log_has_as_many_lines_as_were_asked_for() -> None:
    assert [len(list(logs.lines(number))) for number in (0, 1, 500)] == [0, 1, 500]
