"""What learning costs: requests per second with the middleware on against off.

The same server twice, once with `--no-learn`; both run at once and take turns in rounds, as all
servers do (`rounds`). What counts is on against off within a round. Rounds are many and short,
since what is looked for is a tenth. Called by `__main__`; its table by `report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.rounds import Plan, Result
from bench.sample import Ratio, rate, ratio
from bench.scenarios import Scenario
from bench.servers import BASELINE, LEARNING, PEERS

WANTED: Final = {"learning-starlette": 0.9, "learning-bare": 0.7}
"""Scenario's name -> the least that on against off should be."""

_READING: Final = (
    "On against off is the median of the rounds' own ratios, and in parentheses the lowest and the "
    "highest. No request is a page's: what is measured is what each request pays so that pages get "
    "a head start."
)


def plan(scenarios: Sequence[Scenario], quick: bool) -> Plan:
    """What is measured, for `rounds.measure`."""
    rounds, seconds = (5, 0.5) if quick else (15, 1.0)
    return Plan(
        scenarios, [peer for peer in PEERS if peer.name in (BASELINE, LEARNING)], rounds, seconds
    )


def on_against_off(result: Result) -> Ratio | None:
    """The rate with the middleware : the rate without, over rounds; None where a side failed."""
    return ratio(result.samples.get(LEARNING, []), result.samples.get(BASELINE, []))


def markdown(results: Sequence[Result]) -> str:
    """The table, and how to read it."""
    lines = [
        "| requests/s, the middleware | off | on | on against off | wanted |",
        "|---|---:|---:|---:|---:|",
        *map(_row, results),
    ]
    return "\n".join([*lines, "", _READING])


def _row(result: Result) -> str:
    found, wanted = on_against_off(result), WANTED[result.scenario.name]
    if found is None:
        why = "; ".join(result.failures.values()) or "no round has both"
        return f"| {result.scenario.title} | - | - | failed: {why} | {wanted} |"
    off, on = (rate(result.samples[peer]) for peer in (BASELINE, LEARNING))
    return f"| {result.scenario.title} | {off:,.0f} | {on:,.0f} | {found} | {wanted} |"
