"""The header sections of promises.

A page pushes several assets with equal fields, each for another path. The fields are checked once
for all of them, and the section of each asset can be used again, on any connection. Pure. Made by
`server.promised`, read by `wire.push_gate`.
"""

from __future__ import annotations

from collections.abc import Iterable

from headstart.reasons import Refusal
from headstart.wire.events import Fields
from headstart.wire.fields import (
    REMEMBERED_LENGTH,
    checked_fields,
    known_target,
    promise_refusal,
    valid_target,
)


class PromiseHead:
    """The header section of one promised request, judged. Treat it as immutable.

    Attributes:
        authority: Of the request.
        target: Path and query.
        fields: The whole section, as the engine takes it.
        unfit: Why such a request may not be promised, for any path.
        is_path: The target may be promised.
    """

    __slots__ = ("authority", "fields", "is_path", "target", "unfit")

    def __init__(
        self, authority: bytes, target: bytes, fields: Fields, unfit: Refusal | None
    ) -> None:
        self.authority = authority
        self.target = target
        self.fields = fields
        self.unfit = unfit
        self.is_path = promisable_target(target)


class PromiseHeads:
    """Make the header sections of promises that differ only in `:path`.

    Args:
        method, scheme, authority: Of the promised requests.
        headers: Their other fields.
        credentials: The application asks for these pushes itself, so they may carry them.

    Raises:
        LocalProtocolError: A field could not be sent at all.
    """

    __slots__ = ("_authority", "_fields", "_pseudo", "_unfit")

    def __init__(
        self,
        method: str,
        scheme: bytes,
        authority: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        credentials: bool = False,
    ) -> None:
        self._authority = authority
        self._fields = checked_fields(headers, [])
        self._unfit = promise_refusal(method, self._fields, credentials)
        self._pseudo = [
            (b":method", method.encode("ascii", "replace")),
            (b":scheme", scheme),
            (b":authority", authority),
        ]

    def of(self, target: bytes) -> PromiseHead:
        """Return the section for a path."""
        fields = [*self._pseudo, (b":path", target), *self._fields]
        return PromiseHead(self._authority, target, fields, self._unfit)


def promisable_target(target: bytes) -> bool:
    """Return true if it is an absolute path of printable ASCII without a fragment."""
    return known_target(target) if len(target) <= REMEMBERED_LENGTH else valid_target(target)
