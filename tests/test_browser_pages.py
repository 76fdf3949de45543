"""Pages in the style of real frameworks, read by the server and loaded by Debian's Chromium.

A robot that fetches nothing teaches the server each page. What Chromium is then told of, it fetches
once, and has nothing to complain about.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Iterator

import pytest

from headstart.deliver.decide import Way
from headstart.learn import Cause
from tests.browsing import World, new_world
from tests.clients.chromium import Browser, Load, chromium
from tests.peers import peer
from tests.server.live import until
from tests.test_browsers import GUARDED

SCRIPT = "document.title += 'x'"
HASH = "sha256-" + base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
# Longer than Chromium waits, after the load event, before it complains of unused preloads.
COMPLAINTS = "new Promise(done => setTimeout(done, 3500))"
# A font of ours would be a file; that this is none says one line, which is not about the hint.
NO_FONT = ("Failed to decode downloaded font", "OTS parsing error")


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


def robot(world: World, page: str) -> None:
    """Somebody who asks for the page alone."""
    command = [peer("curl"), "--silent", "--fail", "--insecure", "--http2", world.url(page)]
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=90, check=True)
    world.site.later()


def watched(world: World, page: str) -> Load:
    """A load in a new profile, with what the console says later."""
    load = world.load(page)
    world.tab.run(COMPLAINTS)
    texts = [
        event["params"]["entry"]["text"]
        for event in world.tab.events
        if event["method"] == "Log.entryAdded"
    ]
    load.console = [text for text in texts if not text.startswith(NO_FONT)]
    return load


EVERYTHING = f"""
  <link rel=preload as=font type=font/woff2 crossorigin href=/all/f.woff2>
  <link rel=stylesheet href=/all/a.css>
  <link rel=stylesheet href=/all/wide.css media="(min-width: 1px)">
  <link rel=modulepreload href=/all/dep.js>
  <script type=module crossorigin src=/all/m.js></script>
  <script src=/all/signed.js integrity={HASH}></script>
  <script src=/all/signed-cors.js integrity={HASH} crossorigin></script>
  <script defer src=/all/late.js></script>
  <p>text <img src=/all/h.png srcset="/all/h.png 1x, /all/h2.png 2x">
  <img src=/all/plain.png width=9 height=9><img src=/all/lazy.png loading=lazy>
