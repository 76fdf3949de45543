"""Measure the cost of a long access log: `python -m bench.logs [LINES]`, a million by default.

A log of a shop is made, with pages, their assets, and clients that return. It is read, and then
played by `headstart replay`. Printed are the elapsed time, which is right on a quiet machine only,
and the processor time and the most memory of each process. The wanted figures hold for a million
lines: no process may take more time, which on enough quiet cores is the elapsed time, and all of
them together no more memory. The exit status is 3 where one is not as wanted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

MILLION: Final = 1_000_000
_SECONDS: Final = 60.0
_MEGABYTES: Final = 150.0
# Seconds between two looks at the processes, and a tick of their clocks.
_INTERVAL: Final = 0.05
_TICK: Final = 1.0 / os.sysconf("SC_CLK_TCK")
_READ: Final = """
import sys
from pathlib import Path
from headstart.learn.logs import LogFile
with LogFile(Path(sys.argv[1])) as log:
    print(sum(1 for line in log))
"""


@dataclass(frozen=True, slots=True)
class Use:
    """The resources that one process used.

    Attributes:
        seconds: Its processor time.
        megabytes: The most memory that it had.
    """

    seconds: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one command.

    Attributes:
        name: The action that is measured.
        elapsed: Seconds until its end.
        uses: By its own process, and by each that it started.
    """

    name: str
    elapsed: float
    uses: tuple[Use, ...]

    def is_within(self, seconds: float, megabytes: float) -> bool:
        """Return true if no process took more time, and all of them no more memory."""
        used = sum(use.megabytes for use in self.uses)
        return max(use.seconds for use in self.uses) <= seconds and used <= megabytes


def lines(number: int) -> Iterator[str]:
    """Yield so many lines of a shop's log, the same each time."""
    random = Random(9113)
    agents = [f"Mozilla/5.0 (X11; Linux x86_64) Chrome/{v}.0.0.0 Safari/537.36" for v in range(40)]
    assets = [f"/assets/{place:03}.{kind}" for place in range(60) for kind in ("css", "js", "png")]
    made, now = 0, 0.0
    while made < number:
        now += random.random()
        client = f"198.51.{random.randrange(256)}.{random.randrange(256)}"
        agent = random.choice(agents)
        page = f"/product/{random.randrange(500)}" if random.random() < 0.7 else "/"
        wanted = random.sample(assets, random.randrange(14))
        for url in (page, *wanted)[: number - made]:
            referer = "-" if url == page else f"https://shop.example{page}"
            second = int(now)
            clock = f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
            yield (
                f"{client} - - [{1 + second // 86400 % 28:02}/Mar/2026:{clock} +0000] "
                f'"GET {url} HTTP/1.1" 200 {random.randrange(300, 90_000)} "{referer}" "{agent}"\n'
            )
            made += 1


def cost_of(name: str, command: Sequence[str]) -> Cost:
    """Run a command to its end and return its cost.

    Raises:
        RuntimeError: Its exit status is not 0.
    """
    begun, uses = time.monotonic(), dict[int, Use]()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        uses |= _uses(process.pid)
        time.sleep(_INTERVAL)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    if not uses:  # No /proc: this is the time of all processes, and the memory of the largest one.
        uses[0] = Use(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    return Cost(name, time.monotonic() - begun, tuple(uses.values()))


def _uses(process: int) -> dict[int, Use]:
    """Return the resources that a process and its children used so far, by their number."""
    found = {}
    with suppress(OSError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for each in (process, *map(int, children)):
            with suppress(OSError, StopIteration):
                found[each] = _use(Path(f"/proc/{each}"))
    return found


def _use(folder: Path) -> Use:
    """Return the resources that a process used, from its folder in /proc (proc(5)).

    Raises:
        OSError: It has ended.
        StopIteration: It has ended and is not waited for.
    """
    status = (folder / "status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM:"))
    # The name of the program may hold spaces, and ends with the last parenthesis.
    times = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
    return Use(sum(map(int, times)) * _TICK, int(peak.split()[1]) / 1024)


def main(number: int = MILLION) -> int:
    """Print the cost of a log of so many lines; the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "access.log"
        with log.open("w") as file:
            file.writelines(lines(number))
        python = sys.executable
        costs = [
            cost_of("reading", [python, "-c", _READ, str(log)]),
            cost_of("headstart replay", [python, "-m", "headstart.cli", "replay", str(log)]),
        ]
    wanted = _SECONDS * number / MILLION
    print(f"{number:,} lines: wanted are {wanted:g} s of each process and {_MEGABYTES:g} MB of all")
    missed = False
    for cost in costs:
        is_met = cost.is_within(wanted, _MEGABYTES)
        missed |= not is_met
        used = ", ".join(f"{use.seconds:.1f} s and {use.megabytes:.0f} MB" for use in cost.uses)
        word = "" if is_met else "  missed"
        print(f"{cost.name:20} {cost.elapsed:8.1f} s elapsed: {used}{word}")
    return 3 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
