"""The clients of a log as browsers: each has a cache, and connections that end.

`live` asks how a browser reacts to a hint or a push. A browser has each asset that it requested or
was sent for as long as that is fresh. The log overrides that: an asset that the log shows the
browser requesting is one that it lacked, unless something sent ahead has brought it since.

A long log has many clients, most of them seen once. So the cache of a browser whose connection has
ended is kept as a few bytes until it comes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from headstart.replay.loads import PageLoad

DAY = 86_400.0
_Url = tuple[str, str]
# How many entries of `cached` come first; then, of each entry, the URL's number and the time.
_COUNT: Final = Struct("<I")
_ENTRY: Final = Struct("<Id")
# Caches that are kept at least before those with nothing fresh in them are looked for.
_FEW: Final = 1000


@dataclass(slots=True)
class Browser:
    """One client.

    Attributes:
        connection: A number for its connection, which is used for no other.
        last: When it made its last request, in seconds.
        cached: Each URL, as origin and target, that it fetched -> when that becomes stale.
        brought: The same for assets that were sent ahead and not requested since.
    """

    connection: int = 0
    last: float = float("-inf")
    cached: dict[_Url, float] = field(default_factory=dict)
    brought: dict[_Url, float] = field(default_factory=dict)

    def has(self, url: _Url, load: PageLoad, now: float) -> bool:
        """Return whether it has a URL when a page load begins, and so ignores a hint."""
        if self.was_brought(url, now):
            return True
        return url[1] not in load.asked and self.cached.get(url, now) > now

    def was_brought(self, url: _Url, now: float) -> bool:
        """Return whether it has a URL because that was sent ahead."""
        return self.brought.get(url, now) > now

    def fetched(self, url: _Url, stale: float) -> None:
        """Record that it requested a URL and has it until then."""
        self.cached[url] = stale

    def was_sent(self, url: _Url, stale: float) -> None:
        """Record that it was sent a URL and has it until then."""
        self.cached[url] = self.brought[url] = stale


class Browsers:
    """All clients of a log.

    Args:
        idle: Seconds of silence after which a connection ends.
    """

    def __init__(self, idle: float) -> None:
        self._idle = idle
        # Those with a connection; the longest silent is the first.
        self._connected: dict[tuple[str, str], Browser] = {}
        # The caches of others, by the hash of the client: two clients of a log with the same one
        # are less likely than a fault of the disk that it is read from.
        self._kept: dict[int, bytes] = {}
        self._most_kept = _FEW
        self._connections = 0
        self._looked = float("-inf")
        self._urls = _Urls()

    def at(self, client: tuple[str, str], now: float) -> Browser:
        """Return a client that asks for something now, on its connection or on a new one."""
        browser = self._connected.pop(client, None)
        if browser is None or now - browser.last > self._idle:
            browser = browser or self._unpacked(self._kept.pop(hash(client), b""))
            self._connections += 1
            browser.connection = self._connections
        browser.last = now
        self._connected[client] = browser
        # Nobody has been silent for longer than a moment ago.
        if now != self._looked:
            self._looked = now
            self._disconnect(now)
        return browser

    def _disconnect(self, now: float) -> None:
        """End the connections of the clients that have been silent for too long."""
        while True:
            client, browser = next(iter(self._connected.items()))
            if now - browser.last <= self._idle:
                break
            del self._connected[client]
            if packed := self._packed(browser, now):
                self._kept[hash(client)] = packed
        if len(self._kept) > self._most_kept:
            self._kept = {key: kept for key, kept in self._kept.items() if _is_fresh(kept, now)}
            self._most_kept = max(_FEW, 2 * len(self._kept))

    def _packed(self, browser: Browser, now: float) -> bytes:
        """Return what is fresh in a browser's cache, b"" if nothing is."""
        cached = self._urls.packed(browser.cached, now)
        brought = self._urls.packed(browser.brought, now)
        return _COUNT.pack(len(cached)) + cached + brought if cached or brought else b""

    def _unpacked(self, packed: bytes) -> Browser:
        if not packed:
            return Browser()
        end = _COUNT.size + _COUNT.unpack_from(packed)[0]
        cached = self._urls.unpacked(packed[_COUNT.size : end])
        return Browser(cached=cached, brought=self._urls.unpacked(packed[end:]))


class _Numbers(dict[_Url, int]):
    """URL -> its number, which it gets when it is asked for.

    Attributes:
        urls: The URLs by their numbers.
    """

    def __init__(self) -> None:
        self.urls: list[_Url] = []

    def __missing__(self, url: _Url) -> int:
        number = self[url] = len(self.urls)
        self.urls.append(url)
        return number


class _Urls:
    """Packs and unpacks caches."""

    def __init__(self) -> None:
        self._numbers = _Numbers()

    def packed(self, times: Mapping[_Url, float], now: float) -> bytes:
        """Return the URLs whose time is not over."""
        numbers, pack = self._numbers, _ENTRY.pack
        return b"".join([pack(numbers[url], time) for url, time in times.items() if time > now])

    def unpacked(self, packed: bytes) -> dict[_Url, float]:
        """Return the URLs with their times."""
        urls = self._numbers.urls
        return {urls[number]: time for number, time in _ENTRY.iter_unpack(packed)}


def _is_fresh(packed: bytes, now: float) -> bool:
    """Return true if the time of any URL is not over."""
    return any(time > now for _, time in _ENTRY.iter_unpack(packed[_COUNT.size :]))
