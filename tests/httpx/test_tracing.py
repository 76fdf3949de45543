"""The events of a trace, with httpcore's names."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from headstart.httpx.tracing import Trace


class Told:
    """A caller's trace, as httpx takes it: a function, or a coroutine function."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def tell(self, name: str, details: dict[str, Any]) -> None:
        self.events.append((name, details))

    async def tell_later(self, name: str, details: dict[str, Any]) -> None:
        self.events.append((name, details))


def trace_of(trace: Any) -> Trace:
    return Trace(httpx.Request("GET", "https://a.test/", extensions={"trace": trace}))


@pytest.mark.parametrize("name", ["tell", "tell_later"])
async def test_event_is_told_before_and_after_with_its_details(name: str) -> None:
    told = Told()
    trace = trace_of(getattr(told, name))

    async with trace.event("connection.connect_tcp", host="a.test") as done:
        before = list(told.events)
        done["return_value"] = 7

    assert bool(trace)
    assert before == [("connection.connect_tcp.started", {"host": "a.test"})]
    assert told.events[1:] == [("connection.connect_tcp.complete", {"return_value": 7})]


async def test_event_that_fails_is_told_with_its_exception() -> None:
    told, error = Told(), ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        async with trace_of(told.tell).event("http2.response_closed"):
            raise error

    assert told.events[1:] == [("http2.response_closed.failed", {"exception": error})]


async def test_without_a_trace_nothing_is_told() -> None:
    trace = Trace(httpx.Request("GET", "https://a.test/"))

    async with trace.event("http2.response_closed") as done:
        done["return_value"] = 7

    assert not trace
