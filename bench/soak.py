"""`python -m bench.soak`: mixed load for minutes, and whether the server's memory stays flat.

Starts one server as a user would, with learning, lets every kind of client of `mix` visit it again
and again, and reads the server's resident memory each second. Flat means: the mean of the last
window is at most 5 % above that of the second, a window being a minute, or a quarter of a run that
is shorter than five. Exit status 0 if it was flat and everybody was served, else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Final

from bench.mix import PROGRAMS, VISITS, Place, Visit
from bench.scenarios import App
from bench.servers import LEARNING, PEERS, RunningServer, Site, write_files

ALLOWED: Final = 0.05
_WINDOW: Final = 60.0
_SHORT: Final = 300.0
_PAUSE: Final = 0.1
# Minutes.
_LEAST: Final = 0.1
_MOST: Final = 100_000
_MEGABYTE: Final = 1 << 20


@dataclass(slots=True)
class Run:
    """What was seen.

    Attributes:
        seconds: How long it was to last.
        samples: Seconds since its start, and the server's resident bytes.
        visits: Kind of client -> how often it came.
        unserved: What went wrong for clients that kept the rules.
    """

    seconds: float
    samples: list[tuple[float, int]] = field(default_factory=list)
    visits: Counter[str] = field(default_factory=Counter)
    unserved: list[str] = field(default_factory=list)

    @property
    def window(self) -> float:
        """Seconds over which memory is averaged."""
        return _WINDOW if self.seconds >= _SHORT else self.seconds / 4

    def mean(self, begin: float) -> float:
        """Mean resident bytes in the window from `begin` on."""
        found = [size for at, size in self.samples if begin <= at < begin + self.window]
        return statistics.fmean(found)

    @property
    def growth(self) -> float:
        """The last window's mean against the second's: 0.05 is five percent more."""
        return self.mean(self.seconds - self.window) / self.mean(self.window) - 1

    @property
    def passed(self) -> bool:
        """It was flat, every kind of client came, and those that kept the rules were served."""
        came = all(self.visits[kind] for kind in VISITS)
        return self.growth <= ALLOWED and came and not self.unserved

    def text(self) -> str:
        """For people."""
        second, last = self.mean(self.window), self.mean(self.seconds - self.window)
        lines = [f"{self.visits[kind]:8}  {kind}" for kind in VISITS]
        lines += [f"unserved: {problem}" for problem in self.unserved[:10]]
        lines.append(
            f"memory over {self.window:.0f} s: {second / _MEGABYTE:.1f} MB in the second window, "
            f"{last / _MEGABYTE:.1f} MB in the last, {self.growth:+.1%} (allowed: {ALLOWED:+.0%})"
        )
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "seconds": self.seconds,
            "window": self.window,
            "growth": self.growth,
            "visits": dict(self.visits),
            "unserved": self.unserved,
            "resident": [[round(at, 1), size] for at, size in self.samples],
        }


async def soak(server: RunningServer, seconds: float, seed: int) -> Run:
    """Load a server that is up; what was seen."""
    run, begin = Run(seconds), time.monotonic()
    place = Place(server.port, str(server.upload))

    async def visit(kind: str, visiting: Visit, dice: random.Random) -> None:
        while time.monotonic() < begin + seconds:
            try:
                await visiting(place, dice)
            except Exception as error:
                run.unserved.append(f"{kind}: {error!r}")
            run.visits[kind] += 1
            await asyncio.sleep(_PAUSE)

    async def sample() -> None:
        while (now := time.monotonic() - begin) < seconds:
            run.samples.append((now, server.resident_bytes()))
            await asyncio.sleep(min(1.0, run.window / 10))

    async with asyncio.TaskGroup() as group:
        group.create_task(sample())
        for number, (kind, visiting) in enumerate(VISITS.items()):
            group.create_task(visit(kind, visiting, random.Random(seed + number)))
    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    given = _parser().parse_args(arguments)
    missing = [program for program in PROGRAMS if which(program) is None]
    if missing:
        print(f"soak: no {missing[0]}. On Debian: apt-get install nghttp2-client.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="headstart-soak-") as folder:
        run = _run(Path(folder), given.minutes * 60, given.seed)
    print(run.text())
    if given.json is not None:
        given.json.write_text(json.dumps(run.as_json()) + "\n", encoding="utf-8")
    return 0 if run.passed else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description="Mixed load, and whether memory stays flat."
    )
    parser.add_argument("--minutes", type=minutes, default=10.0, help="how long (10)")
    parser.add_argument("--seed", type=int, default=1, help="another order of visits (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all samples")
    return parser


def minutes(text: str) -> float:
    """How long, as the command line takes it; a window of memory needs a few samples."""
    number = float(text)
    if not _LEAST <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"{text} is not from {_LEAST} to {_MOST} minutes")
    return number


def _run(folder: Path, seconds: float, seed: int) -> Run:
    files = folder / "files"
    files.mkdir()
    write_files(files)
    peer = next(peer for peer in PEERS if peer.name == LEARNING)
    site = Site(App.BARE, None, files)
    with RunningServer(peer, site, folder / "log") as server:
        server.wait_until_up()
        return asyncio.run(soak(server, seconds, seed))


if __name__ == "__main__":
    sys.exit(main())
