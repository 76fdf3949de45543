"""The header sections of one connection's promises.

A page pushes several assets with equal fields, each for another path. A section equal to the
previous one is not checked and built again. Reads the applications' fields, keeps the last section.
Each `wire.push_gate.PushGate` owns one `PromiseHeads`.
"""

from __future__ import annotations

from headstart.reasons import Refusal
from headstart.wire.events import Fields
from headstart.wire.fields import (
    REMEMBERED_LENGTH,
    checked_fields,
    known_target,
    promise_refusal,
    valid_target,
)


class PromiseHeads:
    """Check and build the header sections of promised requests."""

    __slots__ = (
        "_authority",
        "_credentials",
        "_fields",
        "_given",
        "_method",
        "_pseudo",
        "_refusal",
        "_scheme",
    )

    def __init__(self) -> None:
        self._method = ""
        self._scheme = self._authority = b""
        self._given: Fields = []
        self._credentials = False
        self._pseudo: Fields = []
        self._fields: Fields = []
        self._refusal: Refusal | None = Refusal.METHOD

    def refusal(
        self, method: str, scheme: bytes, authority: bytes, headers: Fields, credentials: bool
    ) -> Refusal | None:
        """Return why such a request may not be promised, for any path; see `promise_refusal`.

        Args:
            headers: The same object only as long as its content is the same.

        Raises:
            LocalProtocolError: A field could not be sent at all.
        """
        if (
            headers is not self._given
            or method != self._method
            or scheme != self._scheme
            or authority != self._authority
            or credentials is not self._credentials
        ):
            self._fields = checked_fields(headers, [])
            self._refusal = promise_refusal(method, self._fields, credentials)
            self._given, self._method, self._scheme = headers, method, scheme
            self._authority, self._credentials = authority, credentials
            self._pseudo = [
                (b":method", method.encode("ascii", "replace")),
                (b":scheme", scheme),
                (b":authority", authority),
            ]
        return self._refusal

    def section(self, target: bytes) -> Fields:
        """Return the whole header section for a path, with the fields checked last."""
        return [*self._pseudo, (b":path", target), *self._fields]


def promisable_target(target: bytes) -> bool:
    """Return true if it is an absolute path of printable ASCII without a fragment."""
    return known_target(target) if len(target) <= REMEMBERED_LENGTH else valid_target(target)
