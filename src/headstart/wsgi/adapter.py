"""A WSGI application as an ASGI application.

`WsgiApplication` is called by the server, or by the middleware, for each request. An `WsgiCall`
calls the WSGI application in a thread, sends the messages of its `Outbox`, and notices when the
client disconnects.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from headstart.wsgi.body import RequestBody
from headstart.wsgi.environ import make_environ
from headstart.wsgi.gathering import Gathered, Gatherer, GathererFull
from headstart.wsgi.hints import KEY, EarlyHints
from headstart.wsgi.outbox import ClientLeft, Message, Outbox
from headstart.wsgi.response import Application, Response
from headstart.wsgi.threads import ThreadPool

logger = logging.getLogger("headstart.wsgi")

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class WsgiApplication:
    """An ASGI application that calls a WSGI application in threads.

    Args:
        application: The WSGI application.
        threads: The number of requests that are answered at the same time.
        multiprocess: Other processes call the application, too.
        gather: Bytes of content without a length that are gathered before the application is
            called, so that it is told a length.
    """

    def __init__(
        self, application: Application, threads: int, multiprocess: bool, gather: int = 0
    ) -> None:
        self.application = application
        self._multiprocess = multiprocess
        self._pool = ThreadPool(threads)
        self._gatherer = Gatherer(gather)
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run the lifespan, which WSGI does not have.

        Raises:
            RuntimeError: The scope is neither.
        """
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _run_lifespan(receive, send)
        else:
            raise RuntimeError(f"A WSGI application cannot serve {scope['type']!r}.")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        gatherer, gathered = self._gatherer, None
        if gatherer.wants(scope["headers"]):
            try:
                gathered = await gatherer.gather(receive)
            except GathererFull:
                logger.warning(
                    "Answered 503: too much content without a Content-Length is being gathered."
                )
                await _refuse(send)
                return
            if gathered is None:
                return
            if not gathered.complete and not self._has_warned:
                self._has_warned = True
                logger.warning(
                    "A request has more than %d bytes of content and no Content-Length: the "
                    "application gets it without CONTENT_LENGTH, and may take it for empty. "
                    "Raise --wsgi-gather if that is too little.",
                    gatherer.limit,
                )
        exchange = WsgiCall(self.application, scope, receive, send, self._multiprocess, gathered)
        try:
            await exchange.run(self._pool)
        finally:
            if gathered is not None:
                gatherer.release(gathered)


class WsgiCall:
    """One request and the call that answers it."""

    def __init__(
        self,
        application: Application,
        scope: Scope,
        receive: Receive,
        send: Send,
        multiprocess: bool,
        gathered: Gathered | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._application = application
        self._send = send
        self._outbox = Outbox(loop)
        self._body = RequestBody(loop, receive, self._client_left, gathered)
        length = gathered.size if gathered is not None and gathered.complete else 0
        environ = make_environ(scope, io.BufferedReader(self._body), multiprocess, length)
        # The scope of a pushed request, or one over HTTP/1.1, does not offer it.
        if "http.response.early_hint" in (scope.get("extensions") or {}):
            environ[KEY] = EarlyHints(self._outbox)
        self._response = Response(environ, self._outbox)
        self._context = contextvars.copy_context()
        self._pool: ThreadPool | None = None

    async def run(self, pool: ThreadPool) -> None:
        """Call the application, and send its response until it ends or the client disconnects."""
        self._pool = pool
        try:
            if not pool.submit(self._call):
                self._body.start()  # the client may leave before it is its turn
            # If the client leaves, the call counts as alive until its thread is free again.
            while (message := await self._outbox.get()) is not None:
                await self._deliver(message)
        finally:
            self._outbox.close()
            pool.withdraw(self._call)
            self._body.stop()

    async def _deliver(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # ASGI 2.4: the client is gone
            self._outbox.close()
        else:
            if message.get("more_body") and self._outbox.empty:
                self._body.start()  # the client may leave before the next part

    def _client_left(self) -> None:
        self._outbox.close()
        if self._pool is not None and self._pool.withdraw(self._call):
            self._outbox.end(None)

    def _call(self) -> None:
        """Call the application, in a thread."""
        try:
            self._context.run(self._response.run, self._application)
        except ClientLeft:
            self._outbox.end(None)
        except BaseException as error:
            self._outbox.end(error)
        else:
            self._outbox.end(None)


async def _refuse(send: Send) -> None:
    headers = [(b"content-length", b"0"), (b"retry-after", b"5")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _run_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
