"""ASGI messages on their way from an application's thread to the event loop.

The thread waits while the client is slower than the application, so memory stays bounded. Made by
`adapter.WsgiCall`; filled by `response`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import MutableMapping
from typing import Any, Final, TypeAlias

Message: TypeAlias = MutableMapping[str, Any]

# Bytes of body. The server has a queue of its own behind this one.
_MOST: Final = 64 * 1024


class ClientLeft(ConnectionResetError):
    """Raised in the thread when the client has disconnected, or the server stops.

    A subclass of OSError, as applications and frameworks expect from `wsgi.input` and `write`.
    """

    def __init__(self) -> None:
        super().__init__("The client disconnected.")


class Outbox:
    """A queue with one writer, a thread, and one reader, the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: deque[Message] = deque()
        self._size = 0
        self._closed = False
        self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._reader: asyncio.Future[None] | None = None

    # Called in the thread.

    def put(self, *messages: Message) -> None:
        """Queue messages; wait while too many bytes are queued.

        Raises:
            ClientLeft: The queue is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._size < _MOST or self._closed)
            if self._closed:
                raise ClientLeft
            for message in messages:
                self._messages.append(message)
                self._size += len(message.get("body", b""))
            self._wake()

    def end(self, error: BaseException | None) -> None:
        """Say that the call has ended, perhaps by an error."""
        with self._changed:
            self._ended = True
            self._error = error
            self._wake()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is None:
            return
        try:
            self._loop.call_soon_threadsafe(_resolve, reader)
        except RuntimeError:  # the loop is closed: the server has not waited for this call
            self._closed = True

    # Called in the event loop.

    def close(self) -> None:
        """Drop all messages, and let the thread know at its next one."""
        with self._changed:
            self._closed = True
            self._messages.clear()
            self._changed.notify_all()

    @property
    def empty(self) -> bool:
        """Return true if `get` would have to wait."""
        return not (self._messages or self._ended)

    async def get(self) -> Message | None:
        """Return the next message; None when the call has ended.

        Raises:
            BaseException: The error by which the call ended.
        """
        while True:
            with self._changed:
                if self._messages:
                    message = self._messages.popleft()
                    self._size -= len(message.get("body", b""))
                    self._changed.notify_all()
                    return message
                if self._ended:
                    break
                reader = self._reader = self._loop.create_future()
            await reader
        error, self._error = self._error, None
        if error is None:
            return None
        try:
            raise error
        finally:
            del error  # it refers to this frame, which would refer to it


def _resolve(reader: asyncio.Future[None]) -> None:
    if not reader.done():
        reader.set_result(None)
