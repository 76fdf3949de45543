"""The pages of the admin port in Chromium, beside a real server with two processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.admin.asked import administered
from tests.admin.site.shop import ASSETS, HOSTILE, LONG, OTHER, SCRIPT, STYLE, Visitors
from tests.clients.chromium import Browser, Tab, cleartext_chromium
from tests.peers import peer
from tests.server.live import ServerProcess, until

SITE = "http://localhost"
PLACES = ("/", "/pages", "/page?path=/", f"/page?path={LONG}", "/loads", "/server")
_KEYS = {"Tab": 9, "Enter": 13, " ": 32}


@dataclass
class World:
    """A server whose site was visited, its admin port and a browser."""

    server: ServerProcess
    admin: str
    visitors: Visitors
    browser: Browser

    def open(self, path: str, *, width: int = 1280, dark: bool = False) -> Page:
        """Open a page of the admin port in a tab."""
        return Page(Tab(self.browser), f"http://{self.admin}", path, width, dark)


class Page:
    """A page of the admin port in a tab."""

    def __init__(self, tab: Tab, base: str, path: str, width: int, dark: bool) -> None:
        self.tab = tab
        self.base = base
        tab.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        self.load = tab.load(base + path)

    def close(self) -> None:
        self.tab.call("Page.close")

    @property
    def text(self) -> str:
        text: str = self.tab.run("document.body.innerText")
        return text

    def until_says(self, text: str) -> None:
        until(lambda: text in self.text, f"{text!r} on the page")

    @property
    def requested(self) -> set[str]:
        """The origins of all requests that the page made."""
        events = [
            e["params"] for e in self.tab.events if e["method"] == "Network.requestWillBeSent"
        ]
        return {"/".join(event["request"]["url"].split("/")[:3]) for event in events}

    @property
    def complaints(self) -> list[str]:
        """What the console says; violations of the policy are among it."""
        entries = [e["params"]["entry"] for e in self.tab.events if e["method"] == "Log.entryAdded"]
        return [entry["text"] for entry in entries]

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        given: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        kind = "keyDown" if text else "rawKeyDown"
        self.tab.call("Input.dispatchKeyEvent", type=kind, text=text, **given)
        self.tab.call("Input.dispatchKeyEvent", type="keyUp", **given)

    def submit(self) -> None:
        """Press Enter, and wait for the page that it leads to."""
        before = len(self.tab.events)
        self.press("Enter")
        self.tab.until(
            lambda: any(e["method"] == "Page.loadEventFired" for e in self.tab.events[before:])
        )

    def write(self, text: str) -> None:
        self.tab.call("Input.insertText", text=text)

    @property
    def focus(self) -> str:
        """The accessible name of the element that has the focus, about."""
        name: str = self.tab.run(
            "(e => e === document.body ? '' : e.ariaLabel || e.name || e.textContent.trim())"
            "(document.activeElement)"
        )
        return name

    def tab_to(self, name: str) -> None:
        """Press the tabulator until an element of this name has the focus."""
        for _ in range(60):
            if name in self.focus:
                return
            self.press("Tab")
        raise AssertionError(f"{name!r} cannot be reached with the keyboard; last {self.focus!r}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A site that two processes have learned, with a page whose name is an attack."""
    store = tmp_path_factory.mktemp("store") / "learned.sqlite3"
    given = ("--workers", "2", "--store", str(store), "--learn-control-share", "0")
    with (
        cleartext_chromium(peer("chromium")) as browser,
        administered("tests.admin.site.shop:app", *given, "--no-access-log") as (server, admin),
    ):
        visitors = Visitors(server.port)
        visitors.teach()
        for page in (HOSTILE, HOSTILE, LONG, LONG):
            visitors.visit(page, [*ASSETS, f"{LONG}.css"])
        yield World(server, admin, visitors, browser)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PLACES)
def test_page_fits_breaks_no_rule_and_asks_nobody_else(
    world: World, path: str, width: int, dark: bool
) -> None:
    page = world.open(path, width=width, dark=dark)
    page.until_says("Live")

    assert page.load.status == 200
    assert page.tab.run("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    assert page.requested == {page.base}
    ground = page.tab.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) is dark
    page.close()


