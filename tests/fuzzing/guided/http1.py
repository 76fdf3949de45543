"""An HTTP/1.1 client's bytes, given to the server as a socket would; for the target `http1`.

The socket and the clock are those of `tests.fuzzing`, so a time-out of minutes takes no time.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import closing
from typing import Any, Final

from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.server.protocol import HeadstartProtocol
from headstart.server.run import Config
from tests.clock import ClockLoop
from tests.fuzzing.memory import Socket

_LONG: Final = 400.0
_CHECKED: Final = ("host", "content-length", "transfer-encoding")


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """Reads all, and answers; what it is shown must have been checked."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
        return
    names = [name.decode("latin-1") for name, _ in scope["headers"]]
    assert all(names.count(name) <= 1 for name in _CHECKED), names
    assert scope["path"].startswith("/") or scope["path"] == "*", scope["path"]
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"page"})


def talk(parts: list[bytes]) -> None:
    """Give the parts to a new connection, end it, and look at what it leaves behind."""
    logging.disable()
    with closing(ClockLoop()) as loop:
        state = loop.run_until_complete(_talk(loop, parts))
        assert not loop.problems, loop.problems
        assert not asyncio.all_tasks(loop)
        assert not state.connections
        assert not state.tasks


async def _talk(loop: ClockLoop, parts: list[bytes]) -> ServerState:
    state = ServerState()
    config = Config(_application, ServerOptions(), log_config=None, interface="asgi3")
    protocol: Any = HeadstartProtocol(config, state, {}, loop)
    socket = Socket(protocol, loop)
    protocol.connection_made(socket)
    for part in parts:
        await asyncio.sleep(0)
        if socket.is_closing():
            break
        socket.protocol.data_received(part)
    await asyncio.sleep(1)
    socket.read(1 << 30)
    socket.abort()
    await asyncio.sleep(_LONG)
    return state
