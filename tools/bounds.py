"""Print the oldest or the newest allowed version of each package that the server runs on.

    python tools/bounds.py oldest    click==8.1 ...: the lower bounds of pyproject.toml themselves
    python tools/bounds.py newest    click>=8.1 ...: for `pip install --upgrade`

Called by tools/test-versions. Reads pyproject.toml; changes nothing.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def declared() -> list[Requirement]:
    """Return what the package itself requires on this Python, without extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = [Requirement(text) for text in project["dependencies"]]
    return [each for each in found if each.marker is None or each.marker.evaluate()]


def oldest(requirement: Requirement) -> str:
    """Return a requirement as the pin of its lower bound.

    Raises:
        SystemExit: It has no lower bound.
    """
    for specifier in requirement.specifier:
        if specifier.operator == ">=":
            return f"{requirement.name}=={specifier.version}"
    raise SystemExit(f"bounds: {requirement} has no lower bound. Give it one in pyproject.toml.")


def newest(requirement: Requirement) -> str:
    """Return a requirement as pip takes it for an upgrade."""
    return f"{requirement.name}{requirement.specifier}"


def main(arguments: list[str]) -> int:
    """Print the requirements, one a line."""
    match arguments:
        case ["oldest"]:
            print(*map(oldest, declared()), sep="\n")
        case ["newest"]:
            print(*map(newest, declared()), sep="\n")
        case _:
            print("usage: bounds.py oldest|newest", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
