"""Read the values of the metrics in a process that serves.

The numbers are those that the server, the middleware and others keep in any case, so that a metric
costs nothing until somebody asks. Called by `reporter` through `questions`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headstart.admin.metrics import Rows
from headstart.middleware import HeadstartMiddleware
from headstart.server.memory import used_memory

if TYPE_CHECKING:
    from headstart.admin.sources import Sources


def measure(sources: Sources) -> Rows:
    """Answer the question `metrics`."""
    rows = _plain(_server(sources))
    rows |= _requests(sources)
    if sources.middleware is not None:
        rows |= _delivery(sources.middleware) | _learning(sources.middleware)
    if sources.cache is not None:
        memory = sources.cache.memory
        rows |= _by("headstart_cache_requests_total", sources.cache.counters)
        rows |= _plain({"cache_bytes": memory.used, "cache_responses": sum(1 for _ in memory)})
    if sources.proxy is not None:
        rows |= _by("headstart_upstream_failures_total", sources.proxy.failures)
        rows |= _plain({"upstream_requests": sources.proxy.outstanding})
    return rows


def _server(sources: Sources) -> dict[str, float]:
    counters, times = sources.worker.counters, os.times()
    return {
        "connections_accepted_total": counters.accepted,
        "connections_open": counters.open,
        "streams_open": sources.open_streams(),
        "received_bytes_total": counters.bytes_received,
        "sent_bytes_total": counters.bytes_sent,
        "pushes_total": counters.promises,
        "early_hints_total": counters.early_hints,
        "memory_bytes": used_memory(),
        "memory_shedding": int(sources.worker.shedding),
        "cpu_seconds_total": times.user + times.system,
    }


def _requests(sources: Sources) -> Rows:
    worker = sources.worker.counters
    rows = _by("headstart_requests_refused_total", worker.requests)
    rows |= _by("headstart_connections_ended_total", worker.connections)
    rows |= _by("headstart_pushes_refused_total", worker.pushes)
    rows["headstart_event_loop_delay_seconds"] = [([], sources.delays.numbers())]
    rows |= _plain({"requests_in_progress": len(sources.server.server_state.tasks)})
    counts = sources.worker.request_counts
    if counts is None:
        return rows
    rows["headstart_requests_total"] = [
        ([version, str(pushed).lower(), str(status)], number)
        for (version, pushed, status), number in counts.requests.items()
    ]
    rows["headstart_request_duration_seconds"] = [([], [*counts.buckets, counts.seconds])]
    return rows


def _delivery(middleware: HeadstartMiddleware) -> Rows:
    counters, recorder = middleware.counters, middleware.shared.recorder
    rows = _plain(
        {
            "views_total": counters.views,
            "control_views_total": counters.control_views,
            "candidates_total": counters.candidates,
        }
    )
    rows |= _by("headstart_assets_sent_total", {way.value: n for way, n in counters.sent.items()})
    rows |= _by("headstart_assets_refused_total", counters.refused)
    if recorder is None:
        return rows
    ended = recorder.totals
    outcomes = {"sent": ended.sent, "used": ended.used, "wasted": ended.wasted}
    rows |= _by("headstart_view_assets_total", outcomes | {"asked": ended.asked})
    return rows | _plain({"views_ended_total": ended.views, "views_served_total": ended.served})


def _learning(middleware: HeadstartMiddleware) -> Rows:
    size, keeper = middleware.learner.size(), middleware.keeper
    return _plain(
        {
            "map_pages": size.pages,
            "map_assets": size.assets,
            "map_bytes": size.bytes,
            "store_up": int(keeper.store.available),
            "store_lag_seconds": time.monotonic() - keeper.exchanged_at,
            "store_failures_total": keeper.store.failures,
        }
    )


def _plain(values: Mapping[str, float]) -> Rows:
    return {f"headstart_{name}": [([], value)] for name, value in values.items()}


def _by(name: str, values: Mapping[Any, int]) -> Rows:
    items: Iterable[tuple[Any, int]] = values.items()
    return {name: [([str(reason)], number) for reason, number in items]}
