"""What rum.js reports, beside what Chromium's DevTools say, over a link of 50 ms each way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.relay import DelayingRelay
from headstart.learn import LearnOptions, Report
from headstart.middleware.rum import Rum
from tests.clients.chromium import Browser, Tab, chromium
from tests.middleware.served import NotingStore
from tests.peers import peer
from tests.server.apps import Receive, Scope, Send, body, lifespan, start
from tests.server.live import until
from tests.visits import Visited, visited

_DELAY = 0.05
_THINK = 0.15
_MOST_LOADS = 40
_OF_EACH = 3
_POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:"
)
_HTML = (
    b"<!doctype html><link rel=icon href=data:,><link rel=stylesheet href=/site.css>"
    b"<script src=/.headstart/rum.js defer></script><h1>Everything that there is to see</h1>"
)


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    """A page of one client's own, under a strict policy, and its stylesheet."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["path"] == "/":
        await asyncio.sleep(_THINK)
        fields = [
            (b"content-type", b"text/html"),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", _POLICY),
        ]
        await send(start(200, fields))
        await send(body(_HTML))
        return None
    await send(start(200, [(b"content-type", b"text/css"), (b"cache-control", b"max-age=600")]))
    await send(body(b"h1 { font-size: 5rem }"))
    return None


@contextmanager
def _distant(port: int) -> Iterator[int]:
    """Lead a port to `port`, 50 ms away; each connection comes from an address of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    relay = DelayingRelay(port, _DELAY, [f"127.0.0.{number}" for number in range(2, 250)])
    asyncio.run_coroutine_threadsafe(relay.__aenter__(), loop).result()
    try:
        yield relay.port
    finally:
        asyncio.run_coroutine_threadsafe(relay.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _World:
    """The server, its store, and the browser."""

    def __init__(self, site: Visited, store: NotingStore, browser: Browser, port: int) -> None:
        self.site = site
        self.store = store
        self.browser = browser
        self.url = f"https://localhost:{port}/"

    def reports(self) -> list[Report]:
        """All that browsers reported and that counted."""
        self.site.sync()
        return [record for record in self.store.outbox if isinstance(record, Report)]

    def load(self) -> tuple[str, float, list[str]]:
        """Load the page as a new visitor, and leave it.

        Returns:
            How its assets were sent, its LCP in seconds as DevTools say, and the console.
        """
        tab = Tab(self.browser)
        painted = tab.paints()
        load = tab.load(self.url)
        self.browser.until(lambda: painted)
        way = tab.run(
            "performance.getEntriesByType('navigation')[0].serverTiming"
            ".find(e => e.name == 'headstart').description"
        )
        began = tab.run("performance.timeOrigin") / 1000
        tab.call("Page.navigate", url="about:blank")
        return way, painted[-1] - began, load.console


@pytest.fixture
def world() -> Iterator[_World]:
    store = NotingStore()
    with (
        visited(_app, tls=True, learn=LearnOptions(control_share=2), store=store, rum=True) as site,
        _distant(site.live.port) as port,
        chromium(peer("chromium")) as browser,
    ):
        yield _World(site, store, browser, port)


def _more_than(rum: Rum, answered: int) -> Callable[[], bool]:
    return lambda: rum.counted + rum.refused.total() > answered


def test_the_snippet_reports_the_largest_paint_that_devtools_see(world: _World) -> None:
    rum = world.site.middleware.rum
    assert rum is not None
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for _ in range(_MOST_LOADS):
        answered = rum.counted + rum.refused.total()
        way, painted, console = world.load()
        assert console == []
        if way != "nothing":
            until(_more_than(rum, answered))
            if reports := world.reports():
                [report] = reports
                assert report.lcp is not None
                assert (report.path, report.control) == ("/", way == "control")
                found[report.control].append((report.lcp, painted))
        world.site.later()
        world.store.outbox.clear()
        if min(map(len, found.values())) >= _OF_EACH:
            break

    assert min(map(len, found.values())) >= _OF_EACH
    for reported, painted in found[True] + found[False]:
        assert reported == pytest.approx(painted, rel=0.1)
