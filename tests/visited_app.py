"""An application for servers in processes of their own: pages, and `/who` says who answers."""

from __future__ import annotations

import os

from tests.server.apps import Receive, Scope, Send, body, lifespan, start
from tests.visits import HTML, STYLE


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    path = scope["path"]
    if path == "/who":
        await send(start(200, [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]))
        return await send(body(str(os.getpid()).encode()))
    await send(start(200, HTML if path.endswith("/") else STYLE))
    return await send(body(b"something"))
