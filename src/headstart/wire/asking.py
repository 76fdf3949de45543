"""The header sections of the requests that a client sends, checked.

Most requests differ from the one before on their connection in nothing but `:path`, and to examine
the rest again would cost as much as to send it. Reads the caller's fields and changes only its own
state; used by `wire.client` and, for an upgrade, by `client.upgrade`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from headstart.errors import LocalProtocolError
from headstart.wire.events import Fields
from headstart.wire.fields import (
    REMEMBERED_LENGTH,
    checked_fields,
    header_list_size,
    known_target,
    valid_authority,
    valid_target,
)

# RFC 9110, 9.1. CONNECT has no place here but with a protocol (RFC 8441): it needs a tunnel.
_METHOD = re.compile(r"(?!CONNECT\Z)[A-Z][A-Z0-9_-]*")
_PSEUDO = 4
# Bytes of one header section that are sent.
MOST_SENT = 64 * 1024


class RequestSections:
    """The sections of one connection's requests."""

    __slots__ = ("_after", "_before", "_words")

    def __init__(self) -> None:
        self._words: tuple[str, bytes, bytes] | None = None
        """Method, scheme and authority of the section before; None if it cannot be repeated."""
        self._before: Fields = []
        """Its pseudo-header fields in front of `:path`."""
        self._after: Fields = []
        """Its fields behind `:path`, as they were sent."""

    def section(
        self,
        method: str,
        scheme: bytes,
        authority: bytes,
        target: bytes,
        headers: Iterable[Iterable[bytes]],
    ) -> Fields:
        """Return the section of a request, for the caller to change.

        Raises:
            LocalProtocolError: See `request_fields` and `sendable`.
        """
        if (
            (method, scheme, authority) == self._words
            # What was sent is in lower case and has been checked, so whatever equals it is fine.
            and headers == self._after
            and len(target) <= REMEMBERED_LENGTH
            and known_target(target)
        ):
            return [*self._before, (b":path", target), *self._after]
        fields = sendable(request_fields(method, scheme, authority, target, headers))
        # Whatever target is remembered, the section stays below what can be sent.
        can_repeat = header_list_size(fields) + REMEMBERED_LENGTH <= MOST_SENT
        self._words = (method, scheme, authority) if can_repeat else None
        self._before, self._after = fields[: _PSEUDO - 1], fields[_PSEUDO:]
        return fields


def sendable(fields: Fields) -> Fields:
    """Return the fields of a header section that the engine will write.

    Raises:
        LocalProtocolError: They are too large. The engine would close the stream without a word.
    """
    size = header_list_size(fields)
    if size > MOST_SENT:
        raise LocalProtocolError(
            f"the fields are {size} bytes, {MOST_SENT} at most can be sent",
            hint="Send less, or send it as content. Most servers take 8 to 32 KiB.",
        )
    return fields


def request_fields(
    method: str,
    scheme: bytes,
    authority: bytes,
    target: bytes,
    headers: Iterable[Iterable[bytes]],
) -> Fields:
    """Return the header section of a request, checked (RFC 9113, 8.3.1).

    Raises:
        LocalProtocolError: The method is not an upper-case token, or is CONNECT; the authority is
            not a host with an optional port; the target is not a path of printable ASCII; a field
            may not be sent.
    """
    if not _METHOD.fullmatch(method):
        raise LocalProtocolError(
            f"{method!r} is not a method that can be sent",
            hint="Name one in capitals. CONNECT is not one of them: this client opens no tunnels.",
        )
    if not valid_authority(authority):
        raise LocalProtocolError(
            f"{authority!r} is not a host with an optional port",
            hint="Write HOST or HOST:PORT, without a user's name.",
        )
    if not valid_target(target) and not (target == b"*" and method == "OPTIONS"):
        raise LocalProtocolError(
            f"{target!r} is not an absolute path of printable ASCII",
            hint="Begin it with a slash, and percent-encode spaces and other letters.",
        )
    fields = [
        (b":method", method.encode("ascii")),
        (b":scheme", scheme),
        (b":authority", authority),
        (b":path", target),
    ]
    return checked_fields(headers, fields)
