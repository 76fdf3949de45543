"""Runs mutmut on what `[tool.mutmut]` in pyproject.toml names, and prints which mutants survived.

A mutant is one function with one small fault. It survives if every test that reaches the function
passes nonetheless. Called by `make mutants`, which has installed mutmut. Arguments are patterns of
mutants' names (`headstart.wire.fields.*`); without any, all mutants are tried that have no result.
Results are kept in mutants/ beside each module: a run that was interrupted goes on where it
stopped, and the mutants of a function that has changed have no result.

Reads:   pyproject.toml, src/, tests/
Changes: mutants/
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "mutants" / "src" / "headstart"
MUTMUT = Path(sys.executable).parent / "mutmut"

# mutmut's own: pytest's statuses, 33 where no test reaches the function, 34 where a pragma skips
# it, and signals of what took too long.
SURVIVED, UNREACHED, SKIPPED = 0, 33, 34


def results() -> dict[str, dict[str, int | None]]:
    """Return for each mutated module how each of its mutants ended, None before it was tried."""
    modules = {}
    for path in sorted(KEPT.rglob("*.meta")):
        mutants = json.loads(path.read_text())["exit_code_by_key"]
        if mutants:
            modules[str(path.relative_to(KEPT)).removesuffix(".meta")] = mutants
    return modules


def report(modules: dict[str, dict[str, int | None]]) -> str:
    """Return a table of the modules and rooms, and below it the names of those that survived."""
    lines = [f"{'':32} mutants  killed  survived  unreached  untried  score"]
    alive: list[str] = []
    rooms: dict[str, Counter[str]] = {}
    for module, mutants in modules.items():
        counts = Counter(map(verdict, mutants.values()))
        lines.append(row(module, counts))
        rooms.setdefault(module.partition("/")[0], Counter()).update(counts)
        alive += [name for name, ended in mutants.items() if ended in (SURVIVED, UNREACHED)]
    lines += ["", *(row(room + "/", counts) for room, counts in rooms.items())]
    if alive:
        lines += ["", "Survivors; `.venv/bin/mutmut show NAME` prints the fault:", *alive]
    return "\n".join(lines)


def verdict(ended: int | None) -> str:
    """Return the column that a mutant's exit status belongs to."""
    columns = {None: "untried", SURVIVED: "survived", UNREACHED: "unreached", SKIPPED: "skipped"}
    return columns.get(ended, "killed")


def row(name: str, counts: Counter[str]) -> str:
    """Return one line of the table; the score is the share of those that were tried."""
    tried = counts["killed"] + counts["survived"] + counts["unreached"]
    score = f"{counts['killed'] / tried:6.1%}" if tried else "     -"
    return (
        f"{name:32} {counts.total():7} {counts['killed']:7} {counts['survived']:9}"
        f" {counts['unreached']:10} {counts['untried']:8} {score}"
    )


def main() -> int:
    """Return the status of mutmut: survivors are reported and are no failure."""
    # One at a time: what listens on a socket or measures would disturb its neighbours.
    status = subprocess.call([MUTMUT, "run", "--max-children", "1", *sys.argv[1:]], cwd=ROOT)
    print(report(results()))
    return status


if __name__ == "__main__":
    sys.exit(main())
