"""An application for a process of its own: a POST takes as long as its client, /pid is quick."""

from __future__ import annotations

import os

from tests.server.apps import Receive, Scope, Send, answer, lifespan, read_all


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """A POST is answered when its body has ended."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["path"] == "/pid":
        return await answer(send, str(os.getpid()).encode())
    print("in flight", flush=True)
    await answer(send, await read_all(receive))
    return None
