"""The middleware around an application: what it passes, and when it lives."""

from __future__ import annotations

import asyncio
import http.client
import socket
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from headstart.middleware import HeadstartMiddleware
from tests.middleware.served import (
    ASSETS,
    NAVIGATION,
    PAGE,
    PUSH,
    REQUEST,
    NotingStore,
    Served,
    Wire,
    ours,
    scope_of,
    site,
    tasks,
)
from tests.server.apps import Headers, Message, Receive, Scope, Send, answer, body, hello, start
from tests.server.live import PATIENCE, LiveServer
from tests.visits import NO_CONTROL, NO_GATE, Clock, answer_head


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
async def test_other_methods_pass_untouched(served: Served, method: str) -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))
        await answer(send)

    served.middleware.app = app
    wire, scope = Wire(), scope_of(PAGE, NAVIGATION, {**ours(), **PUSH}, method=method)
    await served.middleware(scope, wire.receive, wire.send)

    assert seen[0] is scope
    assert seen[1:] == [wire.receive, wire.send]
    assert "headstart.decisions" not in scope
    assert wire.pushed == []


async def test_websocket_passes_untouched() -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))

    wire, scope = Wire(), {"type": "websocket", "path": "/"}
    await HeadstartMiddleware(app)(scope, wire.receive, wire.send)

    assert seen == [scope, wire.receive, wire.send]


async def test_stream_is_passed_part_by_part_and_the_application_reads_its_request(
    served: Served,
) -> None:
    read: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        read.append(await receive())
        await send(start(200, answer_head("text/html")))
        for number in range(3):
            await send(body(b"%d" % number, more_body=True))
        await send(body())

    served.middleware.app = app
    wire = await served.get(extensions={**ours(), **PUSH})

    assert [m["body"] for m in wire.of("http.response.body")] == [b"0", b"1", b"2", b""]
    assert read == [REQUEST]


async def test_exception_of_the_application_reaches_the_server_and_teaches_nothing(
    served: Served,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    before = list(served.middleware.learner.rows())
    served.middleware.app = app
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await served.get(extensions={**ours(), **PUSH})
    await served.later()

    assert list(served.middleware.learner.rows()) == before


async def test_starlette_with_a_base_http_middleware_works_as_before() -> None:
    async def page(request: StarletteRequest) -> Response:
        return Response("<p>", media_type="text/html")

    async def style(request: StarletteRequest) -> Response:
        return Response("p {}", media_type="text/css", headers={"cache-control": "max-age=60"})

    async def stream(request: StarletteRequest) -> Response:
        return StreamingResponse((part for part in ("a", "b")), media_type="text/plain")

    async def fault(request: StarletteRequest) -> Response:
        raise ValueError

    async def handled(request: StarletteRequest, error: Exception) -> Response:
        return PlainTextResponse("sorry", 500)

    class Marks(BaseHTTPMiddleware):
        async def dispatch(
            self, request: StarletteRequest, call_next: RequestResponseEndpoint
        ) -> Response:
            response = await call_next(request)
            response.headers["x-mark"] = "1"
            return response

    routes = [Route(p, f) for p, f in {PAGE: page, "/site.css": style, "/s": stream}.items()]
    app = Starlette(
        routes=[*routes, Route("/fault", fault)],
        middleware=[Middleware(Marks)],
        exception_handlers={ValueError: handled},
    )
    made = Served(app)
    await made.teach(["/site.css"])
    wire = await made.get(extensions={**ours(), **PUSH})
    streamed = await made.get("/s")
    failed = await made.get("/fault")

    assert wire.pushed == ["/site.css"]
    assert (b"x-mark", b"1") in wire.headers
    assert b"".join(m["body"] for m in streamed.of("http.response.body")) == b"ab"
    assert failed.of("http.response.start")[0]["status"] == 500
    await made.middleware.stop()


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_plain_uvicorn_gets_links_with_the_second_load_and_is_as_before(parser: str) -> None:
    app = site()
    clock = Clock()
    middleware = HeadstartMiddleware(app, learn=NO_CONTROL, deliver=NO_GATE, clock=clock)
    config = uvicorn.Config(middleware, http=parser, log_config=None)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    live = LiveServer(config, listener)
    try:
        first = over_http_1(live.port)
        clock.now += 30.0
        asyncio.run_coroutine_threadsafe(middleware.sync(), live.server.loop).result(PATIENCE)
        second = over_http_1(live.port, "127.0.0.2")
    finally:
        live.stop()

    assert first == [(200, []), (200, []), (200, []), (200, []), (404, [])]
    assert [status for status, _ in second] == [status for status, _ in first]
    assert second[0][1] == [
        '</site.css>; rel=preload; as=style; type="text/css"',
        '</app.js>; rel=preload; as=script; type="text/javascript"',
    ]
    assert all(links == [] for _, links in second[1:])


def over_http_1(port: int, address: str = "127.0.0.1") -> list[tuple[int, list[str]]]:
    """Status and links of a page, its assets, a HEAD and a POST, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, PATIENCE, (address, 0))
    asks = [("GET", PAGE), *(("GET", asset) for asset in ASSETS), ("HEAD", PAGE), ("POST", "/x")]
    came = []
    for method, target in asks:
        headers = {"Accept": "text/html"} if target == PAGE else {}
        if target in ASSETS:
            headers["Referer"] = f"http://127.0.0.1:{port}{PAGE}"
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        response.read()
        came.append((response.status, response.headers.get_all("link") or []))
    connection.close()
    return came


# Life.


async def test_first_request_starts_what_no_lifespan_did() -> None:
    store = NotingStore()
    made = Served(store=store)
    await made.get()
    started = len(tasks())
    await made.get()
    await made.middleware.stop()
    await made.middleware.stop()

    assert started == 1
    assert not tasks()
    assert [call for call in store.calls if call != "load"] == ["exchange", "close"]


async def test_what_was_learned_before_is_used_and_what_is_learned_is_kept() -> None:
    first = NotingStore()
    made = Served(store=first)
    await made.load()
    made.clock.now += 30.0
    await made.middleware.stop()
    second = Served(store=NotingStore(first.outbox))
    await second.middleware.start()
    wire = await second.get(extensions={**ours(), **PUSH})

    assert wire.pushed == ["/site.css", "/app.js"]
    await second.middleware.stop()


# The ways.


@pytest.mark.parametrize(
    ("target", "headers", "extensions", "way"),
    [
        (PAGE, NAVIGATION, {**ours(), **PUSH}, ["http.response.push"] * 2),
        (PAGE, NAVIGATION, {**ours(pushed=True), **PUSH}, []),
        ("/other.css", [], {**ours(), **PUSH}, []),
        ("/other.css", [], PUSH, []),
    ],
    ids=["page", "pushed page", "no page", "no page on another server"],
)
async def test_only_a_page_that_was_asked_for_has_anything_sent_ahead(
    served: Served, target: str, headers: Headers, extensions: dict[str, Any], way: list[str]
) -> None:
    wire = await served.get(target, headers, extensions)

    assert [m["type"] for m in wire.messages] == [
        *way,
        "http.response.start",
        "http.response.body",
    ]


async def test_start_again_while_started_changes_nothing() -> None:
    store = NotingStore()
    middleware = HeadstartMiddleware(hello, store=store)
    for _ in range(2):
        await middleware.start()
    alive = len(tasks())
    await middleware.stop()

    assert alive == 1
    assert [call for call in store.calls if call != "load"] == ["exchange", "close"]
