"""`visited_app` for servers behind a balancer: each response says which process sent it."""

from __future__ import annotations

import os

from tests import visited_app
from tests.server.apps import Message, Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application."""

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            server = (b"served-by", str(os.getpid()).encode())
            message = {**message, "headers": [*message["headers"], server]}
        await send(message)

    await visited_app.app(scope, receive, named)
