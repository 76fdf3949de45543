"""The command: reads options, measures, prints the table. Exit status 0, 1 where headstart itself
could not be measured or a tool is missing, 2 for a wrong call, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from types import FrameType
from typing import Any

from bench import middleware, pageload, report, scenarios
from bench.cores import CORES, on
from bench.machine import describe
from bench.rounds import Plan, Result, measure
from bench.sample import LoadFailed
from bench.scenarios import SCENARIOS, Scenario
from bench.servers import BASELINE, PEERS, Peer, ServerFailed

_DESCRIPTION = """\
Compares headstart with other HTTP/2 servers for ASGI, in turn, on this machine.

Every round measures each server once; the table shows the ratios within the rounds, which hold
where the rates themselves come and go with what else the machine does. Two cores at least: one for
the server, one for the load.
"""

_EXAMPLES = """\
examples:
  python -m bench                              everything
  python -m bench --quick                      the main rows, briefly: about a minute
  python -m bench --only 'bare*' --servers h2corn,granian
  python -m bench --rounds 9 --seconds 5 --json results.json
  python -m bench --gains only                 what learning costs, and what a visitor gains

scenarios:
{scenarios}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    plan = _plan(parser, given)
    if which("h2load") is None:
        print("bench: no h2load. On Debian: apt-get install nghttp2-client.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _stop)
    machine = describe(list(plan.peers))
    gains = None if given.gains == "not" else Gains(given.quick)
    progress = ProgressLine(plan.steps + (gains.plan.steps if gains else 0))
    progress.announce(plan, gains)
    try:
        with on(CORES.load), tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
            results = measure(plan, Path(folder), progress)
            if gains is not None:
                gains.measure(Path(folder) / "gains", progress)
    except KeyboardInterrupt:
        progress.clear()
        print("bench: stopped, and the servers too.", file=sys.stderr)
        return 130
    progress.clear()
    if gains is not None:
        print(gains.markdown())
    print(report.markdown(machine, results, plan.peers), end="")
    if given.json is not None:
        whole = report.as_json(machine, results, plan.rounds, plan.seconds)
        whole["gains"] = None if gains is None else gains.as_json()
        given.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    failed = any(BASELINE in result.failures for result in results)
    return 1 if failed or (gains is not None and gains.failed) else 0


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {s.name:17} {s.title} ({s.kind})" for s in SCENARIOS)
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=_DESCRIPTION,
        epilog=_EXAMPLES.format(scenarios=listed),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rounds", type=_count, metavar="N", help="measured rounds (default 5; quick 3)")
    add("--seconds", type=_seconds, metavar="S", help="load per server and round (2; quick 1)")
    add("--only", type=_words, default=[], metavar="NAME,...", help="scenarios; * and ? work")
    add("--servers", type=_words, default=[], metavar="NAME,...", help="beside headstart")
    add("--quick", action="store_true", help="the main scenarios, fewer and shorter rounds")
    add(
        "--gains",
        choices=("too", "only", "not"),
        help="what learning costs and gains, too; by default unless --only or --servers chooses",
    )
    add("--json", type=Path, metavar="FILE", help="write all samples and ratios there too")
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


def _plan(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Plan:
    if given.gains is None:
        given.gains = "not" if given.only or given.servers else "too"
    try:
        wanted = scenarios.chosen(given.only, given.quick) if given.gains != "only" else []
        peers = chosen_peers(given.servers)
    except LookupError as error:
        parser.error(f"there is no {error.args[0]!r} (see --help)")
    if given.json is not None and not given.json.parent.is_dir():
        parser.error(f"--json: there is no folder {given.json.parent}")
    rounds = given.rounds or (3 if given.quick else 5)
    seconds = given.seconds or (1.0 if given.quick else 2.0)
    return Plan(wanted, peers, rounds, seconds)


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
    return [peer for peer in PEERS if peer.name != middleware.ON]


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class Gains:
    """What learning costs (`middleware`) and what a visitor gains by it (`pageload`).

    Args:
        quick: Fewer and shorter rounds.
    """

    def __init__(self, quick: bool) -> None:
        self.plan = middleware.plan(5, 0.5) if quick else middleware.plan(15, 1.0)
        self._loads = 7 if quick else 15
        self._costs: list[Result] = []
        self._table: pageload.Table | None = None
        self._failure = ""

    @property
    def expected_seconds(self) -> float:
        """About how long it takes."""
        return self.plan.expected_seconds + 15 + 2 * self._loads

    @property
    def failed(self) -> bool:
        """Whether something could not be measured."""
        return self._table is None or any(result.failures for result in self._costs)

    def measure(self, folder: Path, progress: ProgressLine) -> None:
        """Measure both; `folder` is made."""
        folder.mkdir()
        self._costs = measure(self.plan, folder, progress)
        try:
            self._table = pageload.measure_loads(folder, self._loads, progress.show)
        except (LoadFailed, ServerFailed) as failure:
            self._failure = str(failure)

    def markdown(self) -> str:
        """Both tables."""
        loads = f"Page loads failed: {self._failure}\n"
        if self._table is not None:
            loads = pageload.markdown(self._table)
        return f"{middleware.markdown(self._costs)}\n{loads}"

    def as_json(self) -> dict[str, Any]:
        """Everything, for `json.dump`."""
        loads = {"failure": self._failure}
        return {
            "middleware": middleware.as_json(self._costs),
            "page_load": loads if self._table is None else pageload.as_json(self._table),
        }


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

    def announce(self, plan: Plan, gains: Gains | None) -> None:
        """Say what will be done, and about how long it takes."""
        seconds = plan.expected_seconds + (gains.expected_seconds if gains else 0)
        print(
            f"{len(plan.scenarios)} scenarios, {len(plan.peers)} servers, {plan.rounds} rounds of "
            f"{plan.seconds:g} s{', gains' if gains else ''}: about {seconds / 60:.0f} min",
            file=sys.stderr,
        )

    def __call__(self, scenario: Scenario, what: str, steps: int) -> None:
        """Show what comes next."""
        self._done += steps
        self.show(f"{scenario.title}: {what}")

    def show(self, what: str) -> None:
        """Show what is done now."""
        if self._on:
            share = self._done / self._steps
            clock = f"{time.monotonic() - self._begin:4.0f} s"
            line = f"{share:4.0%} {clock}  {what}"
            print(f"\r\x1b[K{line[:79]}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._on:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
