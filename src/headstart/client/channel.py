"""Bytes between a socket and the engine of one connection, under asyncio.

Reads the socket into `wire.client`, passes the events on, and writes the engine's output once per
turn of the event loop. Base of `client.connection`.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from headstart.client.origin import Origin
from headstart.wire.client import ClientConnection
from headstart.wire.events import ClientEvent
from headstart.wire.frames import Direction

Tap: TypeAlias = Callable[[Direction, bytes, float], None]
"""Told of all bytes written and read: direction, bytes, seconds since the connection was made;
no bytes when it is over."""
Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

# What one read takes at most. The buffer is used again, and what one read makes stays below the
# 128 KiB of free memory that glibc gives back to the system: with more, a download spends half of
# its time on getting the same pages again (measured: 400 and 1,400 MB/s).
_BUFFER_SIZE = 96 * 1024
# Bytes that are kept to explain why HTTP/2 did not begin, such as a response in HTTP/1.1.
_PREFIX = 1024
_CLOSE_PATIENCE = 1.0
# RFC 8446, 6.1: the other end need not answer our close_notify, and h2o does not.
_NOTIFY_PATIENCE = 0.1


class Channel(asyncio.BufferedProtocol):
    """The side of a connection that faces the event loop.

    Attributes:
        origin: Where it leads.
        connected_at: Of the event loop's clock.
    """

    _wire: ClientConnection

    def __init__(self, origin: Origin, tap: Tap | None) -> None:
        self._loop = asyncio.get_running_loop()
        self.origin = origin
        self.connected_at = self._moved_at = self._loop.time()
        self._tap = tap
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(b"")
        self._paused = False
        self._flush_scheduled = False
        self._first_bytes = b""
        self._lost: asyncio.Future[None] = self._loop.create_future()

    # What it is.

    @property
    def peername(self) -> Address:
        """The server's address and port, as the socket module has them."""
        address: Address = self.extra_info("peername") or ("", 0)
        return address

    @property
    def alpn(self) -> str | None:
        """Return the protocol that ALPN chose, None over cleartext."""
        tls = self.extra_info("ssl_object")
        return None if tls is None else tls.selected_alpn_protocol()

    @property
    def tls_version(self) -> str | None:
        """For instance `TLSv1.3`, None over cleartext."""
        tls = self.extra_info("ssl_object")
        return None if tls is None else tls.version()

    def now(self) -> float:
        """Seconds since the connection was made."""
        return self._loop.time() - self.connected_at

    def extra_info(self, name: str) -> Any:
        """Return `peername`, `ssl_object` and the like of asyncio's transport, or None."""
        return None if self._transport is None else self._transport.get_extra_info(name)

    # What the connection makes of it.

    @abstractmethod
    def _is_acceptable(self) -> bool:
        """Return true if the server supports HTTP/2, as far as TLS tells."""

    @abstractmethod
    def _act(self, event: ClientEvent, now: float) -> None:
        """Something happened."""

    @abstractmethod
    def _written(self, now: float) -> None:
        """Handle that the engine has written some of its queue."""

    @abstractmethod
    def _over(self, reason: str) -> None:
        """Handle the end of the connection, unless it was handled before."""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin once the socket and its TLS are ready."""
        # uvloop's transports have the methods of asyncio's, and another base.
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = memoryview(bytearray(_BUFFER_SIZE))
        self.connected_at = self._loop.time()
        if self._is_acceptable():
            self._flush()
        else:
            self._transport.abort()

    @property
    def lost(self) -> asyncio.Future[None]:
        """Return a future that is done once the socket is closed; to wait for, not to cancel."""
        return self._lost

    def tell(self, direction: Direction, data: bytes) -> None:
        """Tell the tap of bytes that went before this had the socket."""
        if self._tap is not None:
            self._tap(direction, data, 0.0)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next bytes."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came from the server."""
        self.data_received(self._buffer[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Handle bytes that are not in the buffer."""
        if self._tap is not None:
            self._tap(Direction.RECEIVED, bytes(data), self.now())
        if len(self._first_bytes) < _PREFIX:
            self._first_bytes += data[:_PREFIX]
        self._moved_at = now = self._loop.time()
        for event in self._wire.receive(data, now):
            self._act(event, now)
        if self._wire.wants_output:
            self._schedule_flush()

    def eof_received(self) -> bool:
        """Handle the end of the server's bytes: nothing can be received any more."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the loss of the socket."""
        if self._tap is not None:
            self._tap(Direction.RECEIVED, b"", self.now())
        why = f": {error}" if error else ""
        self._over(f"the server closed the connection{why}")
        if not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        """Stop writing while the socket's buffer is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """Write again."""
        self._paused = False
        self._schedule_flush()

    # Writing and closing.

    def _schedule_flush(self) -> None:
        """Write at the end of this turn of the loop, all that the turn brought in one go."""
        if not self._flush_scheduled and not self._paused:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._paused or self._transport is None or self._transport.is_closing():
            return
        data = self._wire.output()
        now = self._loop.time()
        for event in self._wire.after_output(now):
            self._act(event, now)
        if data:
            if self._tap is not None:
                self._tap(Direction.SENT, data, self.now())
            self._transport.write(data)
        self._written(now)
        if self._wire.wants_output:
            self._schedule_flush()
        elif self._wire.ended is not None:
            self._close_transport()

    def _leave(self) -> None:
        """Close once the engine's last words are written, soon in any case."""
        self._schedule_flush()
        if self._transport is not None:
            self._loop.call_later(_CLOSE_PATIENCE, self._transport.abort)

    async def _close_socket(self) -> None:
        if self._transport is None:
            return
        self._close_transport()
        # A peer that reads nothing must not keep us: its last bytes are not worth the wait.
        all_written = self.origin.scheme == "https" and not self._paused
        patience = _NOTIFY_PATIENCE if all_written else _CLOSE_PATIENCE
        await asyncio.wait([self._lost], timeout=patience)
        self._transport.abort()
        await self._lost

    def _close_transport(self) -> None:
        # Not twice: asyncio's TLS, which `connection_made` may get, then forgets its socket, and
        # abort() does nothing any more.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
