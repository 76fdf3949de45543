"""Measure the cost of attacks to other clients: `python -m bench.attacks`.

Runs `tests/server/test_attacks.py`, which attacks a server while another client asks for a page
again and again, and prints the figures of each attack. The exit status is 3 where that client waits
longer than wanted, 1 where a test fails. Arguments name some of those tests, as for pytest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.servers import ROOT

FILE: Final = "ATTACK_FIGURES"
"""The environment variable that names the file to which the tests append their figures."""
TIMES: Final = 2.0
"""The page's time under attack, at most so many times the usual one."""
NOISE: Final = 0.02
"""Seconds by which a page may be late because the machine is shared, whatever is attacked."""
_TESTS: Final = "tests/server/test_attacks.py"


@dataclass(frozen=True, slots=True)
class Attack:
    """The figures of one attack.

    Attributes:
        name: The attack.
        spent: Seconds of the server's processor time.
        grown: Bytes of memory at the most, more than before.
        usual, during: Seconds that the other client's page takes, median, without and with it.
        pages: Pages of the other client meanwhile.
    """

    name: str
    spent: float
    grown: int
    usual: float
    during: float
    pages: int

    @property
    def is_met(self) -> bool:
        """Return true if the other client waits at most as long as wanted."""
        return self.during <= TIMES * self.usual + NOISE

    def __str__(self) -> str:
        verdict = "" if self.is_met else "  missed"
        return (
            f"{self.name:60} {self.spent:6.2f} s {self.grown / 1e6:+6.1f} MB"
            f" {1000 * self.usual:7.2f} -> {1000 * self.during:7.2f} ms{verdict}"
        )


def attacks_in(lines: Iterable[str]) -> list[Attack]:
    """Return what the tests appended, an object a line."""
    return [Attack(**json.loads(line)) for line in lines]


def main(arguments: Sequence[str]) -> int:
    """Attack, print the figures, and return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.jsonl")
        file.touch()
        command = [sys.executable, "-m", "pytest", "-q", "--no-cov", *(arguments or [_TESTS])]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | {FILE: str(file)}, check=False)
        attacks = attacks_in(file.read_text().splitlines())
    for attack in attacks:
        print(attack)
    if done.returncode:
        return 1
    return 0 if all(attack.is_met for attack in attacks) else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
