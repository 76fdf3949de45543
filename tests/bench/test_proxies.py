"""The reverse proxies of the comparison: each really asks the upstream, or really has it stored."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.proxies import CACHED, DIRECT, NGHTTPX, NGINX, plans, proxies, pushers, upstream
from bench.scenarios import SCENARIOS, App, Kind, Part
from bench.servers import BASELINE, RunningServer, Site
from tests.peers import peer

SCENARIOS_OF_PROXIES = [scenario for scenario in SCENARIOS if scenario.part is Part.PROXY]


def test_proxies_and_what_pushes_are_measured_apart() -> None:
    behind, pushing = plans(SCENARIOS_OF_PROXIES, 3, 0.5, upstream=1234)

    assert [each.name for each in behind.peers] == [BASELINE, CACHED, NGHTTPX, NGINX, DIRECT]
    assert all(scenario.kind is not Kind.PUSHES for scenario in behind.scenarios)
    assert [each.name for each in pushing.peers] == [BASELINE, CACHED, "nghttpd"]
    assert all(each.has_push for each in pushing.peers)
    assert {*behind.scenarios, *pushing.scenarios} == set(SCENARIOS_OF_PROXIES)


def test_plan_without_scenarios_is_left_out() -> None:
    (only,) = plans([s for s in SCENARIOS_OF_PROXIES if s.kind is Kind.PUSHES], 3, 0.5, 1234)

    assert only.peers[-1].name == "nghttpd"


def test_only_the_column_for_it_has_the_cache(tmp_path: Path) -> None:
    site = Site(App.BARE, None, tmp_path / "files")
    plain, cached = (each.command(site, 1) for each in proxies(1234)[:2])
    serving, serving_cached = (each.command(site, 1) for each in pushers()[:2])

    assert plain[-2:] == ["--cache", "0"]
    assert plain[:-2] == cached
    assert serving_cached == [*serving, "--cache", "32MiB"]


def ask(port: int, path: str) -> str:
    """The content, the version of HTTP, and what the cache says; one connection for each."""
    command = [
        *(peer("curl"), "-s", "-m", "90", "--http2-prior-knowledge"),
        *("-w", "%{http_version} %header{cache-status}", f"http://127.0.0.1:{port}{path}"),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("number", range(5), ids=[BASELINE, CACHED, NGHTTPX, NGINX, DIRECT])
def test_each_answers_over_http2_with_what_the_upstream_has(tmp_path: Path, number: int) -> None:
    peer("nginx")
    peer("nghttpx")
    with upstream(tmp_path) as behind:
        chosen = proxies(behind.port)[number]
        site = Site(App.BARE, None, tmp_path / "upstream" / "files")
        with RunningServer(chosen, site, tmp_path / "log") as server:
            server.wait_until_up()
            first, second = (ask(server.port, "/") for _ in range(2))
            large = ask(server.port, "/100k")

    assert first.startswith("Hello, world!2 ")
    assert ("; hit" in second) is (chosen.name == CACHED)
    assert large.startswith("c" * 102400 + "2 ")
