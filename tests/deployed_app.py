"""An ASGI application with one page and its stylesheet, which uvicorn serves behind the proxy."""

from __future__ import annotations

from tests.server.apps import Receive, Scope, Send, body, lifespan, start
from tests.servers.site import PAGE, STYLE


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    page = scope["path"] == PAGE
    content = f"<link rel=stylesheet href={STYLE}>" if page else "a{}"
    kind = b"text/html" if page else b"text/css"
    fields = [(b"content-type", kind), (b"cache-control", b"public, max-age=600")]
    await send(start(200, fields))
    await send(body(content.encode()))
    return None
