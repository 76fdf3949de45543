"""Tests of headstart.replay.rivals: what Jetty's filter is known to do."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from headstart.learn import Answer, Exchange, Request
from headstart.learn.logs import LogLine
from headstart.replay.rivals import Everything, JettyFilter
from tests.learn.site import ORIGIN


def line(time: float, target: str, referer: str = "", status: int = 200, **fields: Any) -> LogLine:
    request = Request(ORIGIN, target, "192.0.2.1", referer=referer and ORIGIN + referer)
    return LogLine(time, Exchange(request._replace(**fields), Answer(status)))


def _fed(*lines: LogLine) -> JettyFilter:
    jetty = JettyFilter(2.0)
    for one in lines:
        jetty.take(one)
    return jetty


def _pushes(jetty: JettyFilter, one: LogLine) -> Collection[str]:
    (pushes,) = jetty.take(one)
    return pushes


def test_what_is_asked_for_within_the_window_is_pushed() -> None:
    jetty = _fed(line(0, "/"), line(1, "/a.css?v=1", "/"))

    assert set(_pushes(jetty, line(9, "/"))) == {"/a.css"}


def test_the_window_opens_once_for_all_clients() -> None:
    jetty = _fed(line(0, "/"), line(9, "/"), line(9.1, "/a.css", "/"))

    assert not _pushes(jetty, line(10, "/"))


def test_what_an_asset_brought_is_pushed_with_the_page() -> None:
    jetty = _fed(line(0, "/"), line(0.1, "/a.css", "/"), line(0.2, "/b.png", "/a.css"))

    assert list(_pushes(jetty, line(9, "/"))) == ["/a.css", "/b.png"]


def test_a_longer_period_associates_more_and_beside_a_shorter_one_each_is_as_alone() -> None:
    lines = [line(0, "/"), line(1, "/a.css", "/"), line(3, "/b.css", "/"), line(5, "/c.css", "/")]
    both = JettyFilter(2.0, 4.0)
    for one in lines:
        both.take(one)

    shorter, longer = both.take(line(9, "/"))

    assert list(shorter) == list(_pushes(_fed(*lines), line(9, "/"))) == ["/a.css"]
    assert list(longer) == ["/a.css", "/b.css"]


def test_two_that_refer_to_each_other_are_pushed_once() -> None:
    jetty = _fed(line(0, "/"), line(0.1, "/b", "/"), line(0.2, "/", "/b"))

    assert set(_pushes(jetty, line(9, "/"))) == {"/b", "/"}


def test_seventeen_are_associated_and_no_more() -> None:
    jetty = _fed(line(0, "/"), *(line(0.1, f"/{n}.css", "/") for n in range(30)))

    assert len(_pushes(jetty, line(9, "/"))) == 17


def test_a_conditional_request_is_pushed_nothing_and_associates_nothing() -> None:
    jetty = _fed(line(0, "/"), line(0.1, "/a.css", "/", status=304), line(0.2, "/b.css", "/"))

    assert set(_pushes(jetty, line(1, "/"))) == {"/b.css"}
    assert not _pushes(jetty, line(2, "/", status=304))


def test_another_site_s_referer_and_another_method_associate_nothing() -> None:
    foreign = line(0.1, "/a.css", referer="", status=200)
    foreign = LogLine(
        0.1,
        Exchange(
            foreign.exchange.request._replace(referer="https://evil.example/"),
            foreign.exchange.answer,
        ),
    )

    jetty = _fed(line(0, "/"), foreign, line(0.1, "/b.css", "/", method="POST"))

    assert not _pushes(jetty, line(1, "/"))


def test_everything_is_sent_that_was_ever_seen() -> None:
    everything = Everything()
    everything.learn(ORIGIN, "/", "/a.css")
    everything.learn(ORIGIN, "/", "/b.css")

    assert set(everything.take(line(0, "/?x=1"))) == {"/a.css", "/b.css"}
    assert everything.take(line(0, "/", status=304)) == ()
