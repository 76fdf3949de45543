"""Why a connection or a request failed: the client's leaves of the tree in `headstart.errors`.

    HeadstartError
    └── ClientError
        ├── ConnectError        the host cannot be reached
        ├── TlsError            the host is reached but not trusted
        ├── NotHttp2Error       the server does not support HTTP/2
        ├── ClientTimeoutError  nothing was received within the timeout
        ├── RequestError        the stream was reset, or the connection lost
        └── HTTPStatusError     the status is not 200 to 299, and `raise_for_status` was called

Each message is one line, and `hint` advises the user. Raised by the other modules here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from headstart.errors import HeadstartError

if TYPE_CHECKING:
    from headstart.client.response import AsyncResponse
    from headstart.client.sync import Response

# RFC 9110, 9.2.2: those may be repeated where nobody knows whether the first one arrived.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class Phase(StrEnum):
    """The step of a request that did not end in time."""

    CONNECTION = "connection"
    """The connection, its TLS and the server's SETTINGS."""
    STREAM = "stream"
    """A stream: the server allows only so many at once."""
    UPLOAD = "upload"
    """Room for the request's content, which the server has not taken."""
    RESPONSE = "response"
    """The response, or the next part of it."""


class ClientError(HeadstartError):
    """Base of the client's errors."""


class ConnectError(ClientError):
    """The host cannot be found or reached, or refuses the connection."""


class TlsError(ClientError):
    """The TLS handshake failed; most often the certificate is not trusted.

    Attributes:
        hint_for_command: The hint of a command, if its options differ from the arguments that
            `hint` names; "" if they do not.
    """

    def __init__(self, message: str, *, hint: str = "", hint_for_command: str = "") -> None:
        super().__init__(message, hint=hint)
        self.hint_for_command = hint_for_command


class NotHttp2Error(ClientError):
    """The server did not choose `h2` by ALPN, or answered in another protocol."""


class ClientTimeoutError(ClientError):
    """Nothing happened for the given time.

    Attributes:
        phase: The step that did not end.
    """

    def __init__(self, message: str, *, phase: Phase = Phase.RESPONSE, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.phase = phase


class RequestError(ClientError):
    """The response did not arrive completely.

    Attributes:
        processed: False if the server has certainly not acted on the request, so that it may be
            repeated with any method (RFC 9113, 8.7).
        sent: False if nothing of it was sent, so that its content was not touched.
        stale: The server closed a connection that had served other requests, before any part of
            this response: most likely it closed an idle connection while the request was on its
            way.
        malformed: True if the response breaks a rule of HTTP.
        too_large: True if the response, or the number of its 1xx responses, exceeds a limit of
            `ClientLimits`.
    """

    def __init__(
        self,
        message: str,
        *,
        processed: bool = True,
        sent: bool = True,
        stale: bool = False,
        malformed: bool = False,
        too_large: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.processed = processed and sent
        self.sent = sent
        self.stale = stale
        self.malformed = malformed
        self.too_large = too_large


class HTTPStatusError(ClientError):
    """`raise_for_status()` was called on a response whose status is not 200 to 299.

    Attributes:
        response: The response.
    """

    def __init__(self, message: str, *, response: AsyncResponse | Response, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.response = response
