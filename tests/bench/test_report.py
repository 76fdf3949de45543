"""Samples -> ratios -> table and JSON."""

from __future__ import annotations

import json

import pytest

from bench.machine import Machine, processor
from bench.report import Ratio, as_json, markdown, ratio
from bench.rounds import Result
from bench.sample import Sample
from bench.scenarios import SCENARIOS
from bench.servers import PEERS

MACHINE = Machine(
    "A processor",
    2,
    4 * 1024**3,
    "Linux",
    "CPython",
    "h2load",
    "one core each",
    0.5,
    {"x": "x 1.0"},
)


def samples(*rates: float, errors: int = 0) -> list[Sample]:
    return [Sample(rate, int(rate), errors, 0, processor=rate * 2e-5) for rate in rates]


def result() -> Result:
    found = Result(SCENARIOS[0])
    found.samples = {
        "headstart": samples(100, 200, 300),
        "h2corn": samples(50, 200, 600),
        "granian": samples(50, 50, 50, errors=2),
    }
    found.failures = {"uvicorn": "ended with\nstatus 1"}
    found.left_out = {"hypercorn": "no Server Push"}
    return found


def test_ratio_is_taken_within_rounds_and_not_between_medians() -> None:
    ours, theirs = samples(100, 200, 300), samples(50, 200, 600)

    assert ratio(ours, theirs) == Ratio(1.0, 0.5, 2.0)


def test_ratio_uses_the_rounds_that_both_finished() -> None:
    assert ratio(samples(100, 200), samples(50)) == Ratio(2.0, 2.0, 2.0)
    assert ratio(samples(100), []) is None
    assert ratio(samples(100), samples(0)) is None


def test_table_has_a_row_per_scenario_and_a_column_per_server() -> None:
    lines = markdown(MACHINE, [result()], PEERS).splitlines()

    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert cells == [
        "bare, 10 x 100",
        "200 requests/s",
        "-",
        "1.00 (0.50..2.00)",
        "4.00 (2.00..6.00) [1]",
        "failed [2]",
        "- [3]",
        "-",
    ]
    assert len({len(line) for line in lines[:3]}) == 1


def test_processor_time_of_each_answer_has_a_table_of_its_own() -> None:
    text = markdown(MACHINE, [result()], PEERS)

    (row,) = [line for line in text.splitlines() if "µs" in line]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        "bare, 10 x 100",
        "20.0 µs",
        "-",
        "20.0 µs",
        "20.0 µs",
        "-",
        "-",
        "-",
    ]


def test_errors_failures_and_what_is_missing_are_told_below_the_table() -> None:
    text = markdown(MACHINE, [result()], PEERS)

    assert "1. granian, bare, 10 x 100: 6 errors beside 150 successes\n" in text
    assert "2. uvicorn, bare, 10 x 100: failed: ended with status 1\n" in text
    assert "3. hypercorn, bare, 10 x 100: no Server Push\n" in text


def test_headstart_failing_is_shown_as_well() -> None:
    found = Result(SCENARIOS[0], failures={"headstart": "did not listen"})

    text = markdown(MACHINE, [found], PEERS)

    assert "failed [1]" in text
    assert "1. headstart, bare, 10 x 100: failed: did not listen" in text


def test_machine_is_described() -> None:
    assert "A processor, 2 cores, 4 GiB; Linux" in markdown(MACHINE, [], PEERS)


def test_json_holds_every_sample_ratio_and_failure() -> None:
    whole = json.loads(json.dumps(as_json(MACHINE, [result()], 3, 2.0)))

    servers = whole["scenarios"][0]["servers"]
    assert whole["machine"]["cores"] == 2
    assert servers["h2corn"]["median_processor"] == pytest.approx(2e-5)
    assert [sample["rate"] for sample in servers["h2corn"]["samples"]] == [50, 200, 600]
    assert servers["h2corn"]["ratio"] == {"middle": 1.0, "lowest": 0.5, "highest": 2.0}
    assert servers["uvicorn"]["failure"] == "ended with\nstatus 1"
    assert servers["hypercorn"]["left_out"] == "no Server Push"


def test_processor_is_read_from_cpuinfo() -> None:
    assert processor("processor\t: 0\nmodel name\t: A processor\n") == "A processor"
    assert processor("") == ""
