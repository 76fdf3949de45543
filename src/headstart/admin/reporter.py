"""The end of a process that serves: answers the questions of the admin port.

`server.workers.Server` begins it before the application's lifespan and ends it last. It is pickled
to each worker process. Without a main process to talk to it does nothing, and the site goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING, Any, Final

from headstart.admin.frames import packed, receive
from headstart.admin.questions import LAST_WORDS, QUESTIONS
from headstart.admin.sources import Sources

if TYPE_CHECKING:
    from headstart.server.workers import Server

logger = logging.getLogger("headstart.admin")

# The door has room for a few greetings, and the main process reads them at once.
_ATTEMPTS: Final = 100
_PAUSE: Final = 0.05


class Reporter:
    """Answer questions about this process.

    Args:
        door: The worker's end of the door.
    """

    def __init__(self, door: socket.socket) -> None:
        self._door = door
        self._task: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._sources: Sources | None = None

    async def begin(self, server: Server) -> None:
        """Connect to the main process, and answer from now on; log an error."""
        try:
            await self._connect(Sources(server))
        except Exception:
            logger.exception("The admin port will not know of this process")

    async def _connect(self, sources: Sources) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            if not await self._greet(theirs):
                ours.close()
                return
        reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        self._sources = sources
        sources.delays.start(asyncio.get_running_loop())
        self._task = asyncio.get_running_loop().create_task(self._answer(reader, self._writer))

    async def _greet(self, theirs: socket.socket) -> bool:
        """Send the other end of the pair through the door; return false if nobody is there."""
        for _ in range(_ATTEMPTS):
            try:
                socket.send_fds(
                    self._door, [b"%d" % os.getpid()], [theirs.fileno()], socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                await asyncio.sleep(_PAUSE)
            except OSError as error:
                logger.error("The admin port is not there: %s", error)
                return False
            else:
                return True
        logger.error("The admin port does not answer.")
        return False

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (message := await receive(reader)) is not None:
            writer.write(packed({"id": message["id"], **self._answer_to(message)}))
            await writer.drain()

    def _answer_to(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return an answer, or the error: a question must not harm the process that is asked."""
        assert self._sources is not None
        try:
            return {"answer": QUESTIONS[message["ask"]](self._sources, **message["with"])}
        except Exception as error:
            logger.exception("The admin port asked for %r in vain", message["ask"])
            return {"error": f"{type(error).__name__}: {error}"}

    async def end(self) -> None:
        """Say the last words, and disconnect."""
        task, writer = self._task, self._writer
        self._task = self._writer = None
        if task is None or writer is None:
            return
        if self._sources is not None:
            self._sources.delays.stop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # Else what it has counted since the last scrape would be lost with it.
        last = self._answer_to({"ask": LAST_WORDS, "with": {}})
        try:
            writer.write(packed({"last": last.get("answer")}))
            await writer.drain()
        except ConnectionError:
            logger.debug("The admin port was gone before this process.")
        finally:
            writer.close()
