"""Applications that the tests serve."""

from __future__ import annotations

import queue
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from ngh2 import Setting

from tests.server.live import PATIENCE, Gate

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

PUSHED_BODY = b"body { color: teal }" * 500
NO_CORS: Headers = [(b"sec-fetch-mode", b"no-cors"), (b"sec-fetch-dest", b"style")]
NO_PUSH: dict[int, int] = {Setting.ENABLE_PUSH: 0}
STYLE: Message = {"type": "http.response.push", "path": "/style.css", "headers": []}
LINKS: Message = {
    "type": "http.response.early_hint",
    "links": [b"</style.css>; rel=preload; as=style"],
}


def start(status: int = 200, headers: Headers | None = None, **more: object) -> Message:
    """The message that starts a response."""
    return {"type": "http.response.start", "status": status, "headers": headers or [], **more}


def body(data: bytes = b"", more_body: bool = False) -> Message:
    """The message with a part of a response's body."""
    return {"type": "http.response.body", "body": data, "more_body": more_body}


async def answer(send: Send, data: bytes = b"", status: int = 200) -> None:
    """Answer, whole."""
    await send(start(status, [(b"content-length", str(len(data)).encode())]))
    await send(body(data))


async def read_all(receive: Receive) -> bytes:
    """A request's whole body."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Says which path was asked for, over which version of HTTP."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    await answer(send, f"{scope['path']} over {scope['http_version']}".encode())
    return None


async def fails_to_start(scope: Scope, receive: Receive, send: Send) -> None:
    """Say in its lifespan that it cannot start."""
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def lifespan(receive: Receive, send: Send) -> None:
    """Nothing to set up, nothing to tear down."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def pushing(scope: Scope, receive: Receive, send: Send) -> None:
    """A page that hints and pushes its stylesheet, where that works; a POST is counted."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["path"] == "/style.css":
        return await answer(send, PUSHED_BODY)
    extensions = scope.get("extensions", {})
    if scope["method"] == "POST":
        return await answer(send, str(len(await read_all(receive))).encode())
    if "http.response.early_hint" in extensions:
        links = [b"</style.css>; rel=preload; as=style"]
        await send({"type": "http.response.early_hint", "links": links})
    if "http.response.push" in extensions:
        await send({"type": "http.response.push", "path": "/style.css", "headers": []})
    await answer(send, b"page")
    return None


async def crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """Pages that push ten assets each, none of them twice; every body is its own path."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    path = scope["path"]
    if path.startswith("/page/"):
        for number in range(10):
            asset = f"/asset{path}/{number}"
            await send({"type": "http.response.push", "path": asset, "headers": []})
    await answer(send, path.encode())
    return None


async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers 413 and reads nothing."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    await answer(send, b"too large", 413)
    return None


class Recorder:
    """An application that notes its scopes and answers, and calls `act` in between."""

    def __init__(
        self, act: Callable[[Scope, Receive, Send], Awaitable[object]] | None = None
    ) -> None:
        self.act = act
        self._seen: queue.SimpleQueue[Any] = queue.SimpleQueue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        self.note(scope)
        if self.act is None:
            return await answer(send, b"page")
        await self.act(scope, receive, send)
        return None

    def note(self, value: object) -> None:
        """Keep a value for the test."""
        self._seen.put(value)

    def next(self) -> Any:
        """The next value, in the order in which they were noted; waits for it."""
        return self._seen.get(timeout=PATIENCE)

    @property
    def empty(self) -> bool:
        """Whether the test has taken all of them."""
        return self._seen.empty()


def sending_first(*messages: Message) -> Recorder:
    """Sends `messages` with the page; answers every other path with itself."""

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/":
            return await answer(send, scope["path"].encode())
        for message in messages:
            await send(message)
        await answer(send, b"page")
        return None

    return Recorder(act)


class Held:
    """An application whose requests wait for a gate, so that they are in flight."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        self.waiting += 1
        await self.gate.passed()
        await answer(send, scope["path"].encode())
        return None
