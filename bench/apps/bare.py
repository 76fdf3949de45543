"""A bare ASGI application: the least that an application can cost.

`/page` asks for ten pushes where the server offers `http.response.push`. Its types are ASGI's own
loose ones. Imported by each server by name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from bench.apps.content import ASSETS, BODIES, LONG, LONG_PARTS, UPLOAD

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

# With `--cache` only assets are stored, and pushed from there.
_CACHEABLE = [(b"cache-control", b"max-age=3600")]
_ANSWERS = {
    path: (
        [
            (b"content-type", b"text/plain"),
            (b"content-length", str(len(body)).encode()),
            *(_CACHEABLE if path in ASSETS else ()),
        ],
        body,
    )
    for path, body in BODIES.items()
}


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answer one request, or run the lifespan."""
    if scope["type"] != "http":
        await _lifespan(receive, send)
        return
    path = scope["path"]
    if path == LONG:
        await _long(send)
        return
    if path == "/page" and "http.response.push" in scope["extensions"]:
        for asset in ASSETS:
            await send({"type": "http.response.push", "path": asset, "headers": []})
    headers, body = _ANSWERS[path]
    if path == "/upload":
        body = str(await _received(receive)).encode()
        headers = [headers[0], (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _long(send: Send) -> None:
    length = (b"content-length", str(LONG_PARTS * len(UPLOAD)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    for left in reversed(range(LONG_PARTS)):
        await send({"type": "http.response.body", "body": UPLOAD, "more_body": left > 0})


async def _received(receive: Receive) -> int:
    size, more = 0, True
    while more:
        event = await receive()
        size += len(event.get("body", b""))
        more = event.get("more_body", False)
    return size


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
