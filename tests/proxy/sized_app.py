"""A site for tests of size, served by processes of their own: large content."""

from __future__ import annotations

from tests.server.apps import Receive, Scope, Send, answer, body, lifespan, start

PART = bytes(64 * 1024)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/down/N` sends N MiB, `/up` counts what it gets."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    _, kind, *rest = scope["path"].split("/")
    match kind:
        case "down":
            size = int(rest[0]) * 1024 * 1024
            await send(start(200, [(b"content-length", str(size).encode())]))
            for _ in range(size // len(PART)):
                await send(body(PART, more_body=True))
            await send(body())
        case "up":
            size, more = 0, True
            while more:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
            await answer(send, str(size).encode())
        case _:
            await answer(send, b"page")
    return None
