"""An application that tells which options the sockets of its own process have."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress

from tests.server.apps import Receive, Scope, Send, answer, lifespan


def connected() -> list[dict[str, object]]:
    """Return what TCP connections of this process there are, with their options."""
    found: list[dict[str, object]] = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as one:
            if one.family in (socket.AF_INET, socket.AF_INET6) and one.getpeername():
                nodelay = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                kept = one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                found.append({"nodelay": bool(nodelay), "keepalive": bool(kept)})
    return found


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with them."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    await answer(send, json.dumps({"client": scope["client"], "sockets": connected()}).encode())
    return None
