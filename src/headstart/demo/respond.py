"""Helpers of the demo's applications: responses and the lifespan. Used by `echo` and `site`."""

from __future__ import annotations

from typing import Any

from headstart.deliver.asgi import Receive, Send


async def respond(
    send: Send,
    status: int,
    content_type: str,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
    *,
    cache_control: bytes = b"no-store",
) -> None:
    """Answer with a whole body."""
    fields = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", cache_control),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def say(
    send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Answer with a line of text."""
    await respond(send, status, "text/plain; charset=utf-8", text.encode(), headers)


async def lifespan(scope: Any, receive: Receive, send: Send) -> None:
    """Nothing to start and nothing to stop; WebSockets are refused."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
