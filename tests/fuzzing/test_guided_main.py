"""The command around the engine; the engine's words are libFuzzer's own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.fuzzing.guided import __main__ as command

Engine: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

_QUIET = "INFO: seed corpus: files: 5\n#4096\tpulse\nDone 5120 runs in 1 second(s)\n"
_FOUND = """\
 === Uncaught Python exception: ===
ValueError: too short
artifact_prefix='x/links-'; Test unit written to x/links-crash-0a
"""


@pytest.fixture(autouse=True)
def _with_atheris(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: name)
    monkeypatch.setattr(command, "FOUND", tmp_path)


def engine(code: int, words: str, calls: list[tuple[str, ...]] | None = None) -> Engine:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        if calls is not None:
            calls.append(arguments)
        return subprocess.CompletedProcess(list(arguments), code, "", words)

    return run


def test_each_target_gets_its_time_and_its_seeds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(command, "_engine", engine(0, _QUIET, calls))

    assert command.main(["--seconds", "3"]) == 0

    assert [name for name, *_ in calls] == list(command.NAMES)
    assert all("-max_total_time=3" in arguments for arguments in calls)
    assert all(arguments[-1] == str(command.CORPUS / arguments[0]) for arguments in calls)
    assert "fuzz: links: 5120 runs, nothing found" in capsys.readouterr().out


def test_finding_is_shown_with_what_repeats_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_engine", engine(77, _FOUND))

    assert command.main(["links"]) == 1

    said = capsys.readouterr()
    assert "ValueError: too short" in said.err
    assert (
        "repeat with `python -m tests.fuzzing.guided links --repeat x/links-crash-0a`" in said.out
    )


def test_engine_that_does_not_start_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_engine", engine(1, "ImportError: no wheel"))

    assert command.main(["links"]) == 1

    said = capsys.readouterr()
    assert "ended with 1" in said.out
    assert "ImportError" in said.err


@pytest.mark.parametrize("code", [0, 77])
def test_repeating_one_input_says_how_it_went(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(command, "_engine", engine(code, "", calls))
    file = tmp_path / "crash"

    assert command.main(["links", "--repeat", str(file)]) == bool(code)

    assert calls == [("links", str(file))]


@pytest.mark.parametrize("arguments", [["nothing"], ["--repeat", "x"]])
def test_wrong_call_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)

    assert ended.value.code == 2
    assert "target" in capsys.readouterr().err


def test_without_atheris_it_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)

    assert command.main([]) == 1

    assert "tools/setup fuzz" in capsys.readouterr().err


def test_engine_runs_in_a_process_of_its_own() -> None:
    done = command._engine("no-such-target")

    assert done.returncode != 0
    assert "no-such-target" in done.stderr or "atheris" in done.stderr
