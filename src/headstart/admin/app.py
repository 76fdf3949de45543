"""The ASGI application of the admin port: guard, route, handler.

Written by hand, for a framework would be a dependency of every installation, and this is a table of
a few whole paths. The server below it, with its limits and checks, is the project's own. Made by
`listener`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Final
from urllib.parse import parse_qsl

from headstart.admin.guard import Guard, fields_of
from headstart.admin.routes import Request, Response, Route, text
from headstart.admin.workers import Workers
from headstart.deliver.asgi import Receive, Scope, Send

logger = logging.getLogger("headstart.admin")

# Bytes of a form; ours have a few fields.
_LONGEST_FORM: Final = 64 * 1024
_FORM: Final = "application/x-www-form-urlencoded"


class AdminApp:
    """Serve the routes.

    Args:
        guard: Checks each request.
        routes: By method and path.
        workers: The processes that handlers ask.

    Attributes:
        closing: The port closes, and calls are cancelled.
    """

    def __init__(self, guard: Guard, routes: Sequence[Route], workers: Workers) -> None:
        self.closing = False
        self._guard = guard
        self._workers = workers
        self._routes = {(route.method, route.path): route for route in routes}
        self._paths = {path for _, path in self._routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        try:
            await self._serve(scope, receive, send)
        except asyncio.CancelledError:
            # The server would log it as an error of ours.
            if not self.closing:
                raise

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._response(scope, receive)
        except Exception:
            logger.exception("The admin port could not serve %r", scope["path"])
            response = text("Internal Server Error\n", 500)
        start = {"type": "http.response.start", "status": response.status}
        await send({**start, "headers": fields_of(response)})
        if isinstance(response.body, bytes):
            await send({"type": "http.response.body", "body": response.body})
        else:
            await send_stream(response.body, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        route = self._routes.get((method, scope["path"]))
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        # An unknown path is as private as a known one.
        public = route is not None and route.public
        refusal = self._guard.refusal(method, headers, public=public)
        if refusal is not None:
            return refusal
        if route is None:
            known = scope["path"] in self._paths
            return text("Method Not Allowed\n", 405) if known else text("Not Found\n", 404)
        form: dict[str, str] = {}
        if method == "POST":
            content = await read_content(receive)
            if content is None:
                return text("The form is too large.\n", 413)
            if headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
                form = parse_pairs(content)
            if not self._guard.accepts(form):
                return text("The form is not ours, or too old. Load the page again.\n", 403)
        request = Request(
            method=method,
            path=scope["path"],
            query=parse_pairs(scope["query_string"]),
            form=form,
            headers=headers,
            csrf=self._guard.csrf,
        )
        return await route.handler(request, self._workers)


async def read_content(receive: Receive) -> bytes | None:
    """Return the content of a request, or None if it is too large."""
    parts = bytearray()
    while True:
        message = await receive()
        parts += message.get("body", b"")
        if len(parts) > _LONGEST_FORM:
            return None
        if message["type"] != "http.request" or not message.get("more_body", False):
            return bytes(parts)


def parse_pairs(text: bytes) -> dict[str, str]:
    """Return the last value of each name of a query or a form."""
    return dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True))


async def send_stream(parts: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send the parts as they come, until they end or the client leaves."""
    sending = asyncio.ensure_future(_send_parts(parts, send))
    leaving = asyncio.ensure_future(_client_leaves(receive))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not sending.done():
            sending.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)
    # An error of the handler is for the log; that the client has left is not one.
    if not sending.cancelled():
        sending.result()


async def _send_parts(parts: AsyncIterator[bytes], send: Send) -> None:
    try:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    finally:
        close = getattr(parts, "aclose", None)
        if close is not None:
            await close()
    await send({"type": "http.response.body"})


async def _client_leaves(receive: Receive) -> None:
    """Return when the client has left; a stream that sends seldom would notice it late."""
    while (await receive())["type"] != "http.disconnect":
        pass
