"""What takes too long on one HTTP/2 connection.

Looked at a few times a timeout rather than timed: no request and no frame pays for a timer, and a
time-out may be late by a quarter. A `Deadlines` reads the wire and the cycles, changes only its own
notes, and answers with a reason to close the connection, or with streams to reset. Called by
`http2.Http2Connection`.
"""

from __future__ import annotations

from collections.abc import Mapping

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server.cycle import Cycle
from headstart.wire.server import ServerConnection

_LOOKS_PER_TIMEOUT = 4
# Seconds; below it a server would do nothing but look.
_SHORTEST_LOOK = 0.01
# Of an answer to PING or SETTINGS, the larger one.
_ANSWER_SIZE = 17


class Backlog:
    """What waits to be written on one transport, and since when nothing of it was read."""

    __slots__ = ("_unread",)

    def __init__(self) -> None:
        self._unread: tuple[float, int] | None = None
        """Since when how many bytes wait."""

    def was_read(self) -> None:
        """There is room again, though it may be full at each look."""
        self._unread = None

    def is_stalled(self, size: int, now: float, patience: float) -> bool:
        """Whether for too long nothing was read.

        Args:
            size: Bytes that wait.
            now: Seconds.
            patience: Seconds.
        """
        if not size:
            self._unread = None
        elif self._unread is None or size < self._unread[1]:
            self._unread = (now, size)
        else:
            return now - self._unread[0] >= patience
        return False


class Deadlines:
    """The clocks of one connection.

    Args:
        wire: The connection.
        now: Seconds, on the clock that `look` is told the time of.
    """

    __slots__ = (
        "_bodies",
        "_drained",
        "_made",
        "_moved",
        "_options",
        "_queued",
        "_quiet",
        "_read",
        "_streams",
        "_unfinished",
        "_unfinished_since",
        "_unwritten",
        "_wire",
        "_written",
    )

    def __init__(self, options: ServerOptions, wire: ServerConnection, now: float) -> None:
        self._options = options
        self._wire = wire
        self._made = self._moved = self._quiet = self._read = self._unfinished_since = now
        self._unfinished: int | None = None
        """What was begun and not ended when last looked at."""
        self._unwritten = self._written = 0
        """What the transport held, and had been given, when last looked at."""
        self._streams = 0
        """The last stream when last looked at."""
        self._queued = False
        """A body waited for a window when last looked at."""
        self._drained = 0
        """What the client had taken at `_moved`, beside answers to its PINGs."""
        self._bodies: dict[int, tuple[float, int]] = {}
        """Streams whose bodies are waited for -> since when, and how much had come then."""

    def look(self, now: float, cycles: Mapping[int, Cycle], unwritten: int) -> Closing | None:
        """Why the connection should end, or None.

        Args:
            now: Seconds.
            cycles: Requests that are under way.
            unwritten: Bytes that the transport holds, where it is full; else 0.
        """
        options = self._options
        if not self._wire.greeted:
            late = now - self._made >= options.preface_timeout
            return Closing.PREFACE_TIMEOUT if late else None
        if self._is_unfinished(now):
            return Closing.HEADERS_TIMEOUT
        # A client that never ends a request that was answered long ago is idle too.
        busy = any(not cycle.complete for cycle in cycles.values())
        asked = self._wire.last_peer_stream != self._streams
        waiting = self._note_queued(now, asked)
        unread = self._is_unread(now, unwritten)
        if unread or (waiting and not unwritten and now - self._moved >= options.stall_timeout):
            return Closing.STALLED
        if busy or waiting or asked or unwritten:
            self._quiet = now  # PINGs alone are no use of a connection
        return Closing.IDLE if now - self._quiet >= options.idle_timeout else None

    def _is_unfinished(self, now: float) -> bool:
        """Whether the same frame, or header section, has been going on for too long."""
        unfinished = self._wire.unfinished
        if unfinished is None or unfinished != self._unfinished:
            self._unfinished, self._unfinished_since = unfinished, now
            return False
        return now - self._unfinished_since >= self._options.header_timeout

    def _note_queued(self, now: float, asked: bool) -> bool:
        """Note whether a response waits for a window, and whether enough moved since.

        A client that gives windows back by halves, as all do, takes more than this at once.
        """
        wire, options = self._wire, self._options
        queued = bool(wire.queued())
        drained = wire.written - _ANSWER_SIZE * wire.answered
        enough = drained - self._drained >= options.min_read_rate * options.stall_timeout
        # New requests are a sign of life too: browsers stop a video's stream for minutes.
        if enough or asked or not self._queued:
            self._moved, self._drained = now, drained
        self._queued, self._streams = queued, wire.last_peer_stream
        return queued

    def _is_unread(self, now: float, unwritten: int) -> bool:
        """Whether the transport has been full, and the client read nothing of it, for too long."""
        written = self._wire.written
        if not unwritten or unwritten < self._unwritten or written != self._written:
            self._read = now
        self._unwritten, self._written = unwritten, written
        return now - self._read >= self._options.stall_timeout

    def slow_bodies(self, now: float, cycles: Mapping[int, Cycle]) -> list[int]:
        """Streams whose request bodies come too slowly, while their applications wait for them."""
        waited = {number: cycle for number, cycle in cycles.items() if cycle.awaits_body}
        before, self._bodies = self._bodies, {}
        slow = []
        for number, cycle in waited.items():
            since, received = before.get(number, (now, cycle.received))
            passed = now - since
            if passed >= self._options.body_timeout:
                if cycle.received - received < passed * self._options.min_body_rate:
                    slow.append(number)
                    continue
                since, received = now, cycle.received
            self._bodies[number] = (since, received)
        return slow


def seconds_between_looks(options: ServerOptions) -> float:
    """How often to look, so that no time-out is more than a quarter late."""
    shortest = min(
        options.preface_timeout,
        options.header_timeout,
        options.body_timeout,
        options.stall_timeout,
        options.idle_timeout,
    )
    return max(shortest / _LOOKS_PER_TIMEOUT, _SHORTEST_LOOK)
