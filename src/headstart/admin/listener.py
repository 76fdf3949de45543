"""The thread that serves the admin port, in the main process.

A thread, and not the event loop of the site: there is none in the parent of `--workers`, and a page
that takes long to make must not hold up the site's. It serves with the project's own protocols and
so with their limits and checks. Started and closed by `admin`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from contextlib import suppress
from functools import partial
from typing import Any, Final

from uvicorn.server import ServerState

from headstart.admin.app import AdminApp
from headstart.admin.workers import Workers
from headstart.config import ServerOptions
from headstart.server.protocol import HeadstartProtocol
from headstart.server.run import Config

logger = logging.getLogger("headstart.admin")

# Streams and scrapers. One address leaves room for others: without an answer from /healthz, an
# orchestrator restarts the site.
_CONNECTIONS: Final = 128
_ADDRESS_CONNECTIONS: Final = 64
# Bytes, more than any machine has: metrics are wanted most when the site's memory is short.
_NO_BOUND: Final = 1 << 62
# Seconds that open requests have when the server ends.
_GRACE: Final = 1.0
# Seconds that the server's end waits for the thread.
_PATIENCE: Final = 3.0


class Listener:
    """The listening socket and its thread.

    Args:
        listener: The socket; closed with the thread.
        app: Serves the requests.
        workers: The processes that it asks.
    """

    def __init__(self, listener: socket.socket, app: AdminApp, workers: Workers) -> None:
        self._listener = listener
        self._app = app
        self._workers = workers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headstart-admin", daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()
        self._opened.wait()

    def close(self) -> None:
        """End the connections, close the socket and wait for the thread, but not for ever."""
        if self._loop is not None:
            # The thread may have ended by an error, and its loop with it.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            logger.error("The admin port hangs, and is left behind")

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            logger.exception("The admin port has ended; the site goes on")
        finally:
            self._listener.close()
            self._workers.shut()
            self._opened.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        options = ServerOptions(
            max_connections=_CONNECTIONS,
            max_connections_per_address=_ADDRESS_CONNECTIONS,
            max_memory=_NO_BOUND,
        )
        config = Config(
            self._app, options, log_config=None, lifespan="off", proxy_headers=False, ws="none"
        )
        config.load()
        # Set afterwards, else uvicorn's Config takes the site's access log away.
        config.access_log = False
        state = ServerState()
        state.default_headers = config.encoded_headers
        server = await self._loop.create_server(
            partial(HeadstartProtocol, config, state, {}), sock=self._listener
        )
        self._workers.open()
        self._opened.set()
        await self._stop.wait()
        server.close()
        self._app.closing = True
        for connection in list(state.connections):
            connection.shutdown()
        await self._connections_end(state)
        await self._workers.close()

    async def _connections_end(self, state: ServerState) -> None:
        """Wait for the clients for a moment; streams of events never end by themselves."""
        for task in list(state.tasks):
            task.cancel()
        deadline = asyncio.get_running_loop().time() + _GRACE
        while state.connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        left: list[Any] = list(state.connections)
        for connection in left:
            connection.abort()
        await asyncio.sleep(0)  # the loop tells them that they are lost
