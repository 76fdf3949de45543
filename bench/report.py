"""Samples -> ratios -> a Markdown table and JSON. Pure; called by `__main__`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from bench.machine import Machine
from bench.rounds import Result
from bench.sample import Sample
from bench.servers import BASELINE, Peer

_GIB: Final = 1024**3

READING: Final = (
    "A figure is how many times as fast as that server headstart is: the median of the rounds' own "
    "ratios, and in parentheses the lowest and the highest. nghttpd, written in C, serves files "
    "and is the limit."
)
COSTS: Final = (
    "Processor time of the server's processes, in the kernel too, for each answer or push: the "
    "median of the rounds. It depends less on what else the machine does than a rate."
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """headstart's rate : a peer's rate, over rounds."""

    middle: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.lowest:.2f}..{self.highest:.2f})"


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> Ratio | None:
    """Round by round, as far as both have samples; None where they share no round."""
    each = [a.rate / b.rate for a, b in zip(ours, theirs, strict=False) if b.rate]
    return Ratio(median(each), min(each), max(each)) if each else None


def rate(samples: Sequence[Sample]) -> float:
    """The median rate, 0 where there is none."""
    return median([sample.rate for sample in samples]) if samples else 0.0


def processor(samples: Sequence[Sample]) -> float:
    """The median of the processor time for each success, seconds; 0 where it is unknown."""
    each = [sample.processor / sample.done for sample in samples if sample.done]
    return median(each) if each else 0.0


def errors(samples: Sequence[Sample]) -> int:
    """Of all rounds."""
    return sum(sample.errors for sample in samples)


def markdown(machine: Machine, results: Sequence[Result], peers: Sequence[Peer]) -> str:
    """The whole report."""
    notes: list[str] = []
    others = [peer.name for peer in peers if peer.name != BASELINE]
    rows = [["", BASELINE, *others]]
    rows += [_row(result, others, notes) for result in results]
    costs = [["processor time", BASELINE, *others]]
    costs += [_cost_row(result, [BASELINE, *others]) for result in results]
    described = "\n".join(f"- {line}" for line in _machine_lines(machine))
    listed = "\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1))
    parts = [_table(rows), READING, listed, _table(costs), COSTS, described]
    parts = parts if results else [described]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cost_row(result: Result, names: Sequence[str]) -> list[str]:
    costs = [processor(result.samples.get(name, [])) for name in names]
    return [result.scenario.title, *(f"{cost * 1e6:.1f} µs" if cost else "-" for cost in costs)]


def _row(result: Result, others: Sequence[str], notes: list[str]) -> list[str]:
    kind = result.scenario.kind
    ours = result.samples.get(BASELINE, [])
    own = f"{rate(ours):,.0f} {kind}" if ours else _missing(result, BASELINE)
    own += _mark(result, BASELINE, notes)
    return [result.scenario.title, own, *(_cell(result, name, notes) for name in others)]


def _cell(result: Result, name: str, notes: list[str]) -> str:
    found = ratio(result.samples.get(BASELINE, []), result.samples.get(name, []))
    return (_missing(result, name) if found is None else str(found)) + _mark(result, name, notes)


def _missing(result: Result, name: str) -> str:
    return "failed" if name in result.failures else "-"


def _mark(result: Result, name: str, notes: list[str]) -> str:
    """The number of the note that says what went wrong, if anything did."""
    samples = result.samples.get(name, [])
    said = []
    if name in result.failures:
        said.append(f"failed: {_one_line(result.failures[name])}")
    if name in result.left_out:
        said.append(result.left_out[name])
    if errors(samples):
        said.append(f"{errors(samples)} errors beside {sum(s.done for s in samples)} successes")
    if not said:
        return ""
    note = f"{name}, {result.scenario.title}: {'; '.join(said)}"
    notes.append(note)
    return f" [{len(notes)}]"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    return "\n".join([lines[0], rule.replace(":", "-", 1), *lines[1:]])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first = row[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"


def _machine_lines(machine: Machine) -> list[str]:
    memory = f", {machine.memory / _GIB:.0f} GiB" if machine.memory else ""
    return [
        f"{machine.processor}, {machine.cores} cores{memory}; {machine.system}; "
        f"load average {machine.load} at the start",
        f"{machine.python}; {machine.h2load}; {machine.cores_used}; one worker and one event loop "
        "each, no access log",
        "; ".join(machine.versions.values()),
    ]


def as_json(
    machine: Machine, results: Sequence[Result], rounds: int, seconds: float
) -> dict[str, Any]:
    """Everything, for `json.dump`; rates a second, processor time in seconds an answer,
    ratios of headstart to the peer.
    """
    return {
        "machine": asdict(machine),
        "rounds": rounds,
        "seconds": seconds,
        "scenarios": [_scenario_json(result) for result in results],
    }


def _scenario_json(result: Result) -> dict[str, Any]:
    names = dict.fromkeys([*result.samples, *result.failures, *result.left_out])
    return {
        **asdict(result.scenario),
        "servers": {name: _server_json(result, name) for name in names},
    }


def _server_json(result: Result, name: str) -> dict[str, Any]:
    samples = result.samples.get(name, [])
    found = ratio(result.samples.get(BASELINE, []), samples)
    return {
        "median_rate": rate(samples),
        "median_processor": processor(samples),
        "samples": [asdict(sample) for sample in samples],
        "ratio": None if found is None else asdict(found),
        "errors": errors(samples),
        "failure": result.failures.get(name),
        "left_out": result.left_out.get(name),
    }
