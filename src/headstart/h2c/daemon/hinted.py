"""Responses that a 103 named and `get --follow-hints` fetched; they wait for the next `get`.

By the rules for pushed responses (`client.pushes`): the same scheme, authority, path and fields
named by Vary; each serves once; bounds on number, bytes and age; and, as in a browser's cache, no
longer than their Cache-Control says. Held by `session`, filled by `load.loader`, asked by
`exchange`.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from headstart.client.headers import Headers
from headstart.client.origin import Origin
from headstart.client.pushes import PushStore
from headstart.client.response_stream import Informational
from headstart.config import ClientLimits
from headstart.wire.events import Fields, PromiseReceived


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A whole response; reads as one that just came.

    Attributes:
        stream_id: The stream that it came on.
        expires: When it is no longer fresh, of the event loop's clock.
    """

    status_code: int
    headers: Headers
    content: bytes
    stream_id: int
    expires: float
    informational: list[Informational] = field(default_factory=list)
    trailers: Headers = field(default_factory=lambda: Headers([]))

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the content."""
        yield self.content


class Hinted:
    """All that wait. Times are of the event loop's clock."""

    def __init__(self, limits: ClientLimits | None = None) -> None:
        self._store = PushStore(limits or ClientLimits())
        self._kept: dict[int, StoredResponse] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._kept)

    def keep(
        self, origin: Origin, target: str, asked: Fields, kept: StoredResponse, now: float
    ) -> None:
        """Keep a response until it is asked for.

        Args:
            asked: The fields of the request that it answers.
        """
        number = next(self._numbers)
        scheme = origin.scheme.encode()
        promise = PromiseReceived(
            0, number, "GET", scheme, origin.authority, target.encode(), asked
        )
        self._kept[number] = kept
        self._forget(self._store.promised(promise, now))
        self._store.responded(number, kept.status_code, kept.headers.raw)
        self._store.completed(number)
        self._forget(self._store.grew(number, len(kept.content)))

    def find(
        self, method: str, origin: Origin, target: str, fields: Fields, now: float, *, stays: bool
    ) -> StoredResponse | None:
        """Return the response for a request without content, or None.

        Args:
            stays: It may answer another request, too.
        """
        self._forget(self._store.expire(now))
        authority = next((value for name, value in fields if name == b"host"), origin.authority)
        scheme = origin.scheme.encode()
        found = self._store.find(method, scheme, authority, target.encode(), fields, now)
        if found is None:
            return None
        kept = self._kept[found.stream_id]
        is_fresh = kept.expires > now
        if not (stays and is_fresh):
            self._store.take(found.stream_id)
            del self._kept[found.stream_id]
        return kept if is_fresh else None

    def _forget(self, numbers: list[int]) -> None:
        for number in numbers:
            self._kept.pop(number, None)
