"""The map's rows as an operator reads them."""

from __future__ import annotations

import pytest

from headstart.deliver.rows import all_rows, because, is_waste, reasons_of, rows_of, split
from headstart.learn import (
    Cause,
    Finding,
    How,
    Judgement,
    Kind,
    Learner,
    LearnOptions,
    Named,
    Reading,
    Row,
    Trust,
)
from tests.learn.site import ASSETS, IMAGE, ORIGIN, SCRIPT, STYLE, Site


def row(why: Judgement, *, sent: bool = False, page: str = ORIGIN + "/") -> Row:
    return Row(page, "/a.css", 0.5, 2.0, sent, why)


def known(rows: list[Row]) -> list[tuple[str, str]]:
    return [(split(one.page)[1], one.asset) for one in rows]


def visited(*pages: str) -> Learner:
    site = Site()
    for page in pages:
        site.visit(page, ASSETS)
        site.visit(page, ASSETS)
    return site.learner


def test_nothing_learned_is_no_row() -> None:
    assert all_rows(Learner()) == []
    assert rows_of(Learner(), "/") == []


def test_rows_are_in_order_and_the_whole_site_comes_last() -> None:
    pages = [page for page, _ in known(all_rows(visited("/b", "/a")))]

    assert list(dict.fromkeys(pages)) == ["/a", "/b", "/*"]


def test_likeliest_asset_comes_first() -> None:
    site = Site()
    site.visit("/", [STYLE, SCRIPT])
    for _ in range(3):
        site.visit("/", [SCRIPT])

    rows = [one for one in all_rows(site.learner) if split(one.page)[1] == "/"]

    assert [one.asset for one in rows] == [SCRIPT, STYLE]


@pytest.mark.parametrize("page", ["/", ORIGIN + "/"])
def test_pinned_asset_has_one_row(page: str) -> None:
    learner = visited("/")
    learner.pin(page, STYLE)

    rows = [one for one in all_rows(learner) if split(one.page)[1] == "/" and one.asset == STYLE]

    assert [one.why for one in rows] == [Judgement.PINNED]


@pytest.mark.parametrize("page", ["/a", "/a?token=1", ORIGIN + "/a"])
def test_page_is_found_by_path_and_by_url(page: str) -> None:
    rows = rows_of(visited("/a", "/b"), page)

    assert {split(one.page)[1] for one in rows} == {"/a"}
    assert {one.asset for one in rows} == set(ASSETS)


def test_page_of_another_origin_is_not_meant() -> None:
    learner = visited("/a")
    learner.pin("https://other.example/a", SCRIPT)

    assert {one.page for one in rows_of(learner, ORIGIN + "/a")} == {ORIGIN + "/a"}
    assert len({one.page for one in rows_of(learner, "/a")}) == 2


def test_pin_on_every_origin_shows_on_each() -> None:
    learner = visited("/a")
    learner.pin("/a", "/other.css")

    assert "/other.css" in {one.asset for one in rows_of(learner, ORIGIN + "/a")}


def test_page_never_seen_shows_what_it_borrows() -> None:
    learner = visited("/product/1", "/product/2")

    rows = rows_of(learner, "/product/3")

    assert {(one.page, one.why) for one in rows} == {(ORIGIN + "/product/3", Judgement.PATTERN)}
    assert all(one.sent for one in rows)
    assert {one.why for one in rows_of(learner, "/new")} == {Judgement.SITE}


def test_page_that_wastes_what_it_is_sent_says_so() -> None:
    site = Site(memory=4)
    for _ in range(3):
        site.visit("/", ASSETS)
    for _ in range(12):
        view = site.open("/")
        for candidate in view.candidates:
            site.learner.delivered(view, candidate.target, How.PUSHED)
            site.learner.feedback(view, candidate.target)
        site.fetch(view, "/other.png")
        site.wait()

    rows = [one for one in rows_of(site.learner, "/") if one.asset in ASSETS]

    assert rows
    assert not any(one.sent for one in rows)


def test_icon_is_asked_for_and_not_sent() -> None:
    site = Site()
    for _ in range(2):
        site.visit("/", [STYLE, "/favicon-32x32.png"])

    rows = {one.asset: one for one in rows_of(site.learner, "/")}

    assert rows[STYLE].sent
    assert not rows["/favicon-32x32.png"].sent
    assert because(rows["/favicon-32x32.png"]).startswith("an icon")
    assert not is_waste(rows["/favicon-32x32.png"])


def test_page_that_borrows_an_icon_is_not_sent_it() -> None:
    site = Site()
    for page in ("/a", "/b", "/c"):
        site.visit(page, [STYLE, "/favicon-32x32.png"])

    rows = {one.asset: one.sent for one in rows_of(site.learner, "/never-seen")}

    assert rows == {STYLE: True, "/favicon-32x32.png": False}


