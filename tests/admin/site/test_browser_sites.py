"""The admin port in Chromium: two sites of one server, a token, and a keyboard without a mouse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from itertools import count
from typing import Any

import pytest

from tests.admin.asked import administered
from tests.admin.site.shop import ASSETS, SCRIPT, STYLE, Visitors
from tests.admin.site.test_browser import Page
from tests.clients.chromium import Browser, Tab, cleartext_chromium
from tests.peers import peer
from tests.server.live import PATIENCE, until

TOKEN = "a-token-of-some-length"
SHOP, BOOKS = "http://localhost", "http://books.test"
COVER = "/cover.css"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with cleartext_chromium(peer("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The admin port, on all addresses, of a server with two sites that were visited."""
    folder = tmp_path_factory.mktemp("admin")
    (folder / "token").write_text(TOKEN)
    listening = ("--admin", "0.0.0.0:0", "--admin-token-file", str(folder / "token"))
    store = ("--store", str(folder / "learned.sqlite3"), "--learn-control-share", "0")
    app = "tests.admin.site.shop:app"
    with administered(app, *listening, *store, "--no-access-log") as (server, address):
        visitors = Visitors(server.port)
        until(lambda: set(ASSETS) <= set(visitors.visit().promised), "the shop", seldom=True)
        numbers = count(1)
        until(lambda: COVER in _visit_books(server.port, next(numbers)), "books", seldom=True)
        yield "http://127.0.0.1:" + address.rpartition(":")[2]


def _visit_books(port: int, number: int) -> str:
    """Visit the other site over HTTP/1.1 as a new client; return the Link header of its page."""
    source = (f"127.0.9.{number}", 0)
    client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE, source_address=source)
    with closing(client):
        client.request("GET", "/", headers={"Host": "books.test", "Accept": "text/html"})
        page = client.getresponse()
        page.read()
        named = {"Host": "books.test", "Referer": BOOKS + "/"}
        client.request("GET", COVER, headers=named)
        client.getresponse().read()
    return page.headers.get("Link", "")


class Prompt:
    """A person whom the browser asks for a name and a password; tries these passwords in turn."""

    def __init__(self, tab: Tab, *passwords: str) -> None:
        self._tab = tab
        self._passwords = list(passwords)
        self._seen = 0
        self.asked = 0
        tab.call("Fetch.enable", handleAuthRequests=True, patterns=[{"urlPattern": "*"}])

    def open(self, url: str) -> str:
        """Go to a page, answer all that is asked, and return what the page says in the end."""
        self._tab.run(f"void setTimeout(() => location = {url!r})")
        self._tab.until(self._has_loaded)
        text: str = self._tab.run("document.body.innerText")
        return text

    def _has_loaded(self) -> bool:
        while self._seen < len(self._tab.events):
            event = self._tab.events[self._seen]
            self._seen += 1
            if event["method"] == "Fetch.requestPaused":
                self._go_on("continueRequest", event)
            elif event["method"] == "Fetch.authRequired":
                self.asked += 1
                self._go_on("continueWithAuth", event, authChallengeResponse=self._answer())
            elif event["method"] == "Page.loadEventFired":
                return True
        return False

    def _answer(self) -> dict[str, str]:
        if not self._passwords:
            return {"response": "CancelAuth"}
        password = self._passwords.pop(0)
        return {"response": "ProvideCredentials", "username": "me", "password": password}

    def _go_on(self, method: str, event: dict[str, Any], **more: Any) -> None:
        self._tab.call(f"Fetch.{method}", requestId=event["params"]["requestId"], **more)


def test_browser_asks_for_the_token_until_it_is_right(admin: str, browser: Browser) -> None:
    tab = Tab(browser)
    prompt = Prompt(tab, "wrong", TOKEN)

    shown = prompt.open(admin + "/")

    assert "Got something ahead" in shown
    assert prompt.asked == 2
    tab.leave()


def test_person_without_the_token_sees_nothing_but_that_it_is_missing(
    admin: str, browser: Browser
) -> None:
    tab = Tab(browser)
    prompt = Prompt(tab)

    shown = prompt.open(admin + "/")

    assert shown.strip() == "The token is missing or wrong. Send it as the password."
    tab.leave()


def _opened(admin: str, browser: Browser, path: str) -> Page:
    """Open a page as a browser that knows the token."""
    return Page(Tab(browser), admin.replace("//", f"//me:{TOKEN}@"), path, 1280, False)


def test_each_site_is_chosen_and_shown_alone_with_the_keyboard(
    admin: str, browser: Browser
) -> None:
    page = _opened(admin, browser, "/")
    for origin, assets, others in ((BOOKS, [COVER], ASSETS), (SHOP, ASSETS, [COVER])):
        page.tab_to(origin)
        page.submit()
        assert page.tab.run("document.querySelector('h1').textContent") == origin
        page.tab_to("Pages")
        page.submit()
        for _ in range(60):
            if page.focus == "/":
                break
            page.press("Tab")
        page.submit()
        page.until_says("Always send this asset with the page")

        assert all(asset in page.text for asset in assets)
        assert not any(asset in page.text for asset in others)
    page.tab.leave()


def test_order_given_with_the_keyboard_holds_for_its_site_alone(
    admin: str, browser: Browser
) -> None:
    page = _opened(admin, browser, f"/page?site={BOOKS}&path=/")
    page.tab_to("asset")
    page.write("/read.css")
    page.submit()
    page.until_says("It is always sent with this page from now on.")
    books = page.text
    page.tab.load(f"{page.base}/page?site={SHOP}&path=/")

    assert "/read.css" in books
    assert "/read.css" not in page.text
    assert STYLE in page.text
    assert SCRIPT in page.text
    page.tab.leave()
