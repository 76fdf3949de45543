"""Tests of headstart.learn.rendering: which clients are expected to fetch assets."""

from __future__ import annotations

import pytest

from headstart.learn import How
from headstart.learn.options import LearnOptions
from headstart.learn.rendering import Rendering
from headstart.reasons import Refusal
from tests.learn.site import ASSETS, Site

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
NEXT_FIREFOX = FIREFOX.replace("128.0", "128.5")


def robots(site: Site, number: int) -> None:
    """So many clients, each of a kind of its own, load the page and fetch nothing."""
    for one in range(number):
        site.visit(assets=[], user_agent=f"Crawler {one}")


def test_first_client_of_all_is_assumed_to_fetch() -> None:
    view = Site().open()

    assert (view.fetching, view.proven) == (1.0, True)


def test_where_a_hundred_came_that_fetch_nothing_the_next_one_is_taken_for_one_of_them() -> None:
    site = Site()
    site.visit()
    robots(site, 100)

    stranger = site.open(user_agent=FIREFOX)

    assert stranger.fetching < 0.05
    assert not stranger.proven


def test_two_browsers_of_a_kind_suffice_for_the_third_to_be_known_as_one() -> None:
    site = Site()
    site.visit()
    robots(site, 100)
    for _ in range(2):
        site.visit(user_agent=FIREFOX)

    assert site.open(user_agent=FIREFOX).fetching > 0.5
    assert site.open(user_agent=FIREFOX).proven
    # A minor version more, and it is half as sure.
    assert 0.2 < site.open(user_agent=NEXT_FIREFOX).fetching < 0.6
    assert site.open(user_agent="Crawler 999").fetching < 0.1


def test_those_who_came_another_way_say_nothing() -> None:
    site = Site()
    site.visit()
    robots(site, 100)

    assert site.open(user_agent=FIREFOX, referer="https://search.example/").fetching == 1.0
    assert site.open(user_agent=FIREFOX, referer="https://example.org/other").fetching == 1.0


def test_returning_client_is_judged_by_its_own_past() -> None:
    site = Site()
    for _ in range(4):
        site.visit(address="192.0.2.7", user_agent=FIREFOX)
        site.visit(address="192.0.2.8", user_agent=FIREFOX, assets=[])
    robots(site, 100)

    assert site.open(address="192.0.2.7", user_agent=FIREFOX).fetching > 0.7
    assert site.open(address="192.0.2.8", user_agent=FIREFOX).fetching < 0.2


def test_client_that_comes_every_minute_is_counted_as_new_once() -> None:
    site = Site()
    site.visit(user_agent=FIREFOX)
    for _ in range(100):
        site.visit(address="192.0.2.8", user_agent=FIREFOX, assets=[])

    assert site.open(user_agent=FIREFOX).fetching > 0.5


def test_one_address_of_many_kinds_is_counted_among_others_and_not_instead_of_them() -> None:
    site = Site()
    for _ in range(8):
        site.visit()
    for number in range(100):
        site.visit(address="192.0.2.8", user_agent=f"Crawler {number}", assets=[])

    assert site.open(user_agent=FIREFOX).fetching > 0.5


def test_view_that_does_not_show_it_says_nothing() -> None:
    site = Site()
    for _ in range(3):
        site.visit()
    for _ in range(50):
        site.visit(deliver=How.PUSHED)
        site.visit(assets=[], conditional=True)

    assert site.open().fetching == 1.0


def known_page() -> Site:
    """A page whose assets eight clients with browsers of another kind asked for."""
    site = Site()
    for _ in range(8):
        site.visit(user_agent="Browser/1.0")
    return site


def test_robot_that_ignores_hints_is_hinted_nothing_after_some_views() -> None:
    site = known_page()
    hinted = []
    for number in range(40):
        view = site.open(address="192.0.2.7", user_agent=FIREFOX, connection=number)
        hinted.append(len(view.candidates))
        for candidate in view.candidates:
            site.learner.delivered(view, candidate.target, How.HINTED)
        site.wait()

    assert hinted[0] == len(ASSETS)
    assert hinted[-1] == 0
    assert view.withheld is Refusal.NO_SUBRESOURCES
    assert len(site.open(user_agent="Browser/1.0").candidates) == len(ASSETS)


def test_groups_and_clients_are_bounded() -> None:
    site = Site()
    rendering = Rendering(LearnOptions(max_clients=10))
    for number in range(300):
        view = site.open(user_agent=f"Kind {number}")
        rendering.learn(view)

    assert len(rendering._clients) == 10
    assert len(rendering._groups) <= 384
    # The last of them is remembered still, and the first is new again.
    assert rendering.chance(view) < 0.01


@pytest.mark.parametrize(("fetching", "proven"), [(0.75, True), (0.74, False)])
def test_client_that_nothing_is_known_of_is_proven_by_what_is_expected_of_it(
    fetching: float, proven: bool
) -> None:
    site = Site()
    view = site.open(user_agent="New")
    view.fetching = fetching

    assert Rendering(site.learner.options).is_proven(view) is proven


def test_client_that_is_new_is_proven_by_another_of_its_user_agent() -> None:
    site = Site()
    site.visit(user_agent="Browser")
    robots(site, 20)

    view = site.open(user_agent="Browser")

    assert view.fetching < 0.75
    assert view.proven
    assert not site.open(user_agent="Other").proven
