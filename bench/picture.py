"""Results -> an SVG picture: a panel for each scenario, a bar for each server. Pure; called by
`store`.

pygal draws one chart with one scale, brings scripts and fonts of its own, and knows no dark pages;
libraries that only write elements are no shorter than the standard library's ElementTree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from bench.clients.contest import CLIENTS, H2C
from bench.rounds import Result
from bench.sample import Figure, by_memory, by_p99, by_rate, middle
from bench.scenarios import Kind, Part
from bench.servers import BASELINE, PEERS

_WIDTH: Final = 900
_MARGIN: Final = 28
_COLUMNS: Final = 3
_GAP: Final = 24
_PANEL: Final = (_WIDTH - 2 * _MARGIN - (_COLUMNS - 1) * _GAP) / _COLUMNS
_NAMES: Final = 72
"""Width of the names in front of the bars."""
_LABELS: Final = 58
"""Width of the figures behind them."""
_BAR: Final = 13
_STEP: Final = 19
_HEAD: Final = 26
"""Height of a panel's title."""
_SECTION: Final = 46
"""Height of a section's heading."""
_LIMIT: Final = "nghttpd"
"""Written in C, serves files; told in words, since its bar would leave no room for the others."""

_STYLE: Final = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
       fill: #1f2328 }
.page { fill: #ffffff } .section { font-size: 15px; font-weight: 600 } .title { font-weight: 600 }
.muted { fill: #59636e } .figure { font-variant-numeric: tabular-nums } .end { text-anchor: end }
.bar { fill: #afb8c1 } .ours { fill: #2563eb } .spread { stroke: #1f2328; stroke-width: 1.2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .page { fill: #0d1117 } .muted { fill: #9198a1 } .bar { fill: #4d5661 }
  .ours { fill: #58a6ff } .spread { stroke: #e6edf3 }
}
"""


@dataclass(frozen=True, slots=True)
class Section:
    """Panels that show the same kind of figure.

    Attributes:
        heading: What the bars are.
        figure: What of a sample they show.
        label: A figure in words.
    """

    heading: str
    kinds: tuple[Kind, ...]
    figure: Figure
    label: Callable[[float], str]


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _milliseconds(value: float) -> str:
    return f"{value * 1e3:.2f} ms"


def _kib(value: float) -> str:
    return f"{value / 1024:.0f} KiB"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:,.0f} MB/s"


SECTIONS: Final = (
    Section(
        "Answers a second, one core for each server (more is better)",
        (Kind.REQUESTS, Kind.PUSHES),
        by_rate,
        _count,
    ),
    Section(
        "99 of 100 answers came within, at half of each one's peak load (less is better)",
        (Kind.LATENCY,),
        by_p99,
        _milliseconds,
    ),
    Section("Memory of an idle connection (less is better)", (Kind.MEMORY,), by_memory, _kib),
    Section(
        "Clients: GETs a second, one connection (more is better)", (Kind.GETS,), by_rate, _count
    ),
    Section("Clients: a download (more is better)", (Kind.DOWNLOAD,), by_rate, _megabytes),
)
_PARTS: Final = (Part.SERVERS, Part.CLIENTS)
_OURS: Final = (BASELINE, H2C)


@dataclass(frozen=True, slots=True)
class Bar:
    """One server's figure: the median, the lowest and the highest of the rounds."""

    name: str
    value: float
    low: float
    high: float


def bars(result: Result, section: Section) -> list[Bar]:
    """Of those that were measured, in the order of `servers`."""
    found = []
    for name in _order(result):
        samples = result.samples[name]
        each = [section.figure(sample) for sample in samples]
        found.append(Bar(name, middle(samples, section.figure), min(each), max(each)))
    return found


def _order(result: Result) -> list[str]:
    ordered = dict.fromkeys([*(peer.name for peer in PEERS), *CLIENTS])
    return [name for name in ordered if name in result.samples]


def draw(results: Sequence[Result]) -> str:
    """The picture as text."""
    content: list[ET.Element] = []
    top = float(_MARGIN)
    for section in SECTIONS:
        chosen = [r for r in results if r.scenario.part in _PARTS and r.samples]
        chosen = [r for r in chosen if r.scenario.kind in section.kinds]
        if not chosen:
            continue
        content.append(_text(_MARGIN, top + 14, section.heading, "section"))
        top += _SECTION - 12
        for first in range(0, len(chosen), _COLUMNS):
            row = chosen[first : first + _COLUMNS]
            panels = [(result.scenario.title, bars(result, section)) for result in row]
            for number, (title, found) in enumerate(panels):
                left = _MARGIN + number * (_PANEL + _GAP)
                content += _panel(left, top, title, found, section)
            top += _HEAD + _STEP * max(len(found) for _, found in panels) + _GAP
        top += 12
    return _document(content, top)


def _document(content: Sequence[ET.Element], height: float) -> str:
    root = ET.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {height:.0f}",
        width=str(_WIDTH),
        height=f"{height:.0f}",
        role="img",
    )
    ET.SubElement(root, "title").text = "headstart beside other HTTP/2 servers"
    ET.SubElement(root, "style").text = _STYLE
    page = {"class": "page", "width": "100%", "height": "100%", "rx": "8"}
    ET.SubElement(root, "rect", page)
    root.extend(content)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _panel(
    left: float, top: float, title: str, found: Sequence[Bar], section: Section
) -> list[ET.Element]:
    drawn = [_text(left, top + 12, title.replace(" x ", " \N{MULTIPLICATION SIGN} "), "title")]
    scale = _scale(found)
    for number, bar in enumerate(found):
        drawn += _bar(left, top + _HEAD + number * _STEP, bar, scale, section)
    return drawn


def _scale(found: Sequence[Bar]) -> float:
    """Pixels for one of the figure's units; the limit counts only where it is the only rival."""
    shown = [bar for bar in found if bar.name != _LIMIT] or found
    return (_PANEL - _NAMES - _LABELS) / (max(bar.high for bar in shown) or 1.0)


def _bar(left: float, top: float, bar: Bar, scale: float, section: Section) -> list[ET.Element]:
    ours = bar.name in _OURS
    middle_line = top + _BAR / 2
    name = _text(left + _NAMES - 8, top + 11, bar.name, "end" if ours else "end muted")
    label = section.label(bar.value)
    if bar.name == _LIMIT and section.figure is by_rate:
        return [name, _text(left + _NAMES, top + 11, f"{label}, in C, the limit", "figure muted")]
    start, end = left + _NAMES, left + _NAMES + bar.value * scale
    low, high = (left + _NAMES + value * scale for value in (bar.low, bar.high))
    shape = {"class": "ours" if ours else "bar", "rx": "2"}
    box = {"x": start, "y": top, "width": max(end - start, 1.0), "height": _BAR}
    line = {"x1": low, "x2": high, "y1": middle_line, "y2": middle_line}
    spread = [ET.Element("line", {"class": "spread"} | _numbers(line))] if high - low > 2 else []
    return [
        name,
        ET.Element("rect", shape | _numbers(box)),
        *spread,
        _text(max(end, high) + 6, top + 11, label, "figure" if ours else "figure muted"),
    ]


def _numbers(of: dict[str, float]) -> dict[str, str]:
    return {name: f"{value:.1f}" for name, value in of.items()}


def _text(left: float, baseline: float, text: str, kind: str) -> ET.Element:
    element = ET.Element("text", {"class": kind} | _numbers({"x": left, "y": baseline}))
    element.text = text
    return element
