"""Litestar and Quart on the real server, and Quart on another one: push, hint and their results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import litestar
import pytest
import quart

import headstart
from headstart.middleware import HeadstartMiddleware
from tests.django.serving import links, over_http1, over_http2
from tests.server.live import LiveServer, running
from tests.server.raw import RawClient

STYLE = b"</style.css>; rel=preload; as=style"
FONT = b"</a.woff2>; rel=preload; as=font; crossorigin"


@litestar.get("/hint", media_type="text/plain")
async def litestar_hint(request: litestar.Request[Any, Any, Any]) -> str:
    answer = await headstart.hint(request, "/style.css", headstart.Link("/a.woff2", as_="font"))
    return f"{answer.sent} {answer.linked} {answer.refusal}"


@litestar.get("/push", media_type="text/plain")
async def litestar_push(request: litestar.Request[Any, Any, Any]) -> str:
    return str((await headstart.push(request, "/style.css")).state)


@litestar.get("/style.css", media_type="text/css")
async def litestar_style() -> str:
    return "a{}"


def quart_app() -> quart.Quart:
    app = quart.Quart("tests")

    @app.get("/hint")
    async def hint() -> str:
        links = "/style.css", headstart.Link("/a.woff2", as_="font")
        answer = await headstart.hint(quart.request, *links)
        return f"{answer.sent} {answer.linked} {answer.refusal}"

    @app.get("/push")
    async def push() -> str:
        return str((await headstart.push(quart.request, "/style.css")).state)

    @app.get("/style.css")
    async def style() -> quart.Response:
        return quart.Response("a{}", mimetype="text/css")

    return app


def litestar_app() -> litestar.Litestar:
    handlers = [litestar_hint, litestar_push, litestar_style]
    return litestar.Litestar(handlers, openapi_config=None, logging_config=None)


@pytest.fixture(scope="module", params=[litestar_app, quart_app])
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Return the framework's own way to an application: each server has its own."""
    factory: Callable[[], Any] = request.param
    return factory


@pytest.fixture(scope="module")
def server(make: Callable[[], Any]) -> Iterator[LiveServer]:
    with running(make()) as live:
        yield live


@pytest.fixture(scope="module")
def learning(make: Callable[[], Any]) -> Iterator[LiveServer]:
    with running(HeadstartMiddleware(make())) as live:
        yield live


def test_hint_is_one_103(server: LiveServer, learning: LiveServer) -> None:
    for live in (server, learning):
        page = over_http2(live.port, "/hint")

        [early] = page.informational
        assert links(early) == [STYLE, FONT]
        assert page.body == b"True False None"


def test_push_is_pushed(server: LiveServer, learning: LiveServer) -> None:
    for live in (server, learning):
        with RawClient(live.port) as client:
            assert client.get(b"/push").body == b"sent"
            assert client.response(2).body == b"a{}"


def test_hint_over_http1_becomes_link_headers_with_the_middleware_alone(
    server: LiveServer, learning: LiveServer
) -> None:
    assert over_http1(server.port, "/hint").endswith(b"False False unsupported")
    linked = over_http1(learning.port, "/hint")
    assert linked.endswith(b"False True None")
    assert b"link: " + STYLE in linked
    assert b"link: " + FONT in linked


def test_sub_resource_is_told_why_it_has_no_hint(learning: LiveServer) -> None:
    with RawClient(learning.port) as client:
        page = client.get(b"/hint", headers=[(b"sec-fetch-mode", b"cors")])

    assert page.informational == []
    assert page.body.startswith(b"False ")
