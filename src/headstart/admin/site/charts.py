"""Where the bars of the waterfalls and of the history are, in thousandths of their width.

The policy of the pages forbids style attributes, so templates write these numbers into SVG, whose
attributes it allows. Pure; called by `views`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headstart import figures
from headstart.middleware.recorded import SPAN, AssetLoad, Figures, PageLoad

# Templates have the same numbers in their viewBox.
_WIDTH = 1000.0
# A thinner bar cannot be seen on a phone.
_LEAST = 4.0
_HEIGHT = 100.0
_SPANS_AN_HOUR = 3600 // SPAN


@dataclass(frozen=True, slots=True)
class Fall:
    """One line of a waterfall.

    Attributes:
        name: The page's path, or the asset's target.
        way: How it came, in one word: page, push, hint, link, request, or unused.
        said: The way in words.
        status: Of the response, "" without one.
        size: Of its body, with its unit.
        took: From its request to its end, with its unit; "" if it never began.
        began: When it began after the page's request, with its unit.
        wait_x, wait_width: The bar until the response began.
        bar_x, bar_width: The bar from there on.
        mark: Where the 103 went out, or None.
    """

    name: str
    way: str
    said: str
    status: str
    size: str
    took: str
    began: str
    wait_x: float
    wait_width: float
    bar_x: float
    bar_width: float
    mark: float | None = None


@dataclass(frozen=True, slots=True)
class Waterfall:
    """One recorded view.

    Attributes:
        load: The view.
        key: Identifies it on its page.
        took: Until the last response ended, with its unit.
        ahead: How many assets were sent ahead.
        fetched: How many assets were loaded, sent ahead or not.
        lines: The page first.
    """

    load: PageLoad
    key: str
    took: str
    ahead: int
    fetched: int
    lines: tuple[Fall, ...]


_WORDS = {
    "push": "pushed",
    "hint": "103",
    "link": "Link",
    "": "asked for",
}


def waterfall(load: PageLoad) -> Waterfall:
    """Return a view as bars."""
    ends = [one.end or one.responded or one.start or 0.0 for one in load.assets]
    end = max([load.end or load.responded or 0.0, *ends])
    # The last bar ends a little before the edge, so that its end can be seen.
    scale = _WIDTH / (end * 1.01 or 1.0)
    page = AssetLoad(load.path, "", 0.0, load.responded, load.end, load.status, load.size)
    first = _fall(page, end, scale, way="page", said="the page", mark=load.hinted)
    lines = [_fall(one, end, scale, way=_way(one), said=_said(one)) for one in load.assets]
    return Waterfall(
        load,
        f"load-{load.time:.3f}-{abs(hash(load.path)) % 10_000}",
        figures.time(end),
        sum(one.way != "" for one in load.assets),
        sum(one.start is not None for one in load.assets),
        (first, *lines),
    )


def _way(one: AssetLoad) -> str:
    if one.start is None:
        return "unused"
    return one.way or "request"


def _said(one: AssetLoad) -> str:
    said = _WORDS.get(one.way, one.way)
    return f"{said}, not fetched" if one.start is None else said


def _fall(
    one: AssetLoad, end: float, scale: float, *, way: str, said: str, mark: float | None = None
) -> Fall:
    start = one.start or 0.0
    responded = min(end if one.responded is None else one.responded, end)
    last = end if one.end is None else one.end
    began = one.start is not None
    return Fall(
        name=one.target,
        way=way,
        said=said,
        status=str(one.status or ""),
        size=figures.size(one.size) if began else "",
        took=figures.time(last - start) if began else "",
        began=figures.time(start) if start else "0 ms",
        wait_x=round(start * scale, 1),
        wait_width=round(max(responded - start, 0.0) * scale, 1) if began else 0.0,
        bar_x=round(min(responded * scale, _WIDTH - _LEAST), 1),
        bar_width=round(max((last - responded) * scale, _LEAST), 1) if began else 0.0,
        mark=None if mark is None else round(mark * scale, 1),
    )


@dataclass(frozen=True, slots=True)
class Column:
    """The bar of one span in the history: views that got something, on top those that did not."""

    x: float
    width: float
    served_y: float
    served_height: float
    rest_y: float
    rest_height: float


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the history as numbers.

    Attributes:
        start: Seconds since 1970.
        figures: Their sum.
    """

    start: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class History:
    """The last hours of a site.

    Attributes:
        columns: One for each span with views.
        most: The most views in a span.
        recall, waste: The lines through the shares, as points of an SVG path, hour by hour.
        hours: The latest first, those without views left out.
        starts: Where each whole hour begins, for the axis.
    """

    columns: tuple[Column, ...]
    most: int
    recall: str
    waste: str
    hours: tuple[Hour, ...]
    starts: tuple[int, ...]


def history(spans: Sequence[Figures]) -> History:
    """Return the last hours as bars and lines, the oldest first."""
    most = max((span.views for span in spans), default=0)
    width = _WIDTH / max(len(spans), 1)
    columns = [
        _column(number * width, width, span, most)
        for number, span in enumerate(spans)
        if span.views
    ]
    hours = list(_hours(spans))
    return History(
        tuple(columns),
        most,
        _line([hour.figures.recall for hour in hours]),
        _line([hour.figures.waste for hour in hours]),
        tuple(hour for hour in reversed(hours) if hour.figures.views),
        tuple(hour.start for hour in hours),
    )


def _column(x: float, width: float, span: Figures, most: int) -> Column:
    served = span.served / most * _HEIGHT
    rest = (span.views - span.served) / most * _HEIGHT
    return Column(
        round(x + width * 0.1, 2),
        round(width * 0.8, 2),
        round(_HEIGHT - served, 2),
        round(served, 2),
        round(_HEIGHT - served - rest, 2),
        round(rest, 2),
    )


def _hours(spans: Sequence[Figures]) -> Iterable[Hour]:
    """Yield the sums of an hour each; the last one ends now."""
    for first in range(0, len(spans), _SPANS_AN_HOUR):
        part = spans[first : first + _SPANS_AN_HOUR]
        yield Hour(part[0].start, sum(part[1:], part[0]))


def _line(shares: Sequence[float | None]) -> str:
    """Return a path through shares; where there is none, it is interrupted."""
    step = _WIDTH / max(len(shares), 1)
    parts = []
    for number, share in enumerate(shares):
        if share is None:
            continue
        # A line through hours without views would claim a share that nobody saw.
        joined = number > 0 and shares[number - 1] is not None
        x, y = (number + 0.5) * step, _HEIGHT - share * _HEIGHT
        alone = not joined and (number + 1 == len(shares) or shares[number + 1] is None)
        parts.append(f"{'L' if joined else 'M'}{x:.1f} {y:.1f}" + ("h8" if alone else ""))
    return "".join(parts)
