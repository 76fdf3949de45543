"""One URL and several sets of assets: deployments, A/B versions, phones; with Debian's Chromium.

What is right: nobody is told of an asset that the own copy of the page does not name. Assets that
all copies name are told as ever.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, cycle

import pytest

from headstart.learn import LearnOptions
from tests.browsing import World, new_world
from tests.clients.chromium import Browser, Load, chromium
from tests.peers import peer
from tests.server.apps import Headers
from tests.server.live import until
from tests.test_browsers import PIXEL
from tests.visits import HTML, Found, load

NAMES = re.compile(rb"(?:href|src)=(/[^ >]+)")
FRESH = "max-age=31536000, immutable"


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


def named(load: Load) -> list[str]:
    return sorted(link.target for link in (*load.hinted, *load.linked))


def expected(world: World, page: str) -> list[str]:
    origin = world.url("")
    candidates = world.site.middleware.learner.candidates(origin, page)
    return sorted(candidate.target for candidate in candidates)


def fetched(world: World, page: str) -> list[str]:
    return sorted(asset for asset in world.app.asked if asset != page)


def styles_and_scripts(targets: list[str]) -> str:
    return "".join(
        f"<link rel=stylesheet href={target}>"
        if target.endswith(".css")
        else f"<script src={target}></script>"
        for target in targets
    )


def serve(world: World, targets: list[str]) -> None:
    for target in targets:
        kind = "text/css" if target.endswith(".css") else "text/javascript"
        world.app.asset(target, kind, cache_control=FRESH)


def visit(
    world: World,
    page: str,
    address: str,
    between: Callable[[], None] | None = None,
    headers: Headers | None = None,
) -> None:
    """Load a page as a browser that follows its hints and then asks for the rest."""
    url = world.url(page).encode()
    with world.site.client(address, push=False) as client:
        client.authority = url.split(b"/")[2]
        got = load(client, page, headers=headers)
        if between is not None:
            between()
        wanted = dict.fromkeys(link.target for link in (*got.hinted, *got.linked))
        wanted |= dict.fromkeys(name.decode() for name in NAMES.findall(got.page.body))
        for target in wanted:
            client.get(target.encode(), [(b"referer", url)])


@contextmanager
def visitors(world: World, *pages: str) -> Iterator[Callable[[], None]]:
    """Keep three visitors loading the pages; the function waits for one more load by each."""
    stopped, addresses, views = threading.Event(), count(10), [0, 0, 0]

    def keep_loading(at: int) -> None:
        while not stopped.is_set():
            for page in pages:
                visit(world, page, f"127.0.0.{next(addresses) % 200 + 2}")
            views[at] += 1

    def another_round() -> None:
        before = list(views)
        until(
            lambda: all(now >= then + 2 for now, then in zip(views, before, strict=True)), "views"
        )

    threads = [threading.Thread(target=keep_loading, args=[at]) for at in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield another_round
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


RELEASES = {
    "fingerprint": (
        ["/static/app.3f9a01bc.css", "/static/app.77aa01cd.js"],
        ["/static/app.90fe21aa.css", "/static/app.12bb34ef.js"],
    ),
    "plain": (
        ["/static/winter.css", "/static/winter.js"],
        ["/static/summer.css", "/static/summer.js"],
    ),
    "folder": (
        ["/build-a/app.css", "/build-a/app.js"],
        ["/build-b/app.css", "/build-b/app.js"],
    ),
}
# How the old names answer once the new ones are there.
AFTERWARDS = {
    "404": Found([(b"content-type", b"text/plain")], 404),
    "still-there": None,
    "catch-all": Found(HTML, 200, b"<!doctype html>"),
}


@pytest.mark.parametrize(
    ("naming", "afterwards"),
    [
        ("fingerprint", "404"),
        ("fingerprint", "still-there"),
        ("plain", "404"),
        ("plain", "still-there"),
        ("plain", "catch-all"),
        ("folder", "still-there"),
    ],
)
def test_a_deployment_under_load_leaves_nobody_with_the_old_assets(
    world: World, naming: str, afterwards: str
) -> None:
    old, new = RELEASES[naming]

    def release(targets: list[str]) -> None:
        serve(world, targets)
        for page in ("/shop/", "/about/"):
            world.app.page(page, styles_and_scripts(targets))

    def deploy() -> None:
        release(new)
        if (answer := AFTERWARDS[afterwards]) is not None:
            world.app.found |= dict.fromkeys(old, answer)

    release(old)
    with visitors(world, "/shop/", "/about/") as another_round:
        another_round()
        # No time passes here: it would cut off the views that are under way.
        world.site.sync()
        assert expected(world, "/shop/") == sorted(old)

        # One who was sent the old page asks for its assets when the new one is out.
        visit(world, "/shop/", "127.0.0.2", between=deploy)
        another_round()
        # Nobody is sent an old page any more. A second later is soon enough for views under way.
        world.site.clock.now += 1
        another_round()
        world.site.sync()
    world.site.later()
    for page in ("/shop/", "/about/"):
        load = world.load(page)

        assert named(load) == sorted(new)
        assert fetched(world, page) == sorted(new)
        assert load.console == []


def test_a_page_that_nobody_asked_for_since_a_deployment_is_sent_nothing_old(world: World) -> None:
    old, new = RELEASES["plain"]
    serve(world, [*old, *new])
    for page in ("/shop/", "/about/"):
        world.app.page(page, styles_and_scripts(old))
        for number in range(3):
            visit(world, page, f"127.0.0.{number + 2}")
    world.site.later()

    for page in ("/shop/", "/about/"):
        world.app.page(page, styles_and_scripts(new))
    visit(world, "/shop/", "127.0.0.5")
    world.site.later()
    load = world.load("/about/")

    assert set(named(load)) <= set(new)
    assert fetched(world, "/about/") == sorted(new)


@pytest.fixture
def unread(browser: Browser) -> Iterator[World]:
    """A site whose HTML is not read, so that only its visitors teach it; with control views."""
    with new_world(browser, learn=LearnOptions(read_pages=False)) as world:
        yield world


@pytest.mark.parametrize("afterwards", ["still-there", "catch-all"])
def test_old_names_go_without_the_html_once_nobody_asks_for_them_together_with_the_new_ones(
    unread: World, afterwards: str
) -> None:
    old, new = RELEASES["plain"]
    common = "/static/base.css"
    serve(unread, [common, *old])
    unread.app.page("/shop/", styles_and_scripts([common, *old]))
    numbers = count(2)

    def visits_until(names: list[str], most: int) -> None:
        for _ in range(most):
            visit(unread, "/shop/", f"127.0.0.{next(numbers)}")
            unread.site.later()
            if expected(unread, "/shop/") == sorted(names):
                break
        assert expected(unread, "/shop/") == sorted(names)

    for _ in range(9):
        visit(unread, "/shop/", f"127.0.0.{next(numbers)}")
        unread.site.later()
    visits_until([common, *old], 8)

    serve(unread, new)
    unread.app.page("/shop/", styles_and_scripts([common, *new]))
    if (answer := AFTERWARDS[afterwards]) is not None:
        unread.app.found |= dict.fromkeys(old, answer)
    # Browsers fetch what they are hinted. Two control views of 32 each show the truth.
    visits_until([common, *new], 64)

    load = unread.load("/shop/")
    assert set(named(load)) <= {common, *new}
    assert fetched(unread, "/shop/") == sorted([common, *new])


def test_of_two_versions_without_the_html_no_visitor_is_told_of_both(unread: World) -> None:
    common, versions = ["/ab/base.css"], [["/ab/a.css", "/ab/a.js"], ["/ab/b.css", "/ab/b.js"]]
    serve(unread, [*common, *versions[0], *versions[1]])
    pages = cycle(page_of([*common, *version]) for version in versions)
    unread.app.choices["/ab/"] = lambda _: next(pages)
    for number in range(12):
        visit(unread, "/ab/", f"127.0.0.{number + 2}")
        unread.site.later()

        told = expected(unread, "/ab/")
        if number >= 4:
            assert not (set(told) & set(versions[0]) and set(told) & set(versions[1])), told

    load = unread.load("/ab/")
    assert "/ab/base.css" in fetched(unread, "/ab/")
    assert not all(set(named(load)) & set(version) for version in versions)


def test_phones_and_desktops_without_the_html_are_each_told_of_their_own(unread: World) -> None:
    common, desk, phone = ["/two/base.css"], ["/two/desk.css"], ["/two/phone.css"]
    serve(unread, [*common, *desk, *phone])

    def choose(fields: dict[bytes, bytes]) -> Found:
        return page_of([*common, *(phone if fields[b"sec-ch-ua-mobile"] == b"?1" else desk)])

    unread.app.choices["/two/"] = choose
    for _ in range(5):
        for mobile in (False, True):
            unread.teach("/two/", mobile=mobile)

    for mobile, own in ((False, desk), (True, phone)):
        load = unread.load("/two/", mobile=mobile)

        assert named(load) == sorted([*common, *own])
        assert fetched(unread, "/two/") == sorted([*common, *own])
        assert load.console == []
        unread.site.later()


def page_of(targets: list[str], more: str = "") -> Found:
    html = f"<!doctype html><link rel=icon href=data:,>{styles_and_scripts(targets)}{more}"
    return Found([*HTML], 200, html.encode())


def test_of_two_versions_at_one_url_no_visitor_is_told_what_the_other_one_needs(
    world: World,
) -> None:
    common, versions = ["/ab/base.css"], [["/ab/a.css", "/ab/a.js"], ["/ab/b.css", "/ab/b.js"]]
    serve(world, [*common, *versions[0], *versions[1]])
    pages = cycle(page_of([*common, *version]) for version in versions)
    world.app.choices["/ab/"] = lambda _: next(pages)
    for number in range(10):
        visit(world, "/ab/", f"127.0.0.{number + 2}")
        world.site.later()

    for _ in versions:
        # Which version comes is not known: a load is repeated if Chromium ignores its 103.
        load = world.load("/ab/")

        assert named(load) == common
        assert fetched(world, "/ab/") in [sorted([*common, *version]) for version in versions]
        assert load.console == []
        world.site.later()


def test_phones_and_desktops_at_one_url_are_told_nothing_of_each_other(world: World) -> None:
    common, desk, phone = ["/two/base.css"], ["/two/desk.css"], ["/two/phone.css"]
    serve(world, [*common, *desk, *phone])

    def choose(fields: dict[bytes, bytes]) -> Found:
        mobile = fields.get(b"sec-ch-ua-mobile") == b"?1"
        assert mobile == (b"Mobile" in fields[b"user-agent"])
        return page_of([*common, *(phone if mobile else desk)])

    world.app.choices["/two/"] = choose
    for _ in range(4):
        for mobile in (False, True):
            world.teach("/two/", mobile=mobile)

    for mobile, own in ((False, desk), (True, phone)):
        load = world.load("/two/", mobile=mobile)

        assert set(common) <= set(named(load)) <= {*common, *own}
        assert fetched(world, "/two/") == sorted([*common, *own])
        assert load.console == []
        world.site.later()


def test_of_an_image_for_phones_and_desktops_each_fetches_its_own(world: World) -> None:
    images = ["/wide/small.png", "/wide/large.png"]
    world.app.page(
        "/wide/",
        "<meta name=viewport content='width=device-width'>"
        "<img sizes=100vw srcset='/wide/small.png 500w, /wide/large.png 2000w'>"
        "<picture><source media='(max-width: 600px)' srcset=/wide/p-small.png>"
        "<img src=/wide/p-large.png></picture>",
    )
    for image in (*images, "/wide/p-small.png", "/wide/p-large.png"):
        world.app.asset(image, "image/png", PIXEL)
    for _ in range(3):
        for mobile in (False, True):
            world.teach("/wide/", mobile=mobile)

    for mobile, name in ((False, "large"), (True, "small")):
        load = world.load("/wide/", mobile=mobile)

        own = sorted([f"/wide/p-{name}.png", f"/wide/{name}.png"])
        assert load.hinted == []
        # A link with all the candidates is one of which the browser takes its own.
        assert [link.get("imagesrcset") is not None for link in load.linked] == [True]
        assert fetched(world, "/wide/") == own
        assert load.console == []
        world.site.later()
