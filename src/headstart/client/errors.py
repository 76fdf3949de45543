"""Why a connection or a request failed: the client's leaves of the tree in `headstart.errors`.

    HeadstartError
    └── ClientError
        ├── ConnectFailed     no connection to the host
        ├── TlsFailed         a connection, but no trust in the other end
        ├── NotHttp2          a server that speaks something else
        ├── TimedOut          nothing happened for as long as we were told to wait
        └── RequestFailed     the stream was reset, or the connection lost, too early

Each message is one line, and `hint` says what the user can do. Raised by the other modules here.
"""

from __future__ import annotations

from headstart.errors import HeadstartError

# RFC 9110, 9.2.2: those may be repeated where nobody knows whether the first one arrived.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class ClientError(HeadstartError):
    """Base of what connecting and asking can raise."""


class ConnectFailed(ClientError):
    """The host cannot be found or reached, or refuses the connection."""


class TlsFailed(ClientError):
    """The TLS handshake failed; most often the certificate is not trusted."""


class NotHttp2(ClientError):
    """The server did not choose `h2` by ALPN, or answered in another protocol."""


class TimedOut(ClientError):
    """Nothing happened for the given time."""


class RequestFailed(ClientError):
    """The response did not come, or not to its end.

    Attributes:
        processed: False where the server has surely not acted on the request, so that it may be
            sent again whatever its method (RFC 9113, 8.7).
        sent: False where none of it was sent, so that its content was not touched.
        stale: The server closed a connection that had served others before, and nothing of this
            answer had come: most likely it idled too long, and the two crossed on their way.
    """

    def __init__(
        self,
        message: str,
        *,
        processed: bool = True,
        sent: bool = True,
        stale: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.processed = processed and sent
        self.sent = sent
        self.stale = stale
