"""The cost of a long log: that it is measured, and a missed figure is said."""

from __future__ import annotations

import sys

import pytest

from bench import logs
from bench.logs import Cost


def test_log_is_read_and_played(capsys: pytest.CaptureFixture[str]) -> None:
    status = logs.main(200)

    printed = capsys.readouterr().out.splitlines()
    assert status in (0, 3)
    assert printed[0].startswith("200 lines: ")
    assert [line[:20].strip() for line in printed[1:]] == ["reading", "headstart replay"]


@pytest.mark.parametrize(
    ("seconds", "megabytes", "status"), [(60.0, 150.0, 0), (61.0, 9.0, 3), (9.0, 151.0, 3)]
)
def test_figure_that_is_not_as_wanted_is_missed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds: float,
    megabytes: float,
    status: int,
) -> None:
    monkeypatch.setattr(logs, "lines", lambda number: [])
    monkeypatch.setattr(logs, "cost_of", lambda name, command: Cost(name, seconds, megabytes))

    assert logs.main() == status
    assert capsys.readouterr().out.count("missed") == (2 if status else 0)


def test_command_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ended with 7"):
        logs.cost_of("failing", [sys.executable, "-c", "raise SystemExit(7)"])


def test_log_has_as_many_lines_as_were_asked_for() -> None:
    assert [len(list(logs.lines(number))) for number in (0, 1, 500)] == [0, 1, 500]
