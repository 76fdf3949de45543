"""Report a load: the lines of a waterfall, the waterfall as text, a sentence, JSON.

The text is as wide as the terminal. A thin line is waiting, a thick one is content that comes, a
diamond a 103. Colour says how it came, and so does a column. Pure; called by `command`, and by
`picture` for the lines.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from headstart import figures
from headstart.h2c.daemon.load.resource import Load, Resource, Way

_BROKEN = "failed"
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


class Look(StrEnum):
    """The meaning of a bar."""

    CONNECT = "connect"
    REQUEST = "request"
    HINT = "hint"
    PUSH = "push"
    UNUSED = "not used"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Row:
    """One line; times are seconds since the load began.

    Attributes:
        by: How it came, in a word or two.
        responded: When waiting ended; `start` where there was none.
        marks: When a 103 came.
    """

    label: str
    status: str
    size: str
    by: str
    look: Look
    start: float
    responded: float
    end: float
    marks: tuple[float, ...] = ()

    @property
    def is_broken(self) -> bool:
        """Return true if the response broke off."""
        return self.status == _BROKEN

    @property
    def took(self) -> str:
        """How long it took, as people read it."""
        return figures.time(self.end - self.start)


def rows(load: Load) -> list[Row]:
    """All lines: the connections that were made, then the resources as they began."""
    found = [*_connections(load), *(_row(load, one) for one in load.resources)]
    return sorted(found, key=lambda row: (row.start, row.look is not Look.CONNECT))


def _connections(load: Load) -> Iterator[Row]:
    for made in load.connections:
        host = urlsplit(made.origin).netloc
        times = (made.started, made.started, made.ended)
        yield Row(f"connect {host}", "", "", "", Look.CONNECT, *times)


def _row(load: Load, one: Resource) -> Row:
    last = one.ended if one.ended is not None else one.responded
    end = max(load.duration if last is None and one.error else last or one.started, one.started)
    responded = min(end if one.responded is None else one.responded, end)
    return Row(
        label(load, one),
        _BROKEN if one.error else str(one.status or "-"),
        figures.size(one.size),
        by(one),
        _look(one),
        one.started,
        max(responded, one.started),
        end,
        tuple(early.at for early in load.early) if one is load.resources[0] else (),
    )


def label(load: Load, one: Resource) -> str:
    """Path and query; with the host in front where it is not the page's."""
    page = urlsplit(load.url)
    parts = urlsplit(one.url)
    foreign = (parts.scheme, parts.netloc) != (page.scheme, page.netloc)
    name = f"{parts.netloc}{one.name}" if foreign else one.name
    return "".join(character if character.isprintable() else "?" for character in name)


def by(one: Resource) -> str:
    """How it came, and whether for nothing."""
    return one.way.value if one.used else f"{one.way.value}, unused"


def _look(one: Resource) -> Look:
    if one.error or (one.status or 0) >= 400:
        return Look.FAILED
    if not one.used:
        return Look.UNUSED
    match one.way:
        case Way.PUSH:
            return Look.PUSH
        case Way.HINT:
            return Look.HINT
        case Way.REQUEST:
            return Look.REQUEST


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


def sentence(load: Load) -> str:
    """Return a summary: the bytes, the time, and how the resources arrived."""
    count = len(load.resources)
    ways = [
        f"{len(load.by(way))} {word}"
        for way, word in ((Way.REQUEST, "requested"), (Way.HINT, "hinted"), (Way.PUSH, "pushed"))
    ]
    things = f"{count} resource" + ("" if count == 1 else "s")
    when = figures.time(load.duration)
    return f"{things}, {figures.size(load.size)} in {when}: {', '.join(ways)}"


def notes(load: Load) -> Iterator[str]:
    """Return lines about anything worth a second look."""
    for one in load.resources:
        if one.error:
            yield f"failed: {label(load, one)}: {one.error}"
    yield from ignored_hints(load)
    for one in load.wasted:
        why = "was not used"
        if one.way is Way.HINT and not one.reusable and _is_fetched_again(load, one):
            why = "was fetched twice, since its status or Cache-Control forbids to keep it"
        yield f"sent ahead for nothing: {label(load, one)} ({one.way.value}) {why}"
    if load.skipped:
        yield f"not fetched: {len(load.skipped)} more; --max-resources N allows more"


def ignored_hints(load: Load) -> Iterator[str]:
    """Return a line for each link of a 103 that was not followed, with the reason."""
    for early in load.early:
        for one in early.ignored:
            shown = "".join(each if each.isprintable() else "?" for each in one)
            yield f"hint not followed: {shown}"


def wrapped(line: str, width: int) -> list[str]:
    """Wrap a line to so many columns between words; never break a URL."""
    return textwrap.wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _is_fetched_again(load: Load, one: Resource) -> bool:
    return any(other.url == one.url and other is not one for other in load.resources)


def as_json(load: Load) -> str:
    """All that is known; times in seconds since the load began, sizes in bytes."""
    told = {
        "url": load.url,
        "duration": round(load.duration, 6),
        "size": load.size,
        "connections": [
            {"origin": made.origin, "start": round(made.started, 6), "end": round(made.ended, 6)}
            for made in load.connections
        ],
        "hints": [
            {"time": round(early.at, 6), "links": early.links, "ignored": early.ignored}
            for early in load.early
        ],
        "resources": [_resource(one) for one in load.resources],
        "skipped": load.skipped,
    }
    return json.dumps(told, indent=2)


def _resource(one: Resource) -> dict[str, object]:
    return {
        "url": one.url,
        "kind": one.kind.value,
        "by": one.way.value,
        "used": one.used,
        "initiator": one.initiator or None,
        "stream": one.stream or None,
        "status": one.status,
        "type": one.media_type or None,
        "size": one.size,
        "start": _time(one.started),
        "response": _time(one.responded),
        "end": _time(one.ended),
        "reusable": one.reusable,
        "error": one.error or None,
    }


def _time(at: float | None) -> float | None:
    return None if at is None else round(at, 6)
