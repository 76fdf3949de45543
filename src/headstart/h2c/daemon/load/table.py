"""The waterfall as text, as wide as the terminal.

A thin line is waiting, a thick one is content that comes, a diamond a 103. Colour says how it came,
and so does a column. Pure; called by `command`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart import figures
from headstart.h2c.daemon.load.resource import Load
from headstart.h2c.daemon.load.rows import Look, Row, rows

UNKNOWN_WIDTH = 100
"""Columns where no terminal says how many it has."""

_GAP = "  "
_LEAST_BAR = 16
_GOOD_BAR = 28
"""With less room the column of the start goes, which a bar says as well."""
_BY = 3
_START = 4
_LONGEST_LABEL = 44
_SHORTEST_LABEL = 12
_CODES = {
    Look.CONNECT: "2",
    Look.REQUEST: "34",
    Look.HINT: "33",
    Look.PUSH: "32",
    Look.UNUSED: "35",
    Look.FAILED: "31",
}


@dataclass(frozen=True, slots=True)
class Style:
    """The capabilities of a terminal."""

    width: int
    unicode: bool
    colour: bool


@dataclass(frozen=True, slots=True)
class _Glyphs:
    wait: str
    receive: str
    mark: str
    broken: str
    ellipsis: str


_UNICODE = _Glyphs("─", "━", "◆", "✗", "…")
_ASCII = _Glyphs("-", "#", "*", "x", "...")


def table(load: Load, style: Style) -> list[str]:
    """Return the lines: a heading, then one per connection and resource, within the width."""
    glyphs = _UNICODE if style.unicode else _ASCII
    lines = rows(load)
    cells = [("RESOURCE", "STATUS", "SIZE", "BY", "START", "TIME"), *map(_cells, lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if style.width - sum(widths) - len(_GAP) * len(widths) < _GOOD_BAR:
        cells = [row[:_START] + row[_START + 1 :] for row in cells]
        del widths[_START]
    bar = _fit(widths, style.width)
    cells = [row[: len(widths)] for row in cells]
    shown = [_joined(row, widths, glyphs) for row in cells]
    if not bar:
        return [line.rstrip()[: style.width] for line in shown]
    scale = max(load.duration, *(row.end for row in lines), 1e-6) if lines else 1e-6
    heading = shown[0] + _GAP + _axis(scale, bar)
    return [heading.rstrip()] + [
        text + _GAP + _bar(row, scale, bar, glyphs, colour=style.colour)
        for text, row in zip(shown[1:], lines, strict=True)
    ]


def _cells(row: Row) -> tuple[str, ...]:
    start = figures.time(row.start)
    return (row.label, row.status, row.size, row.by, start, row.took)


def _fit(widths: list[int], width: int) -> int:
    """Shorten the labels so that a bar has room; returns the columns that it has, 0 for none.

    Without a bar, the last columns go that have no room, too: half a number would be another one.
    """
    others = sum(widths[1:]) + len(_GAP) * len(widths)
    widths[0] = min(widths[0], _LONGEST_LABEL)
    room = width - others - widths[0]
    if room < _LEAST_BAR:
        widths[0] = max(_SHORTEST_LABEL, min(widths[0], width - others - _LEAST_BAR))
        room = width - others - widths[0]
    if room >= _LEAST_BAR:
        return room
    while len(widths) > 1 and _SHORTEST_LABEL + _others(widths) > width:
        widths.pop()
    widths[0] = max(_SHORTEST_LABEL, width - _others(widths))
    return 0


def _others(widths: list[int]) -> int:
    """Columns of all cells but the first, and of the gaps between them."""
    return sum(widths[1:]) + len(_GAP) * (len(widths) - 1)


def _joined(row: Sequence[str], widths: Sequence[int], glyphs: _Glyphs) -> str:
    label, *others = row
    shown = [shortened(label, widths[0], glyphs.ellipsis).ljust(widths[0])]
    for index, (text, width) in enumerate(zip(others, widths[1:], strict=True), 1):
        shown.append(text.ljust(width) if index == _BY else text.rjust(width))
    return _GAP.join(shown)


def shortened(text: str, room: int, ellipsis: str) -> str:
    """Shorten the text to so many characters; cut its middle, since URLs differ at the end."""
    if len(text) <= room:
        return text
    kept = max(room - len(ellipsis), 0)
    return (text[: kept // 2] + ellipsis + text[len(text) - (kept - kept // 2) :])[:room]


def _axis(scale: float, room: int) -> str:
    """Return the time axis: its beginning, middle and end."""
    start, middle, end = "0", figures.time(scale / 2), figures.time(scale)
    left = start.ljust(room // 2) + middle
    gap = room - len(end)
    return (left.ljust(gap) if len(left) < gap else start.ljust(gap)) + end


def _bar(row: Row, scale: float, room: int, glyphs: _Glyphs, *, colour: bool) -> str:
    def column(at: float) -> int:
        return min(int(at / scale * room), room - 1)

    first, turn, last = column(row.start), column(row.responded), column(row.end)
    cells = [glyphs.wait] * (turn - first) + [glyphs.receive] * (last - turn + 1)
    for mark in row.marks:
        # It is told of a moment after it came.
        cells[max(first, min(column(mark), last)) - first] = glyphs.mark
    if row.is_broken:
        cells[-1] = glyphs.broken
    if row.look is Look.CONNECT:
        cells = ["·" if glyphs is _UNICODE else "."] * len(cells)
    bar = "".join(cells)
    return " " * first + (f"\x1b[{_CODES[row.look]}m{bar}\x1b[0m" if colour else bar)
