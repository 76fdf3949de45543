"""Tracing is off until somebody takes spans, and says what is missing."""

from __future__ import annotations

from collections.abc import Awaitable
from importlib.util import find_spec
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer, Tracer, TracerProvider

from headstart.errors import ConfigurationError
from headstart.observe import Observer, TracePassing, tracing
from headstart.observe.tracing import Tracing, check_tracing
from tests.observe.recorded import TRACEPARENT, Recording, curl, scope_of
from tests.server.apps import Receive, Scope, Send
from tests.server.live import serving


class Later(TracerProvider):
    """Has nobody who takes spans at first."""

    def __init__(self) -> None:
        self.recording: Recording | None = None
        self.asked = 0

    def get_tracer(self, *arguments: Any, **more: Any) -> Tracer:
        self.asked += 1
        if self.recording is None:
            return NoOpTracer()
        return self.recording.provider.get_tracer("headstart")


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


async def nothing() -> dict[str, Any]:
    raise AssertionError


def test_without_an_sdk_the_clients_trace_is_passed_on_as_it_is() -> None:
    with serving("tests.observe.recorded:echo", "--tracing", "--no-learn") as server:
        arrived = curl(server.port, "/", "-H", f"traceparent: {TRACEPARENT}")

    assert arrived == TRACEPARENT


def test_without_an_sdk_nothing_stands_between_server_and_application() -> None:
    called: list[tuple[Scope, Receive, Send]] = []

    async def answered() -> None: ...

    made = answered()

    def application(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        called.append((scope, receive, send))
        return made

    async def send(message: Any) -> None: ...

    observer = Observer(TracePassing(application), tracing=Tracing(Later()))
    scope = scope_of("/", {"traceparent": TRACEPARENT})
    before = dict(scope)

    returned = observer(scope, nothing, send)

    assert returned is made
    assert called == [(before, nothing, send)]
    assert called[0][2] is send
    made.close()


def test_sdk_that_is_set_up_later_is_found_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, provider = Clock(), Later()
    monkeypatch.setattr(tracing, "time", clock)
    made = Tracing(provider)

    assert made.look() is None
    provider.recording = Recording()
    assert made.look() is None  # it does not ask for each request
    assert provider.asked == 1
    clock.now += 1.0
    found = made.look()

    assert found is not None
    assert made.spans is found


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tracing, "find_spec", lambda name: None if "opentelemetry" in name else find_spec(name)
    )

    with pytest.raises(ConfigurationError, match="needs the package opentelemetry-api"):
        check_tracing()
