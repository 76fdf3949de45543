"""What h2load prints -> figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import load
from bench.load import check_answer, parse, run_h2load
from bench.sample import LoadFailed, Sample
from bench.scenarios import SCENARIOS, App, named
from bench.servers import HTTP1_PEERS, PEERS, RunningServer, Site, write_files
from tests.peers import peer

PRINTED = """starting benchmark...
Stopped all clients for thread #0

finished in 1.00s, 53600.00 req/s, 2.05MB/s
requests: 53600 total, 54600 started, 53600 done, 53600 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 53600 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 2.05MB (2145160) total, 471.69KB (483010) headers (space savings 90.61%), \
680.47KB (696800) data
                     min         max         mean         sd        +/- sd
time for request:     1.94ms     37.76ms     18.41ms      4.67ms    88.81%
"""


def test_figures_of_a_good_run_are_read() -> None:
    assert parse(PRINTED) == Sample(53600.0, 53600, 0, 696800)


def test_failed_requests_are_counted_and_lower_the_rate() -> None:
    printed = PRINTED.replace(
        "53600 succeeded, 0 failed, 0 e", "26800 succeeded, 26800 failed, 9 e"
    )

    sample = parse(printed)

    assert sample.errors == 26800
    assert sample.rate == 26800.0


def test_redirects_count_as_errors_though_h2load_takes_them() -> None:
    printed = PRINTED.replace("53600 2xx, 0 3xx", "53000 2xx, 600 3xx")

    assert parse(printed).errors == 600


def test_a_run_that_did_nothing_has_rate_zero() -> None:
    printed = PRINTED.replace("53600", "0").replace("0.00 req/s", "0.00 req/s")

    assert parse(printed).rate == 0


def test_other_output_is_told_by_its_last_line() -> None:
    with pytest.raises(LoadFailed, match="h2load said: no route to host"):
        parse("starting benchmark...\nno route to host\n")


def test_no_output_is_told_too() -> None:
    with pytest.raises(LoadFailed, match=r"\(nothing\)"):
        parse("")


def nghttpd(tmp_path: Path) -> RunningServer:
    peer("nghttpd")
    peer("h2load")
    write_files(tmp_path / "files")
    one = next(each for each in PEERS if each.name == "nghttpd")
    return RunningServer(one, Site(App.BARE, None, tmp_path / "files"), tmp_path / "log")


def test_processor_time_is_that_of_the_measured_answers(tmp_path: Path) -> None:
    with nghttpd(tmp_path) as server:
        server.wait_until_up()
        check_answer(SCENARIOS[0], server)
        sample = run_h2load(SCENARIOS[0], server, 0.3)

    assert sample.done > 0
    assert sample.errors == 0
    # The server has one core, and was under load for that long only.
    assert 0 < sample.processor < 3
    assert 0 < sample.generator < 1.5


def test_http1_is_spoken_where_that_is_measured(tmp_path: Path) -> None:
    peer("h2load")
    write_files(tmp_path / "files")
    http1 = named("http1")
    assert http1 is not None
    site = Site(App.BARE, None, tmp_path / "files")
    with RunningServer(HTTP1_PEERS[1], site, tmp_path / "log") as uvicorn:
        uvicorn.wait_until_up()
        check_answer(http1, uvicorn)  # uvicorn's httptools knows no HTTP/2


def test_h2load_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_GRACE", 0.1)
    monkeypatch.setattr(load, "WARM_UP", 30.0)

    with nghttpd(tmp_path) as server:
        server.wait_until_up()
        with pytest.raises(LoadFailed, match="did not end within"):
            run_h2load(SCENARIOS[0], server, 0.3)


def test_answer_of_another_size_is_told(tmp_path: Path) -> None:
    with nghttpd(tmp_path) as server:
        server.wait_until_up()
        (tmp_path / "files" / "index.html").write_bytes(b"short")
        with pytest.raises(LoadFailed, match="a body has 5 bytes, not 13"):
            check_answer(SCENARIOS[0], server)
