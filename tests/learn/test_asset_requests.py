"""Requests for assets: the views that they belong to, and the URLs that are not for everybody."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.learn import Answer, How, Learner, Request, Unlearnable, View, from_plain, to_plain
from headstart.learn.records import Removal, Sighting
from tests.learn.site import ASSETS, ORIGIN, SCRIPT, STYLE, Site, asset_answer, asset_request


def taught() -> Site:
    """Return a site whose page was viewed by three clients, each with all of its assets."""
    site = Site()
    for _ in range(3):
        site.visit()
    return site


def answered(site: Site, status: int, address: str, target: str = STYLE) -> None:
    """A client asks for an asset on a page that it views."""
    site.open("/", address)
    request = asset_request(target, "/", address)
    site.learner.complete(request, asset_answer(target)._replace(status=status), None, site.now)
    site.wait()


@pytest.mark.parametrize("status", [404, 410, 301, 302, 500, 502])
def test_response_that_any_client_would_get_removes_the_asset_at_once(status: int) -> None:
    site = taught()

    answered(site, status, "192.0.2.50")

    assert site.sent() == set(ASSETS) - {STYLE}
    assert site.learner.assets.is_refused(ORIGIN, STYLE)


@pytest.mark.parametrize("status", [400, 401, 403, 405, 408, 416, 425, 429, 431, 451, 499, 503])
def test_response_to_one_client_removes_the_asset_when_a_second_one_gets_it(status: int) -> None:
    site = taught()

    answered(site, status, "192.0.2.50")
    answered(site, status, "192.0.2.50")
    after_one = site.sent()
    answered(site, status, "192.0.2.51")

    assert after_one == set(ASSETS)
    assert site.sent() == set(ASSETS) - {STYLE}


@pytest.mark.parametrize("status", [200, 206, 304])
def test_asset_that_is_there_stays(status: int) -> None:
    site = taught()

    for address in ("192.0.2.50", "192.0.2.51", "192.0.2.52"):
        answered(site, status, address)

    assert STYLE in site.sent()
    assert not site.learner.assets.is_refused(ORIGIN, STYLE)


def test_asset_that_is_gone_and_comes_back_is_learned_anew() -> None:
    site = taught()
    answered(site, 404, "192.0.2.50")
    gone = site.sent()
    for _ in range(4):
        site.visit()

    assert STYLE not in gone
    assert STYLE in site.sent()
    assert not site.learner.assets.is_refused(ORIGIN, STYLE)


def test_thousand_urls_are_remembered_as_refused_and_one_more_displaces_the_first() -> None:
    assets = Site().learner.assets
    for number in range(1000):
        assets.refuse(ORIGIN, f"/{number}.css")
    full = [assets.is_refused(ORIGIN, f"/{number}.css") for number in (0, 999)]
    assets.refuse(ORIGIN, "/1000.css")

    assert full == [True, True]
    assert [assets.is_refused(ORIGIN, f"/{n}.css") for n in (0, 1, 1000)] == [False, True, True]
    assert not assets.is_refused("https://other.example", "/1.css")


QUERIED = "/site.css?ver=6.1.9"


def taught_by_a_log() -> Site:
    """A site whose log has shown that all clients share an asset with a query."""
    log, served = Site(), Site()
    for _ in range(3):
        log.fetch(log.open(), QUERIED, cache_control=None, validated=True)
        log.wait()
    served.learner.absorb(log.learner.export())
    return served


def test_asset_of_a_log_is_removed_once_its_response_has_no_validator() -> None:
    served, target = taught_by_a_log(), QUERIED
    before = served.sent()

    view = served.open()
    served.fetch(view, target, cache_control=None, validated=None)
    from_a_log = served.sent()
    served.fetch(view, target, cache_control="", validated=False)

    assert (before, from_a_log, served.sent()) == ({target}, {target}, set())
    assert served.learner.assets.is_refused(ORIGIN, target)


@pytest.mark.parametrize(
    "fields",
    [{"cache_control": "no-store"}, {"cache_control": "private"}, {"sets_cookie": True}],
)
def test_asset_of_a_log_is_removed_once_its_response_is_one_client_s(
    fields: dict[str, Any],
) -> None:
    served, target = taught_by_a_log(), QUERIED

    served.fetch(served.open(), target, validated=True, **fields)

    assert served.sent() == set()


def test_removed_asset_is_told_to_other_workers_once_and_leaves_open_views() -> None:
    site = taught()
    view = site.open()
    for target in (STYLE, SCRIPT):
        site.fetch(view, target)
    site.learner.sync(site.now)

    for _ in range(2):
        site.learner.assets.remove(Removal(ORIGIN, STYLE))

    assert site.learner.sync(site.now) == [Removal(ORIGIN, STYLE)]
    assert set(view.asked) == {SCRIPT}


def lifetimes(learner: Learner) -> dict[str, int | None]:
    """Return the lifetimes that a learner would go by."""
    return {each.target: each.asset.lifetime for each in learner.candidates(ORIGIN, "/")}


def told_sightings(site: Site) -> list[Sighting]:
    """Return the sightings among the records for other workers."""
    records = [from_plain(to_plain(record)) for record in site.learner.sync(site.now)]
    return [record for record in records if isinstance(record, Sighting)]


def test_change_of_an_asset_that_its_client_was_sent_is_told_to_other_workers_once() -> None:
    site, other = taught(), Learner()
    other.absorb(site.learner.export())
    before = lifetimes(other)
    view = site.open()
    site.learner.delivered(view, STYLE, How.HINTED)
    for lifetime in (600, 30, 60, 61):
        site.fetch(view, STYLE, cache_control=f"max-age={lifetime}")

    [told] = told_sightings(site)
    other.absorb([told])

    assert (told.origin, told.asset.target, told.asset.lifetime) == (ORIGIN, STYLE, 61)
    assert (before[STYLE], lifetimes(other)) == (3600, {**before, STYLE: 61})
    assert told_sightings(site) == []


def test_lifetime_that_counts_down_and_what_is_known_are_not_told_anew() -> None:
    site = taught()
    view = site.open()
    for lifetime in (3600, 3599, 3598):
        site.fetch(view, STYLE, cache_control=f"public, max-age={lifetime}")

    assert told_sightings(site) == []


def test_sighting_of_an_asset_that_is_not_known_or_was_removed_changes_nothing() -> None:
    site, other = taught(), Learner()
    view = site.open()
    site.fetch(view, STYLE, cache_control="max-age=30")
    [sighting] = told_sightings(site)
    site.fetch(view, STYLE, cache_control="max-age=600")
    site.learner.assets.remove(Removal(ORIGIN, STYLE))

    other.absorb([sighting])

    assert lifetimes(other) == {}
    assert told_sightings(site) == []


def test_second_fetch_of_a_hinted_asset_is_told_as_the_second() -> None:
    site = taught()
    told: list[tuple[str, bool]] = []

    def fetched(request: Request, again: bool) -> None:
        told.append((request.target, again))

    site.learner.assets.on_fetch = fetched
    view = site.open()
    site.learner.delivered(view, STYLE, How.HINTED)
    site.learner.delivered(view, SCRIPT, How.PUSHED)

    for _ in range(3):
        site.fetch(view, STYLE)
    site.fetch(view, SCRIPT)

    assert told == [(STYLE, False), (STYLE, True), (STYLE, True)]


def test_each_asset_of_a_view_is_told_with_the_view_and_others_are_not() -> None:
    site = Site()
    told: list[tuple[str, View]] = []

    def asked(request: Request, view: View) -> None:
        told.append((request.target, view))

    site.learner.assets.on_asset = asked
    first, second = site.open("/one"), site.open("/two")

    site.fetch(second, STYLE)
    site.fetch(first, STYLE)
    site.learner.complete(
        asset_request(SCRIPT, "/", "203.0.113.9"), asset_answer(SCRIPT), None, 0.0
    )

    assert told == [(STYLE, second), (STYLE, first)]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"sets_cookie": True}, Unlearnable.SETS_COOKIE),
        ({"cache_control": "private"}, Unlearnable.PRIVATE),
        ({"cache_control": "no-store"}, Unlearnable.PRIVATE),
        ({"vary": "Cookie"}, Unlearnable.VARIES),
    ],
)
def test_asset_that_is_one_clients_is_told_and_counted_each_time_and_not_learned(
    fields: dict[str, Any], why: Unlearnable
) -> None:
    site = Site()
    told: list[Unlearnable] = []

    def refused(request: Request, answer: Answer, reason: Unlearnable) -> None:
        assert (request.target, answer) == (STYLE, asset_answer(STYLE, **fields))
        told.append(reason)

    site.learner.assets.on_refusal = refused
    for _ in range(3):
        view = site.open()
        site.fetch(view, STYLE, **fields)
        site.fetch(view, SCRIPT)
        site.wait()

    assert told == [why] * 3
    assert site.learner.assets.refusals[why] == 3
    assert site.sent() == {SCRIPT}
