"""The command: reads options, measures, prints the tables, keeps the results. Exit status 0, 1
where headstart itself could not be measured or a tool is missing, 2 for a wrong call, 3 where a
figure is not as wanted, 130 after Ctrl-C; what was measured until then is kept.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from types import FrameType
from typing import Final

from bench import report, scenarios, targets
from bench.cores import CORES, on
from bench.jobs import Effort, Job, jobs
from bench.machine import Machine, describe
from bench.rounds import Result
from bench.scenarios import SCENARIOS, Scenario
from bench.servers import BASELINE, GO, LEARNING, PEERS, ROOT, Peer
from bench.store import Store, load, save

OUTPUT: Final = ROOT / "docs" / "benchmarks"

_DESCRIPTION = """\
Compares headstart with other HTTP/2 servers for ASGI, in turn, on this machine.

Every round measures each server once; the tables show the ratios within the rounds, which hold
where the rates themselves come and go with what else the machine does. Two cores at least: one for
the server, one for the load. Nothing else should run meanwhile.

Results are kept in docs/benchmarks: results.json, and made from it results.md and results.svg. A
run of some scenarios replaces those and keeps the others. The exit status is 3 where a figure is
not as wanted.
"""

_EXAMPLES = """\
examples:
  python -m bench                              everything, about half an hour
  python -m bench --quick                      the main rows, briefly; nothing is kept
  python -m bench --only 'bare*' --servers h2corn,granian
  python -m bench --only 'latency*' --rounds 9
  python -m bench --missing                    what results.json has not, as after Ctrl-C
  python -m bench --redraw                     results.md and results.svg anew, nothing measured

scenarios:
{scenarios}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    folder = _output(given)
    known = _known(parser, folder)
    if given.redraw:
        return _redraw(parser, folder, known)
    wanted, peers = _wanted(parser, given, known)
    if which("h2load") is None:
        print("bench: no h2load. On Debian: apt-get install nghttp2-client.", file=sys.stderr)
        return 1
    machine = describe([*peers, GO], optimized=not given.without_pgo)
    if not machine.is_like(known.machine):
        if folder is not None and len(wanted) < len(SCENARIOS):
            parser.error(f"{folder} has results of another machine: give --output, or no --only")
        known = Store()
    keeper = Keeper(machine, known, folder)
    signal.signal(signal.SIGTERM, _stop)
    stopped = _run(jobs(wanted, peers, Effort(given.rounds, given.seconds, given.quick)), keeper)
    print(report.markdown(machine, keeper.results), end="")
    if stopped:
        print("bench: stopped, and the servers too.", file=sys.stderr)
        return 130
    return _status(machine, keeper.results)


def _status(machine: Machine, results: Sequence[Result]) -> int:
    """The exit status after all was measured; says what is not as wanted."""
    missed = targets.missed(results, optimized=machine.optimized)
    for line in missed:
        print(f"bench: missed: {line}", file=sys.stderr)
    if any(BASELINE in result.failures for result in results):
        return 1
    return 3 if missed else 0


def _run(todo: Sequence[Job], keeper: Keeper) -> bool:
    """Measure; whether Ctrl-C ended it."""
    progress = ProgressLine(sum(job.steps for job in todo))
    seconds = sum(job.expected_seconds for job in todo)
    print(f"about {max(1, round(seconds / 60))} min", file=sys.stderr)
    try:
        with on(CORES.load), tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
            for number, job in enumerate(todo):
                room = Path(folder) / str(number)
                room.mkdir()
                job.run(room, progress, keeper.keep)
    except KeyboardInterrupt:
        return True
    finally:
        progress.clear()
    return False


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {s.name:18} {s.title} ({s.kind})" for s in SCENARIOS)
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=_DESCRIPTION,
        epilog=_EXAMPLES.format(scenarios=listed),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # a mistyped option must not begin half an hour of work
    )
    add = parser.add_argument
    add("--rounds", type=_count, metavar="N", help="rounds of the servers (default 5; quick 3)")
    add("--seconds", type=_seconds, metavar="S", help="load in a round (default 1)")
    add("--only", type=_words, default=[], metavar="NAME,...", help="scenarios; * and ? work")
    add("--servers", type=_words, default=[], metavar="NAME,...", help="beside headstart")
    add("--quick", action="store_true", help="the main scenarios, fewer and shorter rounds")
    add("--missing", action="store_true", help="only scenarios that have no results yet")
    add("--redraw", action="store_true", help="measure nothing")
    add(
        "--without-pgo",
        action="store_true",
        help="Python was built without profile-guided optimization: less is wanted",
    )
    add(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where results are kept; by default docs/benchmarks, nowhere for --quick, --servers",
    )
    return parser


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 100:
        raise argparse.ArgumentTypeError("1 to 100")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0.1 <= number <= 60:
        raise argparse.ArgumentTypeError("0.1 to 60")
    return number


