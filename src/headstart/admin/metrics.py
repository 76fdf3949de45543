"""The metrics of the admin port: their names, their meaning, and how those of processes add up.

Names follow Prometheus's rules (https://prometheus.io/docs/practices/naming/). `measures` reads the
values in each process, `Totals` adds them up, `exposition` writes them. docs/admin.md has the same
table, and a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

from headstart.admin.workers import Answer
from headstart.server.request_counts import DURATIONS

Rows: TypeAlias = dict[str, list[tuple[list[str], Any]]]
"""Metric -> its samples: the values of its labels, and a number, or a histogram's numbers: those of
its buckets, the rest, and the sum. As JSON between processes."""


class Kind(Enum):
    """What a metric is, and how the values of processes become one."""

    COUNTER = "counter"
    """Only grows; summed, those of processes that have ended too."""
    HISTOGRAM = "histogram"
    """As a counter."""
    SUM = "sum"
    """A gauge; summed."""
    MOST = "most"
    """A gauge; the largest of all."""
    LEAST = "least"
    """A gauge; the smallest of all."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: As Prometheus shows it.
        kind: How its values add up.
        help: One sentence without a full stop.
        labels: The names of its labels.
        bounds: Upper bounds of a histogram's buckets.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


DELAYS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the buckets of the event loop's delay, in seconds."""

METRICS: Final = (
    Metric(
        "headstart_requests_total",
        Kind.COUNTER,
        "Requests that the application or the cache answered, by HTTP version, by whether "
        "they were promised in a push, and by status code; 499 if the client left before a "
        "response",
        ("version", "pushed", "code"),
    ),
    Metric(
        "headstart_request_duration_seconds",
        Kind.HISTOGRAM,
        "Time from the call of the application to its end",
        (),
        DURATIONS,
    ),
    Metric(
        "headstart_requests_in_progress",
        Kind.SUM,
        "Requests whose calls of the application have not ended",
    ),
    Metric(
        "headstart_requests_refused_total",
        Kind.COUNTER,
        "Requests and streams that did not reach the application, by reason",
        ("reason",),
    ),
    Metric(
        "headstart_connections_accepted_total",
        Kind.COUNTER,
        "Connections that clients made",
    ),
    Metric(
        "headstart_connections_ended_total",
        Kind.COUNTER,
        "Connections that ended or were refused, by reason",
        ("reason",),
    ),
    Metric(
        "headstart_connections_open",
        Kind.SUM,
        "Open connections",
    ),
    Metric(
        "headstart_streams_open",
        Kind.SUM,
        "Open HTTP/2 streams whose requests wait for something",
    ),
    Metric(
        "headstart_received_bytes_total",
        Kind.COUNTER,
        "Bytes of HTTP that came from clients, without TLS",
    ),
    Metric(
        "headstart_sent_bytes_total",
        Kind.COUNTER,
        "Bytes of HTTP that went to clients, without TLS",
    ),
    Metric(
        "headstart_pushes_total",
        Kind.COUNTER,
        "Pushes that were promised to clients",
    ),
    Metric(
        "headstart_early_hints_total",
        Kind.COUNTER,
        "Responses 103 that were sent",
    ),
    Metric(
        "headstart_pushes_refused_total",
        Kind.COUNTER,
        "Pushes and 103 that the server did not send for an application or for the learner, "
        "by reason",
        ("reason",),
    ),
    Metric(
        "headstart_views_total",
        Kind.COUNTER,
        "Requests that were answered with a page",
    ),
    Metric(
        "headstart_control_views_total",
        Kind.COUNTER,
        "Pages that got nothing so that they can be compared",
    ),
    Metric(
        "headstart_candidates_total",
        Kind.COUNTER,
        "Assets about whose delivery there was a decision",
    ),
    Metric(
        "headstart_assets_sent_total",
        Kind.COUNTER,
        "Assets that were sent ahead, by way: push, hint or link",
        ("way",),
    ),
    Metric(
        "headstart_assets_refused_total",
        Kind.COUNTER,
        "Assets that were not sent ahead with a page, by reason",
        ("reason",),
    ),
    Metric(
        "headstart_views_ended_total",
        Kind.COUNTER,
        "Pages whose clients have asked for all that they wanted",
    ),
    Metric(
        "headstart_views_served_total",
        Kind.COUNTER,
        "Ended views with which something was sent ahead",
    ),
    Metric(
        "headstart_view_assets_total",
        Kind.COUNTER,
        "Assets of ended views: sent ahead, of those used and wasted, and asked for without "
        "having been told of",
        ("outcome",),
    ),
    Metric(
        "headstart_recall_ratio",
        Kind.LEAST,
        "Part of the assets that clients needed that was sent ahead, since the start",
    ),
    Metric(
        "headstart_waste_ratio",
        Kind.MOST,
        "Part of the assets sent ahead that was wasted, since the start",
    ),
    Metric(
        "headstart_map_pages",
        Kind.MOST,
        "Pages in the map",
    ),
    Metric(
        "headstart_map_assets",
        Kind.MOST,
        "Assets in the map",
    ),
    Metric(
        "headstart_map_bytes",
        Kind.MOST,
        "Memory that the map takes, about",
    ),
    Metric(
        "headstart_store_up",
        Kind.LEAST,
        "1 if every process can use the store, else 0",
    ),
    Metric(
        "headstart_store_lag_seconds",
        Kind.MOST,
        "Time since a process was last in step with the store",
    ),
    Metric(
        "headstart_store_failures_total",
        Kind.COUNTER,
        "Attempts to use the store that failed",
    ),
    Metric(
        "headstart_memory_bytes",
        Kind.SUM,
        "Resident memory of the processes that serve",
    ),
    Metric(
        "headstart_memory_shedding",
        Kind.MOST,
        "1 if a process refuses requests for lack of memory, else 0",
    ),
    Metric(
        "headstart_cpu_seconds_total",
        Kind.COUNTER,
        "Processor time of the processes that serve",
    ),
    Metric(
        "headstart_event_loop_delay_seconds",
        Kind.HISTOGRAM,
        "How late the event loop runs what is due, looked at ten times a second",
        (),
        DELAYS,
    ),
    Metric(
        "headstart_cache_requests_total",
        Kind.COUNTER,
        "Decisions of the cache: hit, miss, stale, validated, bypass, invalidated",
        ("outcome",),
    ),
    Metric(
        "headstart_cache_bytes",
        Kind.SUM,
        "Memory that stored responses take",
    ),
    Metric(
        "headstart_cache_responses",
        Kind.SUM,
        "Stored responses",
    ),
    Metric(
        "headstart_upstream_failures_total",
        Kind.COUNTER,
        "Requests that the proxy could not answer with a response of an upstream, by reason",
        ("reason",),
    ),
    Metric(
        "headstart_upstream_requests",
        Kind.SUM,
        "Requests that have a connection to an upstream, or wait for one",
    ),
    Metric(
        "headstart_workers",
        Kind.SUM,
        "Processes that serve, by whether they answered this time: answering or silent",
        ("state",),
    ),
)

BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}
_GROWING: Final = (Kind.COUNTER, Kind.HISTOGRAM)


class Totals:
    """Add up the values of all processes, so that a counter never falls.

    Prometheus takes a counter that falls for one that began anew. So the last values of a process
    that has ended, or does not answer, go on to count.
    """

    def __init__(self) -> None:
        self._past: Rows = {}
        """Of processes that have ended."""
        self._last: dict[int, Rows] = {}
        """Of each process, at its last answer."""

    def ended(self, pid: int, last: Rows | None) -> None:
        """Keep the last values of a process that has ended, as it said itself or had answered."""
        # A killed process has no last words: what it said at the last scrape counts.
        known = self._last.pop(pid, {})
        self._past = combined([self._past, _growing(last or known)])

    def of(self, answers: Iterable[Answer]) -> Rows:
        """Return the values of all processes together.

        Args:
            answers: To the question `metrics`.
        """
        rows = [self._past]
        states = {"answering": 0, "silent": 0}
        for answer in answers:
            if answer.value is None:
                # Its gauges are not known now, but what it counted has happened.
                states["silent"] += 1
                rows.append(_growing(self._last.get(answer.pid, {})))
            else:
                states["answering"] += 1
                self._last[answer.pid] = answer.value
                rows.append(answer.value)
        found = combined(rows)
        found["headstart_workers"] = [([state], number) for state, number in states.items()]
        return with_ratios(found)


def combined(all_rows: Iterable[Rows]) -> Rows:
    """Return the values of several processes as one's."""
    sums: dict[str, dict[tuple[str, ...], Any]] = {}
    for rows in all_rows:
        for name, samples in rows.items():
            kind = BY_NAME[name].kind
            known = sums.setdefault(name, {})
            for labels, value in samples:
                key = tuple(labels)
                known[key] = _joined(kind, known[key], value) if key in known else value
    return {
        name: [(list(key), value) for key, value in sorted(samples.items())]
        for name, samples in sums.items()
    }


def _joined(kind: Kind, one: Any, other: Any) -> Any:
    match kind:
        case Kind.MOST:
            return max(one, other)
        case Kind.LEAST:
            return min(one, other)
        case Kind.HISTOGRAM:
            return [a + b for a, b in zip(one, other, strict=True)]
        case Kind.COUNTER | Kind.SUM:
            return one + other


def with_ratios(rows: Rows) -> Rows:
    """Add the ratios, which can only be made of the sums."""
    assets = {labels[0]: value for labels, value in rows.get("headstart_view_assets_total", ())}
    if needed := assets.get("used", 0) + assets.get("asked", 0):
        rows["headstart_recall_ratio"] = [([], assets["used"] / needed)]
    if sent := assets.get("sent", 0):
        rows["headstart_waste_ratio"] = [([], assets["wasted"] / sent)]
    return rows


def _growing(rows: Rows) -> Rows:
    return {name: samples for name, samples in rows.items() if BY_NAME[name].kind in _GROWING}