def test_each_reason_has_words_of_its_own() -> None:
    words = {
        because(row(why, sent=why in ("named", "page", "pattern", "site"))) for why in Judgement
    }

    assert len(words) == len(Judgement)
    assert because(row(Judgement.PAGE)) not in words
    assert is_waste(row(Judgement.SITE))
    assert not is_waste(row(Judgement.UNLIKELY))


def test_options_of_the_server_decide() -> None:
    site = Site()
    site.visit("/", [IMAGE])
    strict = Learner(LearnOptions(likely=0.99))
    strict.absorb(site.learner.export())

    assert any(one.sent for one in all_rows(site.learner))
    assert not any(one.sent for one in all_rows(strict))


def test_reasons_say_how_each_asset_is_sent_and_what_keeps_the_site_from_learning() -> None:
    learner = visited("/", "/about")
    learner.note(Finding(ORIGIN, Cause.HTTP_1, "", 100.0))
    learner.note(Finding("https://other.example", Cause.NO_REFERER, "", 100.0))

    lines = list(reasons_of(learner, "/about", 200.0))

    assert lines[0] == f"{ORIGIN}/about"
    assert f"  {STYLE}: sent by push, 103 or Link: this page's clients ask for it" in lines
    assert lines[-2] == "What keeps Headstart from learning more:"
    assert lines[-1].startswith(f"  {ORIGIN}: All requests come over HTTP/1.1")


@pytest.mark.parametrize(
    "named",
    [Named(STYLE, Kind.STYLE, media="print"), Named(STYLE, Kind.IMAGE, imagesrcset="/a.png 2x")],
)
def test_asset_whose_link_says_more_than_a_103_can_is_not_said_to_be_in_one(named: Named) -> None:
    site = Site()
    for address in ("192.0.2.1", "192.0.2.2"):
        view = site.open(address=address)
        site.fetch(view, STYLE)
        site.learner.read(Reading(site.now, ORIGIN, "/", 7, Trust.SOLE, named=(named,)))
        site.learner.sync(site.now + 60)

    [line] = [line for line in reasons_of(site.learner, "/", 0.0) if STYLE in line and "by" in line]

    assert "by push or Link (no 103: browsers heed media and imagesrcset in a response" in line


@pytest.mark.parametrize(
    ("cache_control", "words"),
    [
        ("no-cache", "by push or Link (no 103: browsers must not use it again"),
        ("", "by push or Link (no 103: nothing says how long"),
        (None, "by push only (no 103 or Link: no request by a client has shown its cache fields)"),
    ],
)
def test_reasons_say_why_a_103_does_not_name_an_asset(
    cache_control: str | None, words: str
) -> None:
    site = Site()
    for _ in range(2):
        view = site.open()
        site.fetch(view, STYLE, cache_control=cache_control)
        site.learner.sync(site.now + 60)

    [line] = [line for line in reasons_of(site.learner, "/", 0.0) if STYLE in line and "by" in line]
    assert words in line


def test_asset_that_only_the_html_showed_is_sent_by_push_or_link() -> None:
    learner = Learner()
    named = (Named(STYLE, Kind.STYLE),)
    learner.read(Reading(100.0, ORIGIN, "/", 1, Trust.SOLE, named=named))

    unseen = "no request by a client has shown its cache fields"
    words = f"sent by push or Link (no 103: {unseen}): the page names it"
    assert f"  {STYLE}: {words}" in list(reasons_of(learner, "/", 200.0))


def test_reasons_of_all_sites_are_what_was_found_in_the_last_day() -> None:
    learner = visited("/")
    learner.note(Finding(ORIGIN, Cause.HTTP_1, "", 100.0))

    assert len(list(reasons_of(learner, "", 200.0))) == 2
    assert list(reasons_of(learner, "", 1e6)) == [
        "Nothing is known that keeps Headstart from learning."
    ]


def test_reasons_say_that_a_page_is_not_known_and_borrows_nothing() -> None:
    borrows_nothing = "/x: not known, and it borrows no asset from pages like it or from its site."

    assert next(reasons_of(Learner(), "/x", 0.0)) == borrows_nothing


def test_reasons_say_what_to_do_about_assets_that_wait_for_a_second_client() -> None:
    site = Site()
    for asset in ("/style.css?ver=1", "/app.js?ver=1"):
        site.fetch(site.open(), asset, cache_control="", validated=True)
    site.learner.sync(site.now + 60)

    *_, of_page = reasons_of(site.learner, "/", 0.0)
    *_, of_all = reasons_of(site.learner, "", 0.0)
    site.fetch(site.open(), "/app.js?ver=1", cache_control="", validated=True)
    site.learner.sync(site.now + 60)
    *_, of_one = reasons_of(site.learner, "", 0.0)

    assert of_page == of_all
    assert of_all.startswith(f"  {ORIGIN}: 2 assets, such as /app.js?ver=1, wait for a second")
    assert of_one.startswith(f"  {ORIGIN}: /style.css?ver=1 waits for a second client. A lone")
    assert "from another address" in of_one
    assert "a max-age of a minute" in of_one
