"""An application for a process of its own that counts what it has answered."""

from __future__ import annotations

import asyncio
import itertools
import os

from tests.server.apps import Receive, Scope, Send, answer, lifespan

_BODY = b"x" * 3000
_numbers = itertools.count()
_last = {"answered": 0}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """/ is counted when its last byte was sent; /pid and /count are for whoever looks on."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        print(f"answered in all {_last['answered']}", flush=True)
    elif scope["path"] == "/pid":
        await answer(send, str(os.getpid()).encode())
    elif scope["path"] == "/count":
        await answer(send, str(_last["answered"]).encode())
    else:
        await asyncio.sleep(0.001)  # so that there are always some under way
        await answer(send, _BODY)
        _last["answered"] = next(_numbers) + 1
