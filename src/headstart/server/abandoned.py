"""Calls of the application whose clients have left.

An application that is told of a disconnect ends by itself, and one that has read its request whole
may be at something that must not stop halfway: a payment. So such a call goes on, unless
`--call-grace` says for how long. A call that still waits for its request has nothing to finish and
is cancelled soon. A client that opens streams and resets them, or connects and leaves, must not be
able to pile up calls: where there are too many, the oldest is cancelled. Each that is cancelled is
told in the log. One `Abandoned` per server; told by `calls` and `websocket`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import select
import sys
from typing import Final
from weakref import WeakKeyDictionary

from uvicorn.server import ServerState

from headstart.config import ServerOptions
from headstart.server.addresses import REAL_SOCKET
from headstart.wire.guard import TokenBucket

logger = logging.getLogger("headstart.server")

UNREAD_GRACE: Final = 5.0
"""Seconds that a call may go on whose request never came whole."""
TIME_OVER: Final = "its time was over (--call-grace, or its request never came whole)"
# An attack must not fill the log.
_LINES_AT_ONCE: Final = 10
_LINES_A_SECOND: Final = 0.5

if sys.platform == "linux":
    _LEFT: Final = select.POLLRDHUP
else:
    _LEFT: Final = select.POLLHUP


class Abandoned:
    """The calls of one server that nobody waits for.

    Args:
        grace: Seconds that each may go on that has its whole request; may be infinite.
        most: So many at once; one more, and the oldest is cancelled.

    Attributes:
        unread_grace: Seconds that one may go on whose request never came whole.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, grace: float, most: int) -> None:
        self._loop = loop
        self._grace = grace
        self._most = most
        self.unread_grace = min(grace, UNREAD_GRACE)
        self._ends: dict[asyncio.Task[None], float] = {}
        """Call -> when it will be cancelled; in the order in which their clients left."""
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = math.inf
        """When `_timer` ends. uvloop makes a handle that cannot tell of a time that has come."""
        self._lines = TokenBucket(_LINES_AT_ONCE, _LINES_A_SECOND, loop.time())
        self._untold = 0

    @classmethod
    def of(
        cls, server_state: ServerState, options: ServerOptions, loop: asyncio.AbstractEventLoop
    ) -> Abandoned:
        """Return the one of this server."""
        found = _of_servers.get(server_state)
        if found is None:
            found = cls(loop, options.call_grace, options.max_abandoned_calls)
            _of_servers[server_state] = found
        return found

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, task: asyncio.Task[None], *, whole: bool = True) -> None:
        """Note that the client of this call has left; a second time nothing happens.

        Args:
            task: The call.
            whole: It has read its whole request.
        """
        if task.done() or task in self._ends:
            return
        self._ends[task] = self._loop.time() + (self._grace if whole else self.unread_grace)
        task.add_done_callback(self._forget)
        if len(self._ends) > self._most:
            why = f"it was the oldest of more than {self._most} such calls (--max-abandoned-calls)"
            self.cancel(next(iter(self._ends)), why)
        self._look_in_time()

    def hurry(self) -> None:
        """Memory is short: none of them may go on."""
        for task in list(self._ends):
            self.cancel(task, "memory is short")

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._ends.pop(task, None)

    def cancel(self, task: asyncio.Task[None], why: str) -> None:
        """Cancel a call and tell it in the log, with the reason."""
        self._ends.pop(task, None)
        task.cancel("its client has left")
        self._untold += 1
        if self._lines.take(self._loop.time()):
            logger.warning(
                "Cancelled %d calls of the application whose clients had left; of the last: %s.",
                self._untold,
                why,
            )
            self._untold = 0

    def _look(self) -> None:
        now = self._loop.time()
        self._timer = None
        for task, end in list(self._ends.items()):
            if end <= now:
                self.cancel(task, TIME_OVER)
        self._look_in_time()

    def _look_in_time(self) -> None:
        """Look when the next of them has had its time; one that was begun earlier is in time."""
        soonest = min(self._ends.values(), default=math.inf)
        if soonest == math.inf:
            return
        if self._timer is not None:
            if self._looks_at <= soonest:
                return
            self._timer.cancel()
        self._looks_at = soonest
        self._timer = self._loop.call_at(soonest, self._look)


_of_servers: WeakKeyDictionary[ServerState, Abandoned] = WeakKeyDictionary()


def has_left(transport: asyncio.BaseTransport) -> bool:
    """Return true if the other end of an unread connection has closed or reset it."""
    connection = transport.get_extra_info("socket") or transport.get_extra_info(REAL_SOCKET)
    if connection is None:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), _LEFT)
    return bool(poll.poll(0))


def has_closed(transport: asyncio.BaseTransport) -> bool:
    """Return true if the other end has certainly closed both sides.

    The end of a Unix socket's peer tells that at once. TCP's looks like the end of one side, until
    something is written and a reset comes back.
    """
    connection = transport.get_extra_info("socket") or transport.get_extra_info(REAL_SOCKET)
    if connection is None:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))
