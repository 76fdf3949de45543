"""Pages with one stylesheet each, for servers that learn: /page-N/ and /page-N/style.css."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_PAGE = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"64")]
_STYLE = [
    (b"content-type", b"text/css"),
    (b"content-length", b"64"),
    (b"cache-control", b"public, max-age=3600"),
]


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer a request."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = _PAGE if scope["path"].endswith("/") else _STYLE
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"/* */ " * 10 + b"    "})
