"""The ASGI application around all others, which watches requests as they pass.

Reads scopes and messages. `server.run` puts it around the middleware, so it sees a page's request
with the decisions that the middleware left in the scope, and each pushed request as one of its own.
"""

from __future__ import annotations

from headstart.deliver.asgi import Application, Message, Receive, Scope, Send
from headstart.observe.access import log_access
from headstart.observe.exchange import Exchange
from headstart.observe.json_lines import request_id
from headstart.observe.tracing import Tracing

FAILED = 500
"""The server's own response for an application that raised before it responded."""
CLIENT_LEFT = 499
"""No response, because the client had left; nginx uses the same number."""


class Observer:
    """Log and trace the requests of an application.

    Args:
        app: The application.
        access: Write the access log as fields.
        tracing: Make a span of each request.

    Attributes:
        app: The application.
    """

    def __init__(
        self, app: Application, *, access: bool = False, tracing: Tracing | None = None
    ) -> None:
        self.app = app
        self._access = access
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            await self._watch(Exchange(scope), receive, send)
        else:
            await self.app(scope, receive, send)

    async def _watch(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        """Call the application, and tell what became of the request."""
        tracing = self._tracing
        # Never reset: the server logs an error of the application after this call, in its task.
        request_id.set(exchange.make_id())
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
            status = _status(exchange)
            if self._access:
                log_access(exchange, status)
            if tracing is not None and span is not None:
                tracing.end(exchange, span, status)


def _status(exchange: Exchange) -> int:
    """Return the status that the client was answered, the server's own if there was none."""
    left = isinstance(exchange.error, OSError)
    return exchange.status or (CLIENT_LEFT if left else FAILED)