def _output(given: argparse.Namespace) -> Path | None:
    """Where results are kept, None for nowhere: rough ones, and those of some servers."""
    if given.output is not None:
        folder: Path = given.output
        return folder
    return None if given.quick or given.servers else OUTPUT


def _known(parser: argparse.ArgumentParser, folder: Path | None) -> Store:
    if folder is None:
        return Store()
    if not folder.is_dir():
        parser.error(f"--output: there is no folder {folder}")
    try:
        return load(folder)
    except ValueError as error:
        parser.error(f"{error}; remove it, or give --output")


def _wanted(
    parser: argparse.ArgumentParser, given: argparse.Namespace, known: Store
) -> tuple[list[Scenario], list[Peer]]:
    try:
        wanted = scenarios.chosen(given.only, given.quick)
        peers = chosen_peers(given.servers)
    except LookupError as error:
        parser.error(f"there is no {error.args[0]!r} (see --help)")
    if given.missing:
        wanted = [scenario for scenario in wanted if scenario.name not in known.results]
    return wanted, peers


def chosen_peers(names: Sequence[str]) -> list[Peer]:
    """headstart and the named servers; all but the one that learns where none is named.

    Raises:
        LookupError: A name is no server's.
    """
    for name in names:
        if all(peer.name != name for peer in PEERS):
            raise LookupError(name)
    if names:
        return [peer for peer in PEERS if peer.name in (BASELINE, *names)]
    # What learning costs is measured against headstart alone (`middleware`), which takes less time.
    return [peer for peer in PEERS if peer.name != LEARNING]


def _redraw(parser: argparse.ArgumentParser, folder: Path | None, known: Store) -> int:
    if folder is None or known.machine is None:
        parser.error("--redraw: there are no results")
    save(folder, known)
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class Keeper:
    """Takes results as they come, and writes them among those that are known.

    Args:
        known: Results of earlier runs on this machine.
        folder: Where they are kept, None for nowhere.

    Attributes:
        results: Of this run.
    """

    def __init__(self, machine: Machine, known: Store, folder: Path | None) -> None:
        self.results: list[Result] = []
        self._store = Store(machine, dict(known.results))
        self._folder = folder

    def keep(self, result: Result) -> None:
        """Keep one."""
        assert self._store.machine is not None
        result.measured = self._store.machine.stamp
        self.results.append(result)
        self._store.results[result.scenario.name] = result
        if self._folder is not None:
            save(self._folder, self._store)


class ProgressLine:
    """One line on a terminal that is written over; nothing where stderr is none.

    Args:
        steps: How many runs there will be.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._begin = time.monotonic()
        self._on = sys.stderr.isatty()

    def __call__(self, scenario: Scenario, what: str, steps: int) -> None:
        """Show what comes next."""
        self._done += steps
        if self._on:
            share = self._done / self._steps
            clock = f"{time.monotonic() - self._begin:4.0f} s"
            line = f"{share:4.0%} {clock}  {scenario.name}: {what}"
            print(f"\r\x1b[K{line[:79]}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._on:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
