"""Tests of the statements of docs/delivering.md on browsers, each row with Debian's Chromium.

The first visitor of a page teaches the server what the next one is hinted.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headstart import Link
from headstart.deliver.decide import Way
from tests.browsing import World, new_world
from tests.clients.chromium import Browser, Tab, chromium
from tests.peers import peer
from tests.visits import Found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with chromium(peer("chromium")) as browser:
        yield browser


@pytest.fixture
def world(browser: Browser) -> Iterator[World]:
    """A site that nobody has visited, for one test."""
    with new_world(browser) as world:
        yield world


PIXEL = "\x89PNG"
LONG_AGO = "Mon, 01 Jan 2024 00:00:00 GMT"
FAR_AHEAD = "Fri, 01 Jan 2100 00:00:00 GMT"
LIFETIMES: dict[str, tuple[Way | None, dict[str, str]]] = {
    "max-age": (Way.HINT, {"cache_control": "max-age=600"}),
    "age-of-the-file": (Way.HINT, {"cache_control": "", "last_modified": LONG_AGO}),
    "public-and-age": (Way.HINT, {"cache_control": "public", "last_modified": LONG_AGO}),
    "expires": (Way.HINT, {"cache_control": "", "expires": FAR_AHEAD}),
    "varies": (Way.HINT, {"vary": "Accept-Encoding, Accept, Origin"}),
    "no-cache": (Way.LINK, {"cache_control": "no-cache", "etag": '"1"'}),
    "max-age-0": (Way.LINK, {"cache_control": "max-age=0", "etag": '"1"'}),
    "must-revalidate": (
        Way.LINK,
        {"cache_control": "must-revalidate", "last_modified": LONG_AGO},
    ),
    "etag-alone": (Way.LINK, {"cache_control": "", "etag": '"1"'}),
    "stale-while": (
        Way.LINK,
        {"cache_control": "max-age=0, stale-while-revalidate=60", "etag": '"1"'},
    ),
    "new-file": (Way.LINK, {"cache_control": "", "last_modified": FAR_AHEAD}),
    "expired": (Way.LINK, {"cache_control": "", "expires": LONG_AGO, "last_modified": LONG_AGO}),
    "nothing": (Way.LINK, {"cache_control": ""}),
    "no-store": (None, {"cache_control": "no-store"}),
}


@pytest.mark.parametrize("case", LIFETIMES)
def test_each_asset_is_named_once_and_fetched_once_whatever_its_lifetime(
    world: World, case: str
) -> None:
    way, fields = LIFETIMES[case]
    page, style = f"/{case}/", f"/{case}.css"
    world.app.page(page, f"<link rel=stylesheet href={style}>")
    world.app.asset(style, "text/css", **fields)
    world.teach(page)

    load = world.load(page)

    assert world.app.ways == ({} if way is None else {style: way})
    assert [link.target for link in load.hinted] == [style] * (way is Way.HINT)
    assert [link.target for link in load.linked] == [style] * (way is Way.LINK)
    # With stale-while-revalidate Chromium may ask at once whether the asset has changed. It does so
    # without any hint, too, and as often.
    assert world.app.asked.count(style) == 1
    assert case == "stale-while" or style not in world.app.checked
    assert load.console == []


@pytest.mark.parametrize("fields", [{}, {"etag": '"1"'}])
def test_asset_with_a_query_and_no_lifetime_is_in_the_link_and_fetched_once(
    world: World, fields: dict[str, str]
) -> None:
    kind = "etag" if fields else "bare"
    page, style, script = f"/query-{kind}/", f"/{kind}.css?d59929", f"/{kind}.js?d59929"
    world.app.page(page, f"<link rel=stylesheet href={style}><script src={script}></script>")
    world.app.asset(style, "text/css", cache_control="", **fields)
    world.app.asset(script, "text/javascript", cache_control="", **fields)
    # The first visitor's page is read after its assets were asked for.
    world.teach(page)
    world.teach(page)

    load = world.load(page)

    assert load.hinted == []
    assert sorted(link.target for link in load.linked) == [style, script]
    assert sorted(world.app.asked) == sorted([page, style, script])
    assert load.console == []


SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4 Safari/605.1.15"
)


def test_browser_that_says_it_is_safari_gets_link_fields_and_no_103(world: World) -> None:
    world.app.page("/safari/", "<link rel=stylesheet href=/safari.css>")
    world.app.asset("/safari.css", "text/css")
    world.teach("/safari/")

    load = world.load("/safari/", user_agent=SAFARI)

    assert load.hinted == []
    assert [link.target for link in load.linked] == ["/safari.css"]
    assert world.app.asked.count("/safari.css") == 1


def test_page_in_a_frame_gets_link_fields_which_are_followed_once(world: World) -> None:
    world.app.page("/framed/", "<link rel=stylesheet href=/framed.css>")
    world.app.page("/frames/", "<iframe src=/framed/></iframe>")
    world.app.asset("/framed.css", "text/css")
    world.teach("/framed/")

    load = world.load("/frames/")

    assert load.hinted == []
    assert world.app.ways == {"/framed.css": Way.LINK}
    assert world.app.asked.count("/framed.css") == 1
    assert load.console == []


def test_icons_are_not_hinted_so_nothing_warns_of_them(world: World) -> None:
    page = "<link rel=icon href=/favicon-32x32.png><link rel=stylesheet href=/icons.css>"
    world.app.page("/icons/", page)
    world.app.asset("/icons.css", "text/css")
    world.app.asset("/favicon-32x32.png", "image/png")
    world.site.middleware.learner.pin("/icons/", "/favicon-32x32.png")
    world.teach("/icons/")

    load = world.load("/icons/")

    assert [link.target for link in load.hinted] == ["/icons.css"]
    assert world.app.ways["/favicon-32x32.png"] is Way.NOTHING


def test_script_of_the_page_reads_how_its_assets_were_sent(world: World) -> None:
    world.app.page(
        "/timing/",
        "<link rel=stylesheet href=/timing.css><script>addEventListener('load', () => {"
        "const [entry] = performance.getEntriesByType('navigation')[0].serverTiming;"
        "console.warn(entry.name + ' ' + entry.description)})</script>",
        (b"cache-control", b"private"),
    )
    world.app.asset("/timing.css", "text/css")
    world.teach("/timing/")

    load = world.load("/timing/")

    assert [said for said in load.console if "headstart" in said] == ["headstart hint"]


GUARDED = "default-src 'self' data:; style-src 'nonce-NONCE'; script-src 'nonce-NONCE'"


@pytest.mark.parametrize(
    ("case", "cache_control"), [("early", "max-age=600"), ("late", "no-cache")]
)
def test_page_whose_policy_wants_its_nonce_causes_no_violation(
    world: World, case: str, cache_control: str
) -> None:
    page, style, script = f"/nonce-{case}/", f"/nonce-{case}.css", f"/nonce-{case}.js"
    world.app.page(
        page,
        f"<link rel=stylesheet nonce=NONCE href={style}><script nonce=NONCE src={script}></script>",
        (b"content-security-policy", GUARDED.encode()),
    )
    world.app.asset(style, "text/css", cache_control=cache_control)
    world.app.asset(script, "text/javascript", cache_control=cache_control)
    world.teach(page)

    load = world.load(page)

    named = {link.target for link in (*load.hinted, *load.linked)}
    assert named == {style, script}
    assert all(link.get("nonce") for link in load.linked)
    assert [world.app.asked.count(asset) for asset in (style, script)] == [1, 1]
    assert load.console == []


def test_what_the_application_hints_itself_is_in_the_one_103_with_what_was_learned(
    world: World,
) -> None:
    world.app.page(
        "/told/", "<link rel=stylesheet href=/told.css><script src=/learned.js></script>"
    )
    world.app.asset("/told.css", "text/css")
    world.app.asset("/learned.js", "text/javascript")
    world.app.hints["/told/"] = (Link("/told.css", as_="style"),)
    world.teach("/told/")

    load = world.load("/told/")

    assert [link.target for link in load.hinted] == ["/told.css", "/learned.js"]
    assert load.linked == []
    assert [world.app.asked.count(asset) for asset in ("/told.css", "/learned.js")] == [1, 1]
    assert load.console == []


def test_what_the_pages_own_link_names_is_not_named_twice(world: World) -> None:
    own = (b"link", b"</own.css>; rel=preload; as=style")
    world.app.page("/own/", "<link rel=stylesheet href=/own.css>", own)
    world.app.asset("/own.css", "text/css", cache_control="no-cache")
    world.teach("/own/")

    load = world.load("/own/")

    assert [link.target for link in load.linked] == ["/own.css"]
    assert world.app.asked.count("/own.css") == 1
    assert load.console == []


FONT = "@font-face { font-family: f; src: url(/fonts.woff2) } p { font-family: f }"


def test_font_that_a_stylesheet_asks_for_is_hinted_and_fetched_once(world: World) -> None:
    world.app.page("/fonts/", "<link rel=stylesheet href=/fonts.css><p>text")
    world.app.asset("/fonts.css", "text/css", FONT)
    world.app.asset("/fonts.woff2", "font/woff2")
    # Chromium asks for the font when it draws the text, which may be after the load event.
    tab = Tab(world.browser)
    tab.load(world.url("/fonts/"))
    tab.run("document.fonts.load('1em f').catch(() => null).then(() => null)")
    world.site.later()

    load = world.load("/fonts/")

    assert [link.target for link in load.hinted] == ["/fonts.css", "/fonts.woff2"]
    assert [world.app.asked.count(asset) for asset in ("/fonts.css", "/fonts.woff2")] == [1, 1]


@pytest.mark.parametrize(
    ("case", "cache_control"), [("early", "max-age=600"), ("late", "no-cache")]
)
def test_modules_and_what_they_import_are_named_and_fetched_once(
    world: World, case: str, cache_control: str
) -> None:
    page, first, second = f"/modules-{case}/", f"/main-{case}.js", f"/dep-{case}.js"
    world.app.page(page, f"<script type=module src={first}></script>")
    world.app.asset(first, "text/javascript", f"import '{second}'", cache_control=cache_control)
    world.app.asset(second, "text/javascript", cache_control=cache_control)
    world.teach(page)

    load = world.load(page)

    named = {link.target for link in (*load.hinted, *load.linked)}
    assert named == {first, second}
    assert [world.app.asked.count(asset) for asset in (first, second)] == [1, 1]
    assert load.console == []


def test_image_that_was_chosen_from_a_srcset_is_fetched_once_and_no_other(world: World) -> None:
    world.app.page("/images/", "<img src=/small.png srcset='/small.png 1x, /large.png 2x'>")
    for image in ("/small.png", "/large.png"):
        world.app.asset(image, "image/png", PIXEL)
    world.teach("/images/")

    load = world.load("/images/")

    assert "/large.png" not in {link.target for link in (*load.hinted, *load.linked)}
    assert [world.app.asked.count(image) for image in ("/small.png", "/large.png")] == [1, 0]
    assert load.console == []


def test_page_behind_a_service_worker_fetches_nothing_twice(world: World) -> None:
    worker = "onfetch = event => event.respondWith(fetch(event.request))"
    world.app.page("/worker/", "<link rel=stylesheet href=/worker.css>")
    world.app.asset("/worker.css", "text/css")
    world.app.asset("/worker/sw.js", "text/javascript", worker)
    world.teach("/worker/")
    tab = Tab(world.browser)
    tab.load(world.url("/worker/"))
    tab.run(
        "navigator.serviceWorker.register('sw.js').then(() => navigator.serviceWorker.ready, 0)"
        ".then(() => 0)"
    )
    world.app.asked.clear()

    load = tab.load(world.url("/worker/"))

    assert world.app.asked.count("/worker/") == 1
    assert world.app.asked.count("/worker.css") == 0
    assert load.console == []


def test_redirect_leads_to_a_page_whose_assets_are_fetched_once(world: World) -> None:
    world.app.page("/new/", "<link rel=stylesheet href=/new.css>")
    world.app.asset("/new.css", "text/css")
    world.app.found["/old/"] = Found([(b"location", b"/new/")], 302, b"")
    world.teach("/old/")

    load = world.load("/old/")

    assert load.status == 200
    assert world.app.asked.count("/new.css") == 1
    assert load.console == []


def test_page_that_is_not_found_fetches_its_assets_once(world: World) -> None:
    world.app.page("/gone/", "<link rel=stylesheet href=/gone.css>", status=404)
    world.app.asset("/gone.css", "text/css")
    world.teach("/gone/")

    load = world.load("/gone/")

    assert load.status == 404
    assert world.app.asked.count("/gone.css") == 1


def test_user_and_anonymous_visitor_at_one_url_are_named_nothing_of_each_other(
    world: World,
) -> None:
    world.app.page("/both/", "<link rel=stylesheet href=/both.css>", (b"vary", b"cookie"))
    world.app.asset("/both.css", "text/css")
    world.app.asset("/mine.css", "text/css", cache_control="private, max-age=600")
    anonymous = world.app.found["/both/"]
    world.app.page(
        "/both/",
        "<link rel=stylesheet href=/both.css><link rel=stylesheet href=/mine.css>",
        (b"vary", b"cookie"),
    )
    for _ in range(3):
        world.teach("/both/")
    user = world.load("/both/")
    world.app.found["/both/"] = anonymous
    stranger = world.load("/both/")

    for load in (user, stranger):
        assert [link.target for link in (*load.hinted, *load.linked)] == ["/both.css"]
        assert load.console == []
    assert world.app.asked == ["/both/", "/both.css"]
