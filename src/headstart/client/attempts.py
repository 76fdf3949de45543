"""How often a request is sent again.

`Attempts` counts the failures of one request: a server that takes some requests of each connection
may leave out others for long, and a server that takes none is given up soon. Reads no socket and no
clock. Used by `client.client` and by the background process of `h2c`.
"""

from __future__ import annotations

from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import RequestError

# A server may close a connection at any moment, so the first retry is common, a third is a fault.
_LIMIT = 3.0
# A server that takes a few requests a connection leaves the others out, which is not a fault. But
# a server that never takes ours must not be asked for ever.
_SMALLEST_STEP = 1 / 128


class Attempts:
    """The failures of one request."""

    def __init__(self) -> None:
        self._left = _LIMIT

    def another(self, error: RequestError, connection: Http2ClientConnection) -> bool:
        """Count a failure, and return whether the request may be sent once more."""
        self._left -= _SMALLEST_STEP if _left_out(error, connection) else 1
        return self._left > 0


def _left_out(error: RequestError, connection: Http2ClientConnection) -> bool:
    """Return whether a GOAWAY left out the request and the server took others before it.

    That is not a failure, however often it happens: each connection takes some of them. Apache
    closes an upgraded connection once the request that asked for the upgrade is answered, which is
    often before another request can be sent.
    """
    return not error.processed and bool(connection.last_stream_id) and connection.was_asked
