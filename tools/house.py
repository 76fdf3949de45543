"""Draw the rooms of the package and three ways through them, from the import contract.

    python tools/house.py           write docs/pictures/house.svg
    python tools/house.py --check   fail if the picture is not the one that would be written

Each row is a layer of the contract in pyproject.toml, the edge on top; a room imports only rooms of
rows below its own. A way is a line of numbered dots: two rooms that follow each other on a way must
import each other in one direction, or the drawing fails.

Reads:   pyproject.toml, src/
Changes: docs/pictures/house.svg
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "headstart"
PICTURE = ROOT / "docs" / "pictures" / "house.svg"

WIDTH, MARGIN, GAP = 960, 16, 10
HEIGHT = 58
# Rooms that only name things have one line.
LOW = 34


@dataclass(frozen=True, slots=True)
class Way:
    """A way through the rooms: its name, its colour, and the rooms in order."""

    name: str
    colour: str
    rooms: tuple[str, ...]


WAYS = (
    Way(
        "A request: bytes become events, the middleware asks the learner, the application answers",
        "#0b7285",
        ("wire", "server", "middleware", "learn"),
    ),
    Way(
        "A push or a hint: decided for this client, promised through the gate, written",
        "#c92a2a",
        ("learn", "middleware", "deliver", "server", "wire"),
    ),
    Way(
        "What is learned: from requests, pages and logs into the map, and from it to other servers",
        "#5f3dc4",
        ("replay", "middleware", "pages", "learn", "store", "export"),
    ),
)
# Two rooms on a way that meet through a third, which hands the one to the other.
THROUGH = {frozenset({"store", "export"}): "cli"}


class Broken(Exception):
    """The drawing would show something that the package is not."""


def layers() -> list[list[str]]:
    """Return the rooms of each layer, from the edge to the core, without the unnamed ones."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = project["tool"]["importlinter"]["contracts"][0]
    rows = [re.findall(r"\w+", layer) for layer in contract["layers"]]
    named = [[room for room in row if not room.startswith("_")] for row in rows]
    return [row for row in named if row]


def purpose(room: str) -> str:
    """Return the first sentence of a room's docstring, without the room's own name before it."""
    path = SOURCES / room / "__init__.py"
    path = path if path.exists() else SOURCES / f"{room}.py"
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    words = " ".join(text.replace("`", "").split())
    if words.lower().startswith(f"{room}: "):
        words = words.partition(": ")[2]
    first = re.split(r"\.\s|:\s|\s\(", words)[0].rstrip(".:")
    return first[:1].upper() + first[1:]


def imports(room: str) -> set[str]:
    """Return the rooms that a room imports."""
    folder = SOURCES / room
    files = folder.rglob("*.py") if folder.is_dir() else [SOURCES / f"{room}.py"]
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headstart."):
                found.add(str(node.module).split(".")[1])
    return found - {room}


def check(ways: tuple[Way, ...] = WAYS) -> None:
    """Check that rooms which follow each other on a way know each other.

    Raises:
        Broken: Two do not, or a room does not exist.
    """
    rooms = {room for row in layers() for room in row}
    for way in ways:
        for room in way.rooms:
            if room not in rooms:
                raise Broken(f"{way.name}: there is no room {room!r}.")
        for one, other in zip(way.rooms, way.rooms[1:], strict=False):
            middle = THROUGH.get(frozenset({one, other}))
            met = other in imports(one) or one in imports(other)
            if middle:
                met = {one, other} <= imports(middle)
            if not met:
                raise Broken(f"{way.name}: {one} and {other} do not import each other.")


def wrapped(text: str, width: float) -> list[str]:
    """Return a text in at most two lines that fit into a box."""
    most = max(8, int((width - 16) / 5.6))
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > most and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    if len(lines) > 2:
        lines = [lines[0], lines[1][: most - 1].rstrip(" ,") + "…"]
    return lines


def boxes() -> Iterator[tuple[str, float, float, float, float]]:
    """Yield each room with its left, top, width and height."""
    top = float(MARGIN)
    for row in layers():
        low = all((SOURCES / f"{room}.py").exists() for room in row)
        height = LOW if low else HEIGHT
        width = (WIDTH - 2 * MARGIN - GAP * (len(row) - 1)) / len(row)
        for number, room in enumerate(row):
            yield room, MARGIN + number * (width + GAP), top, width, height
        top += height + GAP


def drawn() -> str:
    """Return the picture."""
    parts: list[str] = []
    places = {}
    for room, left, top, width, height in boxes():
        places[room] = (left, top, width)
        low = height == LOW
        line_of_name = top + (21 if low else 18)
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height}" rx="6"'
            ' fill="#f1f3f5" stroke="#adb5bd"/>'
        )
        parts.append(f'<text x="{left + 8:.1f}" y="{line_of_name:.1f}" class="room">{room}</text>')
        for number, line in enumerate([] if low else wrapped(purpose(room), width)):
            y = top + 34 + 14 * number
            parts.append(f'<text x="{left + 8:.1f}" y="{y:.1f}">{escape(line)}</text>')
    bottom = max(top for _, _, top, _, _ in boxes()) + HEIGHT
    taken: dict[str, int] = {}
    for number, way in enumerate(WAYS):
        y = bottom + 8 + 24 * number
        parts.append(dot(MARGIN + 9, y, way.colour, ""))
        parts.append(f'<text x="{MARGIN + 26}" y="{y + 4:.1f}" class="way">{way.name}</text>')
        for step, room in enumerate(way.rooms, 1):
            left, top, width = places[room]
            place = taken[room] = taken.get(room, 0) + 1
            parts.append(dot(left + width - 22 * place + 8, top + 13, way.colour, str(step)))
    height = bottom + 24 * len(WAYS)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}">\n'
        "<style>text{font:10.5px sans-serif;fill:#495057}.room{font:bold 13px monospace;"
        "fill:#212529}.step{font:bold 11px sans-serif;fill:#fff;text-anchor:middle}"
        ".way{font-size:12.5px;fill:#212529}</style>\n"
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def dot(x: float, y: float, colour: str, text: str) -> str:
    """Return a dot with a number in it."""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{colour}"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}" class="step">{text}</text>'
    )


def main(arguments: list[str]) -> int:
    """Write the picture, or compare it; return 1 if it is another one."""
    check()
    made = drawn()
    if "--check" not in arguments:
        PICTURE.write_text(made)
        return 0
    if PICTURE.read_text() != made:
        print(
            "house: docs/pictures/house.svg is old. Run `python tools/house.py`.", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
