"""The graceful end of one HTTP/2 connection (RFC 9113, 6.8).

First a GOAWAY that refuses nothing yet, and behind it a PING, whose answer proves that the client
saw the notice: the streams that it opened before are known then. Then a GOAWAY with the last of
them, and the end once those are answered. Reads and changes the wire; owned by
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
# With so many bytes written, the notice is among them: content waits behind it, and only header
# sections and other small frames can be queued before it.
_NOTICE_IS_OUT: Final = 1 << 20


class Drain:
    """How far the end has come.

    Attributes:
        begun: The client was told that nothing new is taken.
        reason: Why, where it is the client's doing.
    """

    __slots__ = ("_asked", "_told", "_wire", "_written", "begun", "reason")

    def __init__(self, wire: ServerConnection) -> None:
        self._wire = wire
        self._asked = self._told = False
        self._written = 0
        """The bytes that were written before the notice was queued."""
        self.begun = False
        self.reason: Closing | None = None

    def begin(self) -> bool:
        """Give notice; False where that was done, or the connection has ended."""
        if self.begun or self._wire.ended is not None:
            return False
        self.begun = True
        self._wire.shutdown_notice()
        self._written = self._wire.written
        return True

    def ask(self) -> bool:
        """Queue the PING if the notice is written; False where it is not, or that was done.

        The engine writes a PING before a GOAWAY that was queued earlier. A client that acknowledges
        it before it sees the notice goes on to open streams, which the last GOAWAY would refuse.
        """
        wire = self._wire
        if not self.begun or self._asked or self._told or wire.ended is not None:
            return False
        if wire.wants_output and wire.written - self._written < _NOTICE_IS_OUT:
            return False
        self._asked = True
        wire.ping(_PING)
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
