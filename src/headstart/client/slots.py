"""Count the streams that may be open at once on one connection (RFC 9113, 5.1.2).

The engine would hold back streams above the server's limit, too; but a request that waits here has
not been sent, so it can go to another connection, and its timeout counts from the last progress on
this one. Used by `client.connection`.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

from headstart.client.errors import ClientTimeoutError, Phase, RequestError


class Slots:
    """Places for streams; those who wait get one in the order in which they came."""

    def __init__(self) -> None:
        self._taken = 0
        self._limit = math.inf
        self._waiting: deque[asyncio.Future[None]] = deque()

    def limit_to(self, limit: int) -> None:
        """Set the server's limit; open streams stay open."""
        self._limit = limit
        while self._taken < limit and self._wake():
            self._taken += 1

    def take_at_once(self) -> bool:
        """Take a place if there is one for whoever comes last."""
        if self._waiting or self._taken >= self._limit:
            return False
        self._taken += 1
        return True

    async def take(self, timeout: float | None, moved_at: Callable[[], float]) -> None:
        """Wait for a place, and take it.

        Args:
            moved_at: When something last came on the connection, of the event loop's clock.

        Raises:
            ClientTimeoutError: There was none, and nothing came, for `timeout` seconds.
            RequestError: The connection takes no new requests.
        """
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        self._waiting.append(place)
        begun = loop.time()
        left = timeout
        try:
            while not (await asyncio.wait([place], timeout=left))[0]:
                assert timeout is not None
                left = max(begun, moved_at()) + timeout - loop.time()
                if left <= 0:
                    raise ClientTimeoutError(
                        f"no stream became free within {timeout:g} s",
                        phase=Phase.STREAM,
                        hint="Read or close the responses that are open.",
                    )
            place.result()
        except (asyncio.CancelledError, ClientTimeoutError):
            self._abandon(place)
            raise

    def give_back(self) -> None:
        """Free the place of a closed stream for the longest waiting request."""
        if self._taken > self._limit or not self._wake():
            self._taken -= 1

    def close(self, error: RequestError) -> None:
        """Refuse new requests."""
        waiting, self._waiting = self._waiting, deque()
        for place in waiting:
            if not place.done():
                place.set_exception(error)

    def _wake(self) -> bool:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return True
        return False

    def _abandon(self, place: asyncio.Future[None]) -> None:
        if not place.done():
            place.cancel()
        elif place.exception() is None:
            self.give_back()  # it came too late
