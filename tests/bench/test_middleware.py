"""What the table of the middleware's cost says, from samples made by hand."""

from __future__ import annotations

import json

import pytest

from bench import middleware
from bench.middleware import ON, as_json, markdown, missed
from bench.rounds import Result
from bench.sample import Sample
from bench.scenarios import Scenario
from bench.servers import BASELINE


def scenario(name: str) -> Scenario:
    return next(s for s in middleware.plan(1, 1.0).scenarios if s.name == name)


def result(name: str, off: list[float], on: list[float]) -> Result:
    samples = {BASELINE: off, ON: on}
    made = {peer: [Sample(rate, 1, 0, 0) for rate in rates] for peer, rates in samples.items()}
    return Result(scenario(name), made)


def test_only_headstart_with_and_without_learning_takes_turns() -> None:
    plan = middleware.plan(9, 1.0)

    assert [peer.name for peer in plan.peers] == [BASELINE, ON]
    assert [(s.name, s.connections, s.streams, s.tls) for s in plan.scenarios] == [
        ("starlette", 10, 100, False),
        ("bare", 10, 100, False),
    ]


def test_ratio_is_on_against_off_within_each_round() -> None:
    shown = markdown([result("bare", [1000, 500, 2000], [800, 350, 1500])])

    assert "| bare, 10 x 100 | 1,000 | 800 | 0.75 (0.70..0.80) | 0.7 |" in shown


@pytest.mark.parametrize(("on", "is_missed"), [(899, True), (901, False)])
def test_less_than_wanted_is_said(on: float, is_missed: bool) -> None:
    measured = result("starlette", [1000], [on])

    assert missed(measured) is is_missed
    assert ("missed" in markdown([measured])) is is_missed


def test_server_that_failed_is_told_with_its_reason() -> None:
    failed = Result(scenario("bare"), failures={ON: "ended with status 3"})

    assert missed(failed)
    assert "failed: ended with status 3" in markdown([failed])


def test_json_has_samples_and_ratio() -> None:
    (read,) = json.loads(json.dumps(as_json([result("bare", [1000], [800])])))

    assert read["on_against_off"]["middle"] == pytest.approx(0.8)
    assert read["samples"][ON][0]["rate"] == 800
