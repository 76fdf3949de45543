"""What applications are told of the trace of their request."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

import pytest

from headstart.observe.trace import ToldTrace, TracePassing, current_trace
from tests.observe.recorded import scope_of
from tests.server.apps import Receive, Scope, Send


class Seen:
    """Keeps the headers of the last request."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers = scope["headers"]


async def _none(*arguments: Any) -> Any:
    raise AssertionError


@pytest.mark.parametrize("traced", [True, False])
async def test_application_finds_the_trace_in_place_of_the_clients(traced: bool) -> None:
    seen, scope = Seen(), scope_of("/", {"a": "b", "traceparent": "old"})
    original = scope["headers"]
    if traced:
        current_trace.set(ToldTrace([(b"a", b"b")], [(b"traceparent", b"new")], None))

    await TracePassing(seen)(scope, _none, _none)

    told = [(b"a", b"b"), (b"traceparent", b"new")] if traced else original
    assert seen.headers == told
    # Server and middleware recognise requests by the list that they have.
    assert original == [(b"a", b"b"), (b"traceparent", b"old")]


def test_there_is_no_trace_outside_of_a_request() -> None:
    assert copy_context().run(current_trace.get) is None
