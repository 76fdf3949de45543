"""Why a push or a hint was not sent: the one enum for it.

Every refusal in every room is one of these, so that the log, the counters and the application read
the same word. Imported by wire, deliver and server; imports nothing of ours.
"""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """A reason why nothing was sent ahead. The value is the word shown in logs and counters."""

    UNSUPPORTED = "unsupported"
    """The server underneath, or HTTP/1.1, has no such thing."""
    PUSH_DISABLED = "push-disabled"
    """The client's ENABLE_PUSH is 0 (RFC 9113, 6.5.2)."""
    PUSHED_PARENT = "pushed-parent"
    """A pushed stream pushes nothing (RFC 9113, 6.6)."""
    PARENT_CLOSED = "parent-closed"
    """The page's own response has ended, or its stream is gone (RFC 9113, 6.6)."""
    CONNECTION_CLOSING = "connection-closing"
    """A GOAWAY was sent or received (RFC 9113, 6.8)."""
    METHOD = "method"
    """Only GET and HEAD are safe, cacheable and without content (RFC 9113, 8.4)."""
    FOREIGN_AUTHORITY = "foreign-authority"
    """The authority is not the page's own (RFC 9113, 8.4.1 and 10.1)."""
    BAD_PATH = "bad-path"
    """The target is no absolute path of printable ASCII, or is too long."""
    FORBIDDEN_FIELD = "forbidden-field"
    """A field that a promised request must not carry: conditional, range, content, connection."""
    CREDENTIALS = "credentials"
    """`cookie` or `authorization` in a push that the application did not ask for itself."""
    ALREADY_PUSHED = "already-pushed"
    """The same page promised it before; Node and Java would deliver it twice."""
    TOO_MANY = "too-many"
    """The client's MAX_CONCURRENT_STREAMS, or our own bound on a page's pushes, is reached."""
    ALREADY_HINTED = "already-hinted"
    """A 103 went out for this request; browsers use no second one."""
    NOT_NAVIGATION = "not-navigation"
    """Browsers take a 103 only for a navigation, and this request is none."""
    RESPONSE_STARTED = "response-started"
    """A 103 comes before the final response or not at all (RFC 8297, 2)."""
    TOO_LARGE = "too-large"
    """The links are more, or longer, than one 103 may hold."""
    NO_LINKS = "no-links"
    """There was nothing to hint."""
