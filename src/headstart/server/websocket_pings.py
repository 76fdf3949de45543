"""PINGs that find out whether the client of one WebSocket is there (`--ws-ping-interval`).

Owned by `websocket.WebSocketConnection`, which sends them; changes only its own timers.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

# Octets that tell one PING from another.
_SIZE: Final = 4


class Pings:
    """The PINGs of one WebSocket.

    Args:
        loop: The event loop.
        interval: Seconds between two of them; None or 0 for none at all.
        timeout: Seconds that the client may take to answer; None for any time.
        ping: Sends one, unless the WebSocket is ending; returns whether it did.
        lost: Told of a client that does not answer.
    """

    __slots__ = ("_due", "_interval", "_loop", "_lost", "_ping", "_sent", "_sent_at", "_timeout")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interval: float | None,
        timeout: float | None,
        ping: Callable[[bytes], bool],
        lost: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._interval = interval
        self._timeout = timeout
        self._ping = ping
        self._lost = lost
        self._due: asyncio.TimerHandle | None = None
        self._sent: bytes | None = None
        """The PING that is to be answered."""
        self._sent_at = 0.0

    def begin(self) -> None:
        """Send the first after one interval."""
        if self._interval:
            self._due = self._loop.call_later(self._interval, self._send)

    def stop(self) -> None:
        """Send no more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._sent = None

    def answered(self, payload: bytes) -> None:
        """Take a PONG, which may be an answer to none or to an old one (RFC 6455, 5.5.3)."""
        if payload != self._sent or self._timeout is None or self._due is None:
            return
        self._sent = None
        self._due.cancel()
        took = self._loop.time() - self._sent_at
        self._due = self._loop.call_later(max(0.0, (self._interval or 0.0) - took), self._send)

    def _send(self) -> None:
        self._due = None
        self._sent, self._sent_at = secrets.token_bytes(_SIZE), self._loop.time()
        if not self._ping(self._sent):
            return
        if self._timeout is None:
            self.begin()
        else:
            self._due = self._loop.call_later(self._timeout, self._unanswered)

    def _unanswered(self) -> None:
        self.stop()
        self._lost()
