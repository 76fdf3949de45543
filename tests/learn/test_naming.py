"""What pages' own HTML teaches: at once, for everybody, and no more than is safe."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from headstart.learn import (
    Answer,
    Candidate,
    Judgement,
    Kind,
    Learner,
    LearnOptions,
    Named,
    OtherOrigin,
    Reading,
    SeenAsset,
    Trust,
    from_plain,
    to_plain,
    trust_in,
    voter_of,
)
from headstart.learn.counts import Asset, Association, Naming, Share
from headstart.learn.naming import first_candidate, is_alternate
from tests.learn.site import (
    ASSETS,
    FONT,
    HTML,
    ORIGIN,
    SCRIPT,
    STYLE,
    Site,
    asset_answer,
    asset_request,
    page_request,
)

OLD, NEW = "/assets/index-abcdefgh.js", "/assets/index-ijklmnop.js"
QUERY = "/style.css?ver=6.1.9"
VERSION_A, VERSION_B = "/a.js", "/b.js"
HERO = "/hero.png"
KINDS = {"css": Kind.STYLE, "js": Kind.SCRIPT, "woff2": Kind.FONT, "png": Kind.IMAGE}


def named(target: str, **fields: Any) -> Named:
    return Named(target, KINDS[target.partition("?")[0].rpartition(".")[2]], **fields)


def reading(
    *targets: str,
    path: str = "/",
    voter: str = "192.0.2.1",
    trust: Trust = Trust.SOLE,
    now: float = 1000.0,
    whole: bool = True,
) -> Reading:
    """A copy of a page that names these."""
    names = tuple(map(named, targets))
    return Reading(now, ORIGIN, path, voter_of(voter), trust, whole, names)


def learner_of(*readings: Reading) -> Learner:
    learner = Learner(LearnOptions(control_share=0))
    for each in readings:
        learner.read(each)
    return learner


def sent(learner: Learner, path: str = "/") -> list[str]:
    return sorted(candidate.target for candidate in learner.candidates(ORIGIN, path))


def judgement(learner: Learner, target: str, path: str = "/") -> Judgement:
    return next(
        row.why for row in learner.rows() if (row.page, row.asset) == (ORIGIN + path, target)
    )


def test_the_second_visitor_gets_what_the_page_names_though_the_first_fetched_nothing() -> None:
    learner = learner_of(reading(STYLE, SCRIPT))

    view = learner.begin(page_request("/", "192.0.2.9"), 1001.0)

    assert view is not None
    assert sorted(candidate.target for candidate in view.candidates) == [SCRIPT, STYLE]
    assert {candidate.why for candidate in view.candidates} == {Judgement.NAMED}
    assert all(candidate.named is not None for candidate in view.candidates)
    # Nobody saw its header, so it may not stand in a 103.
    assert not any(candidate.asset.verified for candidate in view.candidates)


def test_what_nobody_asks_for_is_sent_no_more() -> None:
    site = Site()
    site.learner.read(reading(STYLE, SCRIPT))
    for _ in range(8):
        site.visit(assets=(STYLE,))

    assert STYLE in sent(site.learner)
    assert SCRIPT not in sent(site.learner)


def test_after_a_deployment_the_new_name_is_sent_at_once_and_the_old_one_is_gone() -> None:
    site = Site()
    site.learner.read(reading(OLD))
    for _ in range(8):
        site.visit(assets=(OLD,))

    site.learner.read(reading(NEW, now=site.now))

    assert sent(site.learner) == [NEW]
    assert judgement(site.learner, OLD) is Judgement.ABSENT
    # As the old one in the same folder was served, so is the new one.
    [candidate] = site.learner.candidates(ORIGIN, "/")
    assert (candidate.asset.verified, candidate.asset.lifetime) == (True, 3600)


@pytest.mark.parametrize("ended_before_reading", [True, False])
def test_views_of_the_copy_before_a_deployment_do_not_count_against_the_new_name(
    ended_before_reading: bool,
) -> None:
    site = Site()
    site.learner.read(reading(OLD))
    late = [site.open() for _ in range(8)]
    for view in late:
        site.fetch(view, OLD)
    site.now += 1
    # The first who gets the new copy asks for the new name before the server has read it.
    site.fetch(site.open(), NEW)
    site.learner.sync(site.now)

    if ended_before_reading:
        site.wait()
    site.learner.read(reading(NEW, now=site.now))
    site.wait()

    assert sent(site.learner) == [NEW]


def test_other_pages_do_not_get_the_old_name_until_they_are_read_again() -> None:
    site = Site()
    for path in ("/", "/about"):
        site.learner.read(reading(OLD, path=path, now=site.now))
    for path in ("/", "/about", "/terms", "/") * 3:
        site.visit(path, assets=(OLD,))
    assert [OLD in sent(site.learner, path) for path in ("/about", "/unseen")] == [True, True]

    site.learner.read(reading(NEW, now=site.now))

    assert [OLD in sent(site.learner, path) for path in ("/about", "/unseen")] == [False, False]
    assert not site.learner.is_read(ORIGIN, "/about")
    site.learner.read(reading(OLD, path="/about", now=site.now + 1))
    assert site.learner.is_read(ORIGIN, "/about")
    assert OLD in sent(site.learner, "/about")


def test_a_deployment_is_not_forgotten_at_a_restart() -> None:
    site = Site()
    for path in ("/", "/about"):
        site.learner.read(reading(OLD, path=path, now=site.now))
    for path in ("/", "/about", "/terms", "/") * 3:
        site.visit(path, assets=(OLD,))
    site.learner.read(reading(NEW, now=site.now))

    restarted = Learner(LearnOptions())
    restarted.absorb([from_plain(to_plain(record)) for record in site.learner.export()])

    assert [OLD in sent(restarted, path) for path in ("/about", "/unseen")] == [False, False]
    assert not restarted.is_read(ORIGIN, "/about")


def test_a_page_is_not_sent_what_only_other_pages_html_names() -> None:
    site = Site()
    site.learner.read(reading(STYLE, HERO))
    for path in ("/", "/b/1", "/b/2", "/b/3"):
        site.visit(path, assets=(STYLE, HERO))

    site.learner.read(reading(STYLE, path="/c", now=site.now))

    assert sent(site.learner, "/c") == [STYLE]


def test_a_page_whose_clients_ask_for_what_other_pages_html_names_is_sent_it() -> None:
    site = Site()
    site.learner.read(reading(STYLE, SCRIPT))
    for _ in range(3):
        site.visit("/c", assets=(STYLE, SCRIPT))

    site.learner.read(reading(STYLE, path="/c", now=site.now))

    assert sent(site.learner, "/c") == [SCRIPT, STYLE]


@pytest.mark.parametrize(
    ("fields", "sent_first"),
    [
        ({}, True),
        ({"media": "print"}, False),
        ({"imagesrcset": "/b.png 2x"}, False),
        ({"media": "print", "imagesrcset": "/b.png 2x"}, False),
    ],
)
def test_an_image_that_a_browser_may_not_take_is_not_sent_before_its_page_was_read(
    fields: dict[str, Any], sent_first: bool
) -> None:
    image = named("/a.png", **fields)

    found = first_candidate(image, None, ORIGIN, credentials=False)

    seen = SeenAsset("/a.png", Kind.IMAGE)
    key = hash((ORIGIN, "/a.png"))
    assert found == (Candidate(seen, 0.8, Judgement.NAMED, key, image) if sent_first else None)


@pytest.mark.parametrize(
    ("asked", "views", "segment", "in_doubt"),
    [(4, 4, 0, False), (3, 3, 0, True), (4, 5, 0, True), (4, 4, 1, True), (4, 4, None, True)],
)
def test_a_version_of_a_page_is_not_in_doubt_in_a_segment_that_always_has_it(
    asked: int, views: int, segment: int | None, in_doubt: bool
) -> None:
    association = Association(Asset(1, SeenAsset(STYLE, Kind.STYLE), 1), 1, 0.0)
    association.naming = Naming(named(STYLE), alternates=True)
    share = Share(float(views), float(asked))
    association.segments = {0: share}

    assert is_alternate(association, segment) is in_doubt


def test_versions_that_come_and_go_are_left_to_votes() -> None:
    learner = learner_of(
        reading(STYLE, VERSION_A), reading(STYLE, VERSION_B), reading(STYLE, VERSION_A),
        reading(STYLE, VERSION_B),
    )  # fmt: skip

    assert sent(learner) == [STYLE]


def test_an_image_that_browsers_choose_among_several_is_left_to_the_page() -> None:
    site = Site()
    image = Named("/a.png", Kind.IMAGE, imagesrcset="/b.png 2x")
    names, choices = (image, named(STYLE)), ("/b.png", "/c.png")
    voter = voter_of("192.0.2.1")
    site.learner.read(Reading(site.now, ORIGIN, "/", voter, Trust.SOLE, True, names, (), choices))
    for _ in range(8):
        site.visit(assets=(STYLE, "/b.png"))

    assert sent(site.learner) == ["/a.png", STYLE]
    assert judgement(site.learner, "/b.png") is Judgement.ALTERNATIVE
    other = learner_of()
    other.absorb([from_plain(to_plain(record)) for record in site.learner.export()])
    assert sent(other) == ["/a.png", STYLE]


def test_a_page_that_was_not_read_to_its_end_drops_nothing() -> None:
    learner = learner_of(reading(STYLE, SCRIPT), reading(STYLE, whole=False))

    assert sent(learner) == [SCRIPT, STYLE]


def test_an_image_that_one_page_drops_stays_with_others() -> None:
    learner = learner_of(
        reading(HERO), reading(HERO, path="/b"), reading(STYLE), reading(HERO, path="/b")
    )

    assert (sent(learner), sent(learner, "/b")) == ([STYLE], [HERO])


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, "text/html"),
        Answer(200, "text/html; charset=utf-8", "public, max-age=60"),
        Answer(200, "text/css", "private"),
        Answer(200, "text/css", "public", sets_cookie=True),
    ],
)
def test_what_is_answered_otherwise_is_gone(answer: Answer) -> None:
    learner = learner_of(reading(STYLE))

    page = page_request()
    learner.complete(page, HTML, learner.begin(page, 1001.0), 1001.0)
    learner.complete(asset_request(STYLE), answer, None, 1001.1)

    assert sent(learner) == []


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, "text/html"),
        Answer(200, "text/html"),
        Answer(200, "text/css", "no-store"),
        Answer(200, "text/css", vary="Cookie"),
    ],
)
def test_what_was_answered_otherwise_before_the_page_was_read_is_not_sent(answer: Answer) -> None:
    learner = learner_of()
    page = page_request()
    learner.complete(page, HTML, learner.begin(page, 1001.0), 1001.0)
    learner.complete(asset_request(STYLE), answer, None, 1001.1)

    learner.read(reading(STYLE, SCRIPT))
    other = learner_of()
    other.absorb(learner.sync(1002.0))
    assert (sent(learner), sent(other)) == ([SCRIPT], [SCRIPT])

    learner.complete(asset_request(STYLE), asset_answer(STYLE), None, 1002.1)
    learner.read(reading(STYLE, SCRIPT))
    assert sent(learner) == [SCRIPT, STYLE]


def test_a_refusal_for_one_client_alone_keeps_no_asset_from_others() -> None:
    learner = learner_of()
    page = page_request()
    learner.complete(page, HTML, learner.begin(page, 1001.0), 1001.0)
    for status in (401, 403, 429, 503):
        learner.complete(asset_request(STYLE), Answer(status, "text/html"), None, 1001.1)
    learner.complete(asset_request(STYLE, destination="image"), asset_answer(STYLE), None, 1001.2)

    learner.read(reading(STYLE))

    assert sent(learner) == [STYLE]


# Who may be believed.


def test_a_copy_that_may_be_one_client_s_needs_a_second_voter() -> None:
    first = reading(STYLE, SCRIPT, trust=Trust.AGREED)
    learner = learner_of(first, first)

    assert sent(learner) == []
    learner.read(reading(STYLE, trust=Trust.AGREED, voter="198.51.100.1"))
    assert sent(learner) == [STYLE]


def test_ten_thousand_copies_from_one_address_change_nothing_for_others() -> None:
    honest = reading(STYLE, SCRIPT)
    learner = learner_of(honest)
    for at in range(10_000):
        learner.read(reading(f"/u/{at}.png", trust=Trust.AGREED, voter="203.0.113.5"))

    assert sent(learner) == [SCRIPT, STYLE]


def test_agreed_names_go_when_two_voters_copies_do_without_them() -> None:
    voters = ("192.0.2.1", "198.51.100.1")
    learner = learner_of(*(reading(STYLE, trust=Trust.AGREED, voter=voter) for voter in voters))
    learner.read(reading(SCRIPT, trust=Trust.AGREED, voter=voters[0]))
    assert sent(learner) == [STYLE]

    learner.read(reading(SCRIPT, trust=Trust.AGREED, voter=voters[1]))

    assert sent(learner) == [SCRIPT]


def test_a_url_with_a_query_is_sent_only_once_it_was_seen_to_be_static() -> None:
    learner = learner_of(reading(QUERY, "/delete.png?id=1"))
    assert sent(learner) == []

    page = page_request()
    learner.complete(page, HTML, learner.begin(page, 1001.0), 1001.0)
    answer = asset_answer(QUERY, cache_control="", validated=True)
    learner.complete(asset_request(QUERY), answer, None, 1001.1)
    deleted = Answer(302, "text/html")
    learner.complete(asset_request("/delete.png?id=1"), deleted, None, 1001.2)
    learner.sync(1020.0)

    assert sent(learner) == [QUERY]


def test_a_url_with_a_query_may_be_seen_to_be_static_by_a_client_without_a_view() -> None:
    learner = learner_of(reading(QUERY))
    page = page_request()
    learner.complete(page, HTML, learner.begin(page, 1001.0), 1001.0)

    elsewhere = asset_request(QUERY, page="/elsewhere")
    learner.complete(elsewhere, asset_answer(QUERY, validated=True), None, 1001.1)
    learner.sync(1020.0)

    assert sent(learner) == [QUERY]


def test_a_query_without_validator_or_lifetime_is_learned_once_the_pages_html_named_it() -> None:
    learner = Learner(LearnOptions(control_share=0))
    counter = "/visits.png?page=1"

    def visit(query: str, at: float, address: str) -> None:
        page = page_request(address=address)
        learner.complete(page, HTML, learner.begin(page, at), at)
        for target in (query, counter):
            answer = asset_answer(target, cache_control="")
            learner.complete(asset_request(target, address=address), answer, None, at + 0.1)
        learner.read(reading(query, counter, now=at + 0.5))
        learner.sync(at + 20.0)

    visit("/app.css?d59929", 1000.0, "192.0.2.1")
    assert sent(learner) == []
    visit("/app.css?d59929", 1100.0, "192.0.2.2")
    assert sent(learner) == ["/app.css?d59929"]

    # A push of it is answered like any other request for it.
    request = asset_request("/app.css?d59929")
    learner.pushed(request, asset_answer("/app.css?d59929", cache_control=""))
    assert sent(learner) == ["/app.css?d59929"]

    # A query that changes with each request is another URL each time.
    for number in range(6):
        visit(f"/app.css?t={number}", 1200.0 + 100.0 * number, f"192.0.2.{number + 3}")
        assert sent(learner) == []


def test_a_url_whose_name_is_no_file_s_is_not_sent_before_it_was_seen_to_be_static() -> None:
    logout = Named("/logout", Kind.IMAGE)
    config = Named("/config", Kind.SCRIPT)
    learner = Learner(LearnOptions(control_share=0))
    learner.read(Reading(1000.0, ORIGIN, "/", 1, Trust.SOLE, True, (logout, config)))
    assert sent(learner) == []

    page = page_request()
    learner.complete(page, HTML, learner.begin(page, 1001.0), 1001.0)
    for name, destination in (("/logout", "image"), ("/config", "script")):
        request = asset_request("/x.js")._replace(target=name, destination=destination)
        static = asset_answer("/x.js") if name == "/config" else Answer(200, "text/html")
        learner.complete(request, static, None, 1001.1)

    assert sent(learner) == ["/config"]


def test_what_one_page_names_is_not_sent_with_another_that_nobody_read() -> None:
    learner = learner_of(reading("/u/alice.png", path="/u/1"))

    assert sent(learner, "/u/2") == []


@pytest.mark.parametrize(
    ("fields", "cookies", "trust"),
    [
        ({}, False, Trust.SOLE),
        ({"cache_control": "no-cache, max-age=0"}, False, Trust.SOLE),
        ({"vary": "Accept-Encoding, Cookie"}, False, Trust.SOLE),
        ({"cache_control": "private, max-age=60"}, False, Trust.AGREED),
        ({"cache_control": "no-store"}, False, Trust.AGREED),
        ({"sets_cookie": True}, False, Trust.AGREED),
        ({}, True, None),
        ({"cache_control": "public"}, True, None),
        ({"vary": "*"}, False, None),
        ({"status": 404}, False, None),
    ],
)
def test_what_a_page_says_to_one_client_is_believed_as_far_as_it_is_public(
    fields: dict[str, Any], cookies: bool, trust: Trust | None
) -> None:
    answer = HTML._replace(**fields)

    assert trust_in(page_request(cookies=cookies), answer) is trust


def test_credentials_and_queries_make_a_page_one_client_s() -> None:
    assert trust_in(page_request(authorized=True), HTML) is None
    assert trust_in(page_request("/?q=<img src=/x.png>"), HTML) is Trust.AGREED


# Without a Referer.


def test_a_page_without_referers_is_learned_by_what_it_names() -> None:
    site = Site()
    site.learner.read(reading(STYLE))
    for target in (STYLE, SCRIPT):
        page = page_request("/", "192.0.2.7", connection=target)
        other = page_request("/other", "192.0.2.7", connection=target)
        for each in (page, other):
            site.learner.complete(each, HTML, site.learner.begin(each, site.now), site.now)
        request = asset_request(target, "/", "192.0.2.7", referer="", connection=target)
        site.learner.complete(request, asset_answer(target), None, site.now + 0.1)
        site.learner.gone(target)

    rows = {(row.page, row.asset): row.views for row in site.learner.rows()}
    assert rows[ORIGIN + "/", STYLE] == 1.0
    # With two pages that go on, nothing says whose it is.
    assert (ORIGIN + "/other", SCRIPT) not in rows


@pytest.mark.parametrize("referer", ["", ORIGIN + "/"])
def test_without_a_path_in_the_referer_an_asset_is_that_of_the_page_that_names_it(
    referer: str,
) -> None:
    learner = learner_of(reading(STYLE, path="/inner"))
    for path in ("/", "/inner"):
        page = page_request(path, connection=1)
        learner.complete(page, HTML, learner.begin(page, 1001.0), 1001.0)

    request = asset_request(STYLE, connection=1, referer=referer)
    learner.complete(request, asset_answer(STYLE), None, 1001.1)
    learner.gone(1)

    rows = {(row.page, row.asset): row.views for row in learner.rows()}
    assert rows[ORIGIN + "/inner", STYLE] == 1.0
    assert (ORIGIN + "/", STYLE) not in rows


def test_without_a_referer_an_asset_is_that_of_the_only_page_on_the_connection() -> None:
    learner = learner_of()
    page = page_request(connection=1)
    learner.complete(page, HTML, learner.begin(page, 1001.0), 1001.0)

    request = asset_request(STYLE, connection=1, referer="")
    learner.complete(request, asset_answer(STYLE), None, 1001.1)
    learner.gone(1)

    assert sent(learner) == [STYLE]


# Kept and shared.


def test_readings_reach_other_workers_and_a_restart() -> None:
    first, second, third = (learner_of() for _ in range(3))
    each = named(STYLE, media="(width>1px)", integrity="sha256-x", late=True)
    other = OtherOrigin("https://cdn.example", cors=True)
    first.read(Reading(1000.0, ORIGIN, "/", 1, Trust.SOLE, True, (each, named(SCRIPT)), (other,)))
    first.read(Reading(1001.0, ORIGIN, "/", 2, Trust.SOLE, True, (each,), (other,)))

    second.absorb([from_plain(to_plain(record)) for record in first.sync(1002.0)])
    third.absorb([from_plain(to_plain(record)) for record in first.export()])

    for learner in (first, second, third):
        [candidate] = learner.candidates(ORIGIN, "/")
        assert candidate.named == each
        assert judgement(learner, SCRIPT) is Judgement.ABSENT
        assert learner.others(ORIGIN, "/") == (other,)
        assert learner.is_read(ORIGIN, "/")


def test_another_origin_needs_the_copies_of_two_voters_and_goes_with_the_last_one() -> None:
    evil = OtherOrigin("https://evil.example")
    learner = learner_of()
    for voter, others in ((1, (evil,)), (1, (evil,)), (2, ()), (1, (evil,))):
        learner.read(Reading(1000.0, ORIGIN, "/", voter, Trust.SOLE, True, (), others))
        assert learner.others(ORIGIN, "/") == ()

    learner.read(Reading(1000.0, ORIGIN, "/", 2, Trust.SOLE, True, (), (evil,)))
    assert learner.others(ORIGIN, "/") == (evil,)
    learner.read(Reading(1000.0, ORIGIN, "/", 3, Trust.SOLE))
    assert learner.others(ORIGIN, "/") == ()


def test_a_reading_that_names_nothing_makes_no_page() -> None:
    learner = learner_of(reading(path="/empty"))

    assert not learner.is_read(ORIGIN, "/empty")
    assert list(learner.export()) == []


def test_names_stay_within_the_bound_of_memory() -> None:
    options = LearnOptions(max_bytes=2 * 1024 * 1024)
    learner = Learner(options)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for at in range(300):
            names = tuple(
                named(f"/{at}/{place}.png", imagesrcset=f"/{at}/{place}.png 1x" * 40)
                for place in range(60)
            )
            learner.read(Reading(1000.0 + at, ORIGIN, f"/{at}", at, Trust.SOLE, True, names))
        learner.sync(9000.0)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert taken <= options.max_bytes


def test_a_bad_target_is_not_taken_from_a_reading() -> None:
    bad = ("//evil.example/a.js", "/a b.js", "/" + "a" * 3000 + ".js")

    assert sent(learner_of(reading(*bad))) == []


def test_assets_that_votes_know_get_their_attributes_from_the_page() -> None:
    site = Site()
    site.visit(assets=ASSETS)
    each = named(SCRIPT, module=True, crossorigin="anonymous")

    site.learner.read(Reading(site.now, ORIGIN, "/", 1, Trust.SOLE, True, (each,)))

    candidates = {each.target: each.named for each in site.learner.candidates(ORIGIN, "/")}
    assert candidates[SCRIPT] == each
    assert candidates[STYLE] is None


def with_font(
    font: str, path: str = "/", *, known: bool = True, sheet: str = STYLE, now: float = 1000.0
) -> Reading:
    """A copy of a page whose stylesheet names a font, if the stylesheet was read."""
    fonts = (Named(font, Kind.FONT, crossorigin="anonymous", sheet=sheet),) if known else ()
    sheets = (sheet,) if known else ()
    names = (named(sheet), *fonts)
    return Reading(now, ORIGIN, path, 1, Trust.SOLE, True, names, sheets=sheets)


def test_a_font_of_a_stylesheet_is_sent_where_clients_of_pages_with_it_ask_for_it() -> None:
    site = Site()
    for page in ("/a", "/b"):
        site.learner.read(with_font(FONT, page))
    # Nobody asked for a font, so none is sent.
    assert sent(site.learner, "/a") == sent(site.learner, "/b") == [STYLE]

    site.visit("/a", [STYLE, FONT])

    # /b was seen by robots alone.
    assert sent(site.learner, "/a") == sent(site.learner, "/b") == [STYLE, FONT]
    [font] = [each for each in site.learner.candidates(ORIGIN, "/b") if each.target == FONT]
    assert font.named is not None
    assert font.named.crossorigin == "anonymous"


def test_a_page_takes_notice_of_a_font_as_soon_as_another_page_is_set_in_it() -> None:
    site = Site()
    # From here on a vote at one page tells the others nothing, unless it matters to them.
    for number in range(40):
        site.visit(f"/{number}", [STYLE])
    for page in ("/a", "/b"):
        site.learner.read(with_font(FONT, page, now=site.now))
    assert sent(site.learner, "/b") == [STYLE]

    site.visit("/a", [STYLE, FONT])
    assert sent(site.learner, "/b") == [STYLE, FONT]
    site.visit("/a", [STYLE])

    assert sent(site.learner, "/b") == [STYLE]


def test_a_font_that_few_pages_with_its_stylesheet_use_is_sent_with_these_alone() -> None:
    site = Site()
    pages = [f"/{number}" for number in range(6)]
    for page in pages:
        site.learner.read(with_font(FONT, page))
    site.visit(pages[0], [STYLE, FONT])
    for page in pages[1:5]:
        site.visit(page, [STYLE])

    assert sent(site.learner, pages[0]) == [STYLE, FONT]
    for page in pages[1:]:
        assert sent(site.learner, page) == [STYLE]


def test_a_font_is_gone_once_its_stylesheet_or_the_page_names_it_no_more() -> None:
    site = Site()
    site.learner.read(with_font(FONT))
    site.visit("/", [STYLE, FONT])
    assert sent(site.learner) == [STYLE, FONT]

    # A worker that has not read the stylesheet knows nothing of its fonts.
    site.learner.read(with_font(FONT, known=False, now=site.now))
    assert sent(site.learner) == [STYLE, FONT]

    site.learner.read(with_font("/new.woff2", now=site.now))
    assert sent(site.learner) == [STYLE]
    site.visit("/", [STYLE, "/new.woff2"])
    assert sent(site.learner) == ["/new.woff2", STYLE]

    site.learner.read(with_font("/other.woff2", sheet="/other.css", now=site.now))
    assert sent(site.learner) == ["/other.css"]


def test_a_page_that_was_asked_for_before_its_stylesheet_was_read_counts_as_well() -> None:
    site = Site()
    site.visit("/a", [STYLE, FONT])
    site.learner.read(with_font(FONT, "/a"))
    site.learner.read(with_font(FONT, "/b"))
    again = Learner(LearnOptions(control_share=0))
    again.absorb(map(from_plain, map(to_plain, site.learner.export())))

    for learner in (site.learner, again):
        assert sent(learner, "/b") == [STYLE, FONT]


def test_of_two_versions_of_a_page_neither_is_sent_until_one_of_them_has_settled() -> None:
    site = Site()
    for number in range(12):
        version = (VERSION_A, VERSION_B)[number % 2]
        site.learner.read(reading(STYLE, version, now=site.now))
        site.visit("/", [STYLE, version])
        if number >= 3:
            assert sent(site.learner) == [STYLE]
    judgements = {row.asset: row.why for row in site.learner.rows() if row.page == f"{ORIGIN}/"}
    assert judgements[VERSION_A] is judgements[VERSION_B] is Judgement.VERSION

    # The test has ended, or a deployment was taken back: B is all that there is.
    for _ in range(4):
        site.visit("/", [STYLE, VERSION_B])
    assert sent(site.learner) == [VERSION_B, STYLE]

    site.learner.read(reading(STYLE, VERSION_A, now=site.now))
    assert sent(site.learner) == [STYLE]
