"""Clients take turns, as servers do in `rounds`: every round asks each of them once.

Starts nghttpd as the origin, on the load's cores, and each client for one task at a time on the
core that a server under load has. Called by `jobs`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench.apps.content import LARGE
from bench.cores import CORES, on
from bench.rounds import Progress, Result, make_certificate
from bench.sample import LoadFailed, Sample
from bench.scenarios import App, Kind, Scenario
from bench.servers import PEERS, ROOT, RunningServer, ServerFailed, Site, write_files

H2C: Final = "h2c"
PYTHON: Final = "python -c pass"
OVER_OURS: Final = "httpx_headstart"
CLIENTS: Final = ("headstart", H2C, OVER_OURS, "httpx", "niquests", "curl")
PACKAGES: Final = ("httpx", "niquests")
DOWNLOAD: Final = LARGE
"""Bytes of the large response."""
_LARGE: Final = "large.bin"
_TIMEOUT: Final = 120.0
_ORIGIN: Final = next(peer for peer in PEERS if peer.name == "nghttpd")


@dataclass(frozen=True, slots=True)
class Bench:
    """Where clients are measured.

    Attributes:
        origin: URL without a path.
        folder: For sockets.
    """

    origin: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended well.

    Attributes:
        seconds: From its start to its end.
        processor: Seconds.
    """

    output: str
    seconds: float
    processor: float


Turn = Callable[[Scenario, Bench], Sample]
"""One client does a scenario's task once."""


