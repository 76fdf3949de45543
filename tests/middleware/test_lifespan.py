"""The lifespan: what it starts and ends, whether the application knows of it or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from starlette.applications import Starlette

from headstart.middleware import HeadstartMiddleware
from headstart.middleware.lifespan import run_lifespan
from tests.middleware.served import NotingStore, Wire, tasks
from tests.server.apps import Message, Receive, Scope, Send, hello


async def started_and_stopped(middleware: HeadstartMiddleware) -> tuple[list[str], int]:
    """Start and stop as a server does: the messages sent, and the tasks in between."""
    due = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []
    alive = 0

    async def receive() -> Message:
        nonlocal alive
        alive = len(tasks())
        return {"type": next(due)}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await middleware({"type": "lifespan"}, receive, send)
    return sent, alive


async def without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"


async def ignores_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    return None


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    "app",
    [hello, Starlette(lifespan=_lifespan), without_lifespan, ignores_lifespan],
    ids=["plain", "Starlette", "raises", "returns"],
)
async def test_lifespan_starts_and_ends_the_keeper_whether_the_application_knows_it_or_not(
    app: Any,
) -> None:
    store = NotingStore()
    sent, alive = await started_and_stopped(HeadstartMiddleware(app, store=store))

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert alive == 1
    assert not tasks()
    assert store.calls == ["load", "exchange", "close"]


async def test_application_that_fails_to_start_is_heard() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise OSError("no database")

    middleware = HeadstartMiddleware(app)
    with pytest.raises(OSError, match="no database"):
        await started_and_stopped(middleware)
    await middleware.stop()


async def test_message_that_is_neither_start_nor_end_reaches_the_application_alone() -> None:
    came: list[str] = []
    calls: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(3):
            came.append((await receive())["type"])

    due = iter(["lifespan.startup", "lifespan.reload", "lifespan.shutdown"])

    async def receive() -> Message:
        return {"type": next(due)}

    async def noted(name: str) -> None:
        calls.append(name)

    await run_lifespan(
        app,
        {"type": "lifespan"},
        receive,
        Wire().send,
        start=partial(noted, "start"),
        stop=partial(noted, "stop"),
    )

    assert came == ["lifespan.startup", "lifespan.reload", "lifespan.shutdown"]
    assert calls == ["start", "stop"]
