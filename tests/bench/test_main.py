"""The command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import __main__ as command
from bench import pageload
from bench.__main__ import Gains, ProgressLine, chosen_peers, main
from bench.pageload import Load, Table, Way
from bench.rounds import Plan, Result
from bench.sample import LoadFailed
from bench.servers import BASELINE, PEERS


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
        (["--gains", "some"], "invalid choice"),
        (["--json", "no/such/folder/file"], "there is no folder"),
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


def measured(monkeypatch: pytest.MonkeyPatch, failure: str = "") -> None:
    """Nothing is started: each scenario has no samples, each load takes 0.3 s."""

    def loads(*_: object) -> Table:
        if failure:
            raise LoadFailed(failure)
        return Table(0.1, 0.3, {way: [Load(0.3, 200, 0, 0, 11)] for way in Way})

    def results(plan: Plan, *_: object) -> list[Result]:
        return [Result(scenario) for scenario in plan.scenarios]

    monkeypatch.setattr(command, "measure", results)
    monkeypatch.setattr(pageload, "measure_loads", loads)


def test_gains_alone_show_both_tables_and_no_comparison(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    measured(monkeypatch)

    status = main(["--gains", "only", "--json", str(tmp_path / "all.json")])

    shown = capsys.readouterr().out
    assert status == 0
    assert "on against off" in shown
    assert "| push | 300 (300..300) | 1.00 |" in shown
    assert "hypercorn |" not in shown
    assert '"page_load"' in (tmp_path / "all.json").read_text()


@pytest.mark.parametrize("arguments", [["--only", "bare"], ["--servers", "granian", "--quick"]])
def test_chosen_scenarios_or_servers_leave_the_gains_out(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(monkeypatch)

    assert main(arguments) == 0
    assert "on against off" not in capsys.readouterr().out


def test_failed_page_load_is_told_and_counts_as_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measured(monkeypatch, "the server hung up")
    gains = Gains(quick=True)

    gains.measure(tmp_path / "gains", ProgressLine(1))

    assert gains.failed
    assert "Page loads failed: the server hung up" in gains.markdown()
    assert gains.as_json()["page_load"] == {"failure": "the server hung up"}
    assert BASELINE in [peer.name for peer in gains.plan.peers]
