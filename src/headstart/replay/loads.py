"""Page loads as a log shows them, with what each client really asked for.

A load's *sub-requests* are GETs for stylesheets, scripts, fonts and images by the same client on
the same origin within 10 s, whose Referer is the page or another sub-request of it. Those answered
200 are *real*. One answered 304 was in the client's cache, so sending it would have been waste.

A log does not say what a request was for, and a browser does (Sec-Fetch-Dest). So `Loads` holds
each line back for 10 s, until what follows tells a page from a call of a script (`kind_of_line`).
Pure; `replay` owns one and hands each step to the others.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from mimetypes import guess_type

from headstart.learn import Answer
from headstart.learn.icons import REDIRECTS
from headstart.learn.logs import LogLine
from headstart.learn.safety import kind_of_path, kind_of_type
from headstart.learn.urls import extension, path_of

HORIZON = 10.0
"""Seconds in which a client asks for what counts for a prediction."""

# Extensions of what a script loads, and of what answers as a page; "" is a path without one.
_DATA = frozenset(("json", "xml", "map", "webmanifest", "rss", "atom", "rdf"))
_PAGES = frozenset(
    ("", "html", "htm", "xhtml", "php", "asp", "aspx", "jsp", "jspx", "do", "cgi", "shtml")
)
_HTML = ("text/html", "application/xhtml+xml")
# Feeds by their names, as in /feed/, /?flav=rss20 and /index.rdf.
_FEED = re.compile(r"(?<![a-z])(?:feeds?|rss[0-9]*|atom|rdf)(?![a-z])", re.IGNORECASE)
_TYPES = {"woff2": "font/woff2", "woff": "font/woff", "js": "text/javascript"}
# Referers that are remembered.
_NAMED = 100_000
# Characters of the longest target whose type is remembered.
_SHORT = 256


class LineKind(Enum):
    """What a request was for."""

    PAGE = "page"
    """A navigation to a page, answered 200 or 304."""
    NAVIGATION = "navigation"
    """A navigation to something else: a redirect, an error, a feed, a download."""
    ASSET = "asset"
    """A stylesheet, a script, a font or an image."""
    CALL = "call"
    """A request of a script."""
    OTHER = "other"
    """Not a GET."""


@dataclass(slots=True)
class PageLoad:
    """What may be a page load, and what its client really asked for within the horizon.

    Attributes:
        line: Its first request.
        is_page: It is a page's, as far as that is known.
        names: URLs that a Referer of its sub-requests may have.
        asked: Each asset that the client asked for in that time -> the status of the answer.
        subrequests: Those of them that the page needed.
        real: Those that the client had to wait for, once the horizon is over.
    """

    line: LogLine
    is_page: bool = True
    names: set[str] = field(default_factory=set)
    asked: dict[str, int] = field(default_factory=dict)
    subrequests: dict[str, int] = field(default_factory=dict)
    real: frozenset[str] = frozenset()

    def end(self) -> None:
        """Take that the horizon is over."""
        if self.subrequests:
            self.real = frozenset(
                [target for target, status in self.subrequests.items() if status == 200]
            )


@dataclass(slots=True)
class Step:
    """One line of the log, with what the lines after it tell.

    Attributes:
        line: The request and its answer.
        kind: What the request was for.
        answer: The answer, with the type that its kind and its name stand for if the log has none.
        load: The load that it opened, or None.
        fetches: The client is one that fetches assets.
    """

    line: LogLine
    kind: LineKind
    answer: Answer
    load: PageLoad | None
    fetches: bool


def _typed(answer: Answer, kind: LineKind, target: str) -> Answer:
    """Return an answer with the type that its kind and its name stand for, if it has none."""
    if answer.content_type:
        return answer
    if kind is LineKind.CALL:
        content_type = "application/json"
    elif kind is LineKind.ASSET:
        content_type = type_of(target)
    elif kind is LineKind.PAGE or answer.status != 200:
        content_type = "text/html"
    else:
        content_type = "application/rss+xml" if is_feed(target) else type_of(target)
    # As `_replace`, in a third of the time.
    typed: Answer = tuple.__new__(Answer, (answer.status, content_type, *answer[2:]))
    return typed


_Client = tuple[str, str]
_Waiting = tuple[LogLine, _Client, PageLoad | None, bool, bool]
"""A line, its client, its load, and whether it is for an asset, or named by a page's Referer."""


