"""The command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.__main__ import chosen_peers, main
from bench.servers import PEERS


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
    assert len(chosen_peers([])) == len(PEERS)
