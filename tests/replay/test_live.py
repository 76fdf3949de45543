"""Tests of headstart.replay.live: a log's clients as browsers before the real middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from headstart.config import DeliverOptions
from headstart.learn import Exchange, LearnOptions
from headstart.learn.logs import LogLine
from headstart.replay import Assumptions, Mode, Score, live
from headstart.replay.live import Live
from headstart.replay.replay import Replay
from tests.replay.test_loads import steps
from tests.replay.test_rivals import line

ASSETS = ("/a.css", "/b.js")
SIZE = 1000


def visit(
    time: float, client: int, *assets: str, path: str = "/", status: int = 200, **fields: Any
) -> list[LogLine]:
    """Return a page view and its sub-requests."""
    address = f"192.0.2.{client}"
    found = [line(time, path, status=status, address=address, **fields)]
    found += [line(time + 0.1, asset, path, address=address) for asset in assets]
    return [
        LogLine(one.time, Exchange(one.exchange.request, one.exchange.answer._replace(size=SIZE)))
        for one in found
    ]


def played(*visits: list[LogLine], **options: Any) -> Score:
    options.setdefault("learn", LearnOptions(control_share=0))
    lines = [one for lines in visits for one in lines]
    return Replay(rivals=False, **options).run(lines)[0]


def test_a_browser_fetches_what_it_is_hinted() -> None:
    score = played(visit(0, 1, *ASSETS), visit(100, 2, *ASSETS))

    assert (score.views, score.real, score.foreseen, score.sent) == (2, 4, 2, 2)
    assert (score.sent_bytes, score.wasted_bytes) == (2 * SIZE, 0)


def test_bytes_are_wasted_by_what_a_browser_fetches_for_a_hint_alone() -> None:
    score = played(visit(0, 1, *ASSETS), visit(100, 2, "/a.css"))

    assert (score.sent, score.used) == (2, 1)
    assert (score.sent_bytes, score.wasted_bytes) == (2 * SIZE, SIZE)


def test_a_hint_of_what_is_in_the_cache_moves_no_bytes() -> None:
    score = played(visit(0, 1, *ASSETS), visit(100, 1, "/c.png"))

    assert (score.sent, score.used, score.sent_bytes) == (2, 0, 0)


def test_a_cache_forgets_what_went_stale() -> None:
    stale = Assumptions(lifetime=50)
    score = played(visit(0, 1, *ASSETS), visit(100, 1, "/c.png"), assumptions=stale)

    assert (score.sent_bytes, score.wasted_bytes) == (2 * SIZE, 2 * SIZE)


def test_a_robot_follows_no_hint() -> None:
    score = played(visit(0, 1, *ASSETS), visit(100, 2))

    assert (score.sent, score.used, score.sent_bytes) == (2, 0, 0)
    assert score.rendering == 1


def test_a_connection_is_hinted_once_and_ends_after_silence() -> None:
    within = played(visit(0, 1, *ASSETS), visit(59, 1, *ASSETS))
    after = played(visit(0, 1, *ASSETS), visit(61, 1, *ASSETS))

    assert (within.sent, after.sent) == (0, 2)


def test_what_an_earlier_hint_brought_is_not_asked_for_and_counts_neither_way() -> None:
    score = played(
        visit(0, 1, *ASSETS),
        visit(100, 2, "/a.css"),
        visit(130, 2, "/b.js", path="/next"),
    )

    assert score.real == 3


def test_a_navigation_that_is_not_a_page_is_no_view_but_what_it_is_sent_counts() -> None:
    score = played(visit(0, 1, *ASSETS), visit(100, 2, status=404))

    assert (score.views, score.sent) == (1, 2)


def test_a_script_s_call_gets_nothing() -> None:
    call = visit(101, 2, path="/api")
    call = [
        LogLine(
            one.time,
            Exchange(
                one.exchange.request._replace(referer=one.exchange.request.origin + "/"),
                one.exchange.answer,
            ),
        )
        for one in call
    ]
    score = played(visit(0, 1, *ASSETS), visit(100, 2, *ASSETS), call)

    assert (score.views, score.sent) == (2, 2)


def test_the_budget_holds() -> None:
    narrow = DeliverOptions(max_assets=1, min_think_time=0.0)

    assert played(visit(0, 1, *ASSETS), visit(100, 2, *ASSETS), deliver=narrow).sent == 1


def test_control_views_are_sent_nothing() -> None:
    visits = [visit(100 * number, number, *ASSETS) for number in range(1, 65)]
    score = played(*visits, learn=LearnOptions(control_share=8))

    assert score.sent < 2 * 60


def test_what_is_pushed_is_not_asked_for_and_what_a_client_has_it_cancels() -> None:
    new = played(visit(0, 1, *ASSETS), visit(100, 2, *ASSETS), mode=Mode.PUSH)
    old = played(visit(0, 1, *ASSETS), visit(100, 1), mode=Mode.PUSH)

    assert (new.sent, new.used, new.sent_bytes, new.wasted_bytes) == (2, 2, 2 * SIZE, 0)
    assert (old.sent, old.used, old.sent_bytes) == (2, 0, 0)


def test_as_much_is_pushed_as_fits_the_time_that_pages_are_said_to_take() -> None:
    narrow = DeliverOptions(push_bytes_at_once=SIZE, push_rate=10 * SIZE)
    visits = visit(0, 1, *ASSETS), visit(100, 2, *ASSETS)
    score = played(*visits, mode=Mode.PUSH, deliver=narrow)
    at_once = Assumptions(think_time=0.0)

    assert score.sent == 2
    assert played(*visits, mode=Mode.PUSH, deliver=narrow, assumptions=at_once).sent == 1


def test_a_robot_is_pushed_bytes_for_nothing() -> None:
    score = played(visit(0, 1, *ASSETS), visit(100, 2), mode=Mode.PUSH)

    assert score.wasted_bytes == 2 * SIZE


def test_assets_of_any_kind_are_fetched_as_a_browser_fetches_them() -> None:
    assets = ("/a.css", "/b.js", "/c.png", "/d.woff2", "/e.svg", "/f.gif", "/g.ico", "/h.mjs")
    score = played(
        visit(0, 1, *assets),
        visit(100, 2, *assets),
        deliver=DeliverOptions(max_assets=64, min_think_time=0.0),
    )

    assert score.foreseen >= 7


def odd_log() -> Iterator[LogLine]:
    """Yield visits whose assets have all kinds of names, headers and statuses."""
    random = Random(3)
    names = [
        "/a.css",
        "/b.js?v=1",
        "/c.png?",
        "/d é.woff2",
        "/e☃.svg",
        "/f",
        "/g%20h.css",
        "/i.woff2",
    ]
    answers: list[dict[str, Any]] = [
        {},
        {"cache_control": None},
        {"cache_control": "max-age=60, public"},
        {"cache_control": "no-store"},
        {"content_type": "text/css; charset=utf-8"},
        {"content_type": "image/é"},
        {"vary": "Accept"},
        {"vary": "Cookie"},
        {"status": 304},
        {"status": 404},
        {"sets_cookie": True},
    ]
    for number in range(300):
        for one in visit(20.0 * number, random.choice((1, number)), *random.sample(names, 5)):
            exchange, said = one.exchange, random.choice(answers) if random.random() < 0.2 else {}
            if one.exchange.request.destination == "document":
                said = {}
            yield LogLine(one.time, Exchange(exchange.request, exchange.answer._replace(**said)))


def test_server_is_told_of_assets_as_it_would_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Live()
    asyncio.run(told.play(steps(*odd_log())))
    monkeypatch.setattr(live, "_survives_latin_1", lambda request, answer: False)
    reads = Live()
    asyncio.run(reads.play(steps(*odd_log())))

    assert told.score == reads.score
    known, learned = (list(each.middleware.learner.export()) for each in (told, reads))
    assert known == learned
    assert len(known) > 1


@pytest.mark.parametrize("location", ["/logo.png", None])
@pytest.mark.parametrize("content_type", ["text/html", ""])
def test_image_that_an_icon_redirects_to_is_not_hinted(
    location: str | None, content_type: str
) -> None:
    visits = []
    for client in (1, 2):
        lines = visit(100 * client, client, "/a.css", "/favicon.ico", "/logo.png")
        redirect = lines[2].exchange.answer
        answer = redirect._replace(status=302, content_type=content_type, location=location)
        lines[2] = LogLine(lines[2].time, Exchange(lines[2].exchange.request, answer))
        visits.append(lines)

    score = played(*visits)

    assert (score.sent, score.used) == (1, 1)
