"""Calls of the application whose clients have left.

A client that opens streams and resets them, or connects and leaves, must not be able to pile up
calls. Each may go on for a while, since an application that is told of a disconnect ends by itself
and one that writes something should come to its end; then it is cancelled, and at once where there
are too many. One `Abandoned` per server; told by `http1` and `http2`.
"""

from __future__ import annotations

import asyncio
import select
import sys
from typing import Final
from weakref import WeakKeyDictionary

from uvicorn.server import ServerState

from headstart.config import ServerOptions

if sys.platform == "linux":
    _LEFT: Final = select.POLLRDHUP
else:
    _LEFT: Final = select.POLLHUP


class Abandoned:
    """The calls of one server that nobody waits for.

    Args:
        grace: Seconds that each may go on.
        most: So many at once; one more, and the oldest is cancelled.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, grace: float, most: int) -> None:
        self._loop = loop
        self._grace = grace
        self._most = most
        self._ends: dict[asyncio.Task[None], float] = {}
        """Call -> when it will be cancelled; the oldest first."""
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(
        cls, server_state: ServerState, options: ServerOptions, loop: asyncio.AbstractEventLoop
    ) -> Abandoned:
        """The one of this server."""
        found = _of_servers.get(server_state)
        if found is None:
            found = cls(loop, options.call_grace, options.max_abandoned_calls)
            _of_servers[server_state] = found
        return found

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, task: asyncio.Task[None]) -> None:
        """The client of this call has left; nothing happens where it was told before."""
        if task.done() or task in self._ends:
            return
        self._ends[task] = self._loop.time() + self._grace
        task.add_done_callback(self._forget)
        if len(self._ends) > self._most:
            self._cancel(next(iter(self._ends)))
        if self._timer is None:
            self._timer = self._loop.call_later(self._grace, self._look)

    def hurry(self) -> None:
        """Memory is short: none of them may go on."""
        for task in list(self._ends):
            self._cancel(task)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._ends.pop(task, None)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        del self._ends[task]
        task.cancel("its client has left")

    def _look(self) -> None:
        now = self._loop.time()
        self._timer = None
        for task, end in list(self._ends.items()):
            if end > now:
                self._timer = self._loop.call_later(end - now, self._look)
                break
            self._cancel(task)


_of_servers: WeakKeyDictionary[ServerState, Abandoned] = WeakKeyDictionary()


def has_left(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end of a connection that is not being read has closed or reset it."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), _LEFT)
    return bool(poll.poll(0))
