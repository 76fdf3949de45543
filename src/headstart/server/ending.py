"""The transport as one HTTP/1.1 request sees it.

uvicorn closes it after the last response; `http1` decides how the connection goes on.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from headstart.server.counters import Counters


class Ends(Protocol):
    """A connection that can be told that its last response was written."""

    @property
    def transport(self) -> asyncio.Transport:
        """Return the transport for responses."""

    def end(self) -> None:
        """Close it when the client has read all of the response."""


class Ending(asyncio.Transport):
    """The transport as a request sees it, with an end that lets the client read the response.

    Closing a socket with unread bytes resets the connection, and drops the bytes that the client
    has not read yet (RFC 9112, 9.6).
    """

    def __init__(self, connection: Ends, counters: Counters) -> None:
        super().__init__()
        self._counters = counters
        self._connection: Ends | None = connection

    def detach(self) -> None:
        """Forget the transport of a lost connection."""
        self._connection = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, unless the connection is lost."""
        if self._connection is not None:
            self._counters.bytes_sent += len(data)
            self._connection.transport.write(data)

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self._connection is None or self._connection.transport.is_closing()

    def close(self) -> None:
        """Tell the connection that the last response was written."""
        if self._connection is not None:
            self._connection.end()
