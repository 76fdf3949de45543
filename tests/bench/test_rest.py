"""One request after the other: h2load's log, and a real server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.rest import parse_log, run_rest
from bench.sample import LoadFailed
from bench.scenarios import App, named
from bench.servers import PEERS, RunningServer, Site, write_files
from tests.peers import peer

REST = named("proxy-rest")
assert REST is not None


def test_times_are_read_in_seconds() -> None:
    assert parse_log("1764421000000000\t200\t250\n1764421000000300\t200\t1000\n") == [250e-6, 1e-3]


@pytest.mark.parametrize("text", ["", "1764421000000000\t200\t250\n1764421000000300\t502\t90\n"])
def test_failures_and_silence_are_not_measured(text: str) -> None:
    with pytest.raises(LoadFailed, match="not all of them 200"):
        parse_log(text)


def server(tmp_path: Path) -> RunningServer:
    peer("nghttpd")
    peer("h2load")
    write_files(tmp_path / "files")
    nghttpd = next(each for each in PEERS if each.name == "nghttpd")
    return RunningServer(nghttpd, Site(App.BARE, None, tmp_path / "files"), tmp_path / "log")


def test_median_of_a_real_servers_times_lies_below_the_99th(tmp_path: Path) -> None:
    assert REST is not None
    with server(tmp_path) as nghttpd:
        nghttpd.wait_until_up()
        sample = run_rest(REST, nghttpd, 1.0)

    assert sample.done == 500
    assert 0 < sample.p50 <= sample.p99


def test_h2load_that_does_not_end_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("h2load", 30.0)

    monkeypatch.setattr("bench.rest.subprocess.run", run)
    assert REST is not None
    with server(tmp_path) as nghttpd, pytest.raises(LoadFailed, match="h2load failed"):
        run_rest(REST, nghttpd, 1.0)
