"""Text and tables for a terminal.

URLs come from strangers: characters that would move the cursor or change a colour are escaped.
Colour is only for terminals, and not if NO_COLOR is set. Called by `map` and `replay`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

_GAP = "  "
_ELLIPSIS = "..."


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its first line.
        right: Numbers stand at its right side.
        least: Characters that it may be shortened to where the width is short; 0: never.
    """

    title: str
    right: bool = False
    least: int = 0


def say(text: str, *, err: bool = False, bold: bool = False, dim: bool = False) -> None:
    """Print lines, as far as the stream's encoding has their characters."""
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    colour = False if os.environ.get("NO_COLOR") else None
    styled = click.style(shown, bold=bold or None, dim=dim or None) if bold or dim else shown
    click.echo(styled, err=err, color=colour)


def warn(line: str) -> None:
    """Print a warning of a store or a file."""
    say(f"Warning: {printable(line)}.", err=True)


def width() -> int | None:
    """Columns of the terminal that standard output is; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def printable(text: str) -> str:
    """Return the text with every unprintable character escaped."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _written_out(one) for one in text)


def named(text: str) -> str:
    """Return an argument as an error names it: printable, and in quotes if it is empty."""
    return printable(text) or "''"


def count(number: int, what: str, many: str = "") -> str:
    """Return `1 page`, `2,000 pages`; `many` is a plural that has no -s."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def shortened(text: str, room: int) -> str:
    """Shorten the text to so many characters; cut its middle, since URLs differ at their end."""
    if len(text) <= room:
        return text
    if room <= len(_ELLIPSIS):
        return text[:room]
    kept = room - len(_ELLIPSIS)
    return text[: kept // 2] + _ELLIPSIS + text[len(text) - (kept - kept // 2) :]


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int | None) -> list[str]:
    """Return the titles and the rows as lines of aligned columns.

    Args:
        columns: One for each cell of a row.
        rows: The texts of the cells.
        room: Characters per line, kept as far as `least` allows; None for no bound.
    """
    cells = [
        [column.title for column in columns],
        *([printable(cell) for cell in row] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if room is not None:
        _fit(widths, columns, room)
    return [_line(row, columns, widths) for row in cells]


def _fit(widths: list[int], columns: Sequence[Column], room: int) -> None:
    """Shrink the widest column that may be shortened until all fit."""
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - room
    for _ in range(excess):
        spare = [
            (widths[place], place)
            for place, column in enumerate(columns)
            if column.least and widths[place] > max(column.least, len(column.title))
        ]
        if not spare:
            return
        widths[max(spare)[1]] -= 1


def _line(row: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    cells = []
    for text, column, room in zip(row, columns, widths, strict=True):
        short = shortened(text, room)
        cells.append(short.rjust(room) if column.right else short.ljust(room))
    return _GAP.join(cells).rstrip()
