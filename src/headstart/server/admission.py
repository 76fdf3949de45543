"""Which connections a worker takes in: so many in all, and so many of one address.

And so many a second of an address that asks for nothing on them: a TLS handshake costs the server
half a millisecond where the client sends the same bytes again and again. Who makes a request on
each, as a proxy without keep-alive does, is not counted.

`protocol.HeadstartProtocol` asks for a slot when a connection comes, before the TLS handshake, and
whoever has the connection in the end gives it back. Changes only its own counts and `Counters`.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Final

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server.addresses import unmapped
from headstart.server.counters import Counters
from headstart.wire.guard import TokenBucket

# Who has one address of IPv6 has a whole network of them.
_NETWORK_BITS: Final = 64
# Connections that may come to nothing at once, in seconds of their rate.
_BURST: Final = 10
# Addresses whose connections came to nothing that are remembered; the oldest are forgotten first.
_REMEMBERED: Final = 10_000


class ConnectionSlot:
    """The place of one connection among those that are allowed."""

    __slots__ = ("_admission", "_key")

    def __init__(self, admission: Admission, key: str | None) -> None:
        self._admission: Admission | None = admission
        self._key = key

    def count_for(self, key: str | None) -> None:
        """Count the connection for a client, which a proxy has named; none was counted before."""
        self._key = key

    def free(self, *, asked: bool = False) -> None:
        """Give the place back when the connection has ended; a second call does nothing.

        Args:
            asked: A request was made on it.
        """
        if self._admission is not None:
            self._admission.freed(self._key, asked)
            self._admission = None


class Admission:
    """Counts a worker's connections.

    Args:
        options: How many there may be.
        counters: Where to count for others.
        is_proxy: Whether an address stands for many clients.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        options: ServerOptions,
        counters: Counters,
        is_proxy: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._most = options.max_connections
        self._most_per_address = options.max_connections_per_address
        self._counters = counters
        self._is_proxy = is_proxy
        self._clock = clock
        self._by_address: Counter[str] = Counter()
        self._unused_rate = options.max_unused_connections
        self._unused: dict[str, TokenBucket] = {}
        """Addresses whose connections came to nothing -> how many more may."""
        self.closed = False
        """Nobody is let in: memory is short."""

    def ask(self, peer: object) -> ConnectionSlot | Closing:
        """Return a place for a new connection, or the reason why it gets none.

        Args:
            peer: As the transport names it: a tuple with the address first, or for a Unix socket
                something else, which counts for the worker only.
        """
        if self.closed:
            return Closing.MEMORY
        if self._counters.open >= self._most:
            return Closing.TOO_MANY_CONNECTIONS
        key = self._key_of(peer)
        refusal = self._take_place(key)
        if refusal is not None:
            return refusal
        self._counters.open += 1
        self._counters.accepted += 1
        return ConnectionSlot(self, key)

    def ask_for(self, slot: ConnectionSlot, client: object) -> Closing | None:
        """Count a proxy's connection for the client that the proxy names, or say why not.

        Args:
            slot: The connection's own.
            client: Its address and port.
        """
        key = self._key_of(client)
        refusal = self._take_place(key)
        if refusal is None:
            slot.count_for(key)
        return refusal

    def _take_place(self, key: str | None) -> Closing | None:
        if key is None:
            return None
        if self._by_address[key] >= self._most_per_address:
            return Closing.ADDRESS_CONNECTIONS
        if key in self._unused and not self._unused[key].has(self._clock()):
            return Closing.ADDRESS_RATE
        self._by_address[key] += 1
        return None

    def freed(self, key: str | None, asked: bool) -> None:
        """Count a place that was given back."""
        self._counters.open -= 1
        if key is not None:
            self._by_address[key] -= 1
            if not self._by_address[key]:
                del self._by_address[key]
            if not asked and self._unused_rate:
                self._came_to_nothing(key)

    def _came_to_nothing(self, key: str) -> None:
        now = self._clock()
        bucket = self._unused.pop(key, None)
        if bucket is None:
            bucket = TokenBucket(_BURST * self._unused_rate, self._unused_rate, now)
        bucket.take(now)
        self._unused[key] = bucket
        if len(self._unused) > _REMEMBERED:
            del self._unused[next(iter(self._unused))]

    def _key_of(self, peer: object) -> str | None:
        if not self._most_per_address or not isinstance(peer, tuple):
            return None
        host = unmapped(str(peer[0]))
        return None if self._is_proxy(host) else _counted_as(host)


def _counted_as(host: str) -> str:
    if ":" not in host:
        return host
    return f"{int(ipaddress.IPv6Address(host)) >> _NETWORK_BITS:x}/64"
