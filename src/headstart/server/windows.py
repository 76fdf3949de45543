"""Receive windows that grow with the capacity of a link.

A client may send one window of a body per round trip. 64 KiB are 0.65 MB/s with a round trip of
100 ms. So a window grows while the application reads half of it in about a round trip: the window
then holds the upload up, not the link or the application. QUIC's and gRPC's servers do the same. A
stream has a bound, a connection has one, and the growth of all connections of one worker is bounded
together (`Budget`), since a window is memory that a client may fill.

`http2_streams.Http2Streams` owns one `UploadWindows` and reports the bytes that applications have
read.
"""

from __future__ import annotations

from typing import Final

from headstart.config import WireLimits
from headstart.wire.server import ServerConnection

# A client that is slow to answer our SETTINGS looks far away; nobody is farther than this. Seconds.
_LONGEST_ROUND_TRIP: Final = 1.0
# What takes longer is held up by the link or by the application.
_ROUND_TRIPS: Final = 1.5
# How many times as large a window becomes. From 64 KiB to the four megabytes that 100 Mbit/s at
# 100 ms need, of which the engine gives back one half at a time, it takes two round trips; by
# doubling it would take six, a tenth of an upload of 50 MB. Connections that find no budget left
# have 1 MiB a round trip, which most links do not fill.
_GROWTH: Final = 8


class Budget:
    """Bytes by which the windows of one worker's connections may grow together."""

    __slots__ = ("left",)

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> bool:
        """Take so many bytes if they are there."""
        if size > self.left:
            return False
        self.left -= size
        return True


class _Window:
    """One window, and how fast it was read since it was last looked at."""

    __slots__ = ("read", "since", "size")

    def __init__(self, size: int, now: float) -> None:
        self.size = size
        self.since = now
        self.read = 0


class UploadWindows:
    """The windows of one connection.

    Args:
        wire: The connection.
        limits: How large windows are, and may become.
        budget: The worker's.
        now: Seconds, on the clock that `read` is told the time of.
    """

    __slots__ = ("_budget", "_connection", "_grown", "_limits", "_streams", "_wire")

    def __init__(
        self, wire: ServerConnection, limits: WireLimits, budget: Budget, now: float
    ) -> None:
        self._wire = wire
        self._limits = limits
        self._budget = budget
        self._connection = _Window(limits.connection_window, now)
        self._streams: dict[int, _Window] = {}
        self._grown = 0

    def read(self, stream_id: int, size: int, now: float) -> None:
        """Note that the application read so many bytes of a body that goes on."""
        round_trip = self._wire.round_trip
        if round_trip is None:
            return
        patience = _ROUND_TRIPS * min(round_trip, _LONGEST_ROUND_TRIP)
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._streams[stream_id] = _Window(self._limits.stream_window, now)
        if _is_used_up(self._connection, size, patience, now):
            self._grow_connection(_GROWTH * self._connection.size)
        if _is_used_up(stream, size, patience, now):
            wanted = min(_GROWTH * stream.size, self._limits.max_stream_window)
            self._grow_connection(2 * wanted)  # for this stream and others
            grown = min(wanted, self._connection.size)
            if grown > stream.size:
                stream.size = grown
                self._wire.widen(stream_id, grown)

    def _grow_connection(self, size: int) -> None:
        window = self._connection
        grown = min(size, self._limits.max_connection_window)
        more = grown - window.size
        if more > 0 and self._budget.take(more):
            self._grown += more
            window.size = grown
            self._wire.widen(0, grown)

    def stream_closed(self, stream_id: int) -> None:
        """Forget a stream."""
        self._streams.pop(stream_id, None)

    def connection_lost(self) -> None:
        """Give this connection's part of the worker's budget back."""
        self._budget.left += self._grown
        self._grown = 0


def _is_used_up(window: _Window, size: int, patience: float, now: float) -> bool:
    """Note bytes read; return true if half a window was read within the time.

    The engine gives windows back by halves, so a round trip may bring no more.
    """
    window.read += size
    if 2 * window.read < window.size:
        return False
    soon = now - window.since <= patience
    window.read, window.since = 0, now
    return soon
