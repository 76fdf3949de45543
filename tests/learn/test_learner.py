"""Tests of headstart.learn.learner: whole exchanges, and the threats to a server that learns."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.learn import (
    Answer,
    Exchange,
    How,
    Judgement,
    Kind,
    Learner,
    LearnOptions,
    Report,
    Request,
    Stop,
    Unlearnable,
    View,
    Vote,
    from_plain,
    to_plain,
)
from headstart.reasons import Refusal
from tests.learn.site import (
    ASSETS,
    FONT,
    HTML,
    IMAGE,
    ORIGIN,
    SCRIPT,
    STYLE,
    Site,
    asset_answer,
    asset_request,
    page_request,
)


def _targets(view: View) -> set[str]:
    return {candidate.target for candidate in view.candidates}


# The way of a page


def test_the_second_client_is_sent_what_the_first_asked_for() -> None:
    site = Site()
    first = site.visit()

    second = site.open()

    assert first.withheld is Refusal.NOTHING_KNOWN
    assert _targets(second) == set(ASSETS)
    assert second.withheld is None


def test_who_viewed_a_page_is_a_viewer_and_the_page_s_path_is_known() -> None:
    site = Site()
    view = site.open("/page", connection=7)
    site.fetch(view, STYLE)
    site.learner.sync(site.now + 60.0)

    assert list(site.learner.viewers) == [7]
    assert site.learner.is_viewer(page_request(connection=7))
    assert not site.learner.is_viewer(page_request(connection=8))
    assert site.learner.knows_path(b"/page")
    assert not site.learner.knows_path(b"/api")
    assert list(site.learner.no_pages) == [b"/api"]


def test_a_connection_that_ends_is_counted_at_once() -> None:
    site = Site()
    view = site.open(connection="first")
    for target in ASSETS:
        site.fetch(view, target)
    assert site.sent() == set()

    site.learner.gone("first")

    assert _targets(site.open(connection="second")) == set(ASSETS)


def test_a_page_that_takes_long_to_answer_is_learned() -> None:
    site = Site()
    for _ in range(2):
        request = page_request("/", site.somebody())
        view = site.learner.begin(request, site.now)
        for _ in range(8):
            site.wait(1.0)
        view = site.learner.complete(request, HTML, view, site.now)
        assert view is not None
        site.fetch(view, STYLE)
        site.wait()

    assert site.sent() == {STYLE}


def test_the_map_does_not_change_within_a_request() -> None:
    site = Site()
    view = site.open()
    site.fetch(view, STYLE)

    assert site.sent() == set()

    site.learner.sync(site.now)
    assert site.sent() == {STYLE}


def test_a_view_that_is_counted_while_it_goes_on_is_counted_once() -> None:
    site = Site()
    view = site.open()
    site.fetch(view, STYLE)
    site.learner.sync(site.now)
    site.fetch(view, SCRIPT)
    site.wait()

    assert site.sent() == {STYLE, SCRIPT}
    assert {row.views for row in site.learner.rows() if row.page == ORIGIN + "/"} == {1.0}


def test_an_image_that_is_chosen_by_accept_has_no_type_that_keeps_others_from_it() -> None:
    site = Site()
    view = site.open()
    site.fetch(view, IMAGE, vary="Accept-Encoding, Accept", content_type="image/avif")
    site.fetch(view, STYLE, vary="Accept-Encoding")
    site.wait()

    types = {c.target: c.asset.media_type for c in site.open().candidates}
    assert types == {IMAGE: "", STYLE: "text/css"}


def test_a_candidate_says_how_a_link_to_it_is_written() -> None:
    site = Site()
    site.visit()

    found = {candidate.target: candidate for candidate in site.open().candidates}

    font = found[FONT].asset
    assert (font.kind, font.media_type, font.cors) == (Kind.FONT, "font/woff2", True)
    assert (font.size, font.lifetime, font.verified) == (1000, 3600, True)
    assert found[STYLE].kind is Kind.STYLE
    assert not found[STYLE].asset.cors


@pytest.mark.parametrize(
    ("by", "mode", "is_module"),
    [("/app.js", "cors", True), ("/app.js", "no-cors", False), ("/", "cors", False)],
)
def test_a_script_that_another_script_asks_for_with_cors_is_a_module(
    by: str, mode: str, is_module: bool
) -> None:
    site = Site()
    # A client that was sent a link to it asks for it because of the page.
    for referer in (by, "/"):
        view = site.open()
        site.fetch(view, SCRIPT)
        address, agent = view.client
        request = asset_request("/imported.js", referer, address, user_agent=agent, mode=mode)
        site.learner.complete(request, asset_answer("/imported.js"), None, site.now)
        site.wait()

    found = {candidate.target: candidate.asset for candidate in site.open().candidates}
    assert found["/imported.js"].module is is_module


def test_a_page_without_fetch_metadata_is_known_by_its_answer() -> None:
    site = Site()
    request = page_request()._replace(destination="", mode="")
    assert site.learner.begin(request, site.now) is None

    view = site.learner.complete(request, HTML, None, site.now)

    assert view is not None


def test_once_known_it_is_known_before_its_answer() -> None:
    site = Site()
    site.visit()

    view = site.learner.begin(page_request()._replace(destination="", mode=""), site.now)

    assert view is not None
    assert _targets(view) == set(ASSETS)


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({}, Answer(404, "text/html")),
        ({}, Answer(200, "application/pdf")),
        ({"destination": "empty"}, HTML),
        ({"method": "POST"}, HTML),
        ({"target": "/" + "x" * 3000}, HTML),
    ],
)
def test_what_is_no_page_leaves_no_view(fields: dict[str, Any], answer: Answer) -> None:
    site = Site()
    request = page_request()._replace(**fields)

    view = site.learner.complete(request, answer, site.learner.begin(request, 0.0), 0.0)

    assert view is None


def test_a_conditional_request_is_sent_nothing() -> None:
    site = Site()
    site.visit()

    view = site.open(conditional=True)

    assert not view.candidates
    assert view.withheld is Refusal.CONDITIONAL
    site.wait()
    assert site.sent() == set(ASSETS)


def test_a_connection_that_had_an_asset_is_not_sent_it_again() -> None:
    site = Site()
    site.visit()
    view = site.open(connection="mine")
    site.fetch(view, STYLE)

    assert _targets(site.open(connection="mine")) == set(ASSETS) - {STYLE}
    assert _targets(site.open(connection="other")) == set(ASSETS)


def test_a_push_is_not_repeated_when_its_request_is_cancelled_and_repeated() -> None:
    site = Site()
    site.visit()
    request = page_request(connection="mine")
    view = site.learner.begin(request, site.now)
    assert view is not None
    for target in ASSETS:
        site.learner.delivered(view, target, How.PUSHED)

    again = site.learner.begin(request, site.now)

    assert again is not None
    assert not again.candidates


def test_a_client_that_never_fetches_assets_is_sent_nothing() -> None:
    site = Site()
    for _ in range(10):
        site.visit()
    for _ in range(12):
        site.visit(assets=(), address="192.0.2.200", user_agent="Feed/1.0")

    view = site.open(address="192.0.2.200", user_agent="Feed/1.0")

    assert view.withheld is Refusal.NO_SUBRESOURCES
    assert not view.candidates


def test_new_visitors_are_served_where_four_of_five_have_everything_in_their_caches() -> None:
    site = Site()
    served = []
    for number in range(200):
        if number % 5:
            site.visit(assets=(), connection=number)
        else:
            served.append(bool(site.visit(deliver=How.HINTED, connection=number).candidates))

    assert all(served[1:])


def test_where_assets_have_a_referer_one_without_is_no_view_s() -> None:
    site = Site()
    for number in range(8):
        site.visit(connection=number)
    robot = site.open("/other", connection="robot")
    request = asset_request(IMAGE, address=robot.client[0], referer="", connection="robot")

    site.learner.complete(request, asset_answer(IMAGE), None, site.now)

    assert not robot.asked
    assert not robot.rendered


def test_prefetched_pages_that_nobody_looks_at_silence_nobody() -> None:
    site = Site()
    for _ in range(8):
        site.visit()
    for _ in range(160):
        site.visit(assets=(), prefetched=True)

    assert _targets(site.open()) == set(ASSETS)


def test_a_prefetched_page_is_a_view_once_its_first_asset_comes() -> None:
    site = Site()
    view = site.open(connection=1, prefetched=True)
    site.now += 120.0

    for asset in ASSETS:
        site.fetch(view, asset)
        site.now += 0.5
    site.wait()

    assert site.sent() == set(ASSETS)


# Forgetting and feedback


@pytest.mark.parametrize("status", [404, 410, 301, 302, 500, 204])
def test_an_answer_other_than_200_removes_the_asset_at_once(status: int) -> None:
    site = Site()
    for _ in range(5):
        site.visit()
    view = site.open()

    site.fetch(view, STYLE, status=status)

    assert site.sent() == set(ASSETS) - {STYLE}


@pytest.mark.parametrize("status", [304, 206])
def test_an_answer_that_says_it_is_there_keeps_it(status: int) -> None:
    site = Site()
    site.visit()

    site.fetch(site.open(), STYLE, status=status)

    assert STYLE in site.sent()


def test_a_ban_of_one_client_does_not_unmake_what_others_get() -> None:
    site = Site()
    for _ in range(3):
        site.visit()

    for status in (401, 403, 429, 503) * 100:
        site.fetch(site.open(address="192.0.2.66"), STYLE, status=status)
    assert STYLE in site.sent()

    site.fetch(site.open(address="192.0.2.67"), STYLE, status=403)
    assert STYLE not in site.sent()


def test_pushed_request_with_an_applications_credentials_teaches_nothing() -> None:
    site = Site()
    site.visit()
    before = site.learner.candidates(ORIGIN, "/")
    private = asset_answer(STYLE, cache_control="private")

    site.learner.pushed(asset_request(STYLE, authorized=True), private)
    with_credentials = site.learner.candidates(ORIGIN, "/")
    site.learner.pushed(asset_request(STYLE), private)

    assert with_credentials == before
    assert STYLE not in site.sent()


def test_a_push_answered_404_is_not_pushed_again() -> None:
    site = Site()
    site.visit()
    view = site.open()

    site.learner.feedback(view, STYLE, status=404)

    assert STYLE not in site.sent()


def test_push_that_was_taken_back_leaves_its_client_without_the_asset() -> None:
    site = Site()
    site.visit()
    view = site.open()
    for target in (STYLE, IMAGE):
        site.learner.delivered(view, target, How.PUSHED)
    site.fetch(view, IMAGE)

    lacks = [site.learner.withdrawn(view, target) for target in (STYLE, IMAGE)]

    assert lacks == [True, False]
    assert view.failed == {STYLE, IMAGE}
    assert {*view.viewer.had} == {hash((view.origin, IMAGE))}


def test_an_asset_that_became_private_is_removed() -> None:
    site = Site()
    for _ in range(3):
        site.visit()

    site.fetch(site.open(), STYLE, cache_control="private")

    assert STYLE not in site.sent()


def test_pushes_that_clients_reset_stop() -> None:
    site = Site()
    site.visit()
    for _ in range(8):
        view = site.open()
        for candidate in view.candidates:
            site.learner.delivered(view, candidate.target, How.PUSHED)
            if candidate.target == IMAGE:
                site.learner.feedback(view, IMAGE)
        site.wait()

    assert IMAGE not in site.sent()


def hinted_in_vain(site: Site) -> None:
    """A view of a browser that has everything, or of a robot: it follows no hint."""
    view = site.open()
    for candidate in view.candidates:
        site.learner.delivered(view, candidate.target, How.HINTED)
    site.wait()


def test_hints_that_browsers_with_caches_do_not_follow_are_no_waste() -> None:
    site = Site()
    site.visit()
    site.visit()

    for _ in range(60):
        hinted_in_vain(site)

    assert site.sent() == set(ASSETS)


def test_a_page_that_needs_its_assets_no_more_is_found_out_by_its_control_views() -> None:
    site = Site(control_share=4)
    site.visit()
    site.visit()

    for _ in range(200):
        view = site.open()
        for candidate in view.candidates:
            site.learner.delivered(view, candidate.target, How.HINTED)
        site.fetch(view, "/other.css", cache_control="no-store")
        site.wait()

    assert not site.sent()


def test_assets_that_were_judged_wasted_come_back_when_views_ask_for_them_again() -> None:
    site = Site()
    site.visit()
    site.visit()
    for _ in range(30):
        view = site.open()
        for candidate in view.candidates:
            site.learner.delivered(view, candidate.target, How.PUSHED)
            site.learner.feedback(view, candidate.target)
        site.wait()
    wasted = site.sent()

    for _ in range(40):
        site.visit()

    assert not wasted
    assert site.sent() == set(ASSETS)


def test_a_robot_that_is_hinted_and_fetches_nothing_does_not_vote() -> None:
    site = Site()
    for _ in range(4):
        site.visit()
    before = {c.target: c.probability for c in site.learner.candidates(ORIGIN, "/")}

    for _ in range(50):
        hinted_in_vain(site)

    assert {c.target: c.probability for c in site.learner.candidates(ORIGIN, "/")} == before


@pytest.mark.parametrize("how", [How.HINTED, How.PUSHED])
def test_what_is_delivered_for_a_pattern_or_the_site_stays_at_the_page(how: How) -> None:
    site = Site()
    for number in range(12):
        site.visit(path=f"/p{number}")

    delivered = []
    for _ in range(8):
        view = site.open("/new")
        delivered.append(len(view.candidates))
        for candidate in view.candidates:
            site.learner.delivered(view, candidate.target, how)
            if how is How.HINTED:
                site.fetch(view, candidate.target)
        site.wait()

    assert len(set(delivered)) == 1
    assert delivered[0] > 0


def test_a_hint_that_is_followed_is_of_use_though_it_does_not_count() -> None:
    site = Site()
    site.visit()
    for _ in range(50):
        site.visit(deliver=How.HINTED)

    assert site.sent() == set(ASSETS)


def test_a_renamed_stylesheet_is_sent_within_three_views_and_the_old_one_is_gone() -> None:
    site = Site()
    for _ in range(10):
        site.visit(assets=("/site.3f9a01bc.css", SCRIPT), deliver=How.HINTED)

    for _ in range(3):
        site.visit(assets=("/site.77aa12bd.css", SCRIPT), deliver=How.HINTED)

    assert site.sent() == {"/site.77aa12bd.css", SCRIPT}


def test_one_client_alone_sees_its_renamed_stylesheet_too() -> None:
    site = Site()
    for number in range(4):
        site.visit(assets=("/old.css",), address="127.0.0.1", connection=number)

    missing = site.open(address="127.0.0.1", connection="now")
    site.learner.feedback(missing, "/old.css", status=404)
    site.learner.gone("now")
    for number in range(10, 13):
        site.visit(assets=("/new.css",), address="127.0.0.1", connection=number)

    assert site.sent() == {"/new.css"}


# Control views


def test_control_views_get_nothing_and_are_marked() -> None:
    site = Site(control_share=32)
    views = [site.visit(deliver=How.HINTED) for _ in range(321)]

    control = [view for view in views if view.control]

    assert len(control) == 10
    assert not any(view.candidates for view in control)


def test_an_asset_no_longer_needed_is_dropped_though_every_hint_for_it_is_obeyed() -> None:
    site = Site(control_share=32)
    for _ in range(100):
        site.visit(deliver=How.HINTED)

    views = 0
    while IMAGE in site.sent():
        site.visit(assets=(STYLE, SCRIPT, FONT), deliver=How.HINTED)
        views += 1

    assert views <= 200
    assert site.sent() == {STYLE, SCRIPT, FONT}


def _load(
    site: Site, ahead: float, asset: float, target: str = STYLE, *, to: Learner | None = None
) -> View:
    """A visit whose page takes 0.2 s; the asset comes later, sooner where it was sent ahead."""
    request = page_request(address=site.somebody())
    began = site.now
    view = site.learner.begin(request, began)
    assert view is not None
    if view.withheld is None or view.control:
        site.learner.compare(view, by_push=False)
    for candidate in view.candidates:
        site.learner.delivered(view, candidate.target, How.HINTED)
    site.learner.complete(request, HTML, view, began + 0.2)
    answered = began + (ahead if view.delivered else asset)
    wanted = asset_request(target, address=request.address)
    site.learner.complete(wanted, asset_answer(target), None, answered - 0.01)
    if (arriving := site.learner.assets.arriving) is not None:
        view.arrived(arriving[1], answered)
    site.now += 60.0
    records = site.learner.sync(site.now)
    if to is not None:
        to.absorb(records)
    return view


@pytest.mark.cost
def test_the_measured_gain_is_the_true_gain() -> None:
    """A page of 200 ms and a round trip of 100 ms on a network that jitters: what is sent ahead
    saves one round trip."""
    site = Site(control_share=32)
    chance = random.Random(7)
    for _ in range(3000):
        round_trip = 0.1 * chance.lognormvariate(0.0, 0.25)
        _load(site, 0.2 + round_trip, 0.2 + 2 * round_trip)

    for page in (ORIGIN, ORIGIN + "/"):
        gain = site.learner.gain(page)
        assert gain is not None
        assert gain.control_views >= 3000 // 32 - 2
        assert gain.views > 2700
        assert gain.blocking == gain.loaded
        assert gain.blocking is not None
        assert gain.blocking.low <= 0.1 <= gain.blocking.high
        assert gain.blocking.seconds == pytest.approx(0.1, rel=0.1)
    assert [each.page for each in site.learner.gains()] == [ORIGIN, ORIGIN + "/"]


def test_an_asset_that_is_there_before_its_page_gains_no_more_than_the_page_allows() -> None:
    site = Site(control_share=2)
    for _ in range(100):
        _load(site, 0.05, 0.3)

    gain = site.learner.gain(ORIGIN + "/")

    assert gain is not None
    assert gain.blocking is not None
    assert gain.blocking.median == pytest.approx(0.2, rel=0.05)
    assert gain.blocking.control_median == pytest.approx(0.3, rel=0.05)


def test_an_image_blocks_nothing() -> None:
    site = Site(control_share=2)
    for _ in range(100):
        _load(site, 0.3, 0.4, IMAGE)

    gain = site.learner.gain(ORIGIN + "/")

    assert gain is not None
    assert gain.blocking is None
    assert gain.loaded is not None


def test_views_that_were_not_chosen_by_lot_are_not_measured() -> None:
    site = Site(control_share=8)
    views = [_load(site, 0.3, 0.4) for _ in range(30)]
    known = [view.measured for view in views if view.judged]

    # The first block, of which the first half is always delivered.
    assert known[:8] == [False] * 8
    assert known[8:] == [True] * (len(known) - 8)
    assert len(known) > 20


def test_nothing_is_measured_without_control_views_or_where_it_is_switched_off() -> None:
    for options in ({"control_share": 0}, {"control_share": 2, "measure": False}):
        site = Site(**options)
        views = [_load(site, 0.3, 0.4) for _ in range(20)]

        assert not any(view.measured for view in views)
        assert site.learner.gain(ORIGIN + "/") is None


@pytest.mark.parametrize("measure", [True, False])
def test_report_of_a_browser_counts_once_the_lot_decides_about_its_page(measure: bool) -> None:
    site = Site(control_share=2, measure=measure)
    said = Report(site.now, ORIGIN, "/", 1, False, load=1.0)
    before = site.learner.report(said)
    for _ in range(10):
        _load(site, 0.3, 0.4)

    assert before is False
    assert site.learner.report(said) is measure
    assert (said in site.learner.sync(site.now)) is measure
    assert not site.learner.report(replace(said, path="/other"))


def test_page_whose_deliveries_are_not_used_is_told_by_its_path() -> None:
    site = Site()
    site.learner.absorb(
        Vote(site.now, ORIGIN, "/", n, rendered=False, worth=0.0) for n in range(1, 9)
    )

    assert site.learner.wastes(ORIGIN, "/?utm=1")
    assert not site.learner.wastes(ORIGIN, "/other")
    assert not site.learner.wastes("https://other.example", "/")


def test_an_unknown_page_has_no_gain() -> None:
    assert Learner().gain(ORIGIN + "/") is None
    assert Learner().gain(ORIGIN) is None


def test_a_client_that_may_be_a_robot_is_not_compared_where_pushes_are_taken() -> None:
    site = Site(control_share=2)
    for _ in range(10):
        _load(site, 0.3, 0.4)
    view = site.open(address=site.somebody())

    for proven, returning, measured in (
        (True, False, True),
        (False, False, False),
        (True, True, False),
    ):
        view.proven, view.returning = proven, returning
        site.learner.compare(view, by_push=True)
        assert view.measured is measured
        site.learner.compare(view, by_push=False)
        assert view.measured


def test_a_pushed_asset_is_there_when_its_response_has_ended() -> None:
    site = Site(control_share=2)
    for _ in range(10):
        _load(site, 0.3, 0.4)
    request = page_request(address=site.somebody())
    view = site.learner.begin(request, site.now)
    assert view is not None
    site.learner.compare(view, by_push=True)
    site.learner.delivered(view, STYLE, How.PUSHED)
    site.learner.complete(request, HTML, view, site.now + 0.2)
    pushed = asset_request(STYLE, address=request.address)

    before = view.durations
    site.learner.push_ended(asset_request(STYLE, address="203.0.113.9"), site.now + 0.24)
    site.learner.push_ended(pushed, site.now + 0.25)
    sent = view.durations
    site.learner.feedback(view, STYLE)

    assert before == view.durations == (None, None)
    assert sent == pytest.approx((0.25, 0.25))


def test_workers_and_restarts_add_up_the_same_gain() -> None:
    site, other = Site(control_share=2), Learner(LearnOptions(control_share=2))
    for _ in range(100):
        _load(site, 0.3, 0.4, to=other)
    restarted = Learner()
    restarted.absorb(map(from_plain, json.loads(json.dumps([*map(to_plain, other.export())]))))

    gain = site.learner.gain(ORIGIN + "/")

    assert gain is not None
    assert gain.loaded is not None
    assert restarted.gain(ORIGIN + "/") == gain


def test_a_page_that_is_forgotten_has_no_gain_and_earlier_views_do_not_count() -> None:
    site = Site(control_share=2)
    for _ in range(20):
        _load(site, 0.3, 0.4)
    assert site.learner.gain(ORIGIN + "/") is not None

    site.learner.forget("/", site.now)
    site.learner.absorb([Vote(site.now - 1.0, ORIGIN, "/", 7, blocking=0.3, loaded=0.3)])

    assert site.learner.gain(ORIGIN + "/") is None


# Pages that lose


def _stopped(**options: Any) -> tuple[Site, list[Stop]]:
    """A site whose page is slower with its asset sent ahead, until it stops."""
    site, stops = Site(control_share=4, **options), list[Stop]()
    site.learner.ended.on_stop = stops.append
    for _ in range(200):
        _load(site, 0.5, 0.3)
        if stops:
            break
    return site, stops


def test_a_page_whose_gain_is_surely_negative_stops_and_says_so_once() -> None:
    site, stops = _stopped()

    views = [_load(site, 0.5, 0.3) for _ in range(100)]

    [stop] = stops
    assert (stop.origin, stop.path, stop.stopped) == (ORIGIN, "/", True)
    assert stop.low <= 0.2 <= stop.high
    assert stop.seconds == pytest.approx(0.2, rel=0.1)
    assert {view.withheld for view in views} == {Refusal.SLOWER, None}
    assert sum(bool(view.candidates) for view in views) == 25
    assert site.learner.withheld[Refusal.SLOWER] == 75
    assert site.learner.stops(ORIGIN, "/?query")
    assert not any(row.sent for row in site.learner.rows() if row.page == ORIGIN + "/")
    gain = site.learner.gain(ORIGIN + "/")
    assert gain is not None
    assert gain.stopped
    assert gain.stop == stop
    assert gain.loaded is not None
    assert gain.loaded.views < gain.loaded.control_views
    assert gain.loaded.seconds == pytest.approx(-0.2, rel=0.1)


def test_a_page_that_was_stopped_goes_on_when_it_gains() -> None:
    site, stops = _stopped()

    for _ in range(100):
        _load(site, 0.3, 0.5)
    views = [_load(site, 0.3, 0.5) for _ in range(100)]

    assert [stop.stopped for stop in stops] == [True, False]
    assert sum(bool(view.candidates) for view in views) == 75
    assert not site.learner.stops(ORIGIN, "/")


def test_views_of_a_page_that_was_stopped_are_left_out_of_its_site_s_gain() -> None:
    site, _ = _stopped()
    before = site.learner.gain(ORIGIN)

    for _ in range(50):
        _load(site, 0.5, 0.3)

    assert site.learner.gain(ORIGIN) == before


def test_a_page_that_is_shown_sooner_may_have_its_images_later() -> None:
    site, stops = Site(control_share=4), list[Stop]()
    site.learner.ended.on_stop = stops.append
    for number in range(200):
        vote = Vote(
            site.now, ORIGIN, "/", number, control=number % 4 == 0,
            blocking=0.4 if number % 4 == 0 else 0.3, loaded=0.5 if number % 4 == 0 else 0.9,
        )  # fmt: skip
        site.learner.absorb([vote])

    gain = site.learner.gain(ORIGIN + "/")

    assert gain is None or not gain.stopped
    assert not stops


def test_a_page_with_a_pinned_asset_goes_on_however_slow_that_is() -> None:
    site, _ = _stopped()

    site.learner.pin("/", STYLE)

    assert not site.learner.stops(ORIGIN, "/")
    assert site.open(address=site.somebody()).withheld in (None, Refusal.CONTROL_VIEW)
    assert [row.sent for row in site.learner.rows() if row.why is Judgement.PINNED] == [True]


def test_workers_and_restarts_know_that_a_page_is_stopped() -> None:
    site, other = Site(control_share=4), Learner(LearnOptions(control_share=4))
    for _ in range(200):
        _load(site, 0.5, 0.3, to=other)
    restarted = Learner()
    restarted.absorb(map(from_plain, json.loads(json.dumps([*map(to_plain, other.export())]))))

    assert site.learner.stops(ORIGIN, "/")
    assert other.stops(ORIGIN, "/")
    assert restarted.stops(ORIGIN, "/")
    assert restarted.gain(ORIGIN + "/") == other.gain(ORIGIN + "/")


def test_an_older_word_about_a_page_does_not_undo_a_newer_one() -> None:
    site, [stop] = _stopped()

    site.learner.absorb([replace(stop, time=stop.time - 1, stopped=False)])
    assert site.learner.stops(ORIGIN, "/")

    site.learner.absorb([replace(stop, time=stop.time + 1, stopped=False)])
    assert not site.learner.stops(ORIGIN, "/")


def test_a_page_that_was_forgotten_is_tried_again() -> None:
    site, _ = _stopped()

    site.learner.forget("/", site.now)

    assert not site.learner.stops(ORIGIN, "/")


# Workers and restarts


def test_workers_learn_from_each_other_s_votes() -> None:
    one, other = Site(), Learner(LearnOptions(control_share=0))
    view = one.open()
    for target in ASSETS:
        one.fetch(view, target)

    other.absorb(one.learner.sync(one.now + 1.0))

    assert {c.target for c in other.candidates(ORIGIN, "/")} == set(ASSETS)
    assert other.sync(one.now + 2.0) == []


def test_a_removal_and_the_operator_s_word_reach_the_other_worker() -> None:
    one, other = Site(), Learner(LearnOptions(control_share=0))
    one.visit()
    other.absorb(one.learner.export())
    one.fetch(one.open(), STYLE, status=404)
    one.learner.never(SCRIPT)
    one.learner.pin("/", "/print.css")

    other.absorb(one.learner.sync(one.now))

    assert {c.target for c in other.candidates(ORIGIN, "/")} == {FONT, IMAGE, "/print.css"}

    one.learner.forget("/", one.now)
    other.absorb(one.learner.sync(one.now))
    assert other.candidates(ORIGIN, "/") == ()


def test_what_waits_for_other_workers_is_bounded() -> None:
    site = Site(max_bytes=1 << 20)
    for _ in range(500):
        view = site.open(f"/{'x' * 1000}")
        site.fetch(view, STYLE)
        site.learner.ended.end(view)

    records = site.learner.sync(site.now)

    assert len(records) < 500


def test_a_log_teaches_the_same_as_live_requests() -> None:
    learner = Learner()
    learner.request(Exchange(page_request(), HTML), 0.0)
    learner.request(Exchange(asset_request(STYLE), asset_answer(STYLE, cache_control=None)), 0.1)
    learner.sync(60.0)

    (candidate,) = learner.candidates(ORIGIN, "/")

    assert candidate.target == STYLE
    assert not candidate.asset.verified


# The threats of a server that learns


@pytest.mark.cost
def test_ten_thousand_forged_requests_change_no_other_client_s_deliveries() -> None:
    site = Site()
    for _ in range(12):
        site.visit()
    before = site.sent()

    for number in range(10_000):
        view = site.open(address="192.0.2.66", user_agent=str(number))
        site.fetch(view, f"/evil{number % 10}.css")
        if number % 100 == 0:
            site.wait(3.0)
    site.wait()

    assert site.sent() == before
    assert _targets(site.open()) == before


def test_forged_requests_make_no_page_send_a_url_of_their_choice() -> None:
    site = Site()
    for number in range(200):
        site.visit(f"/page{number % 20}", assets=("/evil.png",), address="192.0.2.66")
    for _ in range(2):
        for number in range(20):
            site.visit(f"/page{number}", assets=(STYLE,))

    assert {target for number in range(20) for target in site.sent(f"/page{number}")} == {STYLE}


def test_a_foreign_page_makes_no_asset_be_sent() -> None:
    site = Site()
    view = site.open()
    request = asset_request(STYLE)._replace(address=view.client[0], origin="https://evil.example")

    site.learner.complete(request, asset_answer(STYLE), None, site.now)
    site.wait()

    assert site.sent() == set()


def test_each_refusal_is_counted_with_its_reason() -> None:
    site = Site()

    site.fetch(site.open(), STYLE, sets_cookie=True)

    assert site.learner.assets.refusals[Unlearnable.SETS_COOKIE] == 1


_words = st.sampled_from(
    [
        *("/", "/a.css", "/b.js", "/c.png?x=1", "/d.css?v=2", "//e.css", "/f\r\n.css", "/g h.css"),
        *("/" + "z" * 3000 + ".css", "/i.html", "/j.css#k", '/l".css', "/m", "", "*", "/é.css"),
    ]
)
_requests = st.builds(
    Request,
    origin=st.sampled_from([ORIGIN, "https://evil.example"]),
    target=_words,
    address=st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]),
    referer=st.sampled_from(["", ORIGIN + "/", ORIGIN + "/a.css", "https://evil.example/", "%"]),
    connection=st.sampled_from([None, 1, 2]),
    destination=st.sampled_from(["", "document", "style", "script", "image", "empty", "iframe"]),
    authorized=st.booleans(),
    conditional=st.booleans(),
    accepts_html=st.booleans(),
)
_answers = st.builds(
    Answer,
    status=st.sampled_from([200, 200, 200, 206, 301, 304, 404, 500]),
    content_type=st.sampled_from(["", "text/html", "text/css", "text/javascript", "image/png"]),
    cache_control=st.sampled_from(
        [None, "", "max-age=60", "private", "no-store", "no-cache", "immutable", "max-age=5"]
    ),
    vary=st.sampled_from(["", "Accept-Encoding", "Cookie", "*"]),
    sets_cookie=st.booleans(),
    size=st.integers(0, 1 << 20),
)


def _is_forbidden(request: Request, answer: Answer) -> bool:
    said = answer.cache_control or ""
    return (
        request.method != "GET"
        or answer.status != 200
        or request.authorized
        or answer.sets_cookie
        or answer.vary in ("Cookie", "*")
        or said in ("private", "no-store", "no-cache")
        or ("?" in request.target and said not in ("immutable", "max-age=60"))
        or "html" in answer.content_type
        or not request.target.isascii()
        or bool(set(request.target) & set('\r\n "#<>'))
        or request.target.startswith("//")
        or len(request.target) > 2048
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(_requests, _answers, st.floats(0.0, 1.0)), max_size=60))
def test_no_input_makes_it_learn_what_may_not_be_learned(
    exchanges: list[tuple[Request, Answer, float]],
) -> None:
    learner = Learner(LearnOptions(control_share=0))
    now = 0.0
    allowed = set()
    for request, answer, passed in exchanges:
        now += passed
        if not _is_forbidden(request, answer):
            allowed.add((request.origin, request.target))
        view = learner.request(Exchange(request, answer), now)
        learner.sync(now)
        for candidate in view.candidates if view else ():
            assert view is not None
            assert (view.origin, candidate.target) in allowed

    learner.sync(now + 60.0)
    for row in learner.rows():
        origin = "/".join(row.page.split("/")[:3])
        assert (origin, row.asset) in allowed


def cancelled(site: Site, target: str, address: str | None = None) -> View:
    """A view of a browser that has everything in its cache, and cancels what it is pushed."""
    view = site.open(address=address, connection=site.now)
    site.learner.delivered(view, target, How.PUSHED)
    site.learner.feedback(view, target)
    site.wait()
    return view


def test_who_cancels_a_push_and_asks_for_nothing_does_not_speak_against_other_assets() -> None:
    site = Site()
    site.visit()
    site.visit()

    for _ in range(8):
        cancelled(site, STYLE)

    assert site.sent() == set(ASSETS) - {STYLE}


def test_a_returning_browser_that_cancels_a_push_does_not_speak_for_new_ones() -> None:
    site = Site()
    visitors = [site.somebody() for _ in range(8)]
    for visitor in visitors:
        site.visit(address=visitor, connection=visitor)

    for visitor in visitors:
        cancelled(site, STYLE, visitor)

    assert site.sent() == set(ASSETS)


def test_a_client_that_cancelled_what_it_was_pushed_is_known_to_lack_little() -> None:
    site = Site()
    site.visit(assets=[STYLE])
    site.visit(assets=[STYLE])
    site.visit(assets=[], address="192.0.2.7", connection=1)

    first = cancelled(site, STYLE, "192.0.2.7")
    second = site.open(address="192.0.2.7", connection=2)

    assert (first.returning, first.lacking) == (True, 1.0)
    assert second.lacking <= 0.5
    assert site.open().lacking == 1.0


def test_a_view_that_shows_nothing_does_not_say_that_its_client_has_everything() -> None:
    site = Site()
    site.visit(address="192.0.2.7", connection=1)
    for number in range(2, 10):
        site.open(address="192.0.2.7", connection=number)
        site.wait()

    assert site.open(address="192.0.2.7", connection=10).lacking == 1.0


def test_what_a_returning_client_asks_for_again_it_lacks() -> None:
    site = Site()
    site.visit(address="192.0.2.7", connection=1)
    cancelled(site, STYLE, "192.0.2.7")
    for number in range(2, 6):
        site.visit(address="192.0.2.7", connection=number)

    assert site.open(address="192.0.2.7", connection=9).lacking > 0.75


def test_a_robot_that_takes_pushes_and_asks_for_nothing_else_is_found_out() -> None:
    site = Site()
    for _ in range(4):
        site.visit(user_agent="Browser")

    for _ in range(12):
        view = site.open(user_agent="Crawler", address=site.somebody())
        site.learner.delivered(view, STYLE, How.PUSHED)
        site.wait()

    assert site.open(user_agent="Crawler").fetching < 0.5


def test_where_robots_come_a_client_is_proven_by_its_own_or_its_kind_s_fetching() -> None:
    site = Site()
    for _ in range(4):
        site.visit(user_agent="Browser")
    assert site.open(user_agent="New").proven
    for _ in range(8):
        site.open(user_agent="Crawler", address=site.somebody())
        site.wait()

    assert not site.open(user_agent="New").proven
    assert not site.open(user_agent="Crawler").proven
    assert site.open(user_agent="Browser").proven


def test_who_was_pushed_all_that_is_likely_is_no_robot_for_asking_for_nothing() -> None:
    site = Site()
    for _ in range(4):
        site.visit(user_agent="Program")

    for _ in range(12):
        site.visit(user_agent="Program", deliver=How.PUSHED)

    assert site.open(user_agent="Program").fetching == 1.0
