"""What is wanted, held against results made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.links import CAPACITY, by_share
from bench.rounds import Result
from bench.sample import Sample, by_p99
from bench.scenarios import SCENARIOS, named
from bench.targets import Target, targets
from bench.targets import markdown as markdown_of
from bench.targets import missed as missed_of
from tests.bench.made import samples

TARGETS = targets(optimized=True)
FASTEST = Target("bare", ("h2corn", "granian"), 1.2)
SLOWEST_ANSWER = Target("latency-bare", ("h2corn", "granian"), 1.0, figure=by_p99, less=True)


def markdown(results: Sequence[Result]) -> str:
    return markdown_of(results, optimized=True)


def missed(results: Sequence[Result]) -> list[str]:
    return missed_of(results, optimized=True)


def rates(**each: list[float]) -> Result:
    return Result(SCENARIOS[0], {name: samples(*of) for name, of in each.items()})


def times(**each: float) -> Result:
    scenario = named("latency-bare")
    assert scenario is not None
    made = {name: [Sample(1.0, 1, 0, 0, p99=p99)] for name, p99 in each.items()}
    return Result(scenario, made)


def test_every_target_is_about_a_scenario_and_has_rivals_or_a_ratio() -> None:
    assert all(named(target.scenario) for target in TARGETS)
    assert {t.scenario for t in TARGETS if not t.rivals} == {
        "link-up",
        "link-down",
        "memory-tls",
    }


@pytest.mark.parametrize(("kibibytes", "met"), [(44.9, True), (45.1, False)])
def test_memory_of_an_idle_connection_is_bounded_by_itself(kibibytes: float, met: bool) -> None:
    [target] = [one for one in TARGETS if one.scenario == "memory-tls"]
    scenario = named("memory-tls")
    assert scenario is not None
    result = Result(scenario, {"headstart": [Sample(0, 1, 0, 0, memory=kibibytes * 1024)]})

    assert target.is_met(result) is met
    assert f"| KiB | - | at most 45 | {kibibytes:.2f}" in markdown([result]).replace(
        ": KiB", "| KiB"
    )


@pytest.mark.parametrize(("ours", "met"), [(119.0, False), (121.0, True)])
def test_fastest_rival_counts(ours: float, met: bool) -> None:
    result = rates(headstart=[ours], h2corn=[100], granian=[50])

    assert FASTEST.is_met(result) is met
    assert FASTEST.wanted == "at least 1.2"


@pytest.mark.parametrize(("ours", "met"), [(0.9, True), (1.1, False)])
def test_the_shortest_time_counts_where_less_is_better(ours: float, met: bool) -> None:
    result = times(headstart=ours, h2corn=1.0, granian=5.0)

    assert SLOWEST_ANSWER.is_met(result) is met
    assert SLOWEST_ANSWER.wanted == "at most 1"


def test_one_rival_is_enough_and_none_is_not_measured() -> None:
    assert FASTEST.is_met(rates(headstart=[200], granian=[100]))
    assert not FASTEST.is_met(rates(headstart=[200]))
    assert FASTEST.measured(rates(headstart=[200])) is None


def test_processor_time_gives_a_second_ratio_for_rates_only() -> None:
    result = rates(headstart=[100], h2corn=[100])
    # Half of the processor time for as many answers.
    result.samples["headstart"] = [Sample(100, 100, 0, 0, processor=1e-3)]

    found = FASTEST.by_processor_time(result)

    assert found is not None
    assert found.middle == pytest.approx(2.0)
    assert SLOWEST_ANSWER.by_processor_time(times(headstart=1.0, h2corn=1.0)) is None


def test_table_says_met_missed_and_not_measured() -> None:
    text = markdown([rates(headstart=[180], h2corn=[100]), times(headstart=2.0, granian=1.0)])

    assert (
        "| bare, 10 x 100: requests/s | h2corn and granian | at least 1.7 | 1.80 (1.80..1.80) "
        "| 1.00 | met |" in text
    )
    assert "| uvicorn | at least 5 | - | - | not measured |" in text
    assert (
        "| bare: p99 | h2corn and granian | at most 1 | 2.00 (2.00..2.00) | - | **missed** |"
        in text
    )


def test_results_without_a_target_have_no_table() -> None:
    scenario = named("upload")
    assert scenario is not None

    assert markdown([Result(scenario)]) == ""


def test_learning_is_held_against_headstart_without_it() -> None:
    scenario = named("learning-bare")
    assert scenario is not None
    sides = {"headstart": samples(100), "with learning": samples(80)}

    text = markdown([Result(scenario, sides)])

    assert "with learning: requests/s | headstart | at least 0.7 | 0.80" in text


def test_what_is_met_or_was_not_measured_is_not_missed() -> None:
    assert missed([rates(headstart=[171.0], h2corn=[100.0])]) == []
    assert missed([rates(headstart=[100.0])]) == []
    assert missed([rates(headstart=[100.0], uvicorn=[50.0])]) == [
        "bare against uvicorn: 2.00, wanted at least 5"
    ]


def test_time_that_is_added_is_a_difference_in_milliseconds() -> None:
    rest = next(target for target in TARGETS if target.added)
    scenario = named(rest.scenario)
    assert scenario is not None
    took = {rest.ours: 0.0032, rest.rivals[0]: 0.0025}
    result = Result(scenario, {name: [Sample(1, 1, 0, 0, p50=p50)] for name, p50 in took.items()})

    found = rest.measured(result)

    assert found is not None
    assert found.middle == pytest.approx(0.7)
    assert rest.is_met(result)
    assert rest.wanted == "at most 1 ms"
    assert rest.measured(Result(scenario)) is None


def test_processor_time_can_be_what_is_wanted() -> None:
    target = next(each for each in TARGETS if each.scenario == "proxy")
    scenario = named("proxy")
    assert scenario is not None
    used = {target.ours: 4e-3, target.rivals[0]: 1e-3}
    made = {name: [Sample(100, 100, 0, 0, processor=each)] for name, each in used.items()}

    found = target.measured(Result(scenario, made))

    assert found is not None
    assert found.middle == pytest.approx(0.25)
    assert target.by_processor_time(Result(scenario, made)) is None


def test_figure_that_is_a_ratio_itself_needs_no_rival() -> None:
    target = Target("link-up", (), 0.9, figure=by_share)
    scenario = named("link-up")
    assert scenario is not None
    half, most = (
        Result(scenario, samples={"headstart": [Sample(CAPACITY * share, 1, 0, 1)]})
        for share in (0.5, 0.95)
    )

    assert (target.is_met(half), target.is_met(most)) == (False, True)
    assert not target.is_met(Result(scenario))
    assert "part of the link" in markdown([half])
    assert missed([half]) == ["link-up against what there is: 0.50, wanted at least 0.9"]


def test_less_is_wanted_with_a_python_that_was_built_without_a_profile() -> None:
    bare = rates(headstart=[160.0], h2corn=[100.0])

    assert missed_of([bare], optimized=False) == []
    assert missed_of([bare], optimized=True) == [
        "bare against h2corn and granian: 1.60, wanted at least 1.7"
    ]
