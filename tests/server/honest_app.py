"""What the honest clients of test_honest ask for. In the server's own process.

`/echo.Echo/...` speaks gRPC: each message goes back in a DATA frame of its own, and behind the
client's last one the trailers. `/lines` answers with the number of lines of an upload, and of its
bytes. `/search` waits for half a minute, unless its client leaves, `/report` until somebody asks
for `/release`, and `/notify` answers at once and works on behind its answer until then.
`/refusals` are the server's own counters, and the ports of those who wait for reports. A WebSocket
gets the length of each message.
"""

from __future__ import annotations

import asyncio
import json

from headstart.server.counters import counters_of
from tests.server.apps import Receive, Scope, Send, answer, body, lifespan, start

PREFIX = 5
"""Octets before each message of gRPC: a flag, and its length."""

_released = asyncio.Event()
_waiting: list[int] = []


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """One request."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] == "websocket":
        return await _lengths(receive, send)
    match scope["path"]:
        case path if path.startswith("/echo.Echo/"):
            await _grpc(receive, send)
        case "/lines":
            await _lines(receive, send)
        case "/search":
            await _search(receive, send)
        case "/report":
            await _report(scope["client"][1], send)
        case "/notify":
            await answer(send, b"noted")
            await _released.wait()
        case "/release":
            _released.set()
            _released.clear()
            await answer(send)
        case "/refusals":
            counters = counters_of(scope)
            assert counters
            told = counters.snapshot() | {"waiting": _waiting}
            await answer(send, json.dumps(told).encode())
        case _:
            await answer(send, b"page")
    return None


async def _grpc(receive: Receive, send: Send) -> None:
    await send(start(200, [(b"content-type", b"application/grpc")], trailers=True))
    held, more = b"", True
    while more:
        message = await receive()
        held += message.get("body", b"")
        more = message.get("more_body", False)
        while len(held) >= PREFIX:
            end = PREFIX + int.from_bytes(held[1:PREFIX], "big")
            if len(held) < end:
                break
            await send(body(held[:end], more_body=True))
            held = held[end:]
    await send(body())
    await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})


async def _lines(receive: Receive, send: Send) -> None:
    lines, length, more = 0, 0, True
    while more:
        message = await receive()
        lines += message["body"].count(b"\n")
        length += len(message["body"])
        more = message["more_body"]
    await answer(send, b"%d %d" % (lines, length))


async def _report(port: int, send: Send) -> None:
    _waiting.append(port)
    await _released.wait()
    _waiting.remove(port)
    await answer(send, b"report")


async def _search(receive: Receive, send: Send) -> None:
    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(left(), 30)
    except TimeoutError:
        await answer(send, b"found")


async def _lengths(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": str(len(message["bytes"]))})
