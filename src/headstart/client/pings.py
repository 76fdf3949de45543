"""PING frames that wait for their answer (RFC 9113, 6.7). Used by `client.connection`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from headstart.client.errors import ClientTimeoutError, RequestError
from headstart.wire.client import ClientConnection


class Pings:
    """Those of one connection.

    Args:
        flush: Called when something waits to be written.
    """

    def __init__(self, wire: ClientConnection, flush: Callable[[], None]) -> None:
        self._wire = wire
        self._flush = flush
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._sent = 0

    def begin(self) -> asyncio.Future[None]:
        """Send one; return its answer, which is forgotten once it is done or cancelled.

        Raises:
            StreamGoneError: The connection has ended.
        """
        self._sent += 1
        payload = self._sent.to_bytes(8, "big")
        self._wire.ping(payload)
        answer: asyncio.Future[None] = self._loop.create_future()
        self._waiting[payload] = answer
        answer.add_done_callback(lambda _: self._waiting.pop(payload))
        self._flush()
        return answer

    async def send(self, timeout: float | None) -> float:
        """Seconds that one takes to the server and back.

        Raises:
            RequestError: The connection ended.
            StreamGoneError: It had ended before.
            ClientTimeoutError: No answer within `timeout` seconds.
        """
        begun = self._loop.time()
        try:
            async with asyncio.timeout(timeout):
                await self.begin()
        except TimeoutError:
            raise ClientTimeoutError(f"no answer to a PING within {timeout:g} s") from None
        return self._loop.time() - begun

    def answered(self, payload: bytes) -> None:
        """Handle an acknowledged PING, ours or not."""
        waiting = self._waiting.get(payload)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def fail(self, error: RequestError) -> None:
        """Fail all PINGs: the connection is closed."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
                # Whoever sent the PING may have stopped to wait.
                waiting.exception()
