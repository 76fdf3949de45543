"""Tests of headstart.replay.loads: pages told from what is none, and what each one needed."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.learn import Answer, Exchange
from headstart.learn.logs import LogLine
from headstart.replay.loads import LineKind, Loads, Step
from tests.replay.test_rivals import line


def steps(*lines: LogLine) -> list[Step]:
    loads = Loads()
    found = [step for one in lines for step in loads.take(one)]
    return [*found, *loads.until(float("inf"))]


def answered(one: LogLine, **fields: Any) -> LogLine:
    exchange = Exchange(one.exchange.request, one.exchange.answer._replace(**fields))
    return LogLine(one.time, exchange)


def kinds(*lines: LogLine) -> list[LineKind]:
    return [step.kind for step in steps(*lines)]


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (line(0, "/about"), LineKind.PAGE),
        (line(0, "/about", status=304), LineKind.PAGE),
        (line(0, "/index.php?a=1"), LineKind.PAGE),
        (line(0, "/old", status=301), LineKind.NAVIGATION),
        (line(0, "/gone", status=404), LineKind.NAVIGATION),
        (line(0, "/?flav=rss20"), LineKind.NAVIGATION),
        (line(0, "/feed/"), LineKind.NAVIGATION),
        (line(0, "/feedback"), LineKind.PAGE),
        (line(0, "/paper.pdf"), LineKind.NAVIGATION),
        (line(0, "/a.css"), LineKind.ASSET),
        (line(0, "/data.json", "/"), LineKind.CALL),
        (line(0, "/sitemap.xml"), LineKind.NAVIGATION),
        (line(0, "/", method="POST"), LineKind.OTHER),
        (answered(line(0, "/a"), content_type="application/json"), LineKind.NAVIGATION),
        (answered(line(0, "/a.txt"), content_type="text/html; charset=utf-8"), LineKind.PAGE),
        (answered(line(0, "/a"), content_type="image/png"), LineKind.ASSET),
    ],
)
def test_each_request_has_the_kind_that_a_browser_would_say(one: LogLine, kind: LineKind) -> None:
    assert kinds(one) == [kind]


def test_a_script_s_call_is_not_a_page() -> None:
    assert kinds(line(0, "/"), line(1, "/status", "/")) == [LineKind.PAGE, LineKind.CALL]


def test_a_page_that_a_link_leads_to_is_told_by_its_assets() -> None:
    link = line(1, "/status", "/")

    assert kinds(line(0, "/"), link, line(2, "/a.css", "/status"))[1] is LineKind.PAGE


def test_a_link_that_is_followed_later_leads_to_a_page() -> None:
    assert kinds(line(0, "/"), line(11, "/status", "/"))[1] is LineKind.PAGE


def test_a_load_has_the_assets_of_its_client_that_its_names_refer_to() -> None:
    page, *_ = steps(
        line(0, "/"),
        line(1, "/a.css", "/"),
        line(2, "/b.png", "/a.css"),
        line(3, "/c.png", "/", status=304),
        line(3, "/d.png"),
        line(3, "/e.png", "/", address="192.0.2.9"),
        line(11, "/f.png", "/"),
    )

    assert page.load is not None
    assert page.load.real == {"/a.css", "/b.png"}
    assert page.load.subrequests == {"/a.css": 200, "/b.png": 200, "/c.png": 304}
    assert page.load.asked == {**page.load.subrequests, "/d.png": 200}
    assert page.fetches


def test_a_client_that_never_fetched_an_asset_is_a_robot() -> None:
    assert not any(step.fetches for step in steps(line(0, "/"), line(1, "/a.css")))


def test_a_line_waits_until_its_horizon_is_over() -> None:
    loads = Loads()

    assert list(loads.take(line(0, "/"))) == []
    assert list(loads.take(line(10, "/b"))) == []
    assert [step.line.time for step in loads.take(line(10.1, "/c"))] == [0]


def test_another_origin_s_asset_is_not_the_page_s() -> None:
    page, _ = steps(line(0, "/"), line(1, "/a.css", "/", origin="https://other.example"))

    assert page.load is not None
    assert page.load.asked == {}


def test_an_answer_without_a_type_is_told_by_its_name() -> None:
    assert kinds(LogLine(0, Exchange(line(0, "/x.jar").exchange.request, Answer(200)))) == [
        LineKind.NAVIGATION
    ]
