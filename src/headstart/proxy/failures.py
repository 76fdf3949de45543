"""The ways an upstream can fail: a reason for the log and the counters, a status for the client.

Raised by `http1`, `pool` and `balance`, answered by `app`. The client gets the status and a
sentence that names nothing of the inside; the log gets the rest.
"""

from __future__ import annotations

from headstart.errors import HeadstartError
from headstart.reasons import Gateway

_STATUS = {
    Gateway.CONNECT_FAILED: 502,
    Gateway.CONNECT_TIMEOUT: 504,
    Gateway.RESPONSE_TIMEOUT: 504,
    Gateway.CLOSED: 502,
    Gateway.MALFORMED: 502,
    Gateway.TOO_LARGE: 502,
    Gateway.BUSY: 503,
    Gateway.LOOP: 508,
}


class UpstreamError(HeadstartError):
    """An upstream could not be asked, or its response could not be used.

    Attributes:
        reason: The word for the log and the counters.
        stale: The connection had served before and ended without a byte of a response, so the
            upstream had most likely closed it before the request came (RFC 9112, 9.3.1).
        unanswered: The connection ended without a byte of a response, so another upstream may
            be asked for an idempotent request.
    """

    def __init__(
        self, reason: Gateway, detail: str = "", *, stale: bool = False, unanswered: bool = False
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.stale = stale
        self.unanswered = unanswered

    @property
    def status(self) -> int:
        """The status that the client gets: 502 to 504 (RFC 9110, 15.6), 508 (RFC 5842, 7.2)."""
        return _STATUS[self.reason]