@pytest.mark.parametrize("path", PLACES)
def test_each_control_has_an_accessible_name(world: World, path: str) -> None:
    page = world.open(path)

    nodes = page.tab.call("Accessibility.getFullAXTree")["nodes"]

    roles = {"button", "link", "textbox", "searchbox", "image", "navigation", "DisclosureTriangle"}
    controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
    assert controls
    assert [node for node in controls if not node.get("name", {}).get("value")] == []
    page.close()


def test_figures_change_while_the_page_is_open(world: World) -> None:
    page = world.open("/")
    page.until_says("Live")
    marked = "window.mark = 1; document.querySelector('#tiles .big').textContent"
    before = int(page.tab.run(marked).replace(",", ""))

    for _ in range(5):
        world.visitors.visit()

    def counted() -> bool:
        now = page.tab.run("document.querySelector('#tiles .big').textContent")
        return int(now.replace(",", "")) >= before + 5

    until(counted, "five views more")
    assert page.tab.run("window.mark") == 1, "the page was loaded anew"
    assert page.requested == {page.base}
    assert page.complaints == []
    page.close()


def test_last_load_is_a_waterfall_of_its_assets_and_their_ways(world: World) -> None:
    world.visitors.visit("/")
    page = world.open("/loads")

    falls = page.tab.run(
        "[...document.querySelectorAll('.fall')].map(f =>"
        " [...f.querySelectorAll('.lines li')].map(l =>"
        " [l.querySelector('.what').textContent, l.querySelector('.way').textContent,"
        "  +l.querySelector('.flow').getAttribute('width') > 0]))"
    )

    assert [["/", "the page", True], [STYLE, "pushed", True], [SCRIPT, "pushed", True]] in falls
    page.close()


def test_order_to_pin_is_obeyed_by_all_processes(world: World) -> None:
    assert all(OTHER not in sent for sent in world.visitors.sent_by("/").values())
    page = world.open("/page?path=/")

    page.tab_to("asset")
    page.write(OTHER)
    page.submit()
    page.until_says("It is always sent with this page from now on.")

    # At once, and not when the store has told them.
    assert all(OTHER in sent for sent in world.visitors.sent_by("/").values())
    assert "pinned" in page.text
    page.close()


def test_orders_never_and_forget_are_obeyed_by_all_processes(world: World) -> None:
    world.visitors.teach("/sale", [*ASSETS, "/old.js"])
    page = world.open("/page?path=/sale")

    page.tab_to("Never send /old.js")
    page.press("Enter")
    page.tab_to("Never send it")
    page.submit()
    page.until_says("It is never sent from now on.")

    assert all("/old.js" not in sent for sent in world.visitors.sent_by("/sale").values())
    assert "you said never" in page.text

    page.tab_to("Forget this page")
    page.press(" ")
    page.tab_to("Forget it")
    page.submit()
    page.until_says("The page is forgotten")
    assert "not known itself" in page.text or "This page is not known" in page.text
    assert page.complaints == []
    page.close()


def test_long_reason_leaves_the_path_of_its_asset_room(world: World) -> None:
    page = world.open("/page?path=/", width=900)

    page.tab.run(
        "document.querySelectorAll('.stack th.path').forEach(c => c.textContent = '/a.css')"
    )
    page.tab.run(
        "document.querySelectorAll('.stack td.all').forEach(c => c.prepend('why '.repeat(60)))"
    )

    widths = "[...document.querySelectorAll('.stack th.path')].map(cell => cell.offsetWidth)"
    assert page.tab.run(f"Math.min(...{widths})") >= 140
    page.close()


def test_order_that_cannot_be_obeyed_says_why(world: World) -> None:
    page = world.open("/page?path=/")

    page.tab_to("asset")
    page.write("/no-asset.html")
    page.submit()
    page.until_says("The order was not obeyed")

    assert "/no-asset.html is not a stylesheet, script, font or image by its name" in page.text
    page.close()


