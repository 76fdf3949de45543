"""The waterfall as SVG: `h2c load URL --waterfall FILE.svg`.

One file without scripts, fonts or links, on a light background, so that it looks the same
everywhere. Pale bars are waiting, full bars are content, diamonds are 103s. Made with the
standard library's element tree, which escapes the server's text. Pure; called by `command`.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from headstart import figures
from headstart.h2c.daemon.load.report import Look, Row, rows, sentence, shortened
from headstart.h2c.daemon.load.resource import Load

WIDTH = 960
_MARGIN = 20
_LABELS = 330
_ROW = 24
_BAR = 12
_TOP = 92
_LABEL_CHARACTERS = 34
_TIME_WIDTH = 55
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_INK, _PALE_INK, _LINE, _GROUND = "#1f2933", "#616e7c", "#e4e7eb", "#ffffff"
_COLOURS = {
    Look.CONNECT: "#9aa5b1",
    Look.REQUEST: "#2f6fb3",
    Look.HINT: "#c77700",
    Look.PUSH: "#2f855a",
    Look.UNUSED: "#9b51a8",
    Look.FAILED: "#c53030",
}
_WORDS = {
    Look.CONNECT: "connecting",
    Look.REQUEST: "requested",
    Look.HINT: "hinted",
    Look.PUSH: "pushed",
    Look.UNUSED: "sent ahead, not used",
    Look.FAILED: "failed",
}
# 1, 2 and 5 of each power of ten make axes that people can read.
_STEPS = [digit * 10.0**power for power in range(-5, 5) for digit in (1, 2, 5)]
_MOST_TICKS = 7


def picture(load: Load) -> bytes:
    """Return the SVG document."""
    lines = rows(load)
    height = _TOP + _ROW * len(lines) + _MARGIN
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {height}",
            "width": str(WIDTH),
            "height": str(height),
            "font-family": _FONT,
            "font-size": "12",
            "role": "img",
        },
    )
    SubElement(root, "title").text = _clean(f"How {load.url} was loaded")
    _box(root, 0, 0, WIDTH, height, _GROUND, radius=8)
    _text(root, _MARGIN, 30, _clean(shortened(load.url, 90, "…")), size=16, weight="600")
    _text(root, _MARGIN, 50, sentence(load), colour=_PALE_INK)
    _legend(root, {row.look for row in lines}, has_marks=any(row.marks for row in lines))
    scale = max((row.end for row in lines), default=0.0) * 1.02 or 1e-6
    _axis(root, scale, height)
    for number, row in enumerate(lines):
        _row(root, row, _TOP + _ROW * number, scale)
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _legend(root: Element, looks: set[Look], *, has_marks: bool) -> None:
    x = float(_MARGIN)
    for look in Look:
        if look in looks:
            _box(root, x, 63, 10, 10, _COLOURS[look], radius=2)
            _text(root, x + 15, 72, _WORDS[look], colour=_PALE_INK)
            x += 30 + 6.5 * len(_WORDS[look])
    if has_marks:
        _diamond(root, x + 5, 68)
        _text(root, x + 15, 72, "103 Early Hints", colour=_PALE_INK)


def _axis(root: Element, scale: float, height: int) -> None:
    """Lines of equal time, each with its time above."""
    step = next((step for step in _STEPS if scale / step <= _MOST_TICKS), scale)
    for number in range(int(scale / step) + 1):
        x = _x(number * step, scale)
        line = {"x1": x, "x2": x, "y1": f"{_TOP - 4}", "y2": f"{height - _MARGIN + 4}"}
        SubElement(root, "line", {**line, "stroke": _LINE})
        label = figures.time(number * step) if number else "0"
        if float(x) < WIDTH - _MARGIN - 20:
            _text(root, float(x), _TOP - 9, label, colour=_PALE_INK, anchor="middle", size=11)


def _row(root: Element, row: Row, y: int, scale: float) -> None:
    group = SubElement(root, "g")
    facts = [row.label, row.status, row.size, row.by, f"from {figures.time(row.start)}"]
    tooltip = ", ".join(fact for fact in [*facts, f"for {row.took}"] if fact)
    SubElement(group, "title").text = _clean(tooltip)
    middle = y + _ROW / 2 + 4
    label = _clean(shortened(row.label, _LABEL_CHARACTERS, "…"))
    _text(group, _MARGIN, middle, label)
    wrong = row.look is Look.FAILED
    colour = _COLOURS[Look.FAILED] if wrong else _PALE_INK
    _text(group, _LABELS - 64, middle, row.status, colour=colour, anchor="end")
    _text(group, _LABELS - 8, middle, row.size, colour=_PALE_INK, anchor="end")
    start, turn, end = (float(_x(at, scale)) for at in (row.start, row.responded, row.end))
    top = y + (_ROW - _BAR) / 2
    if turn > start:
        _box(group, start, top + 3, turn - start, _BAR - 6, _COLOURS[row.look], opacity="0.4")
    _box(group, turn, top, max(end - turn, 2.5), _BAR, _COLOURS[row.look], radius=1.5)
    for mark in row.marks:
        _diamond(group, float(_x(mark, scale)), y + _ROW / 2)
    end = max(end, turn + 2.5)
    if end + _TIME_WIDTH < WIDTH - _MARGIN:
        _text(group, end + 6, middle, row.took, colour=_PALE_INK, size=11)
    elif start - _TIME_WIDTH > _LABELS:
        _text(group, start - 6, middle, row.took, colour=_PALE_INK, size=11, anchor="end")


def _x(at: float, scale: float) -> str:
    return f"{_LABELS + 8 + at / scale * (WIDTH - _MARGIN - _LABELS - 8):.1f}"


def _box(
    parent: Element,
    x: float,
    y: float,
    width: float,
    height: float,
    colour: str,
    *,
    radius: float = 0,
    opacity: str = "",
) -> None:
    numbers = (("x", x), ("y", y), ("width", width), ("height", height), ("rx", radius))
    attributes = {name: f"{number:g}" for name, number in numbers if number or name in "xy"}
    if opacity:
        attributes["fill-opacity"] = opacity
    SubElement(parent, "rect", {**attributes, "fill": colour})


def _diamond(parent: Element, x: float, y: float) -> None:
    corners: Sequence[tuple[float, float]] = ((x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    colours = {"fill": _COLOURS[Look.HINT], "stroke": _GROUND}
    SubElement(parent, "polygon", {"points": points, **colours})


def _text(
    parent: Element,
    x: float,
    y: float,
    text: str,
    *,
    colour: str = _INK,
    anchor: str = "",
    size: int = 0,
    weight: str = "",
) -> None:
    if not text:
        return
    attributes = {"x": f"{x:g}", "y": f"{y:g}", "fill": colour}
    optional = {"text-anchor": anchor, "font-size": str(size or ""), "font-weight": weight}
    attributes.update({name: value for name, value in optional.items() if value})
    SubElement(parent, "text", attributes).text = text


def _clean(text: str) -> str:
    """Return the text without characters that XML 1.0 forbids even when escaped."""
    return "".join(one if one.isprintable() else "?" for one in text)
