"""When memory counts as flat, and one minute of the real thing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import soak
from bench.mix import VISITS
from bench.soak import Run
from tests.peers import peer

MEGABYTE = 1 << 20


def run(seconds: float, start: float, growth: float) -> Run:
    """A run whose memory grows so many megabytes a minute from `start` on."""
    made = Run(seconds)
    made.samples = [
        (float(at), round((start + at / 60 * growth) * MEGABYTE)) for at in range(round(seconds))
    ]
    made.visits.update(list(VISITS))
    return made


def test_flat_memory_passes() -> None:
    assert run(600, 40, 0.0).passed


def test_memory_that_grows_by_six_percent_fails() -> None:
    grows = run(600, 40, 0.31)

    assert grows.growth == pytest.approx(0.06, abs=0.002)
    assert not grows.passed


def test_what_the_first_minute_takes_does_not_count() -> None:
    warm = run(600, 40, 0.0)
    warm.samples = [(at, size // 2 if at < 60 else size) for at, size in warm.samples]

    assert warm.growth == 0


def test_short_run_is_looked_at_in_quarters() -> None:
    assert run(600, 40, 0.0).window == 60
    assert run(60, 40, 0.0).window == 15


def test_client_that_was_not_served_fails_it() -> None:
    flat = run(60, 40, 0.0)
    flat.unserved.append("nghttp: no answer")

    assert not flat.passed
    assert "unserved: nghttp: no answer" in flat.text()


def test_kind_of_client_that_never_came_fails_it() -> None:
    flat = run(60, 40, 0.0)
    del flat.visits["resets"]

    assert not flat.passed


def test_missing_program_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(soak, "which", lambda program: None)

    assert soak.main([]) == 1

    assert "apt-get install nghttp2-client" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["-1", "0", "nan", "inf", "x"])
def test_time_that_is_none_is_said_in_one_line(
    minutes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        soak.main(["--minutes", minutes])

    assert ended.value.code == 2
    assert "soak: error: argument --minutes" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_memory_is_flat_over_a_minute_of_mixed_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer("h2load")
    peer("nghttp")
    file = tmp_path / "soak.json"

    status = soak.main(["--minutes", "1", "--json", str(file)])

    assert status == 0, capsys.readouterr().out
    seen = json.loads(file.read_text())
    assert len(seen["resident"]) > 50
