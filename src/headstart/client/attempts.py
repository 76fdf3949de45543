"""Decide whether and how often a request is sent again after a failure.

`Attempts` judges and counts the failures of one request: a server that takes some requests of each
connection may leave out others for long, and a server that takes none is given up soon. Reads no
socket and no clock. Used by `client.requester` and by the background process of `h2c`.
"""

from __future__ import annotations

from headstart.client.connection import Http2ClientConnection
from headstart.client.contents import Content
from headstart.client.errors import IDEMPOTENT, RequestError

# A server may close a connection at any moment, so the first retry is common, a third is a fault.
_LIMIT = 3.0
# A server that takes a few requests a connection leaves the others out, which is not a fault. But
# a server that never takes ours must not be asked for ever.
_SMALLEST_STEP = 1 / 128


class Attempts:
    """The failures of one request.

    Args:
        method: Of the request.
        content: Its content. Parts that come one by one are gone once one of them was taken.
        shows_losses: A lost connection fails even an idempotent request, as somebody who debugs a
            server wants it. Only one that was dead before anybody knew is made again, once.
    """

    def __init__(self, method: str, content: Content, *, shows_losses: bool = False) -> None:
        self._is_idempotent = method in IDEMPOTENT
        self._can_be_sent_again = content is None or isinstance(content, bytes)
        self._shows_losses = shows_losses
        self._was_stale = False
        self._left = _LIMIT

    def another(self, error: RequestError, connection: Http2ClientConnection) -> bool:
        """Count a failure, and return whether the request may be sent once more."""
        if not self._does_no_harm(error, connection):
            return False
        self._left -= _SMALLEST_STEP if _left_out(error, connection) else 1
        return self._left > 0

    def _does_no_harm(self, error: RequestError, connection: Http2ClientConnection) -> bool:
        """Return whether the server has surely not acted on it, or may act on it twice.

        See RFC 9113, 8.7, and RFC 9110, 9.2.2.
        """
        if not error.sent:
            return True
        if not self._can_be_sent_again:
            return False
        is_stale = error.stale and not self._was_stale
        self._was_stale = self._was_stale or error.stale
        if not error.processed:
            return True
        return self._is_idempotent and (is_stale if self._shows_losses else connection.closed)


def _left_out(error: RequestError, connection: Http2ClientConnection) -> bool:
    """Return whether a GOAWAY left out the request and the server took others before it.

    That is not a failure, however often it happens: each connection takes some of them. Apache
    closes an upgraded connection once the request that asked for the upgrade is answered, which is
    often before another request can be sent.
    """
    return not error.processed and bool(connection.last_stream_id) and connection.was_asked
