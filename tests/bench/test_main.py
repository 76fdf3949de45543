"""The command line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import __main__ as command
from bench import jobs, proxies
from bench.__main__ import ProgressLine, chosen_peers, main
from bench.rounds import Plan, Result
from bench.scenarios import SCENARIOS
from bench.servers import PEERS
from bench.store import Store, load, save
from tests.bench.made import MACHINE, result, samples


def test_help_shows_examples_and_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "python -m bench --quick" in shown
    assert "bare-100x1" in shown
    assert "pushes/s" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "nothing"], "there is no 'nothing'"),
        (["--servers", "apache"], "there is no 'apache'"),
        (["--rounds", "0"], "1 to 100"),
        (["--seconds", "1000"], "0.1 to 60"),
        (["--rounds", "few"], "invalid"),
        (["--output", "no/such/folder"], "there is no folder"),
        (["--redraw", "--quick"], "there are no results"),
    ],
)
def test_wrong_call_is_told_before_anything_is_started(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_missing_h2load_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(["--quick"]) == 1
    assert "apt-get install nghttp2-client" in capsys.readouterr().err


def test_headstart_is_always_among_the_servers() -> None:
    assert [peer.name for peer in chosen_peers(["granian"])] == ["headstart", "granian"]


def test_the_one_that_learns_is_compared_only_where_it_is_named() -> None:
    assert [peer.name for peer in chosen_peers(["with learning"])] == ["headstart", "with learning"]
    assert {peer.name for peer in PEERS} - {peer.name for peer in chosen_peers([])} == {
        "with learning"
    }


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scenarios that were asked for; nothing is started, and headstart has a rate of 100."""
    asked: list[str] = []

    def measure(plan: Plan, _folder: Path, _: object, done: Callable[[Result], None]) -> None:
        for scenario in plan.scenarios:
            asked.append(scenario.name)
            done(Result(scenario, {"headstart": samples(100)}))

    monkeypatch.setattr(jobs, "measure", measure)
    monkeypatch.setattr(jobs.ClientsJob, "run", lambda *_: None)
    upstream = SimpleNamespace(port=0)
    monkeypatch.setattr(proxies, "upstream", lambda _folder: nullcontext(upstream))
    monkeypatch.setattr(
        command, "describe", lambda _peers, optimized: replace(MACHINE, optimized=optimized)
    )
    monkeypatch.setattr(command, "which", lambda name: f"/usr/bin/{name}")
    return asked


def test_part_is_put_among_what_is_known(tmp_path: Path, measured: list[str]) -> None:
    save(tmp_path, Store(MACHINE, {"bare": result()}))

    status = main(["--only", "upload,bare-1k", "--output", str(tmp_path)])

    assert (status, measured) == (0, ["bare-1k", "upload"])
    known = load(tmp_path).results
    assert list(known) == ["bare", "bare-1k", "upload"]
    assert known["bare"] == result()
    assert known["upload"].measured == MACHINE.stamp


def test_only_what_is_missing_is_measured(tmp_path: Path, measured: list[str]) -> None:
    save(tmp_path, Store(MACHINE, {"bare": result()}))

    main(["--only", "bare,bare-1k", "--missing", "--output", str(tmp_path)])

    assert measured == ["bare-1k"]


def test_part_of_another_machine_is_refused(
    tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, Store(replace(MACHINE, cores=64), {"bare": result()}))

    with pytest.raises(SystemExit):
        main(["--only", "upload", "--output", str(tmp_path)])

    assert "results of another machine" in capsys.readouterr().err
    assert measured == []


def test_whole_run_on_another_machine_begins_anew(
    tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.PageJob, "run", lambda *_: None)
    save(tmp_path, Store(replace(MACHINE, cores=64), {"page-load": Result(SCENARIOS[-1])}))

    main(["--output", str(tmp_path)])

    known = load(tmp_path)
    assert known.machine == MACHINE
    assert set(known.results) == set(measured)


@pytest.mark.parametrize("arguments", [["--quick"], ["--servers", "granian", "--only", "bare"]])
def test_rough_and_partial_figures_are_shown_and_not_kept(
    arguments: list[str],
    tmp_path: Path,
    measured: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "OUTPUT", tmp_path)
    monkeypatch.setattr(jobs.PageJob, "run", lambda *_: None)

    assert main(arguments) == 0

    assert measured
    assert "100 requests/s" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_stopped_run_keeps_what_it_has(
    tmp_path: Path,
    measured: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs.PageJob, "run", stop)

    status = main(["--only", "bare,page-load", "--output", str(tmp_path)])

    assert status == 130
    assert "stopped" in capsys.readouterr().err
    assert list(load(tmp_path).results) == ["bare"] == measured


def test_headstart_that_fails_is_a_failure(
    tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(plan: Plan, _folder: Path, _: object, done: Callable[[Result], None]) -> None:
        done(Result(plan.scenarios[0], failures={"headstart": "did not listen"}))

    monkeypatch.setattr(jobs, "measure", measure)

    assert main(["--only", "bare", "--output", str(tmp_path)]) == 1
    assert measured == []


def test_figure_that_is_not_as_wanted_is_told_and_is_the_exit_status(
    tmp_path: Path,
    measured: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure(plan: Plan, _folder: Path, _: object, done: Callable[[Result], None]) -> None:
        servers = {"headstart": samples(100), "h2corn": samples(99), "granian": samples(50)}
        done(Result(plan.scenarios[0], servers))

    monkeypatch.setattr(jobs, "measure", measure)

    status = main(["--only", "bare", "--output", str(tmp_path)])

    said = capsys.readouterr().err
    assert (status, measured) == (3, [])
    assert "missed: bare against h2corn and granian: 1.01, wanted at least 1.7" in said
    assert "uvicorn" not in said


def test_table_and_picture_are_drawn_again_without_measuring(
    tmp_path: Path, measured: list[str]
) -> None:
    save(tmp_path, Store(MACHINE, {"bare": result()}))
    (tmp_path / "results.svg").unlink()

    assert main(["--redraw", "--output", str(tmp_path)]) == 0

    assert (tmp_path / "results.svg").exists()
    assert measured == []


def test_file_that_holds_no_results_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results.json").write_text("{}")

    with pytest.raises(SystemExit):
        main(["--output", str(tmp_path)])

    assert "holds no results" in capsys.readouterr().err


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for terminal in (False, True):
        monkeypatch.setattr("sys.stderr.isatty", lambda terminal=terminal: terminal)
        line = ProgressLine(4)
        line(SCENARIOS[0], "round 1", 2)
        line.clear()
        shown = capsys.readouterr().err

        assert ("50%" in shown) is terminal
        assert ("bare: round 1" in shown) is terminal


def test_less_is_wanted_of_a_python_without_pgo(
    tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--only", "bare", "--output", str(tmp_path), "--without-pgo"])

    assert "at least 1.5" in (tmp_path / "results.md").read_text()
    assert load(tmp_path).machine == replace(MACHINE, optimized=False)


def test_option_that_is_cut_off_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--without-pg"])

    assert "unrecognized arguments: --without-pg" in capsys.readouterr().err
