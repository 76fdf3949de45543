"""Views that are not simply a navigation: prefetched pages and users who have logged in.

All with Debian's Chromium, as it does by itself: speculation rules as WordPress sends them, and a
login form that sets a cookie.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headstart.learn import LearnOptions
from headstart.reasons import Refusal
from tests.browsing import World, new_world
from tests.clients.chromium import Browser, Event, Tab, chromium
from tests.peers import peer
from tests.server.live import until
from tests.test_browser_versions import expected, named, visit
from tests.test_browsers import PIXEL
from tests.visits import HTML, NAVIGATION, Found

COOKIE = b"session=4f1e"


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


@contextmanager
def prefetching(world: World, page: str, rules_at: str = "/start/") -> Iterator[Tab]:
    """A new profile that has prefetched `page` because the rules of another page say so."""
    rules = f'{{"prefetch": [{{"urls": ["{page}"], "eagerness": "immediate"}}]}}'
    world.app.page(
        rules_at, f"<script type=speculationrules>{rules}</script><a href={page}>next</a>"
    )
    tab = Tab(world.browser)
    tab.call("Preload.enable")
    tab.load(world.url(rules_at))
    events = world.browser.events_of(tab._session)
    world.browser.until(lambda: "Ready" in map(status_of, events))
    yield tab


def status_of(event: Event) -> str:
    """The state of a prefetch that an event tells."""
    told = event["method"] == "Preload.prefetchStatusUpdated"
    return str(event["params"]["status"]) if told else ""


def test_pages_that_are_prefetched_and_never_looked_at_silence_nobody(world: World) -> None:
    world.app.page("/next/", "<link rel=stylesheet href=/next.css><img src=/next.png>")
    world.app.asset("/next.css", "text/css")
    world.app.asset("/next.png", "image/png", PIXEL)
    world.teach("/next/")

    for _ in range(8):
        with prefetching(world, "/next/"):
            # The learner waits so long for the first asset of a prefetched page.
            world.site.later(301.0)
    load = world.load("/next/")

    assert named(load) == ["/next.css", "/next.png"]
    assert world.app.asked == ["/next/", "/next.css", "/next.png"]
    # The browser itself is not taken for a program that fetches no assets.
    assert world.site.middleware.learner.withheld[Refusal.NO_SUBRESOURCES] == 0
    assert load.console == []


def test_a_prefetched_page_is_a_view_as_soon_as_somebody_looks_at_it(world: World) -> None:
    # The image is in no HTML, so only a view that asks for it can teach it.
    world.app.page("/next/", "<script>new Image().src = '/late.png'</script>")
    world.app.asset("/late.png", "image/png", PIXEL)
    with prefetching(world, "/next/") as tab:
        world.site.clock.now += 100.0
        tab.run("document.querySelector('a').click()")
        until(lambda: "/late.png" in world.app.asked, "the image of the page")
        world.site.later()

    assert world.app.asked.count("/next/") == 1
    assert expected(world, "/next/") == ["/late.png"]


def members_area(world: World) -> None:
    """A page at one URL for members and for others, and a form to become a member."""
    for target in ("/both.css", "/public.css"):
        world.app.asset(target, "text/css")
    world.app.asset("/members.css", "text/css")
    form = "<form action=/login><button>log in</button></form>"

    def choose(fields: dict[bytes, bytes]) -> Found:
        member = COOKIE in fields.get(b"cookie", b"")
        own = "members" if member else "public"
        html = (
            "<!doctype html><link rel=icon href=data:,><link rel=stylesheet href=/both.css>"
            f"<link rel=stylesheet href=/{own}.css>{'hello' if member else form}"
        )
        return Found([*HTML, (b"vary", b"cookie")], 200, html.encode())

    world.app.choices["/home/"] = choose
    cookie = (b"set-cookie", COOKIE + b"; Path=/; HttpOnly; Secure")
    world.app.found["/login?"] = Found([(b"location", b"/home/"), cookie], 303, b"")
    world.app.found["/login"] = world.app.found["/login?"]


def log_in(world: World) -> Tab:
    """Load the page in a new profile, and send its form."""
    tab = Tab(world.browser)
    tab.load(world.url("/home/"))
    world.app.asked.clear()
    tab.run("document.querySelector('button').click()")
    until(lambda: "/members.css" in world.app.asked, "the page of the member")
    return tab


def test_a_member_and_a_stranger_at_one_url_are_told_only_of_what_each_needs(
    browser: Browser,
) -> None:
    with new_world(browser, learn=LearnOptions()) as world:
        members_area(world)
        for number in range(64):
            cookie = [(b"cookie", COOKIE)] if number % 2 else []
            visit(world, "/home/", f"127.0.0.{number + 2}", headers=[*NAVIGATION, *cookie])
            world.site.later()
            told = expected(world, "/home/")
            if number > 8 and "/members.css" not in told and "/both.css" in told:
                break
        member = log_in(world)
        world.site.later()
        stranger = world.load("/home/")
        asked_by_stranger = sorted(world.app.asked)
        again = member.load(world.url("/home/"))

    assert "/both.css" in named(stranger)
    assert "/members.css" not in named(stranger)
    assert asked_by_stranger == ["/both.css", "/home/", "/public.css"]
    assert "/public.css" not in named(again)
    assert stranger.console == again.console == []
