"""The stored responses of one process: bounded in bytes, least recently used out first.

Pure; owned by `middleware`, read by `control`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from headstart.cache.policy import Fields, Freshness
from headstart.cache.requests import CachedRequest, Key

# What Python's objects take beside the bytes: an entry, its lists, its place in the index.
_OVERHEAD = 1024
_FIELD_OVERHEAD = 120
# Variants of one URL: a site that varies by User-Agent would fill the cache with one page.
_MAX_VARIANTS = 16


@dataclass(slots=True, eq=False, weakref_slot=True)
class Entry:
    """One stored response.

    Attributes:
        status: Final.
        fields: Without Age.
        body: Whole.
        vary: Names of request fields that it depends on.
        selecting: The values that those had.
        freshness: How long it may be used.
        received: When it came, or was last confirmed, in seconds since 1970.
        etag: Its validator, or b"".
        modified: Its Last-Modified, or b"".
        hits: How often it was the answer.
        shown: It has been a whole response to a GET as it is now, so that the middleware around the
            cache has seen it.
        head: The server's header section for it, and how long that holds.
        is_kept: It is in the cache.
        size: Bytes that it takes in the cache.
        stale_at: Until when it is fresh, in seconds since 1970.
    """

    status: int
    fields: Fields
    body: bytes
    vary: tuple[bytes, ...]
    selecting: tuple[bytes, ...]
    freshness: Freshness
    received: float
    etag: bytes = b""
    modified: bytes = b""
    hits: int = 0
    shown: bool = False
    head: object = None
    is_kept: bool = field(init=False, default=False)
    size: int = field(init=False)
    stale_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.stale_at = self.received + self.freshness.lifetime - self.freshness.age
        length = sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in self.fields)
        self.size = _OVERHEAD + length + len(self.body) + sum(map(len, self.selecting))

    def age(self, now: float) -> float:
        """Return its age in seconds (RFC 9111, 4.2.3)."""
        return max(0.0, now - self.received) + self.freshness.age

    def left(self, now: float) -> float:
        """Return for how many seconds it is still fresh; below 0 if it is stale."""
        return self.freshness.lifetime - self.age(now)


class Memory:
    """Entries by key.

    Args:
        size: Bytes that all entries may take together.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self._entries: OrderedDict[Key, list[Entry]] = OrderedDict()

    def find(self, request: CachedRequest, key: Key | None = None) -> Entry | None:
        """Return the entry that Vary selects for the request, fresh or not.

        Args:
            key: Of the same request with another target; the request's own without it.
        """
        if key is None:
            key = request.key
        entries = self._entries
        variants = entries.get(key)
        if variants is None:
            return None
        entries.move_to_end(key)
        for entry in variants:
            if not entry.vary or request.selecting(entry.vary) == entry.selecting:
                return entry
        return None

    def has(self, key: Key) -> bool:
        """Return whether any variant is stored."""
        return key in self._entries

    def put(self, key: Key, entry: Entry) -> None:
        """Store an entry in place of the one that the same request would find."""
        if entry.size > self.size:
            return
        variants = self._entries.setdefault(key, [])
        self._entries.move_to_end(key)
        gone = [old for old in variants if old.vary != entry.vary]  # Vary has changed
        gone += [old for old in variants if old not in gone and old.selecting == entry.selecting]
        kept = [old for old in variants if old not in gone]
        while len(kept) >= _MAX_VARIANTS:
            gone.append(kept.pop(0))
        for old in gone:
            old.is_kept = False
        variants[:] = [*kept, entry]
        entry.is_kept = True
        self.used += entry.size + _length(key) - sum(old.size + _length(key) for old in gone)
        while self.used > self.size:
            self._evict()

    def _evict(self) -> None:
        key, variants = next(iter(self._entries.items()))
        entry = variants.pop(0)
        entry.is_kept = False
        self.used -= entry.size + _length(key)
        if not variants:
            del self._entries[key]

    def remove(self, key: Key) -> int:
        """Forget all variants; returns how many there were."""
        variants = self._entries.pop(key, [])
        for entry in variants:
            entry.is_kept = False
            self.used -= entry.size + _length(key)
        return len(variants)

    def drop(self, key: Key, entry: Entry) -> None:
        """Forget one entry."""
        variants = self._entries.get(key, [])
        if entry in variants:
            variants.remove(entry)
            entry.is_kept = False
            self.used -= entry.size + _length(key)
            if not variants:
                del self._entries[key]

    def __iter__(self) -> Iterator[tuple[Key, Entry]]:
        """All entries, the least recently used first."""
        for key, variants in list(self._entries.items()):
            for entry in variants:
                yield key, entry


def _length(key: Key) -> int:
    """Bytes of a key; a client chooses each part of it."""
    return len(key[1]) + len(key[2]) + len(key[3])
