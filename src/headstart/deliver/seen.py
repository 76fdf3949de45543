"""The assets that a client has already, from all sources.

There are four: this connection's `Memory`, the request's `Cache-Digest` (see `digest`), our own
cookie (`ClientSet`), and a condition on the page's request (see `request`). `Seen` asks the first
three about one URL; `decide` asks `Seen`. Pure: the middleware keeps a `Memories`, adds delivered
and requested assets to it, and gives the time, in seconds since 1970.

The cookie is for clients that keep cookies and make a new connection for each page. It is a set of
the same kind as a digest, always cut to `_COOKIE_BITS`, so that URLs can be added to it later:

    headstart=1c3b2a0.AfdA          minutes since 1970 when it ends, in hexadecimal, and the set

- It holds assets that were delivered, or requested by the client on this connection, if they stay
  fresh for an hour or more.
- It ends when the first asset in it may become stale, since nothing can be removed from it: until
  then it is true except for assets that the client has evicted, which the client requests as ever.
  Then it begins anew, and so does a full one.
- It is sent only when it has become larger, and never on a response that a shared cache may keep.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from headstart.deliver.digest import (
    KEY_BITS,
    NO_DIGESTS,
    Digests,
    decode,
    from_base64url,
    pack,
    to_base64url,
    url_key,
)
from headstart.reasons import Refusal

COOKIE_NAME = "headstart"
# Twenty bits: with 256 assets in it, one that the client lacks is taken for had once in 4,096
# times; at 14 bits each at most, the whole cookie with its attributes stays under 700 octets.
_COOKIE_BITS = 20
MAX_COOKIE_ASSETS = 256
_MAX_COOKIE_VALUE = 1024
_COOKIE_VALUE = re.compile(rb"([0-9a-f]{1,8})\.([A-Za-z0-9_-]+)")
MIN_COOKIE_LIFETIME = 3600.0
"""Seconds: what is fresh for less would end the whole set too soon."""
MAX_COOKIE_LIFETIME = 30 * 86400.0
_MINUTE = 60


class _Tally:
    """How many URLs there are in several memories."""

    __slots__ = ("urls",)

    def __init__(self) -> None:
        self.urls = 0


class Memory:
    """The URLs that one connection had; the oldest are forgotten first.

    It keeps hashes, so that long URLs take no more room than short ones: 17 KB when full.

    Args:
        max_urls: How many it keeps.

    Attributes:
        hashes: Of the URLs, oldest first.
        tally: Where they are counted.
    """

    __slots__ = ("_max_urls", "hashes", "tally")

    def __init__(self, max_urls: int = 256) -> None:
        self.hashes: dict[int, None] = {}
        self.tally = _Tally()
        self._max_urls = max_urls

    def add(self, url: str) -> None:
        """Add an asset that was sent, hinted or requested, by path and query."""
        key = hash(url)
        if key in self.hashes:
            return
        self.hashes[key] = None
        if len(self.hashes) > self._max_urls:
            del self.hashes[next(iter(self.hashes))]
        else:
            self.tally.urls += 1

    def discard(self, url: str) -> None:
        """Remove an asset that was not sent after all."""
        key = hash(url)
        if key in self.hashes:
            del self.hashes[key]
            self.tally.urls -= 1

    def __contains__(self, url: str) -> bool:
        return hash(url) in self.hashes

    def __len__(self) -> int:
        return len(self.hashes)


class Memories:
    """The memory of each connection; those not used for longest are forgotten first.

    Nobody says when a connection has ended on servers other than ours, hence the bounds: about
    0.5 MB in all.

    Args:
        max_connections: How many are kept.
        max_urls: How many URLs each keeps.
        max_in_all: How many URLs all keep, looked at whenever a memory is asked for.
    """

    def __init__(
        self, max_connections: int = 500, max_urls: int = 256, max_in_all: int = 5_000
    ) -> None:
        self._memories: OrderedDict[Hashable, Memory] = OrderedDict()
        self._tally = _Tally()
        self._max_connections = max_connections
        self._max_urls = max_urls
        self._max_in_all = max_in_all

    def of(self, connection: Hashable) -> Memory:
        """Return the memory of one connection, a new one if it has none.

        Args:
            connection: The server's own identity for it, or the client's address and port.
        """
        memory = self._memories.get(connection)
        if memory is None:
            memory = self._memories[connection] = Memory(self._max_urls)
            memory.tally = self._tally
            if len(self._memories) > self._max_connections:
                self._forget_oldest()
        else:
            self._memories.move_to_end(connection)
        while self._tally.urls > self._max_in_all and len(self._memories) > 1:
            self._forget_oldest()
        return memory

    def _forget_oldest(self) -> None:
        _, memory = self._memories.popitem(last=False)
        self._tally.urls -= len(memory)
        # Who still uses it counts for nothing here.
        memory.tally = _Tally()

    def __len__(self) -> int:
        return len(self._memories)


@dataclass(frozen=True, slots=True)
class ClientSet:
    """The assets that our cookie says its client has.

    Attributes:
        expires: Minutes since 1970 when it ends.
        values: The first 20 bits of each URL's key.
    """

    expires: int
    values: frozenset[int]

    def has(self, url: str) -> bool:
        """Return true if the absolute URL is in the set; seldom also for another one."""
        return _cookie_value(url) in self.values


def _cookie_value(url: str) -> int:
    return url_key(url) >> (KEY_BITS - _COOKIE_BITS)


def read_cookie(cookies: bytes, now: float, *, name: str = COOKIE_NAME) -> ClientSet | None:
    """Our set in a request's `Cookie` field.

    Returns:
        None where it has none, or one that we did not write so, or that has ended.
    """
    text = _find_cookie(cookies, name.encode("ascii"))
    found = _COOKIE_VALUE.fullmatch(text) if len(text) <= _MAX_COOKIE_VALUE else None
    if found is None:
        return None
    expires, value = int(found[1], 16), from_base64url(found[2])
    if not now < expires * _MINUTE <= now + MAX_COOKIE_LIFETIME or value is None:
        return None
    digest = decode(value, max_keys=MAX_COOKIE_ASSETS)
    if digest is None or digest.bits != _COOKIE_BITS:
        return None
    return ClientSet(expires, digest.values)


def _find_cookie(cookies: bytes, name: bytes) -> bytes:
    if name not in cookies:
        return b""
    for crumb in cookies.split(b";"):
        key, _, value = crumb.strip().partition(b"=")
        if key == name:
            return value
    return b""


def grown(old: ClientSet | None, had: Iterable[tuple[str, float]], now: float) -> ClientSet | None:
    """Return the set with the assets given to the client since; None if it has not grown.

    Args:
        old: The result of `read_cookie`.
        had: Absolute URLs and, in seconds, how long each stays fresh.
    """
    lifetimes = {_cookie_value(url): life for url, life in had if life >= MIN_COOKIE_LIFETIME}
    new = {value: life for value, life in lifetimes.items() if not (old and value in old.values)}
    if not new:
        return None
    if old is not None and len(old.values) + len(new) > MAX_COOKIE_ASSETS:
        old = None
    kept = list(new)[:MAX_COOKIE_ASSETS]
    lifetime = min(MAX_COOKIE_LIFETIME, *(new[value] for value in kept))
    expires = int(now + lifetime) // _MINUTE
    if old is None:
        return ClientSet(expires, frozenset(kept))
    return ClientSet(min(old.expires, expires), old.values.union(kept))


def set_cookie(
    client_set: ClientSet, now: float, *, secure: bool, name: str = COOKIE_NAME
) -> bytes:
    """Return the value of a `Set-Cookie` header, at most 1 KB.

    Args:
        secure: The page came over https.
    """
    n_bits = max(len(client_set.values), 1).bit_length() - 1
    text = to_base64url(pack(client_set.values, n_bits, _COOKIE_BITS - n_bits)).decode("ascii")
    age = max(client_set.expires * _MINUTE - int(now), 0)
    value = f"{name}={client_set.expires:x}.{text}; Max-Age={age}; Path=/; SameSite=Lax; HttpOnly"
    return (value + "; Secure" if secure else value).encode("ascii")


_REUSABLE = frozenset({b"cache-control", b"expires", b"last-modified", b"etag"})


def may_carry_cookie(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return true if the response reaches only its client, so that it may set a cookie.

    Shared caches keep a Set-Cookie along with its response (RFC 9111, 7.3). So: either it says
    `private` or `no-store`, or nothing in it lets a cache use it twice (RFC 9111, 4.2.2).

    Args:
        headers: Of the response, names in any case.
    """
    fields = [
        (lower, value.lower()) for name, value in headers if (lower := name.lower()) in _REUSABLE
    ]
    if not fields:
        return True
    directives = b",".join(value for name, value in fields if name == b"cache-control").split(b",")
    names = {directive.strip() for directive in directives}
    return b"private" in names or b"no-store" in names


@dataclass(slots=True)
class Seen:
    """The assets that one client has, at one request.

    Attributes:
        memory: Of its connection.
        origin: Scheme and authority of the page, `https://example.com`.
        digests: From its `Cache-Digest`.
        cookie: From our cookie; not asked where the digests say that they are complete.
    """

    memory: Memory = field(default_factory=Memory)
    origin: str = ""
    digests: Digests = NO_DIGESTS
    cookie: ClientSet | None = None

    def why_each(self, urls: Iterable[str]) -> list[Refusal | None]:
        """Why each URL, path and query, need not be sent; None where the client seems to lack it.

        All at once, since it is asked for every candidate of every page.
        """
        hashes, had = self.memory.hashes, Refusal.ALREADY_SENT
        if not self.digests and self.cookie is None:
            return [had if hash(url) in hashes else None for url in urls]
        return [had if hash(url) in hashes else self._told(self.origin + url) for url in urls]

    def _told(self, url: str) -> Refusal | None:
        """Return true if the client itself says that it has the absolute URL."""
        if self.digests.has(url):
            return Refusal.IN_DIGEST
        if self.cookie is not None and not self.digests.complete and self.cookie.has(url):
            return Refusal.IN_COOKIE
        return None
