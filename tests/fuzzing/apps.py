"""What applications do, each at a path of its own: some answer, some stall, some fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from headstart.deliver.push import PushBuilder
from tests.server.apps import Message, Receive, Scope, Send, body, start

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Careless(Exception):
    """An application failed, as it was meant to."""


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"answer"))


async def _late(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0.05)
    await _answer(scope, receive, send)


async def _stream(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    for _ in range(5):
        await send(body(bytes(40_000), True))
    await send(body())


async def _trailers(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(trailers=True))
    await send(body(bytes(1000)))
    await send({"type": "http.response.trailers", "headers": [(b"x", b"trailer")]})


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
        await send(body(message["body"], more))


async def _ignore_body(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(5)
    await _answer(scope, receive, send)


async def _until_gone(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _deaf(scope: Scope, receive: Receive, send: Send) -> None:
    """Never looks whether anybody still wants an answer."""
    await asyncio.Event().wait()


async def _listen_and_stream(scope: Scope, receive: Receive, send: Send) -> None:
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_until_gone(scope, receive, send))
        await _stream(scope, receive, send)
        listening.cancel()


async def _fail(scope: Scope, receive: Receive, send: Send) -> None:
    raise Careless


async def _fail_late(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"begun", True))
    await asyncio.sleep(0.05)
    raise Careless


async def _silent(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def _short(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, [(b"content-length", b"10")]))
    await send(body(b"five."))


async def _disorder(scope: Scope, receive: Receive, send: Send) -> None:
    await send(body(b"no start"))


async def _push(scope: Scope, receive: Receive, send: Send) -> None:
    builder = PushBuilder(scope, receive, send)
    for path in ("/answer", "/stream", "/fail", "/late"):
        await builder.path(path).push()
    await send(start())
    await send(body(b"page", True))
    await asyncio.sleep(0.05)
    await builder.path("/trailers").push()
    await send(body(b"page"))


async def _hint(scope: Scope, receive: Receive, send: Send) -> None:
    if "http.response.early_hint" in scope["extensions"]:
        hint: Message = {"type": "http.response.early_hint", "links": [b"</s.css>; rel=preload"]}
        await send(hint)
        await asyncio.sleep(0.05)
        await send(hint)
    await _answer(scope, receive, send)


async def _swallow(scope: Scope, receive: Receive, send: Send) -> None:
    """Goes on sending whatever it is told."""
    await send(start())
    for _ in range(3):
        try:
            await send(body(bytes(100_000), True))
        except OSError:
            await asyncio.sleep(0.01)


_APPS: dict[str, App] = {
    "/answer": _answer,
    "/late": _late,
    "/stream": _stream,
    "/trailers": _trailers,
    "/echo": _echo,
    "/ignore": _ignore_body,
    "/until-gone": _until_gone,
    "/deaf": _deaf,
    "/listen": _listen_and_stream,
    "/fail": _fail,
    "/fail-late": _fail_late,
    "/silent": _silent,
    "/short": _short,
    "/disorder": _disorder,
    "/push": _push,
    "/hint": _hint,
    "/swallow": _swallow,
}
PATHS = [path.encode() for path in _APPS]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The one that is asked for."""
    await _APPS.get(scope["path"], _answer)(scope, receive, send)
