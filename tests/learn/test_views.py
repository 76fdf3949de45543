"""Tests of headstart.learn.views."""

from __future__ import annotations

import pytest

from headstart.learn import How, Kind, LearnOptions, SeenAsset
from headstart.learn.rendering import Rendering
from headstart.learn.views import Views
from tests.learn.site import ORIGIN, STYLE, Site, asset_answer, asset_request, page_request


def test_an_asset_belongs_to_the_view_of_its_own_connection() -> None:
    site = Site()
    mine = site.open(address="192.0.2.1", connection="one")
    other = site.open(address="192.0.2.1", connection="two")

    site.fetch(mine, STYLE)

    assert set(mine.asked) == {STYLE}
    assert not other.asked


def test_without_connections_address_and_user_agent_tell_clients_apart() -> None:
    site = Site()
    mine = site.open(address="192.0.2.1", user_agent="A")
    other = site.open(address="192.0.2.1", user_agent="B")

    site.fetch(mine, STYLE)

    assert set(mine.asked) == {STYLE}
    assert not other.asked


def test_the_window_is_renewed_by_each_asset_and_ends_at_its_cap() -> None:
    site = Site()
    view = site.open()
    came = []
    for step in range(9):
        site.now += 1.5
        target = f"/{step}.css"
        site.fetch(view, target)
        came.append(target in view.asked)

    assert came == [True] * 6 + [False] * 3


def test_an_asset_after_the_window_does_not_belong() -> None:
    site = Site()
    view = site.open()
    site.now += 2.1

    site.fetch(view, STYLE)

    assert not view.asked


def test_what_a_stylesheet_asks_for_belongs_to_the_view() -> None:
    site = Site()
    view = site.open()
    site.fetch(view, STYLE)

    site.fetch(view, "/background.png", page=STYLE)

    assert set(view.asked) == {STYLE, "/background.png"}


def test_what_a_pushed_stylesheet_asks_for_belongs_to_the_view_whatever_its_name() -> None:
    site = Site()
    for _ in range(2):
        view = site.open()
        request = asset_request(STYLE, "/", view.client[0])._replace(target="/style")
        site.learner.begin(request, site.now)
        site.learner.complete(request, asset_answer(STYLE), None, site.now)
        site.wait()
    view = site.open()
    site.learner.delivered(view, "/style", How.PUSHED)

    site.fetch(view, "/background.png", page="/style")

    assert set(view.asked) == {"/background.png"}


def test_asset_that_was_sent_ahead_is_its_views_until_the_window_ends() -> None:
    site = Site()
    view = site.open(address="192.0.2.5")
    site.learner.delivered(view, STYLE, How.HINTED)

    def found(target: str = STYLE, address: str = "192.0.2.5", later: float = 0.0) -> bool:
        request = asset_request(target, address=address)
        return site.learner.view_sent(request, view.expires + later) is view

    assert found()
    assert not found(later=0.001)
    assert not found("/other.css")
    assert not found(address="203.0.113.9")


def test_another_page_as_referer_is_no_view() -> None:
    site = Site()
    view = site.open("/one")

    site.fetch(view, STYLE, page="/two")

    assert not view.asked


def test_the_latest_of_two_views_of_a_page_gets_the_asset() -> None:
    site = Site()
    first = site.open(address="192.0.2.1")
    second = site.open(address="192.0.2.1")

    site.fetch(second, STYLE)

    assert not first.asked
    assert set(second.asked) == {STYLE}


def test_live_views_and_viewers_are_bounded() -> None:
    options = LearnOptions(max_live_views=10, max_clients=20)
    views = Views(options)
    ended = []
    for number in range(100):
        _, over = views.open(page_request(address=f"192.0.2.{number}"), 0.0)
        for view in over:
            views.close(view)
        ended += over

    assert len(list(views)) == 10
    assert len(ended) == 90
    assert views.viewer(page_request(address="192.0.2.1")) is None
    assert views.viewer(page_request(address="192.0.2.99")) is not None


@pytest.mark.cost
def test_one_address_with_many_user_agents_pushes_out_only_its_own() -> None:
    views = Views(LearnOptions(max_clients=150))
    views.open(page_request(address="198.51.100.7"), 0.0)

    for number in range(10_000):
        _, ended = views.open(page_request(address="192.0.2.1", user_agent=str(number)), 0.0)
        for view in ended:
            views.close(view)

    assert views.viewer(page_request(address="198.51.100.7")) is not None


