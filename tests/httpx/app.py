"""The application that the transports are tested with."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from headstart import push
from tests.server.live import Gate

LARGE = bytes(range(256)) * 8 * 1024


async def echo(request: Request) -> Response:
    """What was asked, as JSON."""
    body = await request.body()
    seen = {
        "method": request.method,
        "version": request.scope["http_version"],
        "headers": request.headers.items(),
        "query": str(request.query_params),
        "size": len(body),
        "text": body[:100].decode("latin-1"),
    }
    return JSONResponse(seen, headers={"x-seen": "yes"})


async def page(request: Request) -> Response:
    """A page that pushes its style."""
    await push(request, "/style.css")
    return PlainTextResponse("a page")


async def style(request: Request) -> Response:
    """The asset."""
    del request
    return PlainTextResponse("body {}", media_type="text/css")


async def redirect(request: Request) -> Response:
    """To where the request is echoed."""
    del request
    response = RedirectResponse("/echo")
    response.set_cookie("seen", "1")
    return response


async def compressed(request: Request) -> Response:
    """Content with a coding."""
    del request
    return Response(gzip.compress(b"plain"), headers={"content-encoding": "gzip"})


async def large(request: Request) -> Response:
    """2 MiB."""
    del request
    return Response(LARGE)


async def events(request: Request) -> Response:
    """Server-sent events; the second comes once the gate is open."""
    gate: Gate = request.app.state.gate

    async def each() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await gate.passed()
        yield b"data: 2\n\n"

    return StreamingResponse(each(), media_type="text/event-stream")


async def silent(request: Request) -> Response:
    """Answers once the gate is open."""
    gate: Gate = request.app.state.gate
    request.app.state.waiting += 1
    try:
        await gate.passed()
    finally:
        request.app.state.waiting -= 1
    return PlainTextResponse("late")


async def left(request: Request) -> Response:
    """Never answers, and counts the clients that are there."""
    request.app.state.waiting += 1
    while (await request.receive())["type"] != "http.disconnect":
        pass
    request.app.state.waiting -= 1
    return PlainTextResponse("nobody reads it")


async def deaf(request: Request) -> Response:
    """Reads no body until the gate is open."""
    gate: Gate = request.app.state.gate
    await gate.passed()
    return PlainTextResponse(str(len(await request.body())))


async def empty(request: Request) -> Response:
    """No content."""
    del request
    return Response(status_code=204)


async def failing(request: Request) -> Response:
    """Breaks off in the midst of its body."""
    del request

    async def each() -> AsyncIterator[bytes]:
        yield b"begun"
        raise RuntimeError("the application fails")

    return StreamingResponse(each())


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]


def made() -> Starlette:
    """An application with a gate of its own."""
    app = Starlette(
        routes=[
            Route("/echo", echo, methods=METHODS),
            Route("/", page),
            Route("/style.css", style),
            Route("/redirect", redirect),
            Route("/compressed", compressed),
            Route("/large", large),
            Route("/events", events),
            Route("/silent", silent),
            Route("/left", left),
            Route("/deaf", deaf, methods=["POST"]),
            Route("/empty", empty),
            Route("/failing", failing),
        ]
    )
    app.state.gate = Gate()
    app.state.waiting = 0
    return app
