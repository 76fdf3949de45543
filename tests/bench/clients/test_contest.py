"""Turns of clients: real ones against nghttpd with little to do, and what can go wrong."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.clients import contest
from bench.clients.contest import Bench, Contest, Turn, curl, finish, library, sample
from bench.rounds import Result
from bench.sample import LoadFailed, Sample
from bench.scenarios import SCENARIOS, Kind, Part, Scenario, named
from tests.peers import peer

LITTLE = 3_000_000


def scenario(name: str) -> Scenario:
    found = named(name)
    assert found is not None
    return replace(found, requests=min(found.requests, 200))


@pytest.mark.parametrize(
    ("name", "clients"),
    [
        ("client-gets", {"headstart", "httpx_headstart", "httpx", "curl"}),
        ("client-gets-serial", {"headstart", "httpx", "curl"}),
        ("client-download", {"headstart", "httpx", "curl", "h2c"}),
        ("client-download-tls", {"headstart", "httpx", "curl", "h2c"}),
    ],
)
def test_clients_do_the_same_task(
    name: str, clients: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer("nghttpd")
    peer("curl")
    monkeypatch.setattr(contest, "DOWNLOAD", LITTLE)
    kind = scenario(name).kind
    # niquests is installed for `make bench` alone.
    turns = {who: turn for who, turn in contest.TURNS[kind].items() if who in clients}
    found: list[Result] = []

    contest.measure(
        Contest([scenario(name)], 1, {kind: turns}), tmp_path, lambda *_: None, found.append
    )

    (result,) = found
    assert result.failures == {}
    assert set(result.samples) == clients
    for samples in result.samples.values():
        (one,) = samples
        assert one.rate > 0
        assert one.data == (LITTLE if kind is Kind.DOWNLOAD else 200 * 13)


def test_start_of_h2c_is_measured_beside_that_of_python(tmp_path: Path) -> None:
    peer("nghttpd")
    found: list[Result] = []

    contest.measure(Contest([scenario("h2c-start")], 1), tmp_path, lambda *_: None, found.append)

    samples = found[0].samples
    assert found[0].failures == {}
    assert {name: len(each) for name, each in samples.items()} == {"h2c": 8, "python -c pass": 8}
    assert all(one.p50 > 0 for each in samples.values() for one in each)


def take_turns(turns: dict[str, Turn], rounds: int, kind: Kind, tmp_path: Path) -> Result:
    peer("nghttpd")
    chosen = next(s for s in SCENARIOS if s.kind is kind)
    found: list[Result] = []
    made = Contest([chosen], rounds, {kind: turns})
    contest.measure(made, tmp_path, lambda *_: None, found.append)
    return found[0]


def test_each_round_begins_with_another_client(tmp_path: Path) -> None:
    order: list[str] = []

    def told(name: str) -> Turn:
        def turn(_scenario: Scenario, _bench: Bench) -> Sample:
            order.append(name)
            return Sample(1.0, 1, 0, 0)

        return turn

    result = take_turns({name: told(name) for name in "abc"}, 3, Kind.GETS, tmp_path)

    assert "".join(order) == "abcbcacab"
    assert {name: len(each) for name, each in result.samples.items()} == {"a": 3, "b": 3, "c": 3}
    assert "a process for each GET" in result.left_out["h2c"]


def test_client_that_fails_drops_out_with_its_reason(tmp_path: Path) -> None:
    def fails(_scenario: Scenario, _bench: Bench) -> Sample:
        raise LoadFailed("no more")

    def works(_scenario: Scenario, _bench: Bench) -> Sample:
        return Sample(1.0, 1, 0, 0)

    result = take_turns({"a": fails, "b": works}, 2, Kind.GETS, tmp_path)

    assert result.failures == {"a": "no more"}
    assert len(result.samples["b"]) == 2


def test_missing_origin_is_told_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "_ORIGIN", replace(contest._ORIGIN, command=lambda *_: ["none"]))
    found: list[Result] = []

    contest.measure(Contest([scenario("client-gets")], 1), tmp_path, lambda *_: None, found.append)

    assert set(found[0].failures) == {"headstart", "httpx_headstart", "httpx", "niquests", "curl"}
    assert found[0].failures["curl"] == "the origin none is not installed"


@pytest.mark.parametrize(
    ("words", "timeout", "said"),
    [
        ([sys.executable, "-c", "raise SystemExit('the reason')"], 60, "ended with 1: the reason"),
        ([sys.executable, "-c", "raise SystemExit(3)"], 60, r"ended with 3: \(nothing\)"),
        ([sys.executable, "-c", "import time; time.sleep(60)"], 0.5, "did not end within"),
        (["no-such-program"], 60, "no-such-program is not installed"),
    ],
)
def test_process_that_ends_badly_is_told(
    words: list[str], timeout: float, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "_TIMEOUT", timeout)

    with pytest.raises(LoadFailed, match=said):
        finish(words, Bench("http://127.0.0.1:1", tmp_path))


def test_body_that_is_not_whole_is_no_sample() -> None:
    with pytest.raises(LoadFailed, match="13 bytes were read, not 2600"):
        sample(scenario("client-gets"), 1.0, 0.0, 13)


def test_rates_are_requests_or_bytes_a_second() -> None:
    gets = sample(scenario("client-gets"), 2.0, 0.5, 2600)
    download = sample(scenario("client-download"), 2.0, 0.5, contest.DOWNLOAD)

    assert (gets.rate, gets.done) == (100.0, 200)
    assert (download.rate, download.done) == (contest.DOWNLOAD / 2, 1)


def answers(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    finished = contest.Finished(text, 2.0, 0.5)
    monkeypatch.setattr(contest, "finish", lambda *_: finished)


def test_another_version_of_http_is_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers("2 13 0.1\n1.1 13 0.1\n", monkeypatch)

    with pytest.raises(LoadFailed, match="did not speak HTTP/2"):
        curl(scenario("client-gets"), Bench("https://127.0.0.1:1", tmp_path))


def test_start_whose_answer_is_short_is_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers("Hello", monkeypatch)

    with pytest.raises(LoadFailed, match="5 bytes were read, not 13"):
        contest.h2c_start(scenario("h2c-start"), Bench("http://127.0.0.1:1", tmp_path))


def test_worker_s_figures_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"seconds": 4.0, "processor": 1.0, "data": 2600, "memory": 7}
    answers(json.dumps(told), monkeypatch)

    one = library("niquests")(scenario("client-gets"), Bench("https://127.0.0.1:1", tmp_path))

    assert one == Sample(50.0, 200, 0, 2600, processor=1.0, memory=7)


def test_time_that_all_clients_take_is_known() -> None:
    chosen = [s for s in SCENARIOS if s.part is Part.CLIENTS]

    assert 0 < Contest(chosen, 3).expected_seconds < 6 * 60
    # Two kinds of GETs and two downloads of five and six clients, and a start of two.
    assert Contest(chosen, 3).steps == 3 * (2 * 5 + 2 * 6) + 24 * 2
