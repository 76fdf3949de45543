"""The candidates of a view: those its client lacks, or the reason why it gets none."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.learn import Answer, Kind, Named
from headstart.reasons import Refusal
from tests.learn.site import ASSETS, FONT, ORIGIN, SCRIPT, STYLE, Site, asset_request


def taught(**options: Any) -> Site:
    """Return a site whose page was viewed by three clients, each with all of its assets."""
    site = Site(**options)
    for _ in range(3):
        site.visit()
    return site


def test_first_clients_get_nothing_and_later_ones_the_assets_that_the_first_asked_for() -> None:
    site = Site()
    chosen = []
    for _ in range(4):
        view = site.visit()
        chosen.append(({each.target for each in view.candidates}, view.withheld))

    assert chosen[0] == (set(), Refusal.NOTHING_KNOWN)
    assert chosen[2:] == [(set(ASSETS), None)] * 2
    assert site.learner.withheld[Refusal.NOTHING_KNOWN] == 1


def test_client_gets_no_asset_that_it_has_from_another_page_of_its_connection() -> None:
    site = taught()
    site.visit("/other", (STYLE,), "192.0.2.5", connection=7)

    view = site.open("/", "192.0.2.5", connection=7)
    stranger = site.open("/", "192.0.2.5", connection=8)

    assert {each.target for each in view.candidates} == set(ASSETS) - {STYLE}
    assert {each.target for each in stranger.candidates} == set(ASSETS)


def test_client_that_has_them_all_gets_nothing_and_is_not_counted_as_a_control_view() -> None:
    site = taught()
    site.visit("/", ASSETS, "192.0.2.5", connection=7)

    view = site.open("/", "192.0.2.5", connection=7)

    assert (view.candidates, view.withheld, view.control) == ((), Refusal.NOTHING_KNOWN, False)


def test_client_that_has_the_page_gets_nothing() -> None:
    site = taught()

    view = site.open(conditional=True)

    assert (view.candidates, view.withheld) == ((), Refusal.CONDITIONAL)
    assert site.learner.withheld[Refusal.CONDITIONAL] == 1


def test_asset_that_is_gone_is_a_candidate_no_more_and_the_others_are() -> None:
    site = taught()
    request = asset_request(STYLE, "/", "192.0.2.5")
    site.learner.complete(request, Answer(404), None, site.now)

    assert {each.target for each in site.open().candidates} == set(ASSETS) - {STYLE}


def test_control_views_have_their_share_of_a_page_and_name_their_reason() -> None:
    site = Site(control_share=8)
    withheld = [site.visit().withheld for _ in range(160)]

    assert 10 <= withheld.count(Refusal.CONTROL_VIEW) <= 40
    assert set(withheld) == {Refusal.NOTHING_KNOWN, Refusal.CONTROL_VIEW, None}


@pytest.mark.parametrize(
    ("share", "chosen"), [(0, []), (1, [*range(9)]), (3, [0, 3, 6]), (4, [1, 5])]
)
def test_one_view_in_so_many_is_pushed_nothing_of_the_assets_that_its_html_names(
    share: int, chosen: list[int]
) -> None:
    choice = Site(control_share=share).learner.choice

    assert [number for number in range(9) if choice.is_first_control()] == chosen


def test_assets_that_html_names_are_candidates_before_any_client_asked_for_them() -> None:
    site = Site()
    view = site.open()
    named = [Named(target, kind) for target, kind in ((SCRIPT, Kind.SCRIPT), (STYLE, Kind.STYLE))]

    found = site.learner.choice.first_candidates(view, named, credentials=False)

    assert [each.target for each in found] == [SCRIPT, STYLE]
    assert site.learner.choice.first_candidates(view, (), credentials=False) == []


def test_asset_that_was_answered_404_is_no_candidate_when_html_names_it() -> None:
    site = Site()
    view = site.open()
    site.learner.complete(asset_request(STYLE), Answer(404), None, site.now)
    named = [Named(target, kind) for target, kind in ((STYLE, Kind.STYLE), (FONT, Kind.FONT))]

    found = site.learner.choice.first_candidates(view, named, credentials=False)

    assert site.learner.assets.is_refused(ORIGIN, STYLE)
    assert [each.target for each in found] == [FONT]


def test_stranger_is_not_told_of_what_one_user_alone_asked_for_with_a_page_of_its_own() -> None:
    site, user, stranger = Site(), "192.0.2.5", "203.0.113.9"
    site.visit("/draft", (STYLE, SCRIPT), user, cookies=True)
    site.visit(
        "/open", (STYLE,), user, connection=9
    )  # everybody may know the style, and nobody who asked for it

    def told(address: str, connection: int, **fields: Any) -> set[str]:
        view = site.open("/draft", address, connection=connection, **fields)
        return {each.target for each in view.candidates}

    assert told(stranger, 1) == told(stranger, 2, cookies=True) == set()
    assert told(user, 3, cookies=True) == {STYLE, SCRIPT}


def test_stranger_who_got_a_form_at_the_page_of_one_user_makes_nothing_of_it_known() -> None:
    site, user, stranger = Site(), "192.0.2.5", "203.0.113.9"
    for number in range(10, 18):
        site.visit("/draft", (SCRIPT,), user, cookies=True, connection=number)
    site.fetch(site.open("/draft", stranger), FONT)
    site.wait(1.0)  # the form is still being loaded, so it does not speak against the script yet

    def told(address: str, connection: int, **fields: Any) -> set[str]:
        view = site.open("/draft", address, connection=connection, **fields)
        return {each.target for each in view.candidates}

    assert SCRIPT in {each.target for each in site.learner.candidates(ORIGIN, "/draft")}
    assert SCRIPT not in told(stranger, 1)
    assert SCRIPT not in told(stranger, 2, cookies=True)
    assert SCRIPT in told(user, 3, cookies=True)
