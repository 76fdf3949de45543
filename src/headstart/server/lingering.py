"""The end of a connection whose client may still be sending.

A socket that is closed with bytes unread, or that receives any afterwards, resets the connection.
The client then loses the part of the response that had not reached it, and one that is writing may
take the reset for a failure before it reads the rest (RFC 9112, 9.6). An HTTP/2 client sends all
the time: a WINDOW_UPDATE for the part that it has read, a PING. So the server ends its side alone,
and all that comes is dropped for a while, which is bounded in seconds and in bytes.

`Lingering` has the bounds, for `http1` and `tls`; `linger` does all of it for a protocol that has
nothing left to do but to be told of the loss: `http2_lifetime`, `websocket`.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from headstart.config import ServerOptions
from headstart.server.early import BYTES, BYTES_A_SECOND, SECONDS, SILENCE
from headstart.server.reachable import undelivered
from headstart.wire.guard import TokenBucket

DRAIN_SILENCE: Final = 0.5
"""As `SILENCE`, once the server stops."""
LAST_WORDS: Final = 256
"""So few bytes are two GOAWAYs and a PING, over TLS too. A link that is gone is not waited for."""


class Watched(Protocol):
    """A connection that the worker looks at once a second."""

    def second_passed(self, now: float) -> None:
        """Look whether something has taken too long."""

    def abort(self) -> None:
        """End at once."""


class Watcher(Protocol):
    """The part of `worker.Worker` that looks after connections that linger."""

    options: ServerOptions
    draining: bool
    watched: set[Watched]

    def time(self) -> float:
        """Return seconds, on the clock that `second_passed` is told the time of."""


class Lingering:
    """A connection whose last bytes are written, and whose client may still send.

    Args:
        transport: Of TCP, or a Unix socket.
        options: How slowly a client may read.
        now: Seconds, on the clock that the methods are told the time of.

    Attributes:
        silence: A client that sends nothing for so many seconds has stopped to send.
    """

    __slots__ = (
        "_bucket",
        "_left",
        "_moved",
        "_options",
        "_read_at",
        "_since",
        "_transport",
        "silence",
    )

    def __init__(self, transport: asyncio.Transport, options: ServerOptions, now: float) -> None:
        self._transport = transport
        self._options = options
        self._bucket = TokenBucket(BYTES, BYTES_A_SECOND, now)
        self._since = self._moved = self._read_at = now
        self._left: int | None = None
        """The bytes that had not reached the client at `_read_at`."""
        self.silence = SILENCE

    def drop(self, size: int, now: float) -> bool:
        """Drop so many bytes; return false if the client has sent too many."""
        self._moved = now
        return self._bucket.take(now, size)

    def is_over(self, now: float) -> bool:
        """Return true if the client has stopped to send, or has sent for long enough.

        Its time begins when it has got the whole response.
        """
        unwritten = self._transport.get_write_buffer_size()
        left = unwritten + undelivered(self._transport)
        if left > LAST_WORDS:
            self._since = self._moved = now
            # TCP goes on sending its own part after the connection is closed.
            patience = self._options.stall_timeout if unwritten else SILENCE
            return self._is_stalled(left, now, patience)
        return now - self._moved >= self.silence or now - self._since >= SECONDS

    def _is_stalled(self, left: int, now: float, patience: float) -> bool:
        """Return true if too little reached the client for too long."""
        if self._left is None or self._left - left >= self._options.min_read_rate * patience:
            self._left, self._read_at = left, now
        return now - self._read_at >= patience


def end_output(transport: asyncio.Transport) -> bool:
    """End this side of a connection; return false if that cannot be done, or it is lost.

    TLS cannot: its transport lingers by itself when it is closed.
    """
    if transport.is_closing() or not transport.can_write_eof():
        return False
    try:
        transport.write_eof()
    except OSError:  # the client has reset the connection since anything was last written
        return False
    return True


class _Dropping(asyncio.Protocol):
    """The protocol of a connection that lingers: drops all that comes.

    Args:
        transport: The connection's, whose protocol until now is told of the loss.
        worker: Looks at the time.
    """

    def __init__(self, transport: asyncio.Transport, worker: Watcher) -> None:
        self._transport = transport
        self._owner = transport.get_protocol()
        self._worker = worker
        self._lingering = Lingering(transport, worker.options, worker.time())
        worker.watched.add(self)
        transport.set_protocol(self)
        transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Drop it."""
        if not self._lingering.drop(len(data), self._worker.time()):
            self._transport.abort()

    def second_passed(self, now: float) -> None:
        """Close if the client has had its time."""
        if self._worker.draining:
            self._lingering.silence = DRAIN_SILENCE
        if self._lingering.is_over(now):
            self._transport.abort()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, which had ended the connection: an error is nothing to it."""
        self._worker.watched.discard(self)
        self._owner.connection_lost(None)


def linger(transport: asyncio.Transport, worker: Watcher, *, unheard: bool = False) -> None:
    """Close a connection behind all that was written.

    Its protocol may write nothing more. It is told of no more bytes, but of the loss.

    Args:
        transport: The connection's.
        worker: Looks at the time.
        unheard: The client gives no sign of life. It is only waited for until it has all.
    """
    waits = transport.get_write_buffer_size() + undelivered(transport)
    if (unheard and waits <= LAST_WORDS) or not end_output(transport):
        transport.close()
    else:
        _Dropping(transport, worker)
