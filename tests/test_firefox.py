"""Tests of the statements of docs/delivering.md on browsers, with Debian's Firefox.

Firefox says whether a preload was of no use ten seconds after the page. So all pages are visited
first, and last one whose preload is of no use: when Firefox has said so of that page, it has said
of all others whatever it has to say.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from headstart import Link
from headstart.deliver.decide import Way
from tests.browsing import Pages, Visits
from tests.clients.chromium import Load
from tests.clients.firefox import Browser, Tab, firefox
from tests.peers import peer
from tests.server.apps import Headers
from tests.server.live import until
from tests.test_browsers import FAR_AHEAD, GUARDED, LONG_AGO, PIXEL
from tests.visits import Found, visited

CSS, JS = "text/css", "text/javascript"
STALE = {"cache_control": "no-cache"}
UNUSED = "was not used within a few seconds"
# An empty file is not a font, and Firefox says so; that is not about the hint.
NO_FONT = "downloadable font: "


def hash_of(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


@dataclass(frozen=True)
class Asset:
    """An asset of a page: its type, its content, and fields of its response."""

    kind: str
    content: str = ""
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A page with its assets, and how its second visitor is told of them.

    Attributes:
        html: Of the page.
        assets: By path and query.
        hinted: Those that a 103 names.
        linked: Those that the page's own response names.
        more: The page's own fields.
        hints: The assets that the application hints itself.
        status: Of the page.
        unasked: Assets that Firefox does not fetch at all.
        lessons: How often the page is visited before.
    """

    html: str
    assets: dict[str, Asset]
    hinted: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    more: Headers = field(default_factory=list)
    hints: tuple[Link, ...] = ()
    status: int = 200
    unasked: tuple[str, ...] = ()
    lessons: int = 1


LIFETIMES = {
    "/max-age.css": (Way.HINT, {}),
    "/age-of-the-file.css": (Way.HINT, {"cache_control": "", "last_modified": LONG_AGO}),
    "/version.css?ver=6.1.9": (Way.HINT, {"cache_control": "", "last_modified": LONG_AGO}),
    "/no-cache-with-etag.css": (Way.LINK, {"etag": '"1"'} | STALE),
    "/no-cache-with-last-modified.css": (Way.LINK, {"last_modified": LONG_AGO} | STALE),
    "/etag-alone.css": (Way.LINK, {"cache_control": "", "etag": '"1"'}),
    "/new-file.css": (Way.LINK, {"cache_control": "", "last_modified": FAR_AHEAD}),
    "/nothing.css": (Way.LINK, {"cache_control": ""}),
    "/version-alone.css?v=1": (Way.LINK, {"cache_control": ""}),
}
ELEMENTS = {
    f"<link rel=stylesheet href=/signed.css integrity={hash_of('p {}')}>": {
        "/signed.css": Asset(CSS, "p {}")
    },
    f"<script src=/signed.js integrity={hash_of('0')}></script>": {"/signed.js": Asset(JS, "0")},
    "<script type=module src=/module.js></script>": {
        "/module.js": Asset(JS, "import '/imported.js'"),
        "/imported.js": Asset(JS),
    },
    "<link rel=stylesheet href=/face.css><p>text": {
        "/face.css": Asset(CSS, "@font-face { font-family: f; src: url(/f.woff2) }"
        "p { font-family: f }"),
        "/f.woff2": Asset("font/woff2"),
    },
}  # fmt: skip
CHOICES = {
    "<link rel=stylesheet href=/wide.css media='(min-width: 1px)'>": {"/wide.css": Asset(CSS)},
    "<img src=/1.png srcset='/1.png 1x, /2.png 2x'>": {"/1.png": Asset("image/png", PIXEL)},
}


def assets_of(elements: dict[str, dict[str, Asset]]) -> dict[str, Asset]:
    return {path: asset for assets in elements.values() for path, asset in assets.items()}


