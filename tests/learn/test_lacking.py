"""Tests of headstart.learn.lacking: which assets a returning client asks for again."""

from __future__ import annotations

import pytest

from headstart.learn import How, LearnOptions, View
from headstart.learn.lacking import Lacking
from tests.learn.site import ASSETS, IMAGE, STYLE, Site

VISITOR = "192.0.2.7"


def returned(site: Site, connection: object = "again", **fields: str) -> View:
    return site.open(address=VISITOR, connection=connection, **fields)


def test_an_asset_that_a_client_had_is_expected_again_until_clients_show_otherwise() -> None:
    site = Site()
    site.visit(address=VISITOR, connection=1)
    before = site.learner.again(returned(site, connection=2))
    for number in range(4):
        visitor = site.somebody()
        site.visit(address=visitor, connection=(visitor, 1))
        site.visit(assets=["/other.png"], address=visitor, connection=(visitor, number))

    after = site.learner.again(returned(site, connection=3))

    assert before == dict.fromkeys(ASSETS, 1.0)
    assert set(after) == set(ASSETS)
    assert all(chance < 0.2 for chance in after.values())


def test_assets_that_a_client_loaded_after_a_hint_are_remembered_in_order() -> None:
    site, known = Site(), Lacking(LearnOptions())
    view = site.open(address=VISITOR, connection=1)
    targets = [f"/{number}.png" for number in range(20)]
    for target in targets:
        view.delivered[target] = How.HINTED
        view.fetched[target] = None

    known.learn(view)

    assert list(known.had(view)) == [hash((view.origin, target)) for target in targets]


def test_a_client_that_was_never_here_had_nothing() -> None:
    site = Site()
    site.visit(address=VISITOR, connection=1)

    assert site.learner.again(site.open(connection=2)) == {}


def test_a_client_that_asks_for_all_again_is_expected_to() -> None:
    site = Site()
    for number in range(3):
        site.visit(address=VISITOR, connection=number)

    again = site.learner.again(returned(site))

    assert all(chance > 0.5 for chance in again.values())


def test_clients_of_a_site_show_after_how_long_others_ask_again() -> None:
    site = Site()
    for _ in range(8):
        visitor = site.somebody()
        site.visit(address=visitor, connection=(visitor, 1))
        site.visit(assets=["/other.png"], address=visitor, connection=(visitor, 2))
        site.wait(30_000.0)
        site.visit(address=visitor, connection=(visitor, 3))
    site.visit(address=VISITOR, connection=1)
    early = site.learner.again(returned(site, connection=2))
    site.wait(30_000.0)

    late = site.learner.again(returned(site, connection=3))

    assert all(early[target] < 0.5 < late[target] for target in ASSETS)


def test_a_client_that_has_an_asset_does_not_speak_against_it() -> None:
    site = Site()
    visitors = [site.somebody() for _ in range(8)]
    for visitor in visitors:
        site.visit(address=visitor, connection=(visitor, 1))

    for visitor in visitors:
        site.visit(assets=[IMAGE], address=visitor, connection=(visitor, 2))

    assert site.sent() == set(ASSETS)
    assert site.learner.candidates("https://example.org", "/")[0].probability > 0.8


@pytest.mark.parametrize("most", [100, 9])
def test_clients_behind_one_address_with_many_are_taken_to_have_nothing(most: int) -> None:
    site = Site(max_clients=most)  # the oldest are forgotten, but there are as many as before
    for number in range(12):
        site.visit(address=VISITOR, user_agent=f"Browser {number}", connection=number)

    assert site.learner.again(returned(site, user_agent="Browser 11")) == {}
    assert returned(site, connection="more", user_agent="Browser 11").lacking == 1.0


def test_an_office_behind_one_address_over_http_1_is_sent_assets_again() -> None:
    site = Site()
    hinted = 0
    for _ in range(20):
        view = site.open(address=VISITOR)
        again = site.learner.again(view)
        hinted += sum(again.get(each.target, 1.0) >= 0.3 for each in view.candidates)
        for target in ASSETS:
            site.fetch(view, target)
        site.wait(90.0)

    assert hinted >= 17 * len(ASSETS)


def test_within_a_minute_an_address_over_http_1_has_what_it_had() -> None:
    site = Site()
    site.visit(address=VISITOR)
    site.wait(-30.0)

    assert site.open(address=VISITOR).candidates == ()


def test_two_views_at_the_same_moment_say_nothing_of_a_return() -> None:
    site = Site()
    for _ in range(3):
        site.visit()
    site.visit(address=VISITOR, connection=1)
    site.wait(-60.0)
    site.visit("/", (STYLE,), VISITOR, connection=2)

    again = site.learner.again(returned(site))

    assert again == dict.fromkeys(ASSETS, 1.0)


def test_what_all_clients_had_is_bounded() -> None:
    site = Site(max_had=40)
    for number in range(30):
        site.visit(address=f"192.0.2.{number + 10}", connection=number)

    known = [
        bool(site.learner.again(site.open(address=f"192.0.2.{number + 10}", connection=-number)))
        for number in range(30)
    ]
    assert known[-1]
    assert sum(known) <= 40 // 2 // len(ASSETS)


def test_an_asset_that_was_pushed_is_one_that_the_client_had() -> None:
    site = Site()
    site.visit()
    site.visit(address=VISITOR, connection=1, deliver=How.PUSHED)

    assert STYLE in site.learner.again(returned(site))


def test_an_asset_whose_push_did_not_arrive_says_nothing_of_the_client() -> None:
    site = Site()
    site.visit()
    view = site.open(address=VISITOR, connection=1)
    site.learner.delivered(view, STYLE, How.PUSHED)
    site.learner.withdrawn(view, STYLE)
    site.wait()

    assert STYLE not in site.learner.again(returned(site))
