"""The ASGI application around all others, which watches requests as they pass.

Reads scopes and messages. `server.run` puts it around the middleware, so it sees a page's request
with the decisions that the middleware left in the scope, and each pushed request as one of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from headstart.deliver.asgi import Application, Message, Receive, Scope, Send, current_send
from headstart.observe.access import log_access
from headstart.observe.exchange import Exchange, make_id
from headstart.observe.json_lines import request_id
from headstart.observe.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from headstart.observe.spans import Spans

FAILED = 500
"""The server's own response for an application that raised before it responded."""
CLIENT_LEFT = 499
"""No response, because the client had left; nginx uses the same number."""


class Observer:
    """Log and trace the requests of an application.

    Args:
        app: The application.
        access: Write the access log as fields.
        identify: Give each request an ID, which each line of its log carries.
        tracing: Make a span of each request.

    Attributes:
        app: The application.
    """

    def __init__(
        self,
        app: Application,
        *,
        access: bool = False,
        identify: bool = False,
        tracing: Tracing | None = None,
    ) -> None:
        self.app = app
        self._access = access
        self._identify = identify
        self._tracing = tracing

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[object]:
        """Serve one ASGI scope. A request that is not watched has no coroutine of ours."""
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        if self._identify:
            # Never reset: the server logs an error of the application after this call, in its task.
            request_id.set(make_id(scope))
        tracing = self._tracing
        spans = None if tracing is None else tracing.spans or tracing.look()
        span = None if spans is None else spans.begin(scope)
        if span is None and not self._access:
            return self.app(scope, receive, send)
        return self._watch(Exchange(scope), spans, span, receive, send)

    async def _watch(
        self,
        exchange: Exchange,
        spans: Spans | None,
        span: Span | None,
        receive: Receive,
        send: Send,
    ) -> None:
        """Call the application, and tell what became of the request."""

        def watched(message: Message) -> Awaitable[None]:
            exchange.take(message)
            if span is not None and message["type"] == "http.response.push":
                return promise(message)
            return send(message)

        async def promise(message: Message) -> None:
            await send(message)
            if spans is not None and span is not None:
                spans.sent(exchange, span, message)

        current_send.set(watched)
        try:
            await self.app(exchange.scope, receive, watched)
        except BaseException as error:
            exchange.error = error
            raise
        finally:
            status = _status(exchange)
            if self._access:
                log_access(exchange, status)
            if spans is not None and span is not None:
                spans.end(exchange, span, status)


def _status(exchange: Exchange) -> int:
    """Return the status that the client was answered, the server's own if there was none."""
    left = isinstance(exchange.error, OSError)
    return exchange.status or (CLIENT_LEFT if left else FAILED)
