"""Which requests reach the application, and what their calls leave behind."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, cast

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.server import ServerState

from headstart.config import ServerOptions, WireLimits
from headstart.reasons import Closing
from headstart.server.calls import Calls
from headstart.server.cycle import Cycle
from headstart.server.cycle_state import ResponseState
from headstart.server.run import Config
from headstart.server.worker import Worker
from tests.server.apps import hello

OPTIONS = ServerOptions(max_abandoned_calls=3, limits=WireLimits(max_concurrent_streams=2))


@dataclass(eq=False)
class Request:
    """What `Calls` reads of a request."""

    stream_id: int = 1
    end_stream: bool = True


class Exchange:
    """A cycle whose application answers at once, or waits.

    Attributes:
        left: It was told that its client has left.
    """

    def __init__(self, *, waits: bool, stream_id: int = 1) -> None:
        self.request = Request(stream_id)
        self.state = ResponseState.AWAITED
        self.answered = self.left = False
        self.read_whole = True
        self.task: asyncio.Task[None] | None = None
        self._waits = waits

    async def run(self, application: object) -> None:
        """Answer."""
        if self._waits:
            await asyncio.Event().wait()
        self.state = ResponseState.COMPLETE

    def disconnect(self) -> None:
        """Note it."""
        self.left = True


def calls_of(**settings: Any) -> tuple[Calls, ServerState]:
    config = Config(hello, OPTIONS, log_config=None, **settings)
    config.load()
    state = ServerState()
    worker = Worker.of(state, config, asyncio.get_running_loop())
    return Calls(config, state, worker), state


def start(calls: Calls, exchange: Exchange) -> bool:
    return calls.start(cast(Cycle, exchange), hello)


def leave(calls: Calls, exchange: Exchange) -> None:
    calls.disconnect(cast(Cycle, exchange))


async def test_call_that_waits_is_one_of_the_servers_tasks() -> None:
    calls, state = calls_of()
    exchange = Exchange(waits=True)

    assert start(calls, exchange)
    assert state.tasks == {exchange.task}
    assert exchange.task is not None
    exchange.task.cancel()
    await asyncio.wait([exchange.task])


async def test_call_whose_client_left_is_counted_until_it_ends() -> None:
    calls, _ = calls_of()
    waiting, pushed = Exchange(waits=True), Exchange(waits=True, stream_id=2)
    for exchange in (waiting, pushed):
        start(calls, exchange)
        leave(calls, exchange)

    assert waiting.left
    assert calls.left == {waiting}
    for exchange in (waiting, pushed):
        assert exchange.task is not None
        exchange.task.cancel()


async def test_call_that_has_answered_is_not_counted() -> None:
    calls, _ = calls_of()
    exchange = Exchange(waits=True)
    start(calls, exchange)
    exchange.answered = True

    leave(calls, exchange)

    assert not calls.left
    assert exchange.task is not None
    exchange.task.cancel()


async def test_no_call_begins_while_memory_is_short() -> None:
    calls, _ = calls_of()
    usual = calls.max_left, calls.refusal

    calls.shed(True)
    short = calls.max_left, calls.refusal
    calls.shed(False)

    assert usual == (5, Closing.TOO_MANY_CALLS)
    assert short == (0, Closing.MEMORY)
    assert (calls.max_left, calls.refusal) == usual


async def test_application_is_called_without_uvicorns_middleware_where_that_does_nothing() -> None:
    calls, _ = calls_of()

    inner = calls.application(forwarded=False)
    assert inner is hello
    assert calls.plain is inner
    assert isinstance(calls.application(forwarded=True), ProxyHeadersMiddleware)
    assert calls.application_for_push(forwarded=False) is inner
    assert calls.application_for_push(forwarded=True) is calls.application(forwarded=True)


async def test_limit_of_concurrency_is_503_and_told(caplog: pytest.LogCaptureFixture) -> None:
    calls, state = calls_of(limit_concurrency=1)
    assert calls.plain is None  # so that each request asks
    one = calls.application(forwarded=False)
    state.connections.add(cast(Any, object()))

    with caplog.at_level(logging.WARNING, "headstart.server"):
        other = calls.application(forwarded=False)

    assert one is hello
    assert other is service_unavailable
    assert calls.application_for_push(forwarded=False) is one
    assert "Exceeded concurrency limit." in caplog.text
