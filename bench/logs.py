"""Measure the cost of a long access log: `python -m bench.logs [LINES]`, a million by default.

A log of a shop is made, with pages, their assets, and clients that return. It is read, and then
played by `headstart replay`, each in a process of its own. Processor time and the most memory of
that process are printed beside the wanted figures, which hold for a million lines. The exit status
is 3 where one is not as wanted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

MILLION: Final = 1_000_000
_SECONDS: Final = 60.0
_MEGABYTES: Final = 150.0
_READ: Final = """
import sys
from pathlib import Path
from headstart.learn.logs import LogFile
with LogFile(Path(sys.argv[1])) as log:
    print(sum(1 for line in log))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """One figure.

    Attributes:
        name: The action that is measured.
        seconds: Its processor time.
        megabytes: The most memory that its process had.
    """

    name: str
    seconds: float
    megabytes: float


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
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(name, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


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
    print(f"{number:,} lines: wanted are {wanted:g} s of processor time and {_MEGABYTES:g} MB")
    missed = False
    for cost in costs:
        is_met = cost.seconds <= wanted and cost.megabytes <= _MEGABYTES
        missed |= not is_met
        word = "" if is_met else "  missed"
        print(f"{cost.name:20} {cost.seconds:8.1f} s {cost.megabytes:8.0f} MB{word}")
    return 3 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
