"""Servers take turns: every round measures each of them once, one at a time.

Starts the servers of a group of scenarios together (those with the same application and the same
TLS), measures, stops them. A server that cannot be measured is left out from then on, with its
reason. Called by `__main__`; reports its progress to whom it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from bench.cores import CORES, on
from bench.idle import run_idle
from bench.latency import run_latency
from bench.links import run_link
from bench.load import check_answer, run_h2load
from bench.pushes import run_pushes
from bench.rest import run_rest
from bench.sample import LoadFailed, Sample
from bench.scenarios import Kind, Scenario
from bench.servers import Certificate, Peer, RunningServer, ServerFailed, Site, write_files
from headstart import certificates

Progress = Callable[[Scenario, str, int], None]
"""Told what comes next, and how many runs are done since the last call."""
Tool = Callable[[Scenario, RunningServer, float], Sample]
"""Scenario, server, seconds -> figures."""

TOOLS: Final[dict[Kind, Tool]] = {
    Kind.REQUESTS: run_h2load,
    Kind.PUSHES: run_pushes,
    Kind.LATENCY: run_latency,
    Kind.MEMORY: run_idle,
    Kind.REST: run_rest,
    Kind.LINK: run_link,
}
# Memory is the same each time, within a percent, and each time takes a new start. A long link hides
# what else the machine does, and a slow server takes ten seconds.
_FEWER: Final = {Kind.MEMORY: 2, Kind.LINK: 2}
_WARM_UP: Final = 0.5
# What a run takes beside the time that it was told, about, in seconds.
_EXTRA_WITHOUT_LIMIT: Final = 0.5
_EXTRA: Final = dict.fromkeys(Kind, 0.4) | {Kind.LATENCY: 1.0, Kind.MEMORY: 1.5, Kind.LINK: 6.0}


@dataclass(slots=True)
class Result:
    """One scenario's figures.

    Attributes:
        measured: Date and commit, for those who find it in a file.
        samples: Server's name -> one for each round, in order.
        failures: Server's name -> why it has no samples, or not all.
        left_out: Server's name -> what it lacks and therefore was not asked for.
    """

    scenario: Scenario
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    measured: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        rounds: Measured ones; a warm-up comes first.
        seconds: Of load on one server in one round.
        pinned: The server under load has a core for itself; else all share all.
    """

    scenarios: Sequence[Scenario]
    peers: Sequence[Peer]
    rounds: int
    seconds: float
    pinned: bool = True

    @property
    def cores(self) -> frozenset[int]:
        """Where the servers run."""
        return CORES.server if self.pinned else CORES.all

    @property
    def load(self) -> frozenset[int]:
        """Where the load runs."""
        return CORES.load if self.pinned else CORES.all

    @property
    def steps(self) -> int:
        """Runs, warm-ups included."""
        return sum(len(self.peers) * (1 + self.rounds_of(s)) for s in self.scenarios)

    @property
    def expected_seconds(self) -> float:
        """About how long it takes."""
        rounds = sum(self.rounds_of(s) * (self.seconds + _extra(s)) for s in self.scenarios)
        warm_up = len(self.scenarios) * (min(_WARM_UP, self.seconds) + 0.5)
        return len(self.peers) * (rounds + warm_up + 1.0 * len(list(self.groups())))

    def rounds_of(self, scenario: Scenario) -> int:
        """Measured rounds of one scenario."""
        return min(self.rounds, _FEWER.get(scenario.kind, self.rounds))

    def groups(self) -> Iterator[list[Scenario]]:
        """Scenarios that the same running servers can answer."""
        for _, group in groupby(sorted(self.scenarios, key=_site_key), key=_site_key):
            yield list(group)


def _extra(scenario: Scenario) -> float:
    return _EXTRA[scenario.kind] if scenario.limited else _EXTRA_WITHOUT_LIMIT


def _site_key(scenario: Scenario) -> tuple[bool, str]:
    return scenario.tls, scenario.app


def measure(
    plan: Plan, folder: Path, progress: Progress, done: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Measure everything; results in the plan's order.

    Args:
        folder: Made, for certificates, files and logs.
        done: Told each result as soon as it is whole.
    """
    (folder / "files").mkdir(parents=True)
    write_files(folder / "files")
    certificate = make_certificate(folder)
    found: dict[str, Result] = {}
    for group in plan.groups():
        site = Site(group[0].app, certificate if group[0].tls else None, folder / "files")
        for result in _measure_group(plan, group, site, folder, progress):
            found[result.scenario.name] = result
            done(result)
    return [found[scenario.name] for scenario in plan.scenarios]


def make_certificate(folder: Path) -> Certificate:
    """A leaf for loopback, and its key, as files in the folder."""
    now = datetime.now(UTC)
    authority, key = certificates.make_authority(now), certificates.new_key()
    leaf = certificates.issue(authority, key, ["localhost", "127.0.0.1"], now)
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    made.certfile.write_bytes(certificates.certificate_pem(leaf))
    made.keyfile.touch(mode=0o600)
    made.keyfile.write_bytes(certificates.key_pem(key))
    return made


def _measure_group(
    plan: Plan, group: list[Scenario], site: Site, folder: Path, progress: Progress
) -> Iterator[Result]:
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        running: dict[str, RunningServer] = {}
        for peer in plan.peers:
            progress(group[0], f"starting {peer.name}", 0)
            log = folder / f"{peer.name}.log"
            try:
                server = stack.enter_context(RunningServer(peer, site, log, plan.cores))
                server.wait_until_up()
                running[peer.name] = server
            except ServerFailed as failure:
                failures[peer.name] = str(failure)
        for scenario in group:
            result = Result(scenario, failures=dict(failures))
            _measure_scenario(plan, result, running, progress)
            yield result


def _measure_scenario(
    plan: Plan, result: Result, running: dict[str, RunningServer], progress: Progress
) -> None:
    scenario = result.scenario
    peers = list(plan.peers)
    if scenario.kind is Kind.PUSHES:
        result.left_out = {peer.name: "no Server Push" for peer in peers if not peer.has_push}
    rounds = plan.rounds_of(scenario)
    for number in range(rounds + 1):
        for peer in peers:
            what = f"{peer.name}, round {number} of {rounds}" if number else "warming up"
            progress(scenario, what, 1)
            if peer.name in result.failures or peer.name in result.left_out:
                continue
            try:
                sample = _measure_once(plan, scenario, running[peer.name], warm_up=not number)
            except (LoadFailed, ServerFailed) as failure:
                result.failures[peer.name] = str(failure)
                continue
            if number:
                result.samples.setdefault(peer.name, []).append(sample)
        # The next round begins with another one, so that nobody always follows the same neighbour.
        peers = peers[1:] + peers[:1]


def _measure_once(
    plan: Plan, scenario: Scenario, server: RunningServer, *, warm_up: bool
) -> Sample:
    server.check()
    if warm_up and scenario.kind in (Kind.MEMORY, Kind.LINK):
        return Sample(0.0, 0, 0, 0)  # a server that was just started, or a link that is slow anyway
    if warm_up:
        check_answer(scenario, server)
    seconds = min(_WARM_UP, plan.seconds) if warm_up else plan.seconds
    before = server.processor_seconds()
    with on(plan.load):
        sample = TOOLS[scenario.kind](scenario, server, seconds)
    used = server.processor_seconds() - before
    server.served += sample.done
    server.check()
    return sample if sample.processor else replace(sample, processor=used)
