"""The ASGI application around all others, which watches requests as they pass.

Reads scopes and messages. `server.run` puts it around the middleware, so it sees a page's request
with the decisions that the middleware left in the scope, and each pushed request as one of its own.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

from headstart.deliver.asgi import Application, Message, Receive, Scope, Send
from headstart.observe.access import log_access
from headstart.observe.counts import CLIENT_LEFT, FAILED, RequestCounts
from headstart.observe.exchange import Exchange
from headstart.observe.json_lines import request_id
from headstart.observe.tracing import Tracing

_NONE: dict[str, Any] = {}


class Observer:
    """Count the requests of an application; log and trace them if that is wanted.

    Args:
        app: The application.
        access: Write the access log as fields.
        tracing: Make a span of each request.

    Attributes:
        app: The application.
        counts: The numbers of requests.
    """

    def __init__(
        self, app: Application, *, access: bool = False, tracing: Tracing | None = None
    ) -> None:
        self.app = app
        self.counts = RequestCounts()
        self._access = access
        self._tracing = tracing
        self._only_counts = not access and tracing is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif self._only_counts:
            await self._count(scope, receive, send)
        else:
            await self._watch(Exchange(scope), receive, send)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with as little as possible around it."""
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
            ours = (scope.get("extensions") or _NONE).get("headstart") or _NONE
            counts.add(
                scope["http_version"],
                bool(ours.get("pushed")),
                status or FAILED,
                time.perf_counter() - began,
            )

    async def _watch(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        """Call the application, and tell what became of the request."""
        tracing = self._tracing
        # Never reset: the server logs an error of the application after this call, in its task.
        request_id.set(exchange.make_id())
        self.counts.in_progress += 1
        span = None if tracing is None else tracing.begin(exchange)

        async def watched(message: Message) -> None:
            exchange.take(message)
            await send(message)
            if tracing is not None and span is not None:
                tracing.sent(exchange, span, message)

        try:
            if span is None:
                await self.app(exchange.scope, receive, watched)
            else:
                with span.current():
                    await self.app(exchange.scope, receive, watched)
        except BaseException as error:
            exchange.error = error
            raise
        finally:
            self._ended(exchange)
            if tracing is not None and span is not None:
                tracing.end(exchange, span, self._status(exchange))

    def _ended(self, exchange: Exchange) -> None:
        status = self._status(exchange)
        self.counts.in_progress -= 1
        version = exchange.scope["http_version"]
        self.counts.add(version, exchange.pushed, status, exchange.seconds)
        if self._access:
            log_access(exchange, status)

    def _status(self, exchange: Exchange) -> int:
        """Return the status that the client was answered, the server's own if there was none."""
        left = isinstance(exchange.error, OSError)
        return exchange.status or (CLIENT_LEFT if left else FAILED)
