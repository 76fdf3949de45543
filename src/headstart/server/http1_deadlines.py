"""Timeouts of one HTTP/1.1 connection.

Looked at about once a second by `worker`, so that no request pays for a timer: a time-out may be
late by that, and is never early. A `Http1Deadlines` reads the parser and the transport, changes
only its own notes, and says why the connection should end. Owned by `http1.Http1Connection`.
"""

from __future__ import annotations

import asyncio

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server.abandoned import UNREAD_GRACE, has_left
from headstart.server.deadlines import Backlog, next_mark
from headstart.server.http1_parser import Part, RequestParser
from headstart.server.http1_state import State
from headstart.server.lingering import Lingering
from headstart.server.reachable import PATIENCE, unacknowledged_for


class Http1Deadlines:
    """The clocks of one connection.

    Args:
        options: How long each may take.
        keep_alive: Seconds that the connection may go without a request.
        parser: Of the requests.
        transport: Of the responses.

    Attributes:
        backlog: The bytes that wait to be written.
    """

    __slots__ = (
        "_body_mark",
        "_keep_alive",
        "_left_at",
        "_options",
        "_parser",
        "_since",
        "_transport",
        "_unread_grace",
        "_what",
        "backlog",
    )

    def __init__(
        self,
        options: ServerOptions,
        keep_alive: float,
        parser: RequestParser,
        transport: asyncio.Transport,
    ) -> None:
        self._options = options
        self._keep_alive = keep_alive
        self._unread_grace = min(options.call_grace, UNREAD_GRACE)
        self._parser = parser
        self._transport = transport
        self.backlog = Backlog()
        self._what: object = None
        """What was waited for when last looked at: a part, of which request, in which state."""
        self._since = 0.0
        """Since when, as far as it was looked at, or since the body's rate was looked at."""
        self._body_mark: float = 0
        """The byte of the body that those since `_since` are counted from."""
        self._left_at: float | None = None
        """Since when the client has left that nobody reads from."""

    def look(
        self,
        now: float,
        state: State,
        asked: int,
        reads: bool,
        writes: bool,
        waits_for_100: bool,
        lingering: Lingering | None,
    ) -> Closing | None:
        """Return why the connection should end, or None.

        Args:
            now: Seconds.
            state: How far the answers are.
            asked: Requests that came.
            reads: The client is read from, and its bytes are of use.
            writes: Something was written since the last look.
            waits_for_100: The client waits for a 100 before it sends a body.
            lingering: The last response is written, and the client may still send.
        """
        part = self._parser.part
        what = part, asked, state is State.IDLE
        # Another request, or another part of it, has its own time.
        if what != self._what:
            self._what, self._since, self._body_mark = what, now, 0
        passed = now - self._since
        waits = self._transport.get_write_buffer_size()
        if self.backlog.is_stalled(waits, now, self._options.stall_timeout):
            return Closing.STALLED
        if state is not State.IDLE and unacknowledged_for(self._transport) >= PATIENCE:
            return Closing.UNREACHABLE
        if lingering is not None:
            return Closing.CLOSED if lingering.is_over(now) else None
        # Nobody is slow while the server does not read; the bytes that came count all the same.
        if not reads:
            self._since = now
            return self._look_who_left(now, writes=writes or waits > 0)
        self._left_at = None
        if part is Part.HEAD and passed >= self._options.header_timeout:
            return Closing.HEADERS_TIMEOUT if self._parser.begun else Closing.PREFACE_TIMEOUT
        if part is Part.BODY and passed >= self._options.body_timeout:
            # Who echoes may read as slowly as its client, and who waits for a 100 sends nothing.
            free = waits_for_100 or state is State.RESPONDING
            return Closing.BODY_TIMEOUT if not free and self._is_too_slow(now, passed) else None
        idle = part is Part.NOTHING and state is State.IDLE
        return Closing.IDLE if idle and passed >= self._keep_alive else None

    def _look_who_left(self, now: float, *, writes: bool) -> Closing | None:
        """Look for a disconnected client, since nothing is being read from it.

        One that closed its side alone is not gone as long as it takes responses.
        """
        if self._transport.is_closing() or not has_left(self._transport):
            self._left_at = None
        elif self._left_at is None or writes:
            self._left_at = now
        elif now - self._left_at >= self._unread_grace:
            return Closing.PEER_LEFT
        return None

    def _is_too_slow(self, now: float, passed: float) -> bool:
        """Return true if too little of the body came since the last look at its rate."""
        wanted = self._options.min_body_rate * passed
        following = next_mark(self._parser.body_size, self._body_mark, wanted)
        self._body_mark, self._since = following or 0, now
        return following is None
