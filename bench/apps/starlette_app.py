"""The same answers through Starlette: routing, request and response objects. No middleware.

Imported by each server by name.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bench.apps.content import BODIES


async def _answer(request: Request) -> Response:
    return PlainTextResponse(BODIES[request.url.path])


async def _count(request: Request) -> Response:
    size = 0
    async for part in request.stream():
        size += len(part)
    return PlainTextResponse(str(size))


app = Starlette(
    routes=[
        Route("/upload", _count, methods=["POST"]),
        *[Route(path, _answer) for path in BODIES if path != "/upload"],
    ]
)
