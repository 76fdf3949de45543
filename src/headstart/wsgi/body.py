"""`wsgi.input`: the body of a request, read by a thread while the event loop receives it.

`adapter.WsgiCall` makes one `RequestBody` for each request and wraps it in `io.BufferedReader`,
which knows lines and all else that a file knows. At most one part of the body is kept here, so an
application that reads slowly slows its client down.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from headstart.wsgi.gathering import Gathered
from headstart.wsgi.outbox import ClientLeft, Message


class RequestBody(io.RawIOBase):
    """The body of one request.

    Args:
        receive: ASGI's.
        left: Called in the event loop when the client leaves.
        gathered: The beginning of the body, or all of it; the caller closes it behind `stop`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        receive: Callable[[], Awaitable[Message]],
        left: Callable[[], None],
        gathered: Gathered | None = None,
    ) -> None:
        self._loop = loop
        self._receive = receive
        self._left = left
        self._part = memoryview(b"")
        self._file = gathered.file if gathered is not None and gathered.size else None
        """What was gathered and is not read yet."""
        self._ended = gathered is not None and gathered.complete
        self._gone = False
        self._changed = threading.Condition()
        self._task: asyncio.Task[None] | None = None
        self._taken: asyncio.Future[None] | None = None

    # Called in the event loop.

    def start(self) -> None:
        """Begin to receive; without this nobody notices that the client leaves."""
        if self._task is None and not self._gone:
            self._task = self._loop.create_task(self._run())

    def stop(self) -> None:
        """Receive no more; a thread that waits for the body gets an error."""
        if self._task is not None:
            self._task.cancel()
        with self._changed:
            self._gone = True
            if self._file is not None:
                self._file, self._ended = None, False
            self._changed.notify_all()

    async def _run(self) -> None:
        while (message := await self._receive())["type"] == "http.request":
            taken = self._loop.create_future()
            with self._changed:
                self._part = memoryview(message.get("body", b""))
                self._ended = not message.get("more_body", False)
                self._taken = taken
                self._changed.notify_all()
                waits = bool(self._part) and not self._ended
            # Behind the last part only the news that the client left can come.
            if waits:
                await taken
        with self._changed:
            self._gone = True
            self._changed.notify_all()
        self._left()

    # Called in the thread.

    def readable(self) -> bool:
        """Say that this file can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` with the next bytes of the body; return 0 at its end.

        Raises:
            ClientLeft: The client disconnected before the end; the body is incomplete.
        """
        with self._changed:
            if self._file is not None:
                data = self._file.read(len(buffer))
                if data:
                    buffer[: len(data)] = data
                    return len(data)
                self._file = None
            if not (self._part or self._ended or self._gone):
                self._call_in_loop(self.start)
                self._changed.wait_for(lambda: self._part or self._ended or self._gone)
            if not self._part:
                if not self._ended:
                    raise ClientLeft
                return 0
            size = min(len(self._part), len(buffer))
            buffer[:size] = self._part[:size]
            self._part = self._part[size:]
            if not self._part and self._taken is not None:
                self._call_in_loop(_resume, self._taken)
            return size

    def _call_in_loop(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed: the server has not waited for this call
            self._gone = True


def _resume(taken: asyncio.Future[None]) -> None:
    if not taken.done():
        taken.set_result(None)
