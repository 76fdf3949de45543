"""Match pushed responses that wait to requests.

Pure: it knows the promised responses, their state and their size; the caller (`client.connection`)
has the bytes, and is told which streams to drop. Time is a parameter, in seconds on any clock that
does not run backwards.

A response matches a request with the same scheme, authority, method and target, if the headers
named by the response's Vary have the promised request's values (RFC 9111, 4.1). It answers one
request only. A newer promise for the same request replaces an older one. The parent may be a
request of any method: responses pushed by a POST are kept as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from headstart.config import ClientLimits
from headstart.wire.client import bare_authority
from headstart.wire.events import Fields, PromiseReceived

Key: TypeAlias = tuple[str, bytes, bytes, bytes]
"""Method, scheme, authority, target."""

# A request with one of these asks for something else than what lies ready (RFC 9110, 13 and 14).
_ASKS_FOR_MORE = frozenset(
    {
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    }
)


@dataclass(slots=True)
class Pushed:
    """One promised response, as far as it has come.

    Attributes:
        parent_id: The stream that it was promised on.
        request_headers: Of the promised request, without pseudo-header fields.
        promised_at: When the promise came.
        status: None until the header section has come.
        size: Bytes of the body that are here.
        complete: The body has ended.
    """

    stream_id: int
    parent_id: int
    method: str
    scheme: bytes
    authority: bytes
    target: bytes
    request_headers: Fields
    promised_at: float
    status: int | None = None
    headers: Fields = field(default_factory=list)
    size: int = 0
    complete: bool = False

    @property
    def key(self) -> Key:
        """Return the part of a request that has to match."""
        return _key(self.method, self.scheme, self.authority, self.target)

    @property
    def state(self) -> str:
        """`promised`, `receiving` or `complete`."""
        if self.complete:
            return "complete"
        return "promised" if self.status is None else "receiving"

    @property
    def content_type(self) -> str:
        """The response's Content-Type, "" where it has none or has not come."""
        values = _values(self.headers, b"content-type")
        return values[0].decode("latin-1") if values else ""

    def answers(self, headers: Fields) -> bool:
        """Return true if the headers named by Vary match, or while Vary is unknown."""
        for name in _vary(self.headers):
            if name == b"*" or _values(self.request_headers, name) != _values(headers, name):
                return False
        return True


class PushStore:
    """Pushed responses of one connection, the oldest first.

    Args:
        limits: Bounds on their number, bytes and age.
    """

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._entries: dict[int, Pushed] = {}
        self._by_key: dict[Key, int] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes held by all of them."""
        return self._size

    def __len__(self) -> int:
        return len(self._entries)

    def promised(self, promise: PromiseReceived, now: float) -> list[int]:
        """Record a promise; return the streams to drop, perhaps its own among them."""
        pushed = Pushed(
            promise.promised_stream_id,
            promise.stream_id,
            promise.method,
            promise.scheme,
            promise.authority,
            promise.target,
            promise.headers,
            now,
        )
        gone = self.expire(now)
        older = self._by_key.get(pushed.key)
        if older is not None:
            gone += self._forget(older)
        self._entries[pushed.stream_id] = pushed
        self._by_key[pushed.key] = pushed.stream_id
        return gone + self._keep_bounds()

    def responded(self, stream_id: int, status: int, headers: Fields) -> None:
        """Record the header section of a pushed response."""
        pushed = self._entries.get(stream_id)
        if pushed is not None:
            pushed.status, pushed.headers = status, headers

    def grew(self, stream_id: int, amount: int) -> list[int]:
        """Bytes of a pushed body came; returns the streams to let go, this one perhaps."""
        pushed = self._entries.get(stream_id)
        if pushed is None:
            return []
        pushed.size += amount
        self._size += amount
        return self._keep_bounds()

    def completed(self, stream_id: int) -> None:
        """Record the end of a pushed body."""
        pushed = self._entries.get(stream_id)
        if pushed is not None:
            pushed.complete = True

    def find(
        self,
        method: str,
        scheme: bytes,
        authority: bytes,
        target: bytes,
        headers: Fields,
        now: float,
    ) -> Pushed | None:
        """Return the matching response for a request without content, or None.

        Where its `status` is None, wait for it and look again: its Vary may still forbid it.

        Args:
            headers: Of the request, names lower case.
        """
        stream_id = self._by_key.get(_key(method, scheme, authority, target))
        if stream_id is None or _wants_another(headers):
            return None
        pushed = self._entries[stream_id]
        if self._too_old(pushed, now) or not pushed.answers(headers):
            return None
        return pushed

    def take(self, stream_id: int) -> None:
        """Remove a response that was used or failed."""
        self._forget(stream_id)

    def expire(self, now: float) -> list[int]:
        """Remove responses that are too old; return the streams to drop."""
        old = [pushed.stream_id for pushed in self._entries.values() if self._too_old(pushed, now)]
        for stream_id in old:
            self._forget(stream_id)
        return old

    def listing(self, now: float) -> list[Pushed]:
        """Return the waiting responses, oldest first."""
        return [pushed for pushed in self._entries.values() if not self._too_old(pushed, now)]

    def _too_old(self, pushed: Pushed, now: float) -> bool:
        return now - pushed.promised_at > self._limits.max_push_age

    def _keep_bounds(self) -> list[int]:
        """Forget the oldest until number and bytes are within bounds."""
        gone: list[int] = []
        limits = self._limits
        while len(self._entries) > limits.max_pushes or self._size > limits.max_push_bytes:
            gone += self._forget(next(iter(self._entries)))
        return gone

    def _forget(self, stream_id: int) -> list[int]:
        pushed = self._entries.pop(stream_id, None)
        if pushed is None:
            return []
        self._size -= pushed.size
        if self._by_key.get(pushed.key) == stream_id:
            del self._by_key[pushed.key]
        return [stream_id]


def _key(method: str, scheme: bytes, authority: bytes, target: bytes) -> Key:
    return method, scheme, bare_authority(scheme, authority), target


def _values(headers: Fields, name: bytes) -> list[bytes]:
    """All members of a field, whether in one line or several (RFC 9111, 4.1)."""
    lines = [value for other, value in headers if other == name]
    return [member.strip() for member in b",".join(lines).split(b",")] if lines else []


def _vary(headers: Fields) -> Iterator[bytes]:
    return (name.lower() for name in _values(headers, b"vary") if name)


def _wants_another(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return true if a request asks for a range, a condition or no stored response (RFC 9111,
    5.2.1).
    """
    for name, value in headers:
        if name in _ASKS_FOR_MORE:
            return True
        if name == b"cache-control" and b"no-" in value.lower():
            return b"no-cache" in value.lower() or b"no-store" in value.lower()
    return False
