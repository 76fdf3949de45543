"""An application whose responses say which call made them; its assets may be stored."""

from __future__ import annotations

import itertools

from tests.server.apps import Receive, Scope, Send, body, lifespan, start

_calls = itertools.count(1)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`*.css` is for everybody for a minute, anything else is private."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    asset = scope["path"].endswith(".css")
    says = b"public, max-age=60" if asset else b"private"
    kind = b"text/css" if asset else b"text/html"
    await send(start(200, [(b"cache-control", says), (b"content-type", kind)]))
    await send(body(f"call {next(_calls)}".encode()))
