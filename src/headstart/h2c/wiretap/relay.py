"""One connection of the wiretap: forward the bytes between a client and its server unchanged.

Bytes from one side are written to the other in the same turn of the event loop, and passed to a
tap. When a side cannot take more, the other side is not read until it can, so a connection holds at
most one read and one write buffer. Made by `wiretap`.

asyncio cannot close one direction of TLS and keep the other. If both sides are cleartext, the end
of one direction is passed on; otherwise it closes the connection, once all bytes are written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias, cast

from headstart.wire.frames import Direction

Tap: TypeAlias = Callable[[Direction, bytes, float], None]


class Relay:
    """Both sides of a connection. Neither is read until `start`.

    Args:
        tap: Told of all octets: SENT is from the client to the server.
        began: When the client connected, of the event loop's clock.
        half_closes: Both sides are cleartext.

    Attributes:
        client, server: The protocols of the two sockets.
        counts: Octets that went each way.
        over: Done when both sockets are closed.
    """

    def __init__(self, tap: Tap, began: float, *, half_closes: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._tap = tap
        self._began = began
        self._ended = False
        self.half_closes = half_closes
        self.counts = dict.fromkeys(Direction, 0)
        self.client = Side(self, Direction.SENT)
        self.server = Side(self, Direction.RECEIVED)
        self.over: asyncio.Future[None] = self._loop.create_future()

    def start(self) -> None:
        """Both sides are connected: read."""
        for side, other in ((self.client, self.server), (self.server, self.client)):
            side.pair(other)

    def passed(self, direction: Direction, data: bytes) -> None:
        """Tell of octets."""
        self.counts[direction] += len(data)
        self._tap(direction, data, self._loop.time() - self._began)

    def lost(self) -> None:
        """Return true if a socket is closed."""
        if self.client.closed and self.server.closed and not self._ended:
            self._ended = True
            self._tap(Direction.RECEIVED, b"", self._loop.time() - self._began)
            if not self.over.done():
                self.over.set_result(None)

    def close(self) -> None:
        """Close both sides once all bytes are written."""
        for side in (self.client, self.server):
            side.close()

    def abort(self) -> None:
        """Close both sides at once."""
        for side in (self.client, self.server):
            side.abort()


class Side(asyncio.Protocol):
    """One of the two sockets.

    Attributes:
        closed: There is none: not yet, or not any more.
        ended: It sends no more.
        error: Why it was lost; None for no reason.
    """

    def __init__(self, relay: Relay, direction: Direction) -> None:
        self._relay = relay
        self._direction = direction
        self._transport: asyncio.Transport | None = None
        self._other: Side | None = None
        self._refuses = False
        self.closed = True
        self.ended = False
        self.error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin once the socket and its TLS are ready; hold its bytes until the other side is."""
        self._transport = cast(asyncio.Transport, transport)
        self.closed = False
        self._transport.pause_reading()

    def pair(self, other: Side) -> None:
        """Start reading, and forward the bytes to the other side."""
        self._other = other
        if other.closed:  # it was there, and went before this one came
            self.close()
        elif self._transport is not None and not self.closed and not other._refuses:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._relay.passed(self._direction, data)
        if self._other is not None:
            self._other.write(data)

    def write(self, data: bytes) -> None:
        """Write bytes from the other side."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause_writing(self) -> None:
        """Pause reading from the other side while the socket's buffer is full."""
        self._refuses = True
        if self._other is not None and self._other._transport is not None:
            self._other._transport.pause_reading()

    def resume_writing(self) -> None:
        """Resume reading from the other side."""
        self._refuses = False
        if self._other is not None and self._other._transport is not None:
            self._other._transport.resume_reading()

    def eof_received(self) -> bool:
        """Handle the end of this side's bytes.

        Returns:
            Whether it may still be sent to.
        """
        self.ended = True
        other = self._other
        if not self._relay.half_closes or other is None or other.ended:
            return False
        other.write_eof()
        return not other.closed

    def write_eof(self) -> None:
        """Handle the end of the other side's bytes."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        """Close the other side once this socket is closed."""
        self.closed = True
        self.error = error
        if self._other is not None:
            self._other.close()
        self._relay.lost()

    def close(self) -> None:
        """Close the socket once all bytes are written."""
        # asyncio's TLS transport that is closed twice is closed by no abort() any more.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()