def finish(command: Sequence[str], bench: Bench, cores: frozenset[int] = CORES.server) -> Finished:
    """Run a client to its end.

    Raises:
        LoadFailed: It failed, hung, or is not installed.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(bench.folder)}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    try:
        with on(cores):
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
    except FileNotFoundError:
        raise LoadFailed(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"it did not end within {_TIMEOUT:.0f} s") from None
    took, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["(nothing)"]
        raise LoadFailed(f"it ended with {done.returncode}: {words[-1][-200:]}")
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Finished(done.stdout, took, busy)


def library(name: str) -> Turn:
    """A Python client, by its module `with_NAME`."""

    def turn(scenario: Scenario, bench: Bench) -> Sample:
        task = "download" if scenario.kind is Kind.DOWNLOAD else "gets"
        amount = [scenario.path, str(scenario.requests), str(scenario.streams)]
        worker = [sys.executable, "-m", "bench.clients.worker", name, task, bench.origin, *amount]
        told = json.loads(finish(worker, bench).output)
        found = sample(scenario, told["seconds"], told["processor"], told["data"])
        return replace(found, memory=told["memory"])

    return turn


def sample(scenario: Scenario, seconds: float, processor: float, data: int) -> Sample:
    """Figures of one turn.

    Args:
        data: Bytes that were read.

    Raises:
        LoadFailed: They are not as many as were asked for.
    """
    wanted = DOWNLOAD if scenario.kind is Kind.DOWNLOAD else scenario.requests * scenario.size
    if data != wanted:
        raise LoadFailed(f"{data} bytes were read, not {wanted}")
    done = 1 if scenario.kind is Kind.DOWNLOAD else scenario.requests
    amount = data if scenario.kind is Kind.DOWNLOAD else done
    return Sample(amount / seconds, done, 0, data, processor=processor)


def curl(scenario: Scenario, bench: Bench) -> Sample:
    """curl, as one process for the whole task."""
    quiet = ["curl", "--silent", "--show-error", "--no-progress-meter", "--fail", "--insecure"]
    version = ["--http2"] if bench.origin.startswith("https") else ["--http2-prior-knowledge"]
    many = ["--parallel", "--parallel-max", str(scenario.streams)] if scenario.streams > 1 else []
    told = ["--write-out", "%{http_version} %{size_download} %{time_total}\n"]
    path = scenario.path
    if scenario.kind is Kind.GETS:
        path += f"?[1-{scenario.requests}]"
    command = [*quiet, *version, *many, *told, "--output", "/dev/null", bench.origin + path]
    done = finish(command, bench)
    lines = [line.split() for line in done.output.splitlines()]
    if any(line[0] != "2" for line in lines):
        raise LoadFailed("curl did not speak HTTP/2")
    seconds = float(lines[0][2]) if scenario.kind is Kind.DOWNLOAD else done.seconds
    data = sum(int(line[1]) for line in lines)
    return sample(scenario, seconds, done.processor, data)


def h2c_download(scenario: Scenario, bench: Bench) -> Sample:
    """`h2c get`, whose background process is connected."""
    get = ["get", "--timeout", str(_TIMEOUT), "--insecure", "-o", "/dev/null"]
    done = finish([*_h2c(), *get, bench.origin + scenario.path], bench)
    # It is its background process that does the work, whose time is not known here. That all of
    # the body arrived is what exit status 0 says.
    return sample(scenario, done.seconds, 0.0, DOWNLOAD)


def h2c_start(scenario: Scenario, bench: Bench) -> Sample:
    """`h2c get` as a whole process, connected already."""
    command = [*_h2c(), "get", "--insecure", "--fail", bench.origin + scenario.path]
    done = finish(command, bench)
    if len(done.output) != scenario.size:
        raise LoadFailed(f"{len(done.output)} bytes were read, not {scenario.size}")
    return Sample(1 / done.seconds, 1, 0, scenario.size, done.processor, p50=done.seconds)


def python_start(scenario: Scenario, bench: Bench) -> Sample:
    """Python that does nothing."""
    del scenario
    done = finish([sys.executable, "-c", "pass"], bench)
    return Sample(1 / done.seconds, 1, 0, 0, done.processor, p50=done.seconds)


def _h2c() -> list[str]:
    return [str(Path(sys.executable).with_name("h2c"))]


_NAMES: Final = ("headstart", OVER_OURS, "httpx", "niquests")
_LIBRARIES: Final = {name: library(name) for name in _NAMES}
TURNS: Final[dict[Kind, dict[str, Turn]]] = {
    Kind.GETS: {**_LIBRARIES, "curl": curl},
    Kind.DOWNLOAD: {**_LIBRARIES, H2C: h2c_download, "curl": curl},
    Kind.START: {H2C: h2c_start, PYTHON: python_start},
}


@dataclass(frozen=True, slots=True)
class Contest:
    """What to measure.

    Attributes:
        rounds: Of each scenario; a process that only starts takes many more.
    """

    scenarios: Sequence[Scenario]
    rounds: int
    turns: dict[Kind, dict[str, Turn]] = field(default_factory=lambda: TURNS)

    @property
    def steps(self) -> int:
        """Turns."""
        return sum(self.rounds_of(s) * len(self.turns[s.kind]) for s in self.scenarios)

    @property
    def expected_seconds(self) -> float:
        """About how long it takes."""
        return sum(self.rounds_of(s) * _SECONDS[s.kind] for s in self.scenarios)

    def rounds_of(self, scenario: Scenario) -> int:
        """Rounds of one scenario."""
        return 8 * self.rounds if scenario.kind is Kind.START else self.rounds


# A round of all clients, about.
_SECONDS: Final = {Kind.GETS: 22.0, Kind.DOWNLOAD: 20.0, Kind.START: 0.2}


def measure(
    contest: Contest, folder: Path, progress: Progress, done: Callable[[Result], None]
) -> None:
    """Measure everything.

    Args:
        folder: Empty.
        done: Told each result as soon as it is whole.
    """
    files = folder / "files"
    files.mkdir()
    write_files(files)
    with (files / _LARGE).open("wb") as large:
        large.truncate(DOWNLOAD)
    certificate = make_certificate(folder)
    for scenario in contest.scenarios:
        result = Result(scenario)
        site = Site(App.BARE, certificate if scenario.tls else None, files)
        try:
            _measure_scenario(contest, result, site, folder, progress)
        except ServerFailed as failure:
            result.failures = dict.fromkeys(contest.turns[scenario.kind], f"the origin {failure}")
        done(result)


def _measure_scenario(
    contest: Contest, result: Result, site: Site, folder: Path, progress: Progress
) -> None:
    scenario = result.scenario
    with ExitStack() as stack:
        server = RunningServer(_ORIGIN, site, folder / "origin.log", CORES.load)
        stack.enter_context(server)
        server.wait_until_up()
        scheme = "https" if scenario.tls else "http"
        bench = Bench(f"{scheme}://127.0.0.1:{server.port}", folder)
        if H2C in contest.turns[scenario.kind]:
            # A download is its work, and so shares the client's core; a start is the command's own.
            cores = CORES.server if scenario.kind is Kind.DOWNLOAD else CORES.load
            stack.callback(finish, [*_h2c(), "stop"], bench)
            finish([*_h2c(), "start", "--detach"], bench, cores)
        _take_turns(contest, result, bench, progress)


def _take_turns(contest: Contest, result: Result, bench: Bench, progress: Progress) -> None:
    names = list(contest.turns[result.scenario.kind])
    if result.scenario.kind is Kind.GETS:
        result.left_out[H2C] = "a process for each GET; see the start of a process"
    rounds = contest.rounds_of(result.scenario)
    for number in range(1, rounds + 1):
        for name in names:
            progress(result.scenario, f"{name}, round {number} of {rounds}", 1)
            if name in result.failures:
                continue
            try:
                sample = contest.turns[result.scenario.kind][name](result.scenario, bench)
            except LoadFailed as failure:
                result.failures[name] = str(failure)
                continue
            result.samples.setdefault(name, []).append(sample)
        # The next round begins with another one, so that nobody always follows the same neighbour.
        names = names[1:] + names[:1]
