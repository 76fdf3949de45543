"""Results written and read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.rounds import Result
from bench.scenarios import SCENARIOS
from bench.store import Store, load, save
from tests.bench.made import MACHINE, result, samples


def store() -> Store:
    return Store(MACHINE, {"bare": result()})


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    before = store()
    before.results["bare"].measured = "yesterday"

    save(tmp_path, before)

    after = load(tmp_path)
    assert after.machine == MACHINE
    assert after.results == before.results


def test_readers_of_the_file_find_medians_and_ratios(tmp_path: Path) -> None:
    save(tmp_path, store())

    servers = json.loads((tmp_path / "results.json").read_text())["scenarios"]["bare"]["servers"]
    assert servers["h2corn"]["ratios"]["rate"] == {"middle": 1.0, "lowest": 0.5, "highest": 2.0}
    assert servers["h2corn"]["medians"]["rate"] == 200
    assert servers["h2corn"]["medians"]["processor"] == pytest.approx(2e-5)
    assert "p99" not in servers["h2corn"]["medians"]
    assert servers["uvicorn"]["failure"] == "ended with\nstatus 1"
    assert servers["hypercorn"]["left_out"] == "no Server Push"


def test_table_and_picture_are_written_beside_it(tmp_path: Path) -> None:
    save(tmp_path, store())

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "results.json",
        "results.md",
        "results.svg",
    ]
    assert "results.svg" in (tmp_path / "results.md").read_text()
    assert "<svg" in (tmp_path / "results.svg").read_text()


def test_results_are_ordered_as_scenarios_are_declared() -> None:
    last = Result(SCENARIOS[1], {"headstart": samples(1)})

    ordered = Store(MACHINE, {SCENARIOS[1].name: last, "bare": result()}).in_order()

    assert [each.scenario for each in ordered] == list(SCENARIOS[:2])


def test_scenario_that_is_gone_and_fields_that_are_gone_are_left_out(tmp_path: Path) -> None:
    save(tmp_path, store())
    file = tmp_path / "results.json"
    whole = json.loads(file.read_text())
    whole["scenarios"]["gone"] = whole["scenarios"]["bare"]
    whole["scenarios"]["bare"]["servers"]["h2corn"]["samples"][0]["gone"] = 1
    file.write_text(json.dumps(whole))

    assert load(tmp_path).results == {"bare": result()}


def test_nothing_is_known_where_there_is_no_file(tmp_path: Path) -> None:
    assert load(tmp_path) == Store()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": {}, "scenarios": {}}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)

    with pytest.raises(ValueError, match="holds no results"):
        load(tmp_path)
