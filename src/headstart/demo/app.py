"""The application of `headstart demo`: the push echo at `/` and `/data`, a site at `/site/`."""

from __future__ import annotations

from typing import Any

from headstart.deliver.asgi import Receive, Send
from headstart.demo.echo import Echo
from headstart.demo.respond import lifespan
from headstart.demo.site import site

_echo = Echo()


async def app(scope: Any, receive: Receive, send: Send) -> None:
    """Serve the demo."""
    if scope["type"] != "http":
        await lifespan(scope, receive, send)
    elif scope["path"].startswith("/site/"):
        await site(scope, receive, send)
    else:
        await _echo(scope, receive, send)
