"""The gain as `headstart map` shows it: a table, or values for JSON.

Pure: reads a learner, changes nothing. Called by `map`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from headstart.cli.terminal import Column
from headstart.figures import time
from headstart.learn import Gain, Metric
from headstart.learn.explaining import interval, signed

COLUMNS = (
    Column("gain", least=24),
    Column("until"),
    Column("saves", right=True),
    Column("95 % interval", right=True),
    Column("with", right=True),
    Column("without", right=True),
    Column("views", right=True),
    Column("control", right=True),
)
_NO_VIEWS = ("-", "-", "-", "-")
_UNTIL = {
    Metric.BLOCKING: "blocking assets",
    Metric.LOADED: "all assets",
    Metric.FCP: "FCP (browsers)",
    Metric.LCP: "LCP (browsers)",
    Metric.LOAD: "load (browsers)",
}


def cells_of(gains: Iterable[Gain]) -> list[tuple[str, ...]]:
    """Return the table's lines, sites before their pages."""
    return [cells for gain in sorted(gains, key=lambda gain: gain.page) for cells in _lines(gain)]


def _lines(gain: Gain) -> Iterator[tuple[str, ...]]:
    page = gain.page
    if (stop := gain.stop) is not None and stop.stopped:
        interval_then = f"{signed(-stop.high)} to {signed(-stop.low)}"
        yield (page, "it was stopped", signed(-stop.seconds), interval_then, *_NO_VIEWS)
        page = ""
    if not gain.savings:
        views, control = f"{gain.views:,.0f}", f"{gain.control_views:,.0f}"
        yield (page, "too few views yet", "-", "-", "-", "-", views, control)
    for metric, saving in gain.savings.items():
        yield (
            page,
            _UNTIL[metric],
            signed(saving.seconds),
            interval(saving),
            time(saving.median),
            time(saving.control_median),
            f"{saving.views:,.0f}",
            f"{saving.control_views:,.0f}",
        )
        page = ""


def plain(gain: Gain) -> dict[str, Any]:
    """Return a gain for JSON; times in seconds."""
    return {
        "views": gain.views,
        "control_views": gain.control_views,
        "stopped": gain.stopped,
        "savings": {
            metric: {"seconds": saving.seconds, **asdict(saving)}
            for metric, saving in gain.savings.items()
        },
    }
