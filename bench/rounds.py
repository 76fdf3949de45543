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
from typing import Final, Protocol

from bench.load import check_answer, run_h2load
from bench.pushes import run_pushes
from bench.sample import LoadFailed, Sample
from bench.scenarios import Kind, Scenario
from bench.servers import Certificate, Peer, RunningServer, ServerFailed, Site, write_files
from headstart import certificates

Tool = Callable[[Scenario, RunningServer, float], Sample]
"""Scenario, server, seconds -> figures."""

TOOLS: Final[dict[Kind, Tool]] = {Kind.REQUESTS: run_h2load, Kind.PUSHES: run_pushes}
_WARM_UP: Final = 0.5


class Progress(Protocol):
    """Told before each step."""

    def __call__(self, scenario: Scenario, what: str, steps: int) -> None:
        """`what` comes next; `steps` runs are done since the last call."""


@dataclass(slots=True)
class Result:
    """One scenario's figures.

    Attributes:
        samples: Server's name -> one for each round, in order.
        failures: Server's name -> why it has no samples, or not all.
        left_out: Server's name -> what it lacks and therefore was not asked for.
    """

    scenario: Scenario
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        rounds: Measured ones; a warm-up comes first.
        seconds: Of load on one server in one round.
    """

    scenarios: Sequence[Scenario]
    peers: Sequence[Peer]
    rounds: int
    seconds: float

    @property
    def steps(self) -> int:
        """Runs, warm-ups included."""
        return len(self.scenarios) * len(self.peers) * (self.rounds + 1)

    @property
    def expected_seconds(self) -> float:
        """About how long it takes."""
        each = self.rounds * (self.seconds + 0.1) + min(_WARM_UP, self.seconds) + 0.2
        return len(self.scenarios) * len(self.peers) * each + 10 * len(list(self.groups()))

    def groups(self) -> Iterator[list[Scenario]]:
        """Scenarios that the same running servers can answer."""
        for _, group in groupby(sorted(self.scenarios, key=_site_key), key=_site_key):
            yield list(group)


def _site_key(scenario: Scenario) -> tuple[bool, str]:
    return scenario.tls, scenario.app


def measure(plan: Plan, folder: Path, progress: Progress) -> list[Result]:
    """Measure everything; results in the plan's order.

    Args:
        folder: Empty, for certificates, files and logs.
    """
    (folder / "files").mkdir()
    write_files(folder / "files")
    certificate = _make_certificate(folder)
    found: dict[str, Result] = {}
    for group in plan.groups():
        site = Site(group[0].app, certificate if group[0].tls else None, folder / "files")
        for result in _measure_group(plan, group, site, folder, progress):
            found[result.scenario.name] = result
    return [found[scenario.name] for scenario in plan.scenarios]


def _make_certificate(folder: Path) -> Certificate:
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
) -> list[Result]:
    results = [Result(scenario) for scenario in group]
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        running: dict[str, RunningServer] = {}
        for peer in plan.peers:
            progress(group[0], f"starting {peer.name}", 0)
            log = folder / f"{peer.name}.log"
            try:
                server = stack.enter_context(RunningServer(peer, site, log))
                server.wait_until_up()
                running[peer.name] = server
            except ServerFailed as failure:
                failures[peer.name] = str(failure)
        for result in results:
            result.failures.update(failures)
            _measure_scenario(plan, result, running, progress)
    return results


def _measure_scenario(
    plan: Plan, result: Result, running: dict[str, RunningServer], progress: Progress
) -> None:
    scenario = result.scenario
    peers = list(plan.peers)
    if scenario.kind is Kind.PUSHES:
        result.left_out = {peer.name: "no Server Push" for peer in peers if not peer.has_push}
    for number in range(plan.rounds + 1):
        for peer in peers:
            what = f"{peer.name}, round {number} of {plan.rounds}" if number else "warming up"
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
    if warm_up:
        check_answer(scenario, server)
    seconds = min(_WARM_UP, plan.seconds) if warm_up else plan.seconds
    before = server.processor_seconds()
    sample = TOOLS[scenario.kind](scenario, server, seconds)
    used = server.processor_seconds() - before
    server.served += sample.done
    server.check()
    return replace(sample, processor=used)