def test_pages_are_found_by_a_part_of_their_path(world: World) -> None:
    world.visitors.teach("/help/contact")
    page = world.open("/pages")

    page.tab_to("Text in the page's path")
    page.write("CONTACT")
    page.submit()
    page.until_says("with “CONTACT”")

    assert page.tab.run("[...document.querySelectorAll('tbody th a')].map(a => a.textContent)") == [
        "/help/contact"
    ]
    page.tab_to("/help/contact")
    page.submit()
    page.until_says("Always send this asset with the page")
    assert STYLE in page.text
    page.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/pages",
        "/loads",
        "/page?path=" + quote(HOSTILE),
        "/pages?q=" + quote("<script>window.hacked=1</script>"),
        "/page?path=" + quote("/'\"><img src=x onerror=window.hacked=1>"),
        "/?site=" + quote('"><script>window.hacked=1</script>'),
        "/pages?site=" + quote("javascript:window.hacked=1"),
        "/page?said=" + quote("<b>") + "&path=" + quote("/\u202e<b>\ud800", errors="surrogatepass"),
    ],
)
def test_hostile_names_are_text(world: World, path: str) -> None:
    page = world.open(path)

    assert page.load.status == 200
    assert page.tab.run("typeof window.hacked") == "undefined"
    assert page.tab.run("document.querySelectorAll('main script, main img, main b').length") == 0
    assert page.tab.run("document.body.textContent.includes('\u202e')") is False
    assert page.complaints == []
    assert page.requested == {page.base}
    page.close()


def test_hostile_page_is_listed_and_can_be_pinned(world: World) -> None:
    page = world.open("/pages?q=" + quote("<SCRIPT>"))
    listed = "[...document.querySelectorAll('tbody th a')].map(a => a.textContent)"
    assert HOSTILE in page.tab.run(listed)

    page.tab_to(HOSTILE)
    page.submit()
    page.until_says("Always send this asset with the page")
    page.tab_to("asset")
    page.write(OTHER)
    page.submit()
    page.until_says("It is always sent with this page from now on.")

    assert all(OTHER in sent for sent in world.visitors.sent_by(HOSTILE).values())
    assert page.tab.run("typeof window.hacked") == "undefined"
    page.close()


def test_all_but_the_updates_works_without_scripts(world: World) -> None:
    tab = Tab(world.browser)
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    page = Page(tab, f"http://{world.admin}", "/page?path=/", 1280, False)

    assert "reload for new figures" in page.text
    page.tab_to("asset")
    page.write("/print.css")
    page.submit()
    page.until_says("It is always sent with this page from now on.")
    assert all("/print.css" in sent for sent in world.visitors.sent_by("/").values())
    page.close()


def test_part_that_is_used_is_not_changed_under_its_user(world: World) -> None:
    page = world.open("/page?path=/")
    page.until_says("Live")
    page.tab_to("Pin /")
    before = page.focus

    page.tab.run(
        "window.fetches = 0; const f = fetch; window.fetch = (...a) => (fetches++, f(...a))"
    )
    world.visitors.visit("/", [*ASSETS, "/more.js"])
    until(lambda: page.tab.run("window.fetches") >= 2, "two updates")

    assert page.focus == before
    page.close()


def test_opened_details_stay_with_their_asset_and_new_ones_come_closed(world: World) -> None:
    world.visitors.teach("/moving", [*ASSETS, "/a-first.js"])
    world.visitors.visit("/moving", ASSETS)
    page = world.open("/page?path=/moving")
    page.until_says("Live")
    page.tab.run(f"document.getElementById('never-{SCRIPT}').open = true")
    before = page.tab.run("document.querySelectorAll('.fall').length")
    assert before

    world.visitors.teach("/moving", [*ASSETS, "/later.js"])
    until(lambda: "/later.js" in page.text, "the new asset")

    opened = "[...document.querySelectorAll('details[open]')].map(one => one.id)"
    rows = f"document.getElementById('never-{SCRIPT}').closest('tr').innerText"
    assert [one for one in page.tab.run(opened) if one.startswith("never-")] == [f"never-{SCRIPT}"]
    assert SCRIPT in page.tab.run(rows)
    assert len(page.tab.run(opened)) <= 2, "the load that was open may have gone"
    page.close()