class Loads:
    """Turns lines into steps, each 10 s of the log's time later."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._live: dict[_Client, deque[PageLoad]] = {}
        # Of the clients' hashes, since a long log has many.
        self._fetching: set[int] = set()
        self._named: dict[int, None] = {}
        # The last of them: the assets of a page come one after the other.
        self._noted = ""

    def take(self, line: LogLine) -> list[Step]:
        """Take a line. Return the steps that are complete now."""
        complete = self.until(line.time - HORIZON)
        load, asset, called = None, is_asset(line), False
        client = client_of(line)
        if asset:
            self._note_asset(line, client)
        elif line.exchange.request.method == "GET":
            called = self._in_live_load(line, client)
            load = self._open(line, client)
        self._waiting.append((line, client, load, asset, called))
        return complete

    def until(self, time: float) -> list[Step]:
        """Return the steps of the lines before that time."""
        waiting, complete = self._waiting, []
        while waiting and waiting[0][0].time < time:
            line, client, load, asset, called = waiting.popleft()
            if load is not None:
                self._close(client, load)
            kind = LineKind.ASSET if asset else self._kind(line, called)
            if load is not None:
                load.is_page = kind is LineKind.PAGE
            answer = _typed(line.exchange.answer, kind, line.exchange.request.target)
            complete.append(Step(line, kind, answer, load, hash(client) in self._fetching))
        return complete

    def _open(self, line: LogLine, client: _Client) -> PageLoad:
        request = line.exchange.request
        load = PageLoad(line, names={request.origin + request.target})
        self._live.setdefault(client, deque()).append(load)
        return load

    def _close(self, client: _Client, load: PageLoad) -> None:
        live = self._live[client]
        live.remove(load)
        load.end()
        if not live:
            del self._live[client]

    def _in_live_load(self, line: LogLine, client: _Client) -> bool:
        """Return whether a page that the client views is the Referer."""
        referer = line.exchange.request.referer
        live = self._live.get(client)
        return live is not None and any(referer in load.names for load in live)

    def _note_asset(self, line: LogLine, client: _Client) -> None:
        request, status = line.exchange.request, line.exchange.answer.status
        if request.referer and request.referer != self._noted:
            self._noted = request.referer
            self._named[hash(path_of(request.referer))] = None
            if len(self._named) > _NAMED:
                del self._named[next(iter(self._named))]
        live = self._live.get(client)
        if live is None:
            return
        origin, target, owned = request.origin, request.target, False
        for load in reversed(live):
            if load.line.exchange.request.origin != origin:
                continue
            load.asked.setdefault(target, status)
            if not owned and request.referer in load.names:
                owned = True
                self._fetching.add(hash(client))
                load.names.add(origin + target)
                load.subrequests.setdefault(target, status)

    def _kind(self, line: LogLine, called: bool) -> LineKind:
        request, answer = line.exchange.request, line.exchange.answer
        if request.method != "GET":
            return LineKind.OTHER
        name = extension(path_of(request.target))
        if name in _DATA:
            return LineKind.CALL if request.referer else LineKind.NAVIGATION
        # A page that a client renders is named by a Referer; a call of a script never is.
        if called and hash(request.origin + path_of(request.target)) not in self._named:
            return LineKind.CALL
        if answer.content_type:
            html = answer.content_type.partition(";")[0].strip().lower() in _HTML
        else:
            html = name in _PAGES and not is_feed(request.target)
        return LineKind.PAGE if html and answer.status in (200, 304) else LineKind.NAVIGATION


def client_of(line: LogLine) -> _Client:
    """Return the client of a line: its address and its user agent."""
    request = line.exchange.request
    return request.address, request.user_agent


def is_asset(line: LogLine) -> bool:
    """Return whether the line asks for a stylesheet, a script, a font or an image."""
    request, answer = line.exchange.request, line.exchange.answer
    if request.method != "GET":
        return False
    if not answer.content_type:
        return kind_of_path(request.target) is not None
    media_type = answer.content_type.partition(";")[0].strip().lower()
    if answer.status in REDIRECTS:
        media_type = ""  # of the text for those who do not go where it leads
    return bool(kind_of_type(media_type) if media_type else kind_of_path(request.target))


def type_of(target: str) -> str:
    """Return the type that a file name stands for."""
    return _type_of_short(target) if len(target) <= _SHORT else _type_of_name(target)


def _type_of_name(target: str) -> str:
    return _type_of_extension(extension(path_of(target)))


_type_of_short = lru_cache(maxsize=4096)(_type_of_name)


@lru_cache(maxsize=256)
def _type_of_extension(name: str) -> str:
    """Return the type of files whose names end so, as guessed by `mimetypes`."""
    return _TYPES.get(name) or guess_type(f"name.{name}")[0] or "application/octet-stream"


def is_feed(target: str) -> bool:
    """Return whether a target names a feed."""
    return _FEED.search(target) is not None
