"""The clients of a log as browsers: each has a cache, and connections that end.

`live` asks how a browser reacts to a hint or a push. A browser has each asset that it requested or
was sent for as long as that is fresh. The log overrides that: an asset that the log shows the
browser requesting is one that it lacked, unless something sent ahead has brought it since.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from headstart.replay.loads import PageLoad

DAY = 86_400.0
_Url = tuple[str, str]


@dataclass(slots=True)
class Browser:
    """One client.

    Attributes:
        connection: A number for its connection, which is used for no other.
        last: When it made its last request, in seconds.
        cached: Each URL, as origin and target, that it fetched -> when that becomes stale.
        brought: The same for assets that were sent ahead and not requested since.
        urls: One copy of each URL, for all browsers.
    """

    connection: int = 0
    last: float = float("-inf")
    cached: dict[_Url, float] = field(default_factory=dict)
    brought: dict[_Url, float] = field(default_factory=dict)
    urls: dict[_Url, _Url] = field(default_factory=dict, repr=False)

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
        self.cached[self.urls.setdefault(url, url)] = stale

    def was_sent(self, url: _Url, stale: float) -> None:
        """Record that it was sent a URL and has it until then."""
        url = self.urls.setdefault(url, url)
        self.cached[url] = self.brought[url] = stale


class Browsers:
    """All clients of a log.

    Args:
        idle: Seconds of silence after which a connection ends.
    """

    def __init__(self, idle: float) -> None:
        self._idle = idle
        self._browsers: dict[tuple[str, str], Browser] = {}
        self._connections = 0
        # A log has many clients and few URLs, so a copy for each client would take half of all
        # memory.
        self._urls: dict[_Url, _Url] = {}

    def at(self, client: tuple[str, str], now: float) -> Browser:
        """Return a client that asks for something now, on its connection or on a new one."""
        browser = self._browsers.get(client)
        if browser is None:
            browser = self._browsers[client] = Browser(urls=self._urls)
        if not browser.connection or now - browser.last > self._idle:
            self._connections += 1
            browser.connection = self._connections
        browser.last = now
        return browser