"""
FETCHED = [
    "/all/a.css",
    "/all/dep.js",
    "/all/f.woff2",
    "/all/h.png",
    "/all/late.js",
    "/all/m.js",
    "/all/plain.png",
    "/all/signed-cors.js",
    "/all/signed.js",
    "/all/wide.css",
]


def build(world: World) -> None:
    world.app.page("/all/", EVERYTHING)
    font = "@font-face { font-family: f; src: url(/all/f.woff2) } p { font-family: f }"
    world.app.asset("/all/a.css", "text/css", font)
    world.app.asset("/all/wide.css", "text/css")
    world.app.asset("/all/f.woff2", "font/woff2")
    world.app.asset("/all/dep.js", "text/javascript", "export default 1")
    world.app.asset("/all/m.js", "text/javascript", "import '/all/dep.js'")
    world.app.asset("/all/late.js", "text/javascript", "0")
    for name in ("signed", "signed-cors"):
        world.app.asset(f"/all/{name}.js", "text/javascript", SCRIPT)
    for name in ("h", "h2", "plain", "lazy"):
        world.app.asset(f"/all/{name}.png", "image/png", "")


def test_all_that_a_page_names_is_fetched_once_and_used(world: World) -> None:
    build(world)
    robot(world, "/all/")

    world.app.asked.clear()
    second = watched(world, "/all/")

    # Nobody had asked for any of them, so they stand in the response and not in a 103.
    assert sorted(link.target for link in second.linked) == FETCHED
    assert second.hinted == []
    fetched = [asset for asset in world.app.asked if asset != "/all/" and "lazy" not in asset]
    assert sorted(fetched) == FETCHED
    assert second.console == []

    world.site.later()
    third = world.load("/all/")
    # A 103 takes no media query and no image candidates. Chromium found the lazy image near.
    late = ["/all/h.png", "/all/wide.css"]
    early = {*FETCHED, "/all/lazy.png"} - set(late)
    assert sorted(link.target for link in third.linked) == late
    assert sorted(link.target for link in third.hinted) == sorted(early)
    assert sorted(world.app.asked) == sorted([*FETCHED, "/all/", "/all/lazy.png"])


HINTED_AND_GUARDED = {
    "integrity": (
        f"<link rel=stylesheet href=/{{0}}.css integrity={HASH}>"
        f"<script src=/{{0}}.js integrity={HASH}></script>",
        (),
    ),
    "nonce": (
        "<link rel=stylesheet nonce=NONCE href=/{0}.css><script nonce=NONCE src=/{0}.js></script>",
        ((b"content-security-policy", GUARDED.encode()),),
    ),
    "both": (
        f"<link rel=stylesheet nonce=NONCE href=/{{0}}.css integrity={HASH}>"
        f"<script nonce=NONCE src=/{{0}}.js integrity={HASH}></script>",
        ((b"content-security-policy", GUARDED.encode()),),
    ),
}


@pytest.mark.parametrize("case", HINTED_AND_GUARDED)
def test_what_a_103_names_is_used_once_in_spite_of_its_integrity_or_nonce(
    world: World, case: str
) -> None:
    html, fields = HINTED_AND_GUARDED[case]
    style, script = f"/{case}.css", f"/{case}.js"
    world.app.page(f"/{case}/", html.format(case), *fields)
    world.app.asset(style, "text/css", SCRIPT)
    world.app.asset(script, "text/javascript", SCRIPT)
    world.teach(f"/{case}/")

    load = watched(world, f"/{case}/")

    assert world.app.followed
    assert world.app.ways == {style: Way.HINT, script: Way.HINT}
    assert sorted(world.app.asked) == sorted([f"/{case}/", style, script])
    assert load.console == []


def test_a_deployment_is_known_after_one_response_though_the_old_files_are_still_there(
    world: World,
) -> None:
    old = ["/assets/index-abcdefgh.css", "/assets/index-abcdefgh.js"]
    new = ["/assets/index-ijklmnop.css", "/assets/index-ijklmnop.js"]
    html = "<link rel=stylesheet href={}><script type=module src={}></script>"
    for style, script in (old, new):
        world.app.asset(style, "text/css", cache_control="max-age=31536000, immutable")
        world.app.asset(script, "text/javascript", cache_control="max-age=31536000, immutable")
    world.app.page("/spa/", html.format(*old))
    world.teach("/spa/")
    assert sorted(link.target for link in world.load("/spa/").hinted) == old
    world.site.later()

    world.app.page("/spa/", html.format(*new))
    robot(world, "/spa/")
    load = world.load("/spa/")

    # The old files in the same folder were seen, so a 103 may name the new ones.
    assert sorted(link.target for link in load.hinted) == new
    assert sorted(asset for asset in world.app.asked if asset != "/spa/") == new
    assert load.console == []


def test_a_site_without_referers_is_learned(world: World) -> None:
    world.app.page(
        "/quiet/", "<link rel=stylesheet href=/q/a.css>", (b"referrer-policy", b"no-referrer")
    )
    world.app.asset("/q/a.css", "text/css", "body { background: url(/q/b.png) }")
    world.app.asset("/q/b.png", "image/png")
    world.load("/quiet/")
    # The page may count as loaded before its background is asked for.
    until(lambda: "/q/b.png" in world.app.asked, "the picture")
    world.site.later()

    load = world.load("/quiet/")
    until(lambda: "/q/b.png" in world.app.asked, "the picture")

    # A picture that the stylesheet asks for is the only page's on its connection.
    assert [link.target for link in load.hinted] == ["/q/a.css", "/q/b.png"]
    assert sorted(world.app.asked) == ["/q/a.css", "/q/b.png", "/quiet/"]


def test_a_page_that_one_visitor_alone_may_see_teaches_nobody(world: World) -> None:
    world.app.page("/mine/", "<img src=/u/alice.png>", (b"cache-control", b"private"))
    world.app.asset("/u/alice.png", "image/png")
    robot(world, "/mine/")

    load = world.load("/mine/")

    assert (load.hinted, load.linked) == ([], [])
    assert Way.HINT not in world.app.ways.values()


def test_fonts_of_a_stylesheet_go_with_each_page_that_has_it_if_clients_ask_for_them(
    world: World,
) -> None:
    html = "<link rel=stylesheet href=/typed/site.css><p>text"
    world.app.page("/typed/", html)
    world.app.page("/typed/other", html)
    faces = "".join(
        f"@font-face {{ font-family: {name}; src: url({name}.woff2) format('woff2') }}"
        for name in ("text", "icons")
    )
    world.app.asset("/typed/site.css", "text/css", faces + "p { font-family: text }")
    for name in ("text", "icons"):
        world.app.asset(f"/typed/{name}.woff2", "font/woff2")
    world.load("/typed/")
    until(lambda: "/typed/text.woff2" in world.app.asked, "the font")
    world.site.later()
    robot(world, "/typed/other")
    world.app.asked.clear()

    load = watched(world, "/typed/other")

    # The stylesheet names two fonts, and no page of it has text in the second one.
    links = {link.target: link for link in load.hinted}
    assert sorted(links) == ["/typed/site.css", "/typed/text.woff2"]
    assert links["/typed/text.woff2"].get("crossorigin") is not None
    assert world.app.asked.count("/typed/text.woff2") == 1
    assert "/typed/icons.woff2" not in world.app.asked
    assert load.console == []


def test_browsers_that_do_not_trust_the_certificate_are_told_to_the_operator() -> None:
    assets = [f"/untrusted/{number}.css" for number in range(3)]
    with chromium(peer("chromium"), trusting=False) as browser, new_world(browser) as world:
        app = world.app
        app.page("/untrusted/", "".join(f"<link rel=stylesheet href={asset}>" for asset in assets))
        for asset in assets:
            app.asset(asset, "text/css")
        world.teach("/untrusted/")

        load = world.load("/untrusted/")

        assert sorted(link.target for link in load.hinted) == assets
        assert sorted(app.asked) == sorted([*assets, *assets, "/untrusted/"])
        [found] = world.site.middleware.learner.findings
        assert found.cause is Cause.FETCHED_TWICE
