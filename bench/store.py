"""Results in files: JSON that holds every sample and the parts of several runs, and what it shows.

A run that measures some scenarios replaces those and leaves the others as they are; but only on the
machine that the others were measured on. Called by `__main__`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from bench import picture, report
from bench.machine import Machine
from bench.rounds import Result
from bench.sample import Sample, by_memory, by_p50, by_p99, by_processor, by_rate, middle, ratio
from bench.scenarios import SCENARIOS, named
from bench.servers import BASELINE

_HEAD: Final = """\
# Results

Written by `make bench`; [how the figures are made](README.md).

![Answers a second](results.svg)

"""
_FIGURES: Final = {
    "rate": by_rate,
    "processor": by_processor,
    "p50": by_p50,
    "p99": by_p99,
    "memory": by_memory,
}


@dataclass(slots=True)
class Store:
    """Everything that is known.

    Attributes:
        machine: None as long as there are no results.
        results: Scenario's name -> its figures.
    """

    machine: Machine | None = None
    results: dict[str, Result] = field(default_factory=dict)

    def in_order(self) -> list[Result]:
        """Results as the scenarios are declared."""
        return [self.results[s.name] for s in SCENARIOS if s.name in self.results]


def load(folder: Path) -> Store:
    """What results.json holds; nothing where there is no such file.

    Scenarios that are declared no longer are left out.

    Raises:
        ValueError: It is no such file of ours.
    """
    path = folder / "results.json"
    if not path.exists():
        return Store()
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        found = [_result(name, entry) for name, entry in whole["scenarios"].items()]
        machine = Machine(**whole["machine"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} holds no results: {error!r}") from error
    return Store(machine, {result.scenario.name: result for result in found if result})


def _result(name: str, entry: Mapping[str, Any]) -> Result | None:
    scenario = named(name)
    if scenario is None:
        return None
    result = Result(scenario, measured=entry["measured"])
    known = {each.name for each in fields(Sample)}
    for server, of in entry["servers"].items():
        if of["samples"]:
            kept = [{key: s[key] for key in known & s.keys()} for s in of["samples"]]
            result.samples[server] = [Sample(**sample) for sample in kept]
        if of["failure"]:
            result.failures[server] = of["failure"]
        if of["left_out"]:
            result.left_out[server] = of["left_out"]
    return result


def save(folder: Path, store: Store) -> None:
    """Write results.json, and results.md and results.svg that are made from it."""
    assert store.machine is not None
    results = store.in_order()
    text = {
        "results.json": json.dumps(as_json(store), indent=1) + "\n",
        "results.md": _HEAD + report.markdown(store.machine, results),
        "results.svg": picture.draw(results),
    }
    for name, content in text.items():
        # Whole or not at all, whenever Ctrl-C comes.
        unfinished = folder / f".{name}.new"
        unfinished.write_text(content, encoding="utf-8")
        unfinished.replace(folder / name)


def as_json(store: Store) -> dict[str, Any]:
    """Everything, for `json.dump`.

    Rates a second; times in seconds; processor time for each answer; memory in bytes. A ratio is
    headstart's figure : the other's, the median of the rounds' own ratios.
    """
    return {
        "machine": None if store.machine is None else asdict(store.machine),
        "scenarios": {r.scenario.name: _scenario(r) for r in store.in_order()},
    }


def _scenario(result: Result) -> dict[str, Any]:
    names = dict.fromkeys([*result.samples, *result.failures, *result.left_out])
    return {
        **asdict(result.scenario),
        "measured": result.measured,
        "servers": {name: _server(result, name) for name in names},
    }


def _server(result: Result, name: str) -> dict[str, Any]:
    samples = result.samples.get(name, [])
    ours = result.samples.get(BASELINE, [])
    ratios = {key: ratio(ours, samples, figure) for key, figure in _FIGURES.items()}
    medians = {key: middle(samples, figure) for key, figure in _FIGURES.items()}
    return {
        "medians": {key: value for key, value in medians.items() if value},
        "ratios": {key: asdict(found) for key, found in ratios.items() if found and found.highest},
        "failure": result.failures.get(name),
        "left_out": result.left_out.get(name),
        "samples": [asdict(sample) for sample in samples],
    }
