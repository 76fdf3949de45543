"""Scenarios become jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import jobs as module
from bench import pageload
from bench.clients.contest import Contest
from bench.cores import CORES
from bench.jobs import ClientsJob, Effort, PageJob, ProxyJob, RoundsJob, jobs
from bench.pageload import FLOOR, Load, Table, Way
from bench.rounds import Plan, Result
from bench.sample import LoadFailed
from bench.scenarios import SCENARIOS, Scenario, named
from bench.servers import PEERS, ServerFailed

USUAL = Effort(None, None, quick=False)


def scenario(name: str) -> Scenario:
    found = named(name)
    assert found is not None
    return found


def test_whole_run_is_done_in_about_half_an_hour() -> None:
    todo = jobs(SCENARIOS, PEERS[:6], USUAL)

    assert 600 < sum(job.expected_seconds for job in todo) < 32 * 60
    assert all(job.steps > 0 for job in todo)


def test_servers_and_learning_are_measured_apart() -> None:
    todo = jobs([scenario("bare"), scenario("learning-bare")], PEERS, USUAL)

    servers, learning = (job.plan for job in todo if isinstance(job, RoundsJob))
    assert [s.name for s in servers.scenarios] == ["bare"]
    assert servers.peers == PEERS
    assert len(learning.peers) == 2


def test_given_rounds_and_seconds_override_what_is_usual() -> None:
    (job,) = jobs([scenario("bare")], PEERS, Effort(9, 0.25, quick=True))

    assert isinstance(job, RoundsJob)
    assert (job.plan.rounds, job.plan.seconds) == (9, 0.25)


def test_quick_takes_less_time() -> None:
    chosen = [scenario(name) for name in ("bare", "learning-bare", "page-load")]

    usual, quick = (jobs(chosen, PEERS, Effort(None, None, each)) for each in (False, True))

    for long, short in zip(usual, quick, strict=True):
        assert short.expected_seconds < long.expected_seconds


def test_clients_are_measured_by_their_own_contest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("bench.clients.contest.measure", lambda *given: asked.append(given[0]))

    usual, quick = (
        jobs([scenario("client-gets")], PEERS, Effort(None, None, each)) for each in (False, True)
    )
    usual[0].run(tmp_path, lambda *_: None, lambda _: None)

    assert asked == [ClientsJob(Contest([scenario("client-gets")], 3)).contest]
    assert quick[0].steps < usual[0].steps
    assert quick[0].expected_seconds < usual[0].expected_seconds


def test_nothing_chosen_is_no_job() -> None:
    assert jobs([], PEERS, USUAL) == []


def test_rounds_hand_on_each_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def measure(plan: Plan, _folder: Path, _: object, done: Callable[[Result], None]) -> None:
        for each in plan.scenarios:
            done(Result(each))

    monkeypatch.setattr(module, "measure", measure)
    found: list[Result] = []

    (job,) = jobs([scenario("bare"), scenario("upload")], PEERS, USUAL)
    job.run(tmp_path, lambda *_: None, found.append)

    assert [result.scenario.name for result in found] == ["bare", "upload"]


def run_page(tmp_path: Path) -> Result:
    found: list[Result] = []
    PageJob(scenario("page-load"), 7).run(tmp_path, lambda *_: None, found.append)
    (result,) = found
    return result


def test_page_loads_become_samples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def loads(_folder: Path, _rounds: int, tell: Callable[[str], None]) -> Table:
        tell("loading")
        return Table(0.1, 0.3, {way: [Load(0.4, 200, 0, 0, 11)] for way in Way})

    monkeypatch.setattr(pageload, "measure_loads", loads)

    result = run_page(tmp_path)

    expected = {"nothing": 0.4, "103": 0.4, "push": 0.4, FLOOR: 0.3}
    assert {name: each[0].p50 for name, each in result.samples.items()} == expected


def test_page_loads_that_fail_are_a_result_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def loads(*_: object) -> Table:
        raise LoadFailed("the server hung up")

    monkeypatch.setattr(pageload, "measure_loads", loads)

    assert run_page(tmp_path).failures == {"push": "the server hung up"}


def test_proxies_are_measured_in_front_of_one_upstream(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    upstreams: list[Path] = []
    measured: list[tuple[int, Path]] = []

    @contextmanager
    def upstream(folder: Path) -> Iterator[SimpleNamespace]:
        upstreams.append(folder)
        yield SimpleNamespace(port=1234)

    def measure(plan: Plan, folder: Path, _: object, done: Callable[[Result], None]) -> None:
        measured.append((len(plan.peers), folder))
        for each in plan.scenarios:
            done(Result(each))

    monkeypatch.setattr("bench.proxies.upstream", upstream)
    monkeypatch.setattr(module, "measure", measure)
    found: list[Result] = []

    (job,) = jobs([scenario("proxy"), scenario("pushes-cached")], PEERS, USUAL)
    job.run(tmp_path, lambda *_: None, found.append)

    assert isinstance(job, ProxyJob)
    assert upstreams == [tmp_path]
    assert measured == [(5, tmp_path / "0"), (3, tmp_path / "1")]
    assert [result.scenario.name for result in found] == ["proxy", "pushes-cached"]
    assert job.steps == (5 + 3) * 6


def test_upstream_that_does_not_start_is_a_result_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def upstream(_: Path) -> None:
        raise ServerFailed("nginx is not installed")

    monkeypatch.setattr("bench.proxies.upstream", upstream)
    found: list[Result] = []

    ProxyJob([scenario("proxy")], 1, 0.1).run(tmp_path, lambda *_: None, found.append)

    assert found[0].failures == {"headstart": "no upstream: nginx is not installed"}


def test_servers_without_a_core_of_their_own_share_all_of_them() -> None:
    names = ("bare", "unpinned-100x1", "workers-100x1")
    plans = [
        job.plan
        for job in jobs([scenario(name) for name in names], PEERS, USUAL)
        if isinstance(job, RoundsJob)
    ]

    assert [plan.pinned for plan in plans] == [True, False, False]
    assert [plan.cores == CORES.all for plan in plans[1:]] == [True, True]
    assert [plan.load == CORES.all for plan in plans[1:]] == [True, True]
    assert (plans[0].cores, plans[0].load) == (CORES.server, CORES.load)


def test_http1_is_measured_beside_uvicorn_and_long_links_beside_all() -> None:
    http1, long = (
        job.plan
        for job in jobs([scenario("http1"), scenario("link-up")], PEERS, USUAL)
        if isinstance(job, RoundsJob)
    )

    assert [peer.name for peer in http1.peers] == ["headstart", "uvicorn"]
    assert long.peers == PEERS


def test_upload_over_tls_is_measured_beside_go_too() -> None:
    [job] = jobs([scenario("link-up-8m")], PEERS, USUAL)

    assert isinstance(job, RoundsJob)
    assert [peer.name for peer in job.plan.peers] == ["headstart", "h2corn", "granian", "Go"]
