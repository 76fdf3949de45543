"""What the attacks of test_attacks ask for; it counts its calls. In the server's own process."""

from __future__ import annotations

import asyncio
import json

from headstart.server.counters import counters_of
from tests.server.apps import Receive, Scope, Send, answer, lifespan

LARGE = bytes(1_000_000)

_counts = {"alive": 0, "most": 0, "calls": 0}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/` is a page, and `/counts` tells of the calls for anything else, as JSON.

    How many are alive, were at most at once since it was last asked, and were made in all; beside
    that the server's own counters. `/hang` waits for ever and never asks whether its client is
    there, `/large` sends 1 MB, `/pushing` pushes ten that never answer, `/read` reads the body, and
    waits for ever where its client leaves.
    """
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["path"] == "/":
        return await answer(send, b"page")
    if scope["path"] == "/counts":
        counters = counters_of(scope)
        told = {**_counts, "refusals": counters.snapshot() if counters else {}}
        _counts["most"] = _counts["alive"]
        return await answer(send, json.dumps(told).encode())
    _counts["calls"] += 1
    _counts["alive"] += 1
    _counts["most"] = max(_counts["most"], _counts["alive"])
    try:
        await _answer(scope, receive, send)
    finally:
        _counts["alive"] -= 1
    return None


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    match scope["path"]:
        case "/hang":
            await asyncio.Event().wait()
        case "/large":
            await answer(send, LARGE)
        case "/pushing":
            for number in range(10):
                await send({"type": "http.response.push", "path": f"/hang/{number}", "headers": []})
            await answer(send, b"page")
        case "/read":
            while (message := await receive()).get("more_body"):
                pass
            if message["type"] == "http.request":
                await answer(send, b"read")
            else:
                await asyncio.Event().wait()  # as careless as an application can be
        case path if path.startswith("/hang/"):
            await asyncio.Event().wait()
        case path:
            await answer(send, path.encode())
