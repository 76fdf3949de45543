"""Timeouts of one HTTP/2 connection.

Checked a few times per timeout rather than timed: no request and no frame pays for a timer, and a
timeout may be late by a quarter. A `Deadlines` reads the wire and the cycles, changes only its own
notes, and returns a reason to close the connection, or streams to reset. Called by
`http2_lifetime.Http2Lifetime`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.wire.server import ServerConnection

_LOOKS_PER_TIMEOUT = 4
# Seconds; below it a server would do nothing but look.
_SHORTEST_LOOK = 0.01
# Of an answer to PING or SETTINGS, the larger one.
_ANSWER_SIZE = 17
# A timer that is so many seconds late tells of a process that stood still: suspended, or blocked by
# the application. What its clients sent meanwhile has not been read, so nobody was slow.
_STANDSTILL = 1.0


def standstill(now: float, due: float) -> float:
    """Return the seconds for which the process stood still, 0 for an ordinary delay.

    Args:
        now: The loop's time.
        due: When the timer that runs now should have run.
    """
    late = now - due
    return late if late >= _STANDSTILL else 0.0


def next_mark(received: int, mark: float, wanted: float) -> float | None:
    """Return the number of bytes that the next period's are counted from, or None if too few came.

    The surplus is credit for the next periods, at most as much as two of them demand: curl that
    limits its rate sends 64 KiB at once, and pauses until the rate is right.

    Args:
        received: Bytes that came so far.
        mark: What this period's are counted from.
        wanted: Bytes that this period demands.
    """
    return None if received - mark < wanted else max(mark + wanted, received - 2 * wanted)


class Backlog:
    """The bytes that wait to be written on one transport, and the time of the last progress."""

    __slots__ = ("_unread",)

    def __init__(self) -> None:
        self._unread: tuple[float, int] | None = None
        """Since when how many bytes wait."""

    def was_read(self) -> None:
        """There is room again, though it may be full at each look."""
        self._unread = None

    def is_stalled(self, size: int, now: float, patience: float) -> bool:
        """Return true if nothing was read for too long.

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


class UnderWay(Protocol):
    """A request, or a WebSocket, that has not ended: see `cycle.Cycle`."""

    @property
    def complete(self) -> bool:
        """All that this side has to say was handed to the wire."""

    @property
    def awaits_body(self) -> bool:
        """The application waits for content that has not come."""

    @property
    def uploads(self) -> bool:
        """The client has not ended the content."""

    @property
    def received(self) -> int:
        """Bytes of content that came."""


class Deadlines:
    """The clocks of one connection.

    Args:
        wire: The connection.
        now: Seconds, on the clock that `look` is told the time of.

    Attributes:
        ping_due: The client was not heard for so long that it should be asked by PING.
    """

    __slots__ = (
        "_asked",
        "_bodies",
        "_drained",
        "_greeting",
        "_heard",
        "_heard_at",
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
        "ping_due",
    )

    def __init__(self, options: ServerOptions, wire: ServerConnection, now: float) -> None:
        self._options = options
        self._wire = wire
        self._moved = self._quiet = self._read = self._unfinished_since = self._heard_at = now
        self._greeting: tuple[float, float] = now, 0
        """Since when the client has not acknowledged our SETTINGS, and what it had sent by then."""
        self._heard = -math.inf
        """When the client was last heard, on the loop's clock."""
        self._asked = -math.inf
        """When the client was asked by PING whether it is there."""
        self.ping_due = False
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
        self._bodies: dict[int, tuple[float, float]] = {}
        """Streams -> since when a body is waited for, and what its bytes are counted from."""

    def look(
        self, now: float, cycles: Mapping[int, UnderWay], unwritten: int, heard: float
    ) -> Closing | None:
        """Why the connection should end, or None.

        Args:
            now: Seconds.
            cycles: Requests that are under way.
            unwritten: Bytes that the transport holds, where it is full; else 0.
            heard: When the client last sent anything; any clock.
        """
        options = self._options
        self.ping_due = False
        if heard != self._heard:
            self._heard, self._heard_at = heard, now
        if not self._wire.greeted and self._is_silent(now, cycles):
            return Closing.PREFACE_TIMEOUT
        if self._is_unfinished(now):
            return Closing.HEADERS_TIMEOUT
        # A client that never ends a request that was answered long ago is idle too.
        busy = any(not cycle.complete for cycle in cycles.values())
        asked = self._wire.last_peer_stream != self._streams
        waiting = self._note_queued(now, asked)
        unread = self._is_unread(now, unwritten)
        if unread or (waiting and not unwritten and now - self._moved >= options.stall_timeout):
            return Closing.STALLED
        if busy and self._is_unreachable(now):
            return Closing.UNREACHABLE
        if busy or waiting or asked or unwritten or not self._wire.greeted:
            self._quiet = now  # PINGs alone do not count as use of a connection
        return Closing.IDLE if now - self._quiet >= options.idle_timeout else None

    def _is_silent(self, now: float, cycles: Mapping[int, UnderWay]) -> bool:
        """Return true if the client has not acknowledged our SETTINGS for too long.

        A client that uploads and does not read meanwhile cannot, and is not silent. It may pause
        like any upload: curl reads nothing while it waits for the program that feeds it, even if
        the application works on the first part for as long.
        """
        since, mark = self._greeting
        passed = now - since
        patience = self._options.preface_timeout
        if any(cycle.uploads for cycle in cycles.values()):
            patience = max(patience, self._options.body_timeout)
        if passed < patience:
            return False
        following = next_mark(self._wire.received, mark, passed * self._options.min_body_rate)
        self._greeting = now, following or 0
        return following is None

    def _is_unreachable(self, now: float) -> bool:
        """Return true if a client that waits for responses has not acknowledged a PING."""
        patience = self._options.ping_interval
        if self._asked > self._heard_at:
            return now - self._asked >= patience
        if now - self._heard_at >= patience:
            self.ping_due, self._asked = True, now
        return False

    def _is_unfinished(self, now: float) -> bool:
        """Return true if one frame, or header section, has been unfinished for too long."""
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
        """Return true if the transport has been full, and the client has read nothing, for too
        long.
        """
        written = self._wire.written
        if not unwritten or unwritten < self._unwritten or written != self._written:
            self._read = now
        self._unwritten, self._written = unwritten, written
        return now - self._read >= self._options.stall_timeout

    def slow_bodies(self, now: float, cycles: Mapping[int, UnderWay]) -> list[int]:
        """Streams whose request bodies come too slowly, while their applications wait for them."""
        before, self._bodies = self._bodies, {}
        slow = []
        for number, cycle in cycles.items():
            since, mark = before.get(number, (now, 0))
            if not cycle.awaits_body:
                since = now  # the time is the application's; the bytes that came count all the same
            passed = now - since
            if passed >= self._options.body_timeout:
                wanted = passed * self._options.min_body_rate
                following = next_mark(cycle.received, mark, wanted)
                if following is None:
                    slow.append(number)
                    continue
                since, mark = now, following
            self._bodies[number] = (since, mark)
        return slow


def seconds_between_looks(options: ServerOptions) -> float:
    """How often to look, so that no time-out is more than a quarter late."""
    shortest = min(
        options.preface_timeout,
        options.header_timeout,
        options.body_timeout,
        options.stall_timeout,
        options.idle_timeout,
        options.ping_interval,
    )
    return max(shortest / _LOOKS_PER_TIMEOUT, _SHORTEST_LOOK)
