"""The ASGI application around all others, which watches requests as they pass.

Reads scopes and messages and changes neither. `server.run` puts it around the middleware, so it
sees a page's request with the decisions that the middleware left in the scope, and each pushed
request as one of its own.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

from headstart.deliver.asgi import Application, Message, Receive, Scope, Send
from headstart.observe.counts import CLIENT_LEFT, FAILED, RequestCounts

_NONE: dict[str, Any] = {}


class Observer:
    """Count the requests of an application.

    Args:
        app: The application.

    Attributes:
        app: The same.
        counts: The numbers of requests.
    """

    def __init__(self, app: Application) -> None:
        self.app = app
        self.counts = RequestCounts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        counts = self.counts
        status = 0

        # A plain function: a coroutine around the server's own would cost each message a frame.
        def watched(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        counts.in_progress += 1
        began = time.perf_counter()
        try:
            await self.app(scope, receive, watched)
        except OSError:
            status = status or CLIENT_LEFT  # `send` raises it (ASGI, HTTP, 2.4)
            raise
        finally:
            counts.in_progress -= 1
            ours = scope["extensions"].get("headstart") or _NONE
            counts.add(
                scope["http_version"],
                bool(ours.get("pushed")),
                status or FAILED,
                time.perf_counter() - began,
            )
