"""The answers of a process that serves, from a real server in a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headstart.admin.site import answers
from headstart.admin.sources import Sources
from headstart.learn import LearnOptions, Level, SeenAsset
from headstart.learn.records import PageRecord, Tally
from headstart.learn.safety import Kind
from headstart.middleware import HeadstartMiddleware
from headstart.server.workers import Server
from tests.counting import calls_of
from tests.server.apps import hello
from tests.server.live import PATIENCE, LiveServer, running, until
from tests.visits import Site, Visited, visited

ORIGIN = "http://localhost"
STYLE, SCRIPT = "/site.css", "/app.css"


@pytest.fixture
def site() -> Iterator[Visited]:
    """A site that was visited."""
    with visited(Site(STYLE, SCRIPT), recording=True) as made:
        made.teach([STYLE, SCRIPT], visitors=2)
        yield made


def asked(live: LiveServer, question: Callable[..., Any], *given: Any) -> Any:
    """Ask as the reporter does: on the loop of the server."""

    server = live.server
    assert isinstance(server, Server)

    async def on_loop() -> Any:
        return question(Sources(server), *given)

    return asyncio.run_coroutine_threadsafe(on_loop(), live.server.loop).result(PATIENCE)


def test_report_has_the_past_the_counters_and_the_known_sites(site: Visited) -> None:
    with site.client() as client:
        client.get(b"/")
        said = asked(site.live, answers.report)

    assert said["learning"]
    assert said["counters"]["open"] == 1
    assert said["counters"]["accepted"] == 3
    assert [one[0] for one in said["report"]["sites"]] == [ORIGIN]
    assert [one["origin"] for one in said["known"]] == [ORIGIN]


def test_open_streams_are_counted(site: Visited) -> None:
    with site.client() as client:
        client.request(b"/upload", method=b"POST", end_stream=False)
        until(lambda: asked(site.live, answers.report)["streams"] == 1)


def test_version_changes_with_each_visit(site: Visited) -> None:
    before = asked(site.live, answers.version)
    assert asked(site.live, answers.version) == before

    site.visit("/", [STYLE], address="127.0.0.9")

    assert asked(site.live, answers.version) != before


def test_list_of_pages_has_what_is_sent(site: Visited) -> None:
    said = asked(site.live, answers.pages, ORIGIN, "", 0)

    assert said["total"] == 2
    [page, whole] = said["pages"]
    assert (page["path"], page["assets"], page["sent"]) == ("/", 2, 2)
    assert whole["path"] == "/*"
    assert asked(site.live, answers.pages, ORIGIN, "nowhere", 0) == {"total": 0, "pages": []}


def test_page_has_its_assets_and_the_reasons(site: Visited) -> None:
    said = asked(site.live, answers.page, ORIGIN, "/")

    assert said["known"]
    assert [(one["target"], one["sent"], one["why"]) for one in said["assets"]] == [
        (SCRIPT, True, "this page's clients ask for it"),
        (STYLE, True, "this page's clients ask for it"),
    ]
    assert said["assets"][0]["how"] == "by push, 103 or Link"


def test_page_that_was_never_seen_borrows(site: Visited) -> None:
    site.teach([STYLE, SCRIPT], "/second/", visitors=2)
    site.teach([STYLE, SCRIPT], "/third/", visitors=2)
    said = asked(site.live, answers.page, ORIGIN, "/never")

    assert not said["known"]
    assert {one["why"] for one in said["assets"]} == {"pages of this site need it"}


def test_orders_are_obeyed_and_said(site: Visited) -> None:
    page, now = ORIGIN + "/", time.time()

    pinned = asked(site.live, answers.order, "pin", page, "/hero.css", now)
    barred = asked(site.live, answers.order, "never", page, ORIGIN + STYLE, now)
    said = asked(site.live, answers.page, ORIGIN, "/")

    assert pinned == barred == {"obeyed": True, "why": ""}
    found = {one["target"]: one for one in said["assets"]}
    assert (found["/hero.css"]["pinned"], found["/hero.css"]["sent"]) == (True, True)
    assert (found[STYLE]["barred"], found[STYLE]["sent"]) == (True, False)
    assert set(site.visit("/", [], address="127.0.0.9").promised) == {"/hero.css", SCRIPT}

    assert asked(site.live, answers.order, "forget", page, "", time.time())["obeyed"]
    assert not asked(site.live, answers.page, ORIGIN, "/")["known"]


@pytest.mark.parametrize(
    ("verb", "page", "asset", "why"),
    [
        ("pin", "/", "/page.html", "not a stylesheet"),
        ("pin", "/", "", "cannot be sent ahead"),
        ("never", "/", "no path", "cannot be sent ahead"),
        ("pin", "/", "http://evil.test/a.css", "not on the site"),
        ("never", "/", "http://evil.test/a b.css", "cannot be sent ahead"),
        ("forget", "/never-seen", "", "nothing is known"),
        ("destroy", "/", STYLE, "not an order"),
    ],
)
def test_order_that_cannot_be_obeyed_says_why(
    site: Visited, verb: str, page: str, asset: str, why: str
) -> None:
    said = asked(site.live, answers.order, verb, ORIGIN + page, asset, time.time())

    assert not said["obeyed"]
    assert why in said["why"]


def test_order_about_something_else_than_a_page_is_not_obeyed(site: Visited) -> None:
    said = asked(site.live, answers.order, "pin", "javascript:alert(1)", STYLE, time.time())

    assert not said["obeyed"]


def test_server_that_does_not_learn_says_so() -> None:
    with running(hello) as live:
        assert not asked(live, answers.report)["learning"]
        assert asked(live, answers.report)["known"] == []
        assert asked(live, answers.version)[0] == 0
        assert asked(live, answers.pages, ORIGIN, "", 0) is None
        assert asked(live, answers.page, ORIGIN, "/") is None
        assert asked(live, answers.order, "pin", ORIGIN + "/", STYLE, 0.0) is None


def test_sites_that_are_shown_are_few_and_the_one_that_is_asked_for_is_among_them() -> None:
    middleware = HeadstartMiddleware(hello, learn=LearnOptions(control_share=0))
    tally = Tally(SeenAsset(STYLE, Kind.STYLE), 5.0, 5.0, True, 1, 0, 0.0, 0.0)
    origins = [f"http://{number:03}.example" for number in range(3 * answers.SITES_SHOWN)]
    middleware.learner.absorb(
        [
            PageRecord(Level.PAGE, origin, "/", 5.0, 5.0, 0.0, 0.0, (1, 2), 0.0, (tally,))
            for origin in origins
        ]
    )
    with running(middleware) as live:
        said = asked(live, answers.report, 0, origins[-1])

    assert len(said["known"]) == answers.SITES_SHOWN
    assert said["known"][0]["origin"] == origins[-1]


def large(pages: int) -> HeadstartMiddleware:
    """A middleware that knows so many pages, each with two assets of all and one of its own."""
    options = LearnOptions(control_share=0, max_pages=20_000, max_bytes=256 * 1024 * 1024)
    middleware = HeadstartMiddleware(hello, learn=options)
    for number in range(pages):
        assets = (STYLE, SCRIPT, f"/own-{number}.css")
        tallies = tuple(
            Tally(SeenAsset(target, Kind.STYLE), 5.0, 5.0, True, 1, 0, 0.0, 0.0)
            for target in assets
        )
        record = PageRecord(
            Level.PAGE, ORIGIN, f"/page{number:05}x", 5.0, 5.0, 0.0, 0.0, (1, 2), 0.0, tallies
        )
        middleware.learner.absorb([record])
    return middleware


def cost_of_search(sources: Sources) -> int:
    """The calls that a search for some of the pages takes."""
    return calls_of(lambda: answers.pages(sources, ORIGIN, "9x", 0))


def test_list_of_a_large_map_costs_what_its_part_does_and_a_look_at_each_path() -> None:
    costs = {}
    for pages in (1_000, 10_000):
        with running(large(pages)) as live:
            said = asked(live, answers.pages, ORIGIN, "page", 0)
            costs[pages] = asked(
                live, lambda s: calls_of(lambda: answers.pages(s, ORIGIN, "9x", 0))
            )
            assert (said["total"], len(said["pages"])) == (pages, answers.PAGES_AT_ONCE)

    # Nine thousand paths more: to read one and to compare it are a few calls.
    assert costs[10_000] - costs[1_000] < 9_000 * 8
