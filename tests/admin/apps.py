"""Applications for the tests of the admin port."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from tests.server.apps import Receive, Scope, Send, answer, lifespan

# In the server's working folder: the application starts once it is there.
GO = "go"


async def slow_start(scope: Scope, receive: Receive, send: Send) -> None:
    """Take as long to start as the file `go` takes to come."""
    if scope["type"] == "lifespan":
        while not Path(GO).exists():
            await asyncio.sleep(0.01)
        return await lifespan(receive, send)
    return await answer(send)


async def hanging(scope: Scope, receive: Receive, send: Send) -> None:
    """Hold up the whole event loop at /hang, until the file `go` comes."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["path"] == "/hang":
        print("hangs", flush=True)
        while not Path(GO).exists():
            time.sleep(0.01)
    return await answer(send, str(os.getpid()).encode())


PAGE = b"<!doctype html><link rel=stylesheet href=/style.css><script src=/script.js></script>"


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    """A page with two assets, a path that fails, and one that waits for content."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    kinds = {"/": b"text/html", "/style.css": b"text/css", "/script.js": b"text/javascript"}
    path = scope["path"]
    if path == "/fails":
        raise RuntimeError("broken")
    if path == "/waits":
        await receive()
    headers = [(b"content-type", kinds.get(path, b"text/plain"))]
    if path in kinds and path != "/":
        headers.append((b"cache-control", b"public, max-age=3600"))
    status = 200 if path in kinds else 404
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE if path == "/" else b"/* */" * 40})
    return None


async def hopeful(scope: Scope, receive: Receive, send: Send) -> None:
    """Push the same asset twice with each page."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if "http.response.push" in (scope.get("extensions") or {}):
        for _ in range(2):
            await send({"type": "http.response.push", "path": "/style.css", "headers": []})
    return await answer(send)
