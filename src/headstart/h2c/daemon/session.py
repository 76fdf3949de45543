"""The connections of the background process, and the settings that the user made for all of them.

There is one `Link` per server. One of them is current, and paths without a server go there. A link
with a lost connection reconnects when it is used.

It is not a `client.pool.Pool`, which serves programs: here each connection is made as the command
line said, lost ones stay listed, and none is closed for being idle.

`Hinted` has the responses that a 103 named and `get --follow-hints` fetched; they wait for the next
`get` by the rules for pushed responses (`client.pushes`): the same scheme, authority, path and
fields named by Vary; each serves once; bounds on number, bytes and age; and, as in a browser's
cache, no longer than their Cache-Control says. `load` fills it.

Made by `process`, used by `service`, `requesting` and `load`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from headstart.client.connect import connect
from headstart.client.connection import Http2ClientConnection
from headstart.client.headers import Headers
from headstart.client.origin import Origin
from headstart.client.proxies import HttpProxy
from headstart.client.pushes import Pushed, PushStore
from headstart.client.response_stream import Informational
from headstart.client.upgrade import FirstRequest
from headstart.config import ClientLimits
from headstart.h2c import exits
from headstart.h2c.failures import NotConnectedError
from headstart.h2c.options.connections import Trust
from headstart.wire.events import Fields, PromiseReceived
from headstart.wire.frames import Direction

Tap: TypeAlias = Callable[[Direction, bytes, float], None]


Holds: TypeAlias = Callable[[Http2ClientConnection], bool]
"""Whether a pushed response that is wanted waits there."""


class Taps(Protocol):
    """Gives each new connection somebody who listens to its bytes."""

    def tap(self) -> Tap:
        """For one connection."""
        ...


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A whole response; reads as one that just came.

    Attributes:
        stream_id: The stream that it came on.
        expires: The time after which it is stale, on the event loop's clock.
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


@dataclass(frozen=True, slots=True)
class Link:
    """A connection, and how it was asked for."""

    connection: Http2ClientConnection
    trust: Trust
    upgrade: bool = False


class Session:
    """Connections by origin.

    Args:
        taps: Listens to all of them; None for nobody.
        push: Servers may push.
        like: Connections elsewhere, as which new ones are made.
    """

    def __init__(
        self,
        taps: Taps | None = None,
        *,
        push: bool = True,
        like: Mapping[Origin, Link] | None = None,
    ) -> None:
        self._taps = taps
        self._push = push
        self._like = like or {}
        self._links: dict[Origin, Link] = {}
        self._retired: list[Link] = []
        self._left: dict[Origin, Link] = {}
        """Connections that others took the place of, and whose pushed responses still wait."""
        self._locks: defaultdict[Origin, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._current: Origin | None = None
        self._series: list[tuple[Http2ClientConnection, asyncio.Event]] = []
        self.hinted = Hinted()
        self.fields: list[tuple[bytes, bytes]] = []
        """Sent with every request: names in lower case, and values."""

    @property
    def is_connected(self) -> bool:
        """Return true if any connection is open."""
        return any(not link.connection.closed for link in self._links.values())

    def links(self) -> list[tuple[Link, bool]]:
        """All connections in the order they were made, each with whether it is the current one."""
        return [(link, origin == self._current) for origin, link in self._links.items()]

    def current(self) -> Link:
        """Return the current connection, open or lost.

        Raises:
            NotConnectedError: There is none.
        """
        if self._current is None:
            raise NotConnectedError(exits.NO_CONNECTION)
        return self._links[self._current]

    def waiting(self, origin: Origin, trust: Trust, holds: Holds) -> Link | None:
        """Return the connection with a pushed response for the request, and make it current.

        The connection may be lost. A newer connection's pushes replace those of an older one.
        """
        newer, older = self._links.get(origin), self._left.get(origin)
        for link in (newer, older):
            if link is None or trust not in (Trust(), link.trust) or not holds(link.connection):
                continue
            if link is newer and older is not None and holds(older.connection):
                del self._left[origin]
            self._current = origin
            return link
        return None

    def pushes(self) -> list[Pushed]:
        """Return the waiting pushes of the current connection's server, oldest first.

        Raises:
            NotConnectedError: No connection is current.
        """
        link = self.current()
        left = self._left.get(link.connection.origin)
        newer = _pushes(link)
        keys = {pushed.key for pushed in newer}
        older = [] if left is None else _pushes(left)
        return [*(pushed for pushed in older if pushed.key not in keys), *newer]

    async def use_current(self, timeout: float, first: FirstRequest | None = None) -> Link:
        """Return the current connection, reconnected if it was lost; see `connect`.

        Raises:
            NotConnectedError: There is none.
        """
        link = self.current()
        return await self.connect(link.connection.origin, link.trust, timeout, first=first)

    async def use(
        self,
        origin: Origin,
        trust: Trust,
        timeout: float,
        *,
        make_current: bool = True,
        first: FirstRequest | None = None,
    ) -> Link:
        """Return a connection to the origin and make it current.

        One that is there is used as it was made, unless `trust` asks for something of its own.
        """
        before = self._before(origin)
        if before is not None and trust == Trust():
            trust = before.trust
        return await self.connect(origin, trust, timeout, make_current=make_current, first=first)

    async def connect(
        self,
        origin: Origin,
        trust: Trust,
        timeout: float,
        *,
        make_current: bool = True,
        upgrade: bool | None = None,
        first: FirstRequest | None = None,
    ) -> Link:
        """Return a connection made with this trust, and make it current.

        Args:
            upgrade: Begin with HTTP/1.1; None for as the previous connection did.
            first: The request that carries the upgrade, since Apache closes an idle upgraded
                connection.
            make_current: Make it current even if another connection is.
        """
        async with self._locks[origin]:
            link = self._links.get(origin)
            if upgrade is None:
                before = self._before(origin)
                upgrade = before is not None and before.upgrade
            if link is None or not await _serves(link, trust, upgrade):
                connection = await self._connected(origin, trust, timeout, upgrade, first)
                made = Link(connection, trust, upgrade)
                await self._replace(link, made)
                link = made
        if make_current or self._current is None:
            self._current = origin
        return link

    @asynccontextmanager
    async def without_push(self) -> AsyncIterator[Session]:
        """Yield a session whose servers may not push; its connections end with the block.

        They are new, since other commands use the old ones, but made as those were.
        """
        other = Session(self._taps, push=False, like=self._links)
        other.fields = self.fields
        try:
            yield other
        finally:
            await other.close()

    def _before(self, origin: Origin) -> Link | None:
        """Return the connection whose settings hold for the next one to this origin."""
        return self._links.get(origin) or self._like.get(origin)

    def add(self, link: Link) -> None:
        """Hold a connection that was made elsewhere, as the current one."""
        self._current = link.connection.origin
        self._links[self._current] = link

    async def _replace(self, old: Link | None, new: Link) -> None:
        origin = new.connection.origin
        self._links.pop(origin, None)
        self._links[origin] = new
        if old is None:
            return
        if _pushes(old) and old.trust == new.trust:
            self._left[origin] = old
        if old.connection.closed:
            return
        if _is_as(old, new.trust, new.upgrade):
            # The server said GOAWAY, is silent, or refuses new requests: other commands may still
            # wait for responses.
            self._retired.append(old)
            old.connection.became_idle = self._leave_idle_soon
            self._leave_idle()
        else:
            await old.connection.aclose()

    def _leave_idle_soon(self) -> None:
        # The connection that became idle still acts on what it has received.
        asyncio.get_running_loop().call_soon(self._leave_idle)

    def _leave_idle(self) -> None:
        """Close the retired connections on which nobody waits for a response any more."""
        for link in self._retired:
            if link.connection.idle_since is not None:
                link.connection.leave()
        self._retired = [link for link in self._retired if not link.connection.closed]

    async def _connected(
        self,
        origin: Origin,
        trust: Trust,
        timeout: float,
        upgrade: bool,
        first: FirstRequest | None,
    ) -> Http2ClientConnection:
        return await connect(
            origin,
            push=self._push,
            cafile=Path(trust.cafile) if trust.cafile else None,
            insecure=trust.insecure,
            certfile=Path(trust.certfile) if trust.certfile else None,
            keyfile=Path(trust.keyfile) if trust.keyfile else None,
            address=trust.address_of(origin.host, origin.port),
            proxy=HttpProxy.parse(trust.proxy) if trust.proxy else None,
            tap=None if self._taps is None else self._taps.tap(),
            timeout=timeout,
            upgrade=upgrade,
            first=first if upgrade else None,
        )

    @contextmanager
    def series(self, connection: Http2ClientConnection, stop: asyncio.Event) -> Iterator[None]:
        """Run a series of PINGs on the connection; `stop` ends it."""
        entry = (connection, stop)
        self._series.append(entry)
        try:
            yield
        finally:
            self._series.remove(entry)

    def stop_series(self, connection: Http2ClientConnection) -> int:
        """End the series of PINGs that run on the connection; returns how many there are."""
        stops = [stop for other, stop in self._series if other is connection]
        for stop in stops:
            stop.set()
        return len(stops)

    async def disconnect(self) -> None:
        """Close the current connection; the one made before it is the current one then.

        Raises:
            NotConnectedError: There is none.
        """
        link = self.current()
        del self._links[link.connection.origin]
        self._left.pop(link.connection.origin, None)
        self._current = next(reversed(self._links), None)
        await link.connection.aclose()

    async def close(self) -> None:
        """Close all connections."""
        links = [*self._links.values(), *self._retired]
        self._links.clear()
        self._retired.clear()
        self._left.clear()
        self._current = None
        await asyncio.gather(*(link.connection.aclose() for link in links))


def _pushes(link: Link) -> list[Pushed]:
    return link.connection.pushes.listing(link.connection.now())


async def _serves(link: Link, trust: Trust, upgrade: bool) -> bool:
    """Return whether the connection can be used for a new request."""
    connection = link.connection
    return _is_as(link, trust, upgrade) and connection.available and await connection.answers()


def _is_as(link: Link, trust: Trust, upgrade: bool) -> bool:
    return (link.trust, link.upgrade) == (trust, upgrade)
