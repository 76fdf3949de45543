"""Context variables of one request, and those of others on its connection."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import ContextVar

import pytest

from headstart.middleware import HeadstartMiddleware
from tests.server.apps import STYLE, Receive, Recorder, Scope, Send, answer, lifespan
from tests.server.live import LiveServer, running, until
from tests.server.raw import RawClient
from tests.server.test_http1 import GOOD, LAST, told
from tests.server.websockets import library_client

VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")


class Setting:
    """An application that notes the variable of each request and sets it; a page pushes."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.seen[path] = VARIABLE.get()
        VARIABLE.set(path)
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
            return
        if "http.response.push" in scope["extensions"]:
            await send(STYLE)
        await answer(send, path.encode())


def ask_all(server: LiveServer) -> None:
    """Ask for pages over each protocol; two over HTTP/1.1 at once."""
    with RawClient(server.port) as client:
        client.get(b"/first")
        client.get(b"/second")
        client.until(lambda: len(client.promises) == 2)
        for stream_id in client.promises:
            client.response(stream_id)
    told(server, GOOD + LAST)
    with library_client(f"ws://127.0.0.1:{server.port}/websocket"):
        pass


class SettingLoop(asyncio.SelectorEventLoop):
    """Sets the variable before the server starts, as an import or a tracer does."""

    def __init__(self) -> None:
        super().__init__()
        VARIABLE.set("the server's")


PATHS = {"/first", "/second", "/style.css", "/ok", "/last", "/websocket"}


@pytest.mark.parametrize("resets", [False, True])
def test_request_knows_nothing_of_the_variables_of_another(resets: bool) -> None:
    app = Setting()
    with running(Recorder(app), reset_contextvars=resets) as server:
        ask_all(server)

    assert app.seen == dict.fromkeys(PATHS, "unset")


@pytest.mark.parametrize(("resets", "expected"), [(False, "the server's"), (True, "unset")])
def test_variables_of_the_server_reach_a_request_unless_they_are_reset(
    resets: bool, expected: str
) -> None:
    app = Setting()
    loop = f"{__name__}:SettingLoop"
    with running(Recorder(app), reset_contextvars=resets, loop=loop) as server:
        ask_all(server)

    assert app.seen == dict.fromkeys(PATHS, expected)


class Mark:
    """A thing whose end shows that of its request."""


class Marking:
    """An application that waits, and marks each scope."""

    def __init__(self) -> None:
        self.marks: list[weakref.ref[Mark]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        mark = scope["mark"] = Mark()
        self.marks.append(weakref.ref(mark))
        await asyncio.sleep(0)
        await answer(send, b"ok")


@pytest.mark.parametrize("learns", [False, True])
def test_request_is_freed_without_the_garbage_collector(learns: bool) -> None:
    app = Marking()
    gc.disable()
    try:
        with running(HeadstartMiddleware(app) if learns else app) as server:
            told(server, GOOD + LAST)
            with RawClient(server.port) as client:
                client.get(b"/page")
                client.get(b"/other")

            until(lambda: not any(mark() for mark in app.marks), "that nothing refers to them")
    finally:
        gc.enable()
    assert len(app.marks) == 4
