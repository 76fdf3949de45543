"""The lifespan of a server, which the learner needs even if the application does not support it.

Forwards the server's messages, and starts and stops the learner's parts. Called by `middleware`
once, for the scope of type `lifespan`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from headstart.deliver.asgi import Application, Message, Receive, Scope, Send


async def run_lifespan(
    app: Application,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    start: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
    required: bool = False,
) -> None:
    """Run the application's lifespan, or one of our own where it has none.

    Args:
        start: Called when the server starts, before the application hears of it.
        stop: Called when it ends, likewise.
        required: An application that raises instead of asking for messages cannot start; else it
            is one that does not know the lifespan.
    """
    asked = False

    async def watched() -> Message:
        nonlocal asked
        asked = True
        message = await receive()
        if message["type"] == "lifespan.startup":
            await start()
        elif message["type"] == "lifespan.shutdown":
            await stop()
        return message

    try:
        await app(scope, watched, send)
    except Exception:
        if asked or required:
            raise
    if not asked:
        # The application knows no lifespan; the learner needs one.
        await _plain_lifespan(watched, send)


async def _plain_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
