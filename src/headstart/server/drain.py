"""The graceful end of one HTTP/2 connection (RFC 9113, 6.8).

First a GOAWAY that refuses nothing yet, and a PING, whose answer proves that the client saw the
notice: the streams that it opened before are known then. Then a GOAWAY with the last of them, and
the end once those are answered. Reads and changes the wire; owned by
`http2_lifetime.Http2Lifetime`, which keeps the time: it has the timers, and a loop of references
would keep a lost connection in memory.
"""

from __future__ import annotations

from typing import Final

from headstart.reasons import Closing
from headstart.wire.server import ServerConnection

# Seconds that a client may take to answer the PING before the last GOAWAY goes out all the same.
NOTICE_GRACE: Final = 1.0
_PING: Final = b"draining"


class Drain:
    """How far the end has come.

    Attributes:
        begun: The client was told that nothing new is taken.
        reason: Why, where it is the client's doing.
    """

    __slots__ = ("_told", "_wire", "begun", "reason")

    def __init__(self, wire: ServerConnection) -> None:
        self._wire = wire
        self._told = False
        self.begun = False
        self.reason: Closing | None = None

    def begin(self) -> bool:
        """Give notice; False where that was done, or the connection has ended."""
        if self.begun or self._wire.ended is not None:
            return False
        self.begun = True
        self._wire.shutdown_notice()
        self._wire.ping(_PING)
        return True

    def said_last(self, reason: Closing) -> bool:
        """Note that the wire has said the last GOAWAY; False where the end had begun before."""
        was_begun, self.begun, self._told = self.begun, True, True
        self.reason = reason
        return not was_begun

    def is_answer(self, ping: bytes) -> bool:
        """Return true if an acknowledged PING is the one behind the notice."""
        return ping == _PING

    def say_last(self) -> bool:
        """Say which stream is the last; False where that was done, or the connection has ended."""
        if self._told or self._wire.ended is not None:
            return False
        self._told = True
        self._wire.last_goaway()
        return True

    def is_over(self, answering: bool) -> bool:
        """Return true if nothing is left but to write the queue.

        Args:
            answering: A response is not complete yet.
        """
        return self._told and not answering and not self._wire.queued()
