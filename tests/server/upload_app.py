"""A Starlette application for a process of its own: counts an upload, makes a long download."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

DOWNLOAD = 100 * 1024 * 1024
_PART = bytes(64 * 1024)


async def upload(request: Request) -> PlainTextResponse:
    """How many bytes came."""
    count = 0
    async for part in request.stream():
        count += len(part)
    return PlainTextResponse(str(count))


async def _parts() -> AsyncIterator[bytes]:
    for _ in range(DOWNLOAD // len(_PART)):
        yield _PART


async def download(request: Request) -> StreamingResponse:
    """`DOWNLOAD` zero bytes."""
    return StreamingResponse(_parts())


app = Starlette(routes=[Route("/up", upload, methods=["POST"]), Route("/down", download)])
