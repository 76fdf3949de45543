"""What the table of the middleware's cost says, from samples made by hand."""

from __future__ import annotations

from bench import middleware
from bench.middleware import WANTED, markdown
from bench.rounds import Result
from bench.sample import Sample
from bench.scenarios import SCENARIOS, Part, named
from bench.servers import BASELINE, LEARNING


def result(name: str, off: list[float], on: list[float]) -> Result:
    scenario = named(name)
    assert scenario is not None
    samples = {BASELINE: off, LEARNING: on}
    made = {peer: [Sample(rate, 1, 0, 0) for rate in rates] for peer, rates in samples.items()}
    return Result(scenario, made)


def test_only_headstart_with_and_without_learning_takes_turns() -> None:
    plan = middleware.plan([s for s in SCENARIOS if s.part is Part.LEARNING], quick=False)

    assert [peer.name for peer in plan.peers] == [BASELINE, LEARNING]
    assert [(s.name, s.connections, s.streams, s.tls) for s in plan.scenarios] == [
        ("learning-starlette", 10, 100, False),
        ("learning-bare", 10, 100, False),
    ]
    assert {s.name for s in plan.scenarios} == set(WANTED)


def test_quick_has_fewer_and_shorter_rounds() -> None:
    usual, quick = (middleware.plan([], quick) for quick in (False, True))

    assert quick.rounds < usual.rounds
    assert quick.seconds < usual.seconds


def test_ratio_is_on_against_off_within_each_round() -> None:
    shown = markdown([result("learning-bare", [1000, 500, 2000], [800, 350, 1500])])

    assert "| bare, 10 x 100 | 1,000 | 800 | 0.75 (0.70..0.80) | 0.7 |" in shown


def test_a_side_that_failed_is_told() -> None:
    failed = result("learning-bare", [1000], [])
    failed.failures = {LEARNING: "ended with status 3"}

    assert "failed: ended with status 3" in markdown([failed])


def test_sides_without_a_common_round_are_told() -> None:
    assert "no round has both" in markdown([result("learning-bare", [], [])])