FRESH_ONES, CHOSEN = assets_of(ELEMENTS), assets_of(CHOICES)
RULES = '<script type=speculationrules>{"prefetch": [{"urls": ["/next/"]}]}</script>'
CASES = {
    "lifetimes": Case(
        "".join(f"<link rel=stylesheet href={path}>" for path in LIFETIMES),
        {path: Asset(CSS, "p {}", fields) for path, (_, fields) in LIFETIMES.items()},
        tuple(path for path, (way, _) in LIFETIMES.items() if way is Way.HINT),
        tuple(path for path, (way, _) in LIFETIMES.items() if way is Way.LINK),
        lessons=2,
    ),
    "elements": Case(
        "".join((*ELEMENTS, *CHOICES, RULES)),
        {**FRESH_ONES, **CHOSEN, "/2.png": Asset("image/png", PIXEL), "/next/": Asset(CSS)},
        hinted=tuple(FRESH_ONES),
        linked=tuple(CHOSEN),
        unasked=("/2.png", "/next/"),
    ),
    "elements-whose-assets-are-not-fresh": Case(
        "".join(ELEMENTS),
        {path: Asset(one.kind, one.content, STALE) for path, one in FRESH_ONES.items()},
        linked=tuple(FRESH_ONES),
    ),
    "nonce": Case(
        "<link rel=stylesheet nonce=NONCE href=/n.css><script nonce=NONCE src=/n.js></script>",
        {"/n.css": Asset(CSS), "/n.js": Asset(JS, "", STALE)},
        linked=("/n.css", "/n.js"),
        more=[(b"content-security-policy", GUARDED.encode())],
    ),
    "application": Case(
        "<link rel=stylesheet href=/told.css><script src=/learned.js></script>"
        "<link rel=stylesheet href=/own.css>",
        {"/told.css": Asset(CSS), "/learned.js": Asset(JS), "/own.css": Asset(CSS, "", STALE)},
        hinted=("/learned.js",),
        linked=("/own.css",),
        more=[(b"link", b"</own.css>; rel=preload; as=style")],
        hints=(Link("/told.css", as_="style"),),
    ),
    "icon": Case(
        "<!doctype html><link rel=icon href=/favicon.ico><link rel=stylesheet href=/a.css>",
        {"/a.css": Asset(CSS), "/favicon.ico": Asset("image/x-icon", PIXEL)},
        hinted=("/a.css",),
    ),
    "inline-module": Case(
        "<link rel=modulepreload href=/imp.js><script type=module>import '/imp.js'</script>",
        {"/imp.js": Asset(JS, "", STALE)},
        linked=("/imp.js",),
    ),
    "not-found": Case(
        "<link rel=stylesheet href=/gone.css>", {"/gone.css": Asset(CSS)}, status=404
    ),
}


@dataclass
class Visit:
    """The requests of the second visitor of a page, long after it had loaded.

    Attributes:
        asked: How often each URL was asked for.
        checked: What it asked about (`If-None-Match` and the like).
        ways: How each asset was named.
        followed: It had asked for all that the 103 names before the page was answered.
        load: What the browser says.
        complaints: The console.
    """

    asked: Counter[str]
    checked: list[str]
    ways: dict[str, Way]
    followed: bool
    load: Load
    complaints: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with firefox(peer("firefox-esr"), peer("certutil")) as browser:
        yield browser


@contextmanager
def new_site(browser: Browser) -> Iterator[Visits]:
    """Serve a site that nobody has visited."""
    app = Pages()
    with visited(app, tls=True) as site:
        yield Visits(app, site, browser.tab)


def prepare(site: Visits, case: Case) -> None:
    """Serve a case's page at `/page/`, and let visitors teach the server."""
    site.app.page("/page/", case.html, *case.more, status=case.status)
    if "rel=icon" in case.html:
        site.app.found["/page/"].content = case.html.encode()
    for path, asset in case.assets.items():
        site.app.asset(path, asset.kind, asset.content, **asset.fields)
    if case.hints:
        site.app.hints["/page/"] = case.hints
    for _ in range(case.lessons):
        site.load("/page/")
        fetched(site, case)
        site.site.later()


def fetched(site: Visits, case: Case) -> None:
    """Wait until all is fetched; a font or an icon may come after the load event."""
    wanted = set(case.assets) - set(case.unasked)
    until(lambda: wanted <= {*site.app.asked, *site.app.checked}, f"{wanted}")


@pytest.fixture(scope="module")
def visits(browser: Browser) -> Iterator[dict[str, Visit]]:
    """The second visit of each case's page, when Firefox has said all that it has to say."""
    with ExitStack() as open_sites:
        sites, loads = {}, {}
        for name, case in CASES.items():
            sites[name] = site = open_sites.enter_context(new_site(browser))
            prepare(site, case)
            loads[name] = site.load("/page/")
            fetched(site, case)
        last = open_sites.enter_context(new_site(browser))
        last.app.page("/page/", "<link rel=preload as=style href=/unused.css>")
        last.app.asset("/unused.css", CSS)
        last.load("/page/")
        until(lambda: UNUSED in "".join(browser.console(last.url("/page/"))), "the complaint")

        yield {
            name: Visit(
                Counter(site.app.asked),
                site.app.checked,
                site.app.ways,
                site.app.followed,
                loads[name],
                browser.console(site.url("/page/")),
            )
            for name, site in sites.items()
        }
        browser.forget()