def test_oldest_view_ends_when_the_assets_of_all_take_too_much_room() -> None:
    # 7,000 bytes for two views of about 1,300, and assets of about 320 each.
    views = Views(LearnOptions(max_bytes=100_000))
    first, second = (
        views.open(page_request(address=f"192.0.2.{number}"), 0.0)[0] for number in (1, 2)
    )

    ended = [views.ask(second, SeenAsset(f"/{number:04}.css", Kind.STYLE)) for number in range(20)]

    assert [] in ended
    assert [first] in ended
    assert ended == sorted(ended, key=len)


def test_asset_that_a_client_lacks_after_all_is_forgotten_once() -> None:
    views = Views(LearnOptions(max_had=2))
    viewer = views.open(page_request(), 0.0)[0].viewer
    views.remember(viewer, 7)

    for _ in range(3):
        views.lacks(viewer, 7)
    for key in (8, 9):
        views.remember(viewer, key)
    within = [*viewer.had]
    views.remember(viewer, 10)

    assert within == [8, 9]
    assert len(viewer.had) < 3


def test_what_clients_have_is_bounded_over_all_clients() -> None:
    views = Views(LearnOptions(max_had=100))
    viewers = []
    for number in range(10):
        view, _ = views.open(page_request(address=f"192.0.2.{number}"), 0.0)
        viewers.append(view.viewer)
        for key in range(50):
            views.remember(view.viewer, key)

    known = [
        viewer
        for number, viewer in enumerate(viewers)
        if views.viewer(page_request(address=f"192.0.2.{number}")) is viewer
    ]
    assert sum(len(viewer.had) for viewer in known) <= 100


def test_a_client_that_never_fetched_is_told_from_one_that_did() -> None:
    site = Site()
    rendering = Rendering(LearnOptions())
    for address, rendered in (("192.0.2.1", True), ("192.0.2.2", False)):
        for _ in range(4):
            view = site.open(address=address)
            view.rendered = rendered
            rendering.learn(view)

    assert rendering.chance(site.open(address="192.0.2.1")) > 0.8
    assert rendering.chance(site.open(address="192.0.2.2")) < 0.25


def test_new_clients_are_judged_by_those_that_came_the_same_way() -> None:
    site = Site()
    rendering = Rendering(LearnOptions())
    for _ in range(50):
        feed_reader = site.open(user_agent="FeedFetcher/1.0")
        rendering.learn(feed_reader)
        browser = site.open(user_agent="Browser/1.0", referer="https://search.example/")
        browser.rendered = True
        rendering.learn(browser)

    assert rendering.chance(site.open(user_agent="FeedFetcher/1.0")) < 0.1
    arrived = site.open(user_agent="Browser/2.0", referer="https://search.example/")
    assert rendering.chance(arrived) > 0.9


def test_a_new_minor_version_is_judged_by_its_major_version() -> None:
    site = Site()
    rendering = Rendering(LearnOptions())
    for number in range(20):
        robot = site.open(user_agent=f"Mozilla/5.0 Crawler/7.{number}")
        rendering.learn(robot)
        browser = site.open(user_agent=f"Mozilla/5.0 Browser/120.0.{number}")
        browser.rendered = True
        rendering.learn(browser)

    assert rendering.chance(site.open(user_agent="Mozilla/5.0 Crawler/7.99")) < 0.1
    assert rendering.chance(site.open(user_agent="Mozilla/5.0 Browser/120.0.99")) > 0.8


@pytest.mark.cost
def test_one_address_under_many_names_does_not_make_others_seem_idle() -> None:
    site = Site()
    rendering = Rendering(LearnOptions())
    for _ in range(20):
        browser = site.open(user_agent="Browser/1.0")
        browser.rendered = True
        rendering.learn(browser)

    for number in range(10_000):
        rendering.learn(site.open(address="192.0.2.1", user_agent=str(number)))

    assert rendering.chance(site.open(user_agent="Browser/3.0")) > 0.8


def test_the_first_client_of_all_is_taken_to_fetch() -> None:
    assert Rendering(LearnOptions()).chance(Site().open()) == 1.0


def test_a_referer_of_another_origin_with_the_same_path_is_no_view() -> None:
    site = Site()
    view = site.open("/page")
    request = page_request("/site.css")._replace(
        referer="https://evil.example/page", destination="style"
    )

    assert view.viewer.view_of(request.referer, site.now) is None
    assert view.viewer.view_of(ORIGIN + "/page", site.now) is view
