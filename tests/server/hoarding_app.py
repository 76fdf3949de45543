"""An application for a process of its own that keeps memory until a file is there."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.server.apps import Receive, Scope, Send, answer, lifespan

_MB = 1_000_000


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """/hoard?N answers when N MB are held, and holds them until the file $HOARD_UNTIL is there."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["path"] == "/hoard":
        held = os.urandom(int(scope["query_string"]) * _MB)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"held", "more_body": True})
        while not Path(os.environ["HOARD_UNTIL"]).exists():
            await asyncio.sleep(0.01)
        del held
        await send({"type": "http.response.body", "body": b" and freed"})
        return None
    return await answer(send, b"served")
