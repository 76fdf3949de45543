"""Find out if the server of a connection is still there.

A link can vanish without a word: the host is gone, or a NAT gateway has forgotten the connection.
Requests on it then time out until the kernel gives up, after 15 minutes. So when a request ends
without an answer and nothing was received meanwhile, `Liveness` sends a PING, and the connection
takes new requests once that is answered. Made by `client.connection`; asked by `client.pool` and by
the background process of `h2c`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from headstart.client.pings import Pings
from headstart.errors import StreamGoneError

# The PING left when the doubt began; most servers answer within a tenth of this.
_PATIENCE = 1.0
# A request that is given up sooner says nothing about the server.
_SILENCE = 0.5


class Liveness:
    """Of one connection.

    Args:
        moved_at: Returns when something was last received, of the event loop's clock.
    """

    def __init__(self, pings: Pings, moved_at: Callable[[], float]) -> None:
        self._pings = pings
        self._moved_at = moved_at
        self._loop = asyncio.get_running_loop()
        self._doubted_at = 0.0
        self._answer: asyncio.Future[None] | None = None
        """The answer to the PING that asks; None unless the server is in doubt."""

    def timed_out(self, since: float) -> None:
        """Record that a request made at this time received nothing within its timeout."""
        if self._moved_at() <= since:
            self.doubt()

    def given_up(self, since: float) -> None:
        """Record that a request made at this time was abandoned before its response had ended."""
        if self._loop.time() - max(since, self._moved_at()) >= _SILENCE:
            self.doubt()

    def doubt(self) -> None:
        """Ask the server whether it is there, unless it is being asked."""
        if self.is_doubted():
            return
        self._doubted_at = self._loop.time()
        try:
            self._answer = self._pings.begin()
        except StreamGoneError:
            return  # the connection is over, which everybody is told

    def is_doubted(self) -> bool:
        """Return whether a PING waits for its answer and nothing else has come meanwhile."""
        if self._answer is not None and (
            self._answer.done() or self._moved_at() > self._doubted_at
        ):
            self._answer = None
        return self._answer is not None

    async def confirmed(self) -> bool:
        """Return whether the server is there; wait for its answer, one second at most."""
        if not self.is_doubted():
            return True
        assert self._answer is not None
        left = self._doubted_at + _PATIENCE - self._loop.time()
        await asyncio.wait([self._answer], timeout=max(left, 0))
        return not self.is_doubted()
