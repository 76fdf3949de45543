"""What the learner is measured against: Jetty's filter, and sending everything ever seen.

Read by `replay`. `JettyFilter` does what PushCacheFilter of Jetty 11 and 12 does, as far as a log
shows it: the window of a page opens at its first request ever, whoever made it, and never again;
what a GET with a Referer of that path on the same host asks for within it is associated, of any
type and any status, up to 17 of them; a page that is not asked for conditionally gets all of them,
and what is associated to those.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from urllib.parse import urlsplit

from headstart.learn.logs import LogLine
from headstart.learn.urls import path_of

_MAX_ASSOCIATIONS = 16


class JettyFilter:
    """PushCacheFilter with its associatePeriod in seconds (4 by default there; 2 in its first
    version)."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._opened: dict[tuple[str, str], float] = {}
        self._associated: dict[tuple[str, str], dict[str, None]] = {}

    def take(self, line: LogLine) -> Collection[str]:
        """What it pushes with this request; then it has learned from it."""
        request = line.exchange.request
        if request.method != "GET":
            return ()
        path = path_of(request.target)
        conditional = line.exchange.answer.status == 304
        if request.referer and not conditional:
            self._associate(line, path)
        self._opened.setdefault((request.origin, path), line.time)
        return () if conditional else self._pushed(request.origin, path)

    def _associate(self, line: LogLine, path: str) -> None:
        origin = line.exchange.request.origin
        page = _path_on(line.exchange.request.referer, origin)
        opened = self._opened.get((origin, page))
        if opened is None or page == path or line.time - opened >= self._period:
            return
        associated = self._associated.setdefault((origin, page), {})
        if len(associated) <= _MAX_ASSOCIATIONS:
            associated[path] = None

    def _pushed(self, origin: str, path: str) -> Collection[str]:
        found: dict[str, None] = {}
        queue = deque([path])
        while queue:
            for child in self._associated.get((origin, queue.popleft()), ()):
                if child not in found:
                    found[child] = None
                    queue.append(child)
        return found


class Everything:
    """Sends with a page all that was ever asked for with it."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], dict[str, None]] = {}

    def take(self, line: LogLine) -> Collection[str]:
        """What it sends with this page."""
        if line.exchange.answer.status == 304:
            return ()
        request = line.exchange.request
        return tuple(self._seen.get((request.origin, path_of(request.target)), ()))

    def learn(self, origin: str, path: str, target: str) -> None:
        """An asset was asked for with a page."""
        self._seen.setdefault((origin, path), {})[target] = None


def _path_on(referer: str, origin: str) -> str:
    return urlsplit(referer).path or "/" if referer.startswith(origin + "/") else ""
