"""The learner's rivals: Jetty's filter, and sending everything ever seen.

Read by `ideal`. `JettyFilter` behaves like PushCacheFilter of Jetty 11 and 12, as far as a log
shows it. The window of a page opens at its first request ever, by any client, and never again.
GETs within it with a Referer of that path on the same host are associated, of any type and any
status, up to 17 of them. A page that is not requested conditionally gets all of them, and those
associated with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import TypeAlias

from headstart.learn.logs import LogLine
from headstart.learn.urls import path_of

_MAX_ASSOCIATIONS = 16
_Associated: TypeAlias = defaultdict[str, dict[str, dict[str, None]]]
"""By origin: page -> the keys that are associated with it."""


class JettyFilter:
    """PushCacheFilter, with one or more periods side by side.

    Args:
        periods: Its associatePeriod in seconds (4 by default there; 2 in its first version). They
            share the times at which windows open, which do not depend on it.
        query_in_key: Its useQueryInKey: a path with another query is another resource.
    """

    def __init__(self, *periods: float, query_in_key: bool = False) -> None:
        self._longest = max(periods)
        self._query_in_key = query_in_key
        self._last = "", ""
        self._last_window: tuple[str, float | None] = "", None
        self._opened: dict[tuple[str, str], float] = {}
        self._associated: list[tuple[float, _Associated]] = [
            (period, defaultdict(dict)) for period in periods
        ]

    def take(self, line: LogLine) -> list[Collection[str]]:
        """Learn from this request, and return the pushes for it, for each period."""
        self.learn(line)
        request = line.exchange.request
        if request.method != "GET" or line.exchange.answer.status == 304:
            return [()] * len(self._associated)
        origin, page = request.origin, self._key(request.target)
        return [_pushed(associated[origin], page) for _, associated in self._associated]

    def learn(self, line: LogLine) -> None:
        """Learn from this request."""
        request = line.exchange.request
        if request.method != "GET":
            return
        origin, path = request.origin, self._key(request.target)
        if request.referer and line.exchange.answer.status != 304:
            page, opened = self._window_of(request.referer, origin)
            # Most windows have closed long ago.
            if opened is not None and line.time - opened < self._longest and page != path:
                self._associate(origin, page, path, line.time - opened)
        self._opened.setdefault((origin, path), line.time)

    def _associate(self, origin: str, page: str, path: str, age: float) -> None:
        """Associate a key with a page whose window opened so many seconds ago."""
        for period, of_origin in self._associated:
            if age >= period:
                continue
            associated = of_origin[origin].setdefault(page, {})
            if len(associated) <= _MAX_ASSOCIATIONS:
                associated[path] = None

    def _window_of(self, referer: str, origin: str) -> tuple[str, float | None]:
        """Return the page of an origin that a Referer names, or "", and when its window opened."""
        # The assets of a page come one after the other, with one Referer.
        if (referer, origin) == self._last and self._last_window[1] is not None:
            return self._last_window
        page = self._key(referer[len(origin) :]) if referer.startswith(origin) else ""
        page = page if page.startswith("/") else ""
        self._last = referer, origin
        self._last_window = page, self._opened.get((origin, page)) if page else None
        return self._last_window

    def _key(self, target: str) -> str:
        return target if self._query_in_key else path_of(target)


def _pushed(pages: dict[str, dict[str, None]], path: str) -> Collection[str]:
    """Return all that is associated with a page, directly or not."""
    direct = pages.get(path)
    if direct is None or pages.keys().isdisjoint(direct.keys()):
        return direct or ()
    found = dict.fromkeys(direct)
    queue = list(direct)
    for each in queue:
        for child in pages.get(each, ()):
            if child not in found:
                found[child] = None
                queue.append(child)
    return found


class Everything:
    """Sends with a page all that was ever asked for with it."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], dict[str, None]] = {}

    def take(self, line: LogLine) -> Collection[str]:
        """Return the assets that it sends with this page."""
        if line.exchange.answer.status == 304:
            return ()
        request = line.exchange.request
        return self._seen.get((request.origin, path_of(request.target)), ())

    def learn(self, origin: str, path: str, target: str) -> None:
        """Learn that an asset was requested with a page."""
        self._seen.setdefault((origin, path), {})[target] = None
