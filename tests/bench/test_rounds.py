"""Turns and groups, with servers that are not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import rounds
from bench.rounds import Plan, Result, measure
from bench.sample import LoadFailed, Sample
from bench.scenarios import SCENARIOS, App, Kind, Scenario
from bench.servers import Peer, RunningServer, Site

LISTEN = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""


def listens(_site: Site, port: int) -> list[str]:
    return [sys.executable, "-S", "-c", LISTEN, str(port)]


def gives_up(_site: Site, _port: int) -> list[str]:
    return [sys.executable, "-S", "-c", "print('the reason'); raise SystemExit(3)"]


def is_missing(_site: Site, _port: int) -> list[str]:
    return ["no-such-program"]


PEERS = (
    Peer("headstart", ("headstart",), listens, has_push=True),
    Peer("second", (), listens),
    Peer("third", (), gives_up),
    Peer("fourth", (), is_missing),
)
PUSHES = next(scenario for scenario in SCENARIOS if scenario.kind is Kind.PUSHES)


def run(
    monkeypatch: pytest.MonkeyPatch, folder: Path, scenario: Scenario, fails_at: int = 0
) -> tuple[Result, list[int]]:
    ports: list[int] = []

    def tool(_scenario: Scenario, server: RunningServer, seconds: float) -> Sample:
        ports.append(server.port)
        if len(ports) == fails_at:
            raise LoadFailed("silence")
        return Sample(len(ports), 1, 0, 0)

    monkeypatch.setattr(rounds, "TOOLS", dict.fromkeys(Kind, tool))
    monkeypatch.setattr(rounds, "check_answer", lambda *_: None)
    plan = Plan([scenario], PEERS, rounds=3, seconds=1.0)
    (result,) = measure(plan, folder, lambda *_: None)
    return result, ports


def test_servers_take_turns_and_begin_in_turn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result, ports = run(monkeypatch, tmp_path, SCENARIOS[0])

    one, two = ports[:2]
    # The warm-up, then three rounds; third and fourth have dropped out.
    assert ports == [one, two, two, one, one, two, one, two]
    assert [sample.rate for sample in result.samples["headstart"]] == [4, 5, 7]


def test_server_that_ends_or_is_missing_fails_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result, _ = run(monkeypatch, tmp_path, SCENARIOS[0])

    assert result.failures == {
        "third": "ended with status 3: the reason",
        "fourth": "no-such-program is not installed",
    }


def test_run_that_fails_keeps_the_earlier_samples_and_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result, _ = run(monkeypatch, tmp_path, SCENARIOS[0], fails_at=6)

    assert result.failures["second"] == "silence"
    assert [sample.rate for sample in result.samples["second"]] == [3]
    assert len(result.samples["headstart"]) == 3


def test_server_without_push_is_not_asked_for_pushes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result, _ = run(monkeypatch, tmp_path, PUSHES)

    assert result.left_out["second"] == "no Server Push"
    assert "second" not in result.samples
    assert len(result.samples["headstart"]) == 3


def test_groups_share_application_and_tls() -> None:
    plan = Plan(SCENARIOS, PEERS, rounds=1, seconds=1.0)

    groups = list(plan.groups())

    assert len(groups) == len({(s.tls, s.app) for s in SCENARIOS})
    assert {s.name for group in groups for s in group} == {s.name for s in SCENARIOS}
    assert {s.app for s in groups[0]} == {App.BARE}
