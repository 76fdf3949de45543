"""`/metrics`: the metrics as text for Prometheus.

The package prometheus-client writes the text (OpenMetrics for those who ask for it). Its own
counters are not used: a multi-process counter of it is a write to a file for each request, and the
numbers are there already. Without the package, the page says how to install it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import headstart
from headstart.admin.metrics import METRICS, Kind, Metric, Rows, Totals
from headstart.admin.routes import Request, Response, text
from headstart.admin.workers import Workers
from headstart.extras import install_command

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

_MISSING = "Install the package: {}\n"


class Exposition:
    """The page `/metrics`.

    Args:
        totals: Adds up the values of the processes.
    """

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    async def serve(self, request: Request, workers: Workers) -> Response:
        """Ask all processes, and return their values together."""
        if find_spec("prometheus_client") is None:
            return text(_MISSING.format(install_command("metrics")), 501)
        from prometheus_client.exposition import choose_encoder

        rows = self._totals.of(await workers.ask("metrics"))
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(body=encoder(_Collected(rows)), content_type=content_type)


class _Collected:
    """Values as a registry of prometheus-client gives them."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Family]:
        """Yield each metric that has values."""
        from prometheus_client.core import GaugeMetricFamily

        info = GaugeMetricFamily("headstart_info", "The version of Headstart", labels=["version"])
        info.add_metric([headstart.__version__], 1)
        yield info
        for metric in METRICS:
            if metric.name in self._rows:
                yield _family(metric, self._rows[metric.name])


def _family(metric: Metric, samples: list[tuple[list[str], Any]]) -> Family:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, numbers in samples:
            histogram.add_metric(labels, *_cumulative(metric.bounds, numbers))
        return histogram
    made = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = made(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _cumulative(
    bounds: tuple[float, ...], numbers: list[float]
) -> tuple[list[tuple[str, float]], float]:
    """Return the buckets, each with all below it, and the sum."""
    *counts, total = numbers
    buckets, below = [], 0.0
    for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        below += count
        buckets.append((bound, below))
    return buckets, total
