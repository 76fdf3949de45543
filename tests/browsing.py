"""Pages that wait for what their 103 named, and visitors to them with Debian's Chromium or Firefox.

One browser serves all tests of a file. Each test has a site of its own, which nobody has visited,
on a port of its own, and the profiles that it made end with it: so no test sees what the browser
does late for another one, such as a service worker's update or a prefetch. The page of a hinted
view is not answered before the browser has asked for all that its 103 named. The server counts how
often each asset was fetched.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from starlette.requests import Request

from headstart import Link, hint
from headstart.deliver.decide import Way
from tests.clients.chromium import Browser, Load, Tab
from tests.server.apps import Receive, Scope, Send, body, lifespan, start
from tests.server.live import until
from tests.visits import HTML, Found, Visited, visited

# Longer than a browser needs to follow a 103, where it does.
_PATIENCE = 5.0
# Chromium now and then ignores a 103 that comes within two milliseconds of the request.
_TRIES = 8
_CONDITIONS = (b"if-none-match", b"if-modified-since")


class Pages:
    """An application whose pages wait for what their 103 named.

    Attributes:
        found: By path and query.
        choices: By path, what chooses the answer by the fields of the request.
        asked: What was asked for, in order.
        checked: What was asked for by somebody who has it (`If-None-Match` and the like).
        ways: How each asset was sent with the page that was asked for last, as it stood when the
            application was called.
        followed: Before that page was answered, its client had asked for all that a 103 named.
        hints: By path, what the application hints itself.
    """

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.choices: dict[str, Callable[[dict[bytes, bytes]], Found]] = {}
        self.asked: list[str] = []
        self.checked: list[str] = []
        self.ways: dict[str, Way] = {}
        self.followed = False
        self.hints: dict[str, tuple[Link, ...]] = {}
        self._asked = asyncio.Condition()

    def page(self, path: str, html: str, *headers: tuple[bytes, bytes], status: int = 200) -> None:
        """Add a page."""
        content = f"<!doctype html><link rel=icon href=data:,>{html}".encode()
        self.found[path] = Found([*HTML, *headers], status, content)

    def asset(self, path: str, kind: str, content: str = "", **fields: str) -> None:
        """Add an asset with these fields, fresh for ten minutes if they do not say otherwise."""
        named = {name.replace("_", "-").encode(): text.encode() for name, text in fields.items()}
        named = {b"cache-control": b"public, max-age=600"} | named
        head = [(name, value) for name, value in named.items() if value]
        self.found[path] = Found([(b"content-type", kind.encode()), *head], 200, content.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        query = scope["query_string"]
        target = (scope["raw_path"] + (b"?" + query if query else b"")).decode()
        await self._note(target, scope)
        if links := self.hints.get(target):
            request = Request(scope, receive, send)
            await hint(request, *links)
        found = self.found.get(target) or Found([(b"content-type", b"text/plain")], 404)
        if (choice := self.choices.get(target)) is not None:
            found = choice(dict(scope["headers"]))
        if found.headers[: len(HTML)] == HTML:
            decisions = scope.get("headstart.decisions", ())
            self.ways = {decision.candidate.target: decision.way for decision in decisions}
            await self._followed()
            found = _with_nonce(found)
        length = (b"content-length", str(len(found.content)).encode())
        await send(start(found.status, [*found.headers, length]))
        await send(body(found.content))
        return None

    async def _note(self, target: str, scope: Scope) -> None:
        checks = any(name in _CONDITIONS for name, _ in scope["headers"])
        async with self._asked:
            (self.checked if checks else self.asked).append(target)
            self._asked.notify_all()

    async def _followed(self) -> None:
        hinted = {target for target, way in self.ways.items() if way is Way.HINT}
        self.followed = False
        async with self._asked:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._asked.wait_for(lambda: hinted <= set(self.asked))
                    self.followed = True


def _with_nonce(found: Found) -> Found:
    """Return the page with a nonce of its own wherever it says NONCE."""
    nonce = secrets.token_urlsafe().encode()
    headers = [(name, value.replace(b"NONCE", nonce)) for name, value in found.headers]
    return Found(headers, found.status, found.content.replace(b"NONCE", nonce))


class AnyTab(Protocol):
    """A tab in a profile of its own."""

    def load(self, url: str) -> Load:
        """Load a page, and wait for its load event."""

    def leave(self) -> None:
        """End the profile."""


class Visits:
    """The application, its server, and visitors to it."""

    def __init__(self, app: Pages, site: Visited, open_tab: Callable[[], AnyTab]) -> None:
        self.app = app
        self.site = site
        self._open_tab = open_tab

    def url(self, path: str) -> str:
        """The URL of a page."""
        return self.site.live.url + path

    def load(self, page: str, **more: Any) -> Load:
        """Load a page as somebody who has never been there, until the browser heeds its 103."""
        for _ in range(_TRIES):
            self.app.asked.clear()
            self.app.checked.clear()
            before, tab = self._connections, self._open_tab()
            load = tab.load(self.url(page), **more)
            if load.hinted or self.app.followed or Way.HINT not in self.app.ways.values():
                break
            self._leave(tab, before)
        return load

    def _leave(self, tab: AnyTab, connections: int) -> None:
        """End a profile, whose late requests the next try must not be blamed for."""
        tab.leave()
        until(lambda: self._connections <= connections, "the end of the profile's connections")

    @property
    def _connections(self) -> int:
        return len(self.site.live.server.server_state.connections)

    def teach(self, page: str, **more: Any) -> Load:
        """Load a page, and count what the browser asked for."""
        first = self.load(page, **more)
        self.site.later()
        return first


class World(Visits):
    """The application, its server, its visitors, and Chromium.

    Attributes:
        browser: The running Chromium.
        tab: The one of the last load.
    """

    tab: Tab

    def __init__(self, app: Pages, site: Visited, browser: Browser) -> None:
        super().__init__(app, site, self._new_tab)
        self.browser = browser

    def _new_tab(self) -> Tab:
        self.tab = Tab(self.browser)
        return self.tab


@contextmanager
def new_world(browser: Browser, **more: Any) -> Iterator[World]:
    """Serve a site that nobody has visited; the profiles that are made meanwhile end with it."""
    app = Pages()
    with visited(app, tls=True, **more) as site:
        try:
            yield World(app, site, browser)
        finally:
            browser.forget()
