"""PING frames that wait for their answer (RFC 9113, 6.7). Used by `client.connection`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from headstart.client.errors import RequestFailed, TimedOut
from headstart.wire.client import ClientConnection


class Pings:
    """Those of one connection.

    Args:
        flush: Called when something waits to be written.
    """

    def __init__(self, wire: ClientConnection, flush: Callable[[], None]) -> None:
        self._wire = wire
        self._flush = flush
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._sent = 0

    async def send(self, timeout: float | None) -> float:
        """Seconds that one takes to the server and back.

        Raises:
            RequestFailed: The connection ended.
            StreamGone: It had ended before.
            TimedOut: No answer within `timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        self._sent += 1
        payload = self._sent.to_bytes(8, "big")
        answered = self._waiting[payload] = loop.create_future()
        begun = loop.time()
        try:
            self._wire.ping(payload)
            self._flush()
            async with asyncio.timeout(timeout):
                await answered
        except TimeoutError:
            raise TimedOut(f"no answer to a PING within {timeout:g} s") from None
        finally:
            del self._waiting[payload]
        return loop.time() - begun

    def answered(self, payload: bytes) -> None:
        """The server answered one, or what looks like one."""
        waiting = self._waiting.get(payload)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def fail(self, error: RequestFailed) -> None:
        """The connection is over."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
                # Whoever sent the PING may have stopped to wait.
                waiting.exception()
