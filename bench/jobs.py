"""A run as jobs: who measures which scenarios, and about how long that takes. Called by
`__main__`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bench import middleware, pageload, proxies
from bench.clients import contest
from bench.clients.contest import Contest
from bench.rounds import Plan, Progress, Result, measure
from bench.sample import LoadFailed
from bench.scenarios import Part, Scenario
from bench.servers import BASELINE, FAST, GO, HTTP1_PEERS, Peer, ServerFailed, with_workers

Done = Callable[[Result], None]
"""Told each result as soon as it is whole."""


class Job(Protocol):
    """Some scenarios that are measured together."""

    @property
    def steps(self) -> int:
        """For `Progress`."""

    @property
    def expected_seconds(self) -> float:
        """About how long it takes."""

    def run(self, folder: Path, progress: Progress, done: Done) -> None:
        """Measure; `folder` is there, and empty."""


@dataclass(frozen=True, slots=True)
class RoundsJob:
    """Servers that take turns in rounds."""

    plan: Plan

    @property
    def steps(self) -> int:
        return self.plan.steps

    @property
    def expected_seconds(self) -> float:
        return self.plan.expected_seconds

    def run(self, folder: Path, progress: Progress, done: Done) -> None:
        measure(self.plan, folder, progress, done)


@dataclass(frozen=True, slots=True)
class PageJob:
    """Loads of the demo's site."""

    scenario: Scenario
    loads: int

    @property
    def steps(self) -> int:
        return self.loads

    @property
    def expected_seconds(self) -> float:
        # Starting, teaching, and three ways that each take about two thirds of a second.
        return 15 + 2.0 * self.loads

    def run(self, folder: Path, progress: Progress, done: Done) -> None:
        def tell(what: str) -> None:
            progress(self.scenario, what, 0)

        try:
            table = pageload.measure_loads(folder, self.loads, tell)
        except (LoadFailed, ServerFailed) as failure:
            done(Result(self.scenario, failures={str(pageload.Way.PUSH): str(failure)}))
        else:
            done(pageload.result_of(self.scenario, table))
        progress(self.scenario, "done", self.loads)


@dataclass(frozen=True, slots=True)
class ClientsJob:
    """Clients that take turns."""

    contest: Contest

    @property
    def steps(self) -> int:
        return self.contest.steps

    @property
    def expected_seconds(self) -> float:
        return self.contest.expected_seconds

    def run(self, folder: Path, progress: Progress, done: Done) -> None:
        contest.measure(self.contest, folder, progress, done)


@dataclass(frozen=True, slots=True)
class ProxyJob:
    """Reverse proxies that take turns in front of one upstream, and pushes from a cache."""

    scenarios: Sequence[Scenario]
    rounds: int
    seconds: float

    @property
    def steps(self) -> int:
        return sum(plan.steps for plan in self._plans(upstream=0))

    @property
    def expected_seconds(self) -> float:
        return sum(plan.expected_seconds for plan in self._plans(upstream=0))

    def _plans(self, upstream: int) -> list[Plan]:
        return proxies.plans(self.scenarios, self.rounds, self.seconds, upstream)

    def run(self, folder: Path, progress: Progress, done: Done) -> None:
        try:
            with proxies.upstream(folder) as server:
                for number, plan in enumerate(self._plans(server.port)):
                    measure(plan, folder / str(number), progress, done)
        except ServerFailed as failure:
            for scenario in self.scenarios:
                done(Result(scenario, failures={BASELINE: f"no upstream: {failure}"}))


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done for a figure.

    Attributes:
        rounds: Of the servers; None for what is usual.
        seconds: Of load in a round; None for what is usual.
        quick: Less of everything.
    """

    rounds: int | None
    seconds: float | None
    quick: bool


_USUAL: Final = (5, 1.0)
_QUICK: Final = (3, 1.0)


def jobs(scenarios: Sequence[Scenario], peers: Sequence[Peer], effort: Effort) -> list[Job]:
    """Who measures the scenarios, in the order in which it is done."""
    parts = {part: [s for s in scenarios if s.part is part] for part in Part}
    rounds, seconds = _QUICK if effort.quick else _USUAL
    found: list[Job] = []
    if parts[Part.SERVERS]:
        plan = Plan(parts[Part.SERVERS], peers, effort.rounds or rounds, effort.seconds or seconds)
        found.append(RoundsJob(plan))
    if parts[Part.LEARNING]:
        found.append(RoundsJob(middleware.plan(parts[Part.LEARNING], effort.quick)))
    found += [PageJob(scenario, 7 if effort.quick else 15) for scenario in parts[Part.PAGE]]
    if parts[Part.PROXY]:
        found.append(
            ProxyJob(parts[Part.PROXY], effort.rounds or rounds, effort.seconds or seconds)
        )
    two = [with_workers(peer, 2) for peer in peers]
    links = parts[Part.LINKS]
    uploaders = [peer for peer in peers if peer.name in (BASELINE, *FAST)] + [GO]
    for chosen, others, pinned in (
        (parts[Part.HTTP1], HTTP1_PEERS, True),
        ([scenario for scenario in links if not scenario.tls], peers, True),
        ([scenario for scenario in links if scenario.tls], uploaders, True),
        (parts[Part.UNPINNED], peers, False),
        (parts[Part.WORKERS], two, False),
    ):
        if chosen:
            several, long = effort.rounds or rounds, effort.seconds or seconds
            found.append(RoundsJob(Plan(chosen, others, several, long, pinned)))
    if parts[Part.CLIENTS]:
        found.append(ClientsJob(Contest(parts[Part.CLIENTS], 1 if effort.quick else 3)))
    return found
