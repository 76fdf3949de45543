"""Share one HTTP/2 connection's queue between its streams.

The engine keeps queued bytes until the client's windows allow them to be sent, so each stream may
queue a limited amount. A stream that finds no room waits here. Reads the wire's queues, changes
only its own notes; owned by `http2_streams.Http2Streams`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from headstart.config import WireLimits
from headstart.wire.server import ServerConnection


class Waiting(Protocol):
    """A stream that has more to send than there is room for."""

    @property
    def stream_id(self) -> int:
        """The stream's number."""

    def writable(self) -> None:
        """Go on: there may be room."""


class SendScheduler:
    """Share one connection's queue between its streams.

    Args:
        wire: The connection.
        limits: Limits on the queue.

    Attributes:
        own_room: Bytes of body that every stream may queue, regardless of the others.
        waiting: Streams that found no room, in the order in which they came.
    """

    __slots__ = (
        "_low_water",
        "_max_queued",
        "_queued_then",
        "_room_for_last",
        "_shared_room",
        "_wire",
        "own_room",
        "waiting",
    )

    def __init__(self, wire: ServerConnection, limits: WireLimits) -> None:
        self._wire = wire
        self._max_queued = limits.max_queued_stream
        self._low_water = limits.max_queued_stream // 2
        self._shared_room, self.own_room, self._room_for_last = _rooms(
            limits.max_queued_connection, limits.max_concurrent_streams
        )
        self.waiting: dict[Waiting, None] = {}
        self._queued_then = 0
        """Bytes that all streams had queued when one of them last found no room, at the most."""

    def room(self, stream_id: int) -> int:
        """Return how many bytes of body may be queued on the stream now.

        Half of the connection's allowance is shared by whoever comes first; the other half is
        kept in equal parts, so that streams whose windows are closed cannot keep one whose window
        is open from its share.
        """
        queued = self._wire.queued_on(stream_id)
        free = min(self._max_queued - queued, self._shared_room - self._wire.queued())
        return max(self.own_room - queued, free)

    def takes_last(self, stream_id: int, size: int) -> bool:
        """Return true if the last part of a body may be queued as a whole.

        The engine keeps such a part without a copy of its own, and its call need not wait with it,
        so it may fill the whole allowance, but for what is kept for the other streams.
        """
        queued = self._wire.queued()
        if queued + size > self._room_for_last:
            return False
        return size <= self._max_queued - (self._wire.queued_on(stream_id) if queued else 0)

    def wait(self, stream: Waiting) -> None:
        """Call `stream.writable` when `room` may have grown."""
        self.waiting[stream] = None
        self._queued_then = max(self._queued_then, self._wire.queued())

    def wake(self, before: int) -> None:
        """Let those streams go on that have room again.

        Args:
            before: Bytes that all streams had queued before the connection wrote.
        """
        queued = self._wire.queued()
        if queued >= before >= self._queued_then:
            return  # nothing went out or was dropped; else each PING would ask a hundred streams
        self._queued_then = queued
        for stream in list(self.waiting):
            stream_id = stream.stream_id
            if self.room(stream_id) > 0 and self._wire.queued_on(stream_id) <= self._low_water:
                del self.waiting[stream]
                stream.writable()


# All connections have the same numbers, and as the same objects, which stay in the processor's
# caches.
@lru_cache(maxsize=8)
def _rooms(most_queued: int, most_streams: int) -> tuple[int, int, int]:
    """Return the room that streams share, that of each alone, and that for the last parts."""
    shared = max(1, most_queued // 2)
    own = shared // (2 * most_streams)
    return shared, own, most_queued - most_streams * own