@pytest.mark.parametrize("name", CASES)
def test_firefox_fetches_each_asset_that_it_is_told_of_once_and_uses_it(
    visits: dict[str, Visit], name: str
) -> None:
    case, visit = CASES[name], visits[name]
    hinted = [path for path, way in visit.ways.items() if way is Way.HINT]
    wanted = set(case.assets) - set(case.unasked)

    assert visit.load.status == case.status
    assert sorted(hinted) == sorted(case.hinted)
    assert visit.followed
    assert sorted(link.target for link in visit.load.linked) == sorted(case.linked)
    assert visit.asked == Counter({"/page/", *wanted})
    assert visit.checked == []
    assert [text for text in visit.complaints if not text.startswith(NO_FONT)] == []


def test_links_that_firefox_gets_carry_the_nonce_of_the_response(visits: dict[str, Visit]) -> None:
    assert all(link.get("nonce") for link in visits["nonce"].load.linked)


def test_module_that_another_one_imports_is_named_as_a_module(visits: dict[str, Visit]) -> None:
    links = visits["elements-whose-assets-are-not-fresh"].load.linked
    modules = {link.target for link in links if link.get("rel") == "modulepreload"}

    assert modules == {"/module.js", "/imported.js"}


def test_import_of_an_inline_module_is_named_as_a_module_if_the_page_says_so(
    visits: dict[str, Visit],
) -> None:
    links = visits["inline-module"].load.linked

    assert [(link.target, link.get("rel")) for link in links] == [("/imp.js", "modulepreload")]


def test_firefox_behind_a_service_worker_fetches_nothing_twice(browser: Browser) -> None:
    worker = "onfetch = event => event.respondWith(fetch(event.request))"
    with new_site(browser) as site:
        site.app.page("/page/", "<link rel=stylesheet href=/a.css>")
        site.app.asset("/a.css", CSS)
        site.app.asset("/page/sw.js", JS, worker)
        site.teach("/page/")
        tab = Tab(browser)
        tab.load(site.url("/page/"))
        tab.run(
            "navigator.serviceWorker.register('sw.js').then(() => navigator.serviceWorker.ready)"
            ".then(() => 0)"
        )
        site.app.asked.clear()

        load = tab.load(site.url("/page/"))
        asked = Counter(site.app.asked)

    assert load.console == []
    assert (asked["/page/"], asked["/a.css"]) == (1, 0)


def test_firefox_is_led_by_a_redirect_to_a_page_whose_assets_it_fetches_once(
    browser: Browser,
) -> None:
    with new_site(browser) as site:
        site.app.page("/new/", "<link rel=stylesheet href=/a.css>")
        site.app.asset("/a.css", CSS)
        site.app.found["/old/"] = Found([(b"location", b"/new/")], 302, b"")
        site.teach("/old/")

        load = site.load("/old/")

    assert load.status == 200
    assert Counter(site.app.asked) == Counter({"/old/": 1, "/new/": 1, "/a.css": 1})


def test_frame_in_firefox_gets_link_fields_which_it_follows_once(browser: Browser) -> None:
    with new_site(browser) as site:
        site.app.page("/outer/", "<iframe src=/inner/></iframe>")
        site.app.page("/inner/", "<link rel=stylesheet href=/in.css>")
        site.app.asset("/in.css", CSS)
        site.teach("/outer/")

        site.load("/outer/")
        ways = site.app.ways

    assert ways == {"/in.css": Way.LINK}
    assert Counter(site.app.asked) == Counter({"/outer/": 1, "/inner/": 1, "/in.css": 1})


def test_page_that_firefox_prefetches_is_no_view(browser: Browser) -> None:
    with new_site(browser) as site:
        site.app.page("/here/", "<link rel=prefetch href=/next/>")
        site.app.page("/next/", "<link rel=stylesheet href=/a.css>")
        site.app.asset("/a.css", CSS)
        site.load("/here/")
        until(lambda: "/next/" in site.app.asked, "the prefetch")
        site.site.later()

    assert site.site.middleware.counters.views == 1


def test_firefox_is_told_of_the_new_assets_alone_after_a_deployment(browser: Browser) -> None:
    old, new = "/winter.css", "/summer.css"
    with new_site(browser) as site:
        for path in (old, new):
            site.app.asset(path, CSS)
        site.app.page("/page/", f"<link rel=stylesheet href={old}>")
        site.teach("/page/")
        site.app.page("/page/", f"<link rel=stylesheet href={new}>")
        site.teach("/page/")

        site.load("/page/")

    assert site.app.ways == {new: Way.HINT}
    assert Counter(site.app.asked) == Counter({"/page/": 1, new: 1})
