"""Tests of headstart.learn.icons: images that browsers ask for as a site's icon."""

from __future__ import annotations

import pytest

from headstart.learn import (
    Answer,
    Kind,
    Learner,
    Named,
    Reading,
    SiteIcon,
    Trust,
    Unlearnable,
    View,
    from_plain,
    to_plain,
)
from tests.learn.site import ASSETS, IMAGE, ORIGIN, STYLE, Site, asset_request

LOGO = "/wp-includes/images/logo.png"


def redirect(
    site: Site, view: View, target: str = "/favicon.ico", location: str | None = LOGO
) -> None:
    """A view's client asks for an icon and is sent elsewhere."""
    request = asset_request(IMAGE, view.path, view.client[0])._replace(target=target)
    answer = Answer(302, "text/html", location=location)
    site.learner.complete(request, answer, None, site.now)


def reading(
    path: str = "/", *, named: tuple[str, ...] = (), icons: tuple[str, ...] = ()
) -> Reading:
    """A page's HTML."""
    images = tuple(Named(target, Kind.IMAGE) for target in named)
    return Reading(1000.0, ORIGIN, path, 1, Trust.SOLE, named=images, icons=icons)


@pytest.mark.parametrize(
    "location",
    [LOGO, ORIGIN + LOGO, "wp-includes/images/logo.png", f"http://example.org{LOGO}#x"],
)
def test_image_that_an_icon_redirects_to_is_not_an_image_of_the_page(location: str) -> None:
    site = Site()
    view = site.open()
    site.fetch(view, STYLE)
    redirect(site, view, location=location)
    site.fetch(view, LOGO)
    site.wait()

    assert site.sent() == {STYLE}
    assert site.learner.assets.refusals[Unlearnable.ICON] == 1


def test_icon_may_be_redirected_more_than_once() -> None:
    site = Site()
    view = site.open()
    site.fetch(view, STYLE)
    redirect(site, view, location="/assets/mark")
    redirect(site, view, "/assets/mark", LOGO)
    site.fetch(view, LOGO)
    site.wait()

    assert site.sent() == {STYLE}


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/favicon.ico?next=/logo.png", IMAGE),
        ("/random.png", IMAGE),
        ("/favicon.ico", f"https://example.net{IMAGE}"),
        ("/favicon.ico", "//[x"),
        ("/favicon.ico", ""),
        ("/favicon.ico", "/" + "x" * 300 + ".png"),
    ],
)
def test_other_redirects_say_nothing_of_icons(target: str, location: str) -> None:
    site = Site()
    view = site.open()
    redirect(site, view, target, location)
    site.fetch(view, IMAGE)
    site.wait()

    assert site.sent() == {IMAGE}
    assert not any(isinstance(record, SiteIcon) for record in site.learner.export())


def test_icon_that_redirects_to_a_login_says_nothing() -> None:
    site = Site()
    view = site.open()
    redirect(site, view, location=f"{LOGO}?v=2")
    # As a gateway in front of the site does to those without its cookie.
    for state in range(1500):
        redirect(site, view, location=f"/login?state={state}")

    icons = [record for record in site.learner.export() if isinstance(record, SiteIcon)]
    assert icons == [SiteIcon(ORIGIN, f"{LOGO}?v=2")]


def test_image_that_was_learned_before_it_was_known_to_be_an_icon_is_forgotten() -> None:
    site = Site()
    site.visit(assets=[*ASSETS, LOGO])
    view = site.open()
    for target in (*ASSETS, LOGO):
        site.fetch(view, target)
    before = site.sent()
    redirect(site, view)
    site.wait()

    assert before == {*ASSETS, LOGO}
    assert site.sent() == set(ASSETS)


def test_image_that_the_page_names_is_its_own_though_it_is_the_icon_too() -> None:
    site = Site()
    site.learner.read(reading("/shown", named=(LOGO,)))
    for path in ("/shown", "/other"):
        view = site.open(path)
        redirect(site, view)
        site.fetch(view, LOGO)
        site.wait()

    assert site.sent("/shown") == {LOGO}
    assert not site.learner.knows_exactly(ORIGIN, "/other")


def test_image_that_pages_name_as_their_icon_is_not_an_image_of_any_page() -> None:
    site = Site()
    first = site.open()
    site.fetch(first, STYLE)
    site.fetch(first, IMAGE)
    site.learner.read(reading(icons=(IMAGE,)))
    site.wait()
    site.visit("/other", [STYLE, IMAGE])

    assert site.sent() == site.sent("/other") == {STYLE}


def test_other_workers_and_a_restart_know_the_icons() -> None:
    site = Site()
    view = site.open()
    redirect(site, view)
    told = [from_plain(to_plain(record)) for record in site.learner.sync(site.now)]
    other, restarted = Site(), Site()
    other.learner.absorb(told)
    restarted.learner.absorb(from_plain(to_plain(record)) for record in site.learner.export())
    for one in (other, restarted):
        one.visit(assets=[STYLE, LOGO])

    assert other.sent() == restarted.sent() == {STYLE}


def test_behind_a_redirect_whose_target_a_log_does_not_show_comes_the_icon_once() -> None:
    site = Site()
    view = site.open()
    site.fetch(view, STYLE)
    redirect(site, view, location=None)
    site.fetch(view, LOGO)
    site.fetch(view, IMAGE)
    site.wait()

    assert site.sent() == {STYLE, IMAGE}


def test_redirect_without_a_view_changes_nothing() -> None:
    learner = Learner()
    request = asset_request(IMAGE)._replace(target="/favicon.ico")
    learner.complete(request, Answer(302), None, 1.0)
    site = Site()
    view = site.open()
    redirect(site, view, location=None)
    site.now += 3600.0
    redirect(site, view, location=None)

    assert [*learner.rows(), *site.learner.rows()] == []


def test_icons_are_bounded() -> None:
    site = Site()
    for number in range(1100):
        site.learner.absorb([SiteIcon(ORIGIN, f"/{number}.png")])

    kept = [record for record in site.learner.export() if isinstance(record, SiteIcon)]
    assert len(kept) == 1000
    assert kept[-1].target == "/1099.png"
