"""What learning costs: requests per second with the middleware on against off.

The same server twice, once with `--no-learn`; both run at once and take turns in rounds, as all
servers do (`rounds`). What counts is on against off within a round. Rounds are many and short,
since what is looked for is a tenth. Called by `__main__`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from bench.report import Ratio, rate, ratio
from bench.rounds import Plan, Result
from bench.scenarios import SCENARIOS, Scenario
from bench.servers import BASELINE, PEERS

ON: Final = "with learning"
WANTED: Final = {"starlette": 0.9, "bare": 0.7}
"""Scenario's name -> the least that on against off should be."""

_READING: Final = (
    "On against off is the median of the rounds' own ratios, and in parentheses the lowest and the "
    "highest. No request is a page's: what is measured is what each request pays so that pages get "
    "a head start."
)


def plan(rounds: int, seconds: float) -> Plan:
    """What is measured, for `rounds.measure`."""
    wanted = [_named(name) for name in WANTED]
    return Plan(wanted, [peer for peer in PEERS if peer.name in (BASELINE, ON)], rounds, seconds)


def _named(name: str) -> Scenario:
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def on_against_off(result: Result) -> Ratio | None:
    """The rate with the middleware : the rate without, over rounds; None where a side failed."""
    return ratio(result.samples.get(ON, []), result.samples.get(BASELINE, []))


def missed(result: Result) -> bool:
    """Whether the median is below what is wanted, or could not be had."""
    found = on_against_off(result)
    return found is None or found.middle < WANTED[result.scenario.name]


def markdown(results: Sequence[Result]) -> str:
    """The table, and how to read it."""
    lines = [
        "| requests/s, the middleware | off | on | on against off | wanted |",
        "|---|---:|---:|---:|---:|",
        *map(_row, results),
    ]
    return "\n".join([*lines, "", _READING]) + "\n"


def _row(result: Result) -> str:
    found, name = on_against_off(result), result.scenario.name
    wanted = f"{WANTED[name]}{' - missed' if missed(result) else ''}"
    if found is None:
        why = "; ".join(result.failures.values()) or "no round has both"
        return f"| {result.scenario.title} | - | - | failed: {why} | {wanted} |"
    off, on = (rate(result.samples[peer]) for peer in (BASELINE, ON))
    return f"| {result.scenario.title} | {off:,.0f} | {on:,.0f} | {found} | {wanted} |"


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Everything, for `json.dump`; rates a second."""
    found = []
    for result in results:
        against = on_against_off(result)
        found.append(
            {
                **asdict(result),
                "on_against_off": None if against is None else asdict(against),
                "wanted": WANTED[result.scenario.name],
            }
        )
    return found
