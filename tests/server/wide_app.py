"""An application whose pages have 3 KiB of fields and twenty stylesheets."""

from __future__ import annotations

from tests.server.apps import Headers, Receive, Scope, Send, body, lifespan, start
from tests.visits import HTML, STYLE

STYLES = [f"/static/{'component-' * 4}{number}.css" for number in range(20)]
OWN: Headers = [
    (b"content-security-policy", b"default-src 'self'; img-src " + b"https://cdn.example " * 50),
    *((b"set-cookie", b"part%d=%s; Path=/" % (number, b"x" * 475)) for number in range(4)),
]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    is_page = scope["path"].endswith("/")
    await send(start(200, [*HTML, *OWN] if is_page else STYLE))
    return await send(body(b"<!doctype html>" if is_page else b"body {}"))
