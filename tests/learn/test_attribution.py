"""The live view that a request for an asset belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.learn import LearnOptions, Request
from headstart.learn.attribution import Attribution
from headstart.learn.model import Map
from headstart.learn.views import View, Viewer, Views
from tests.learn.site import ORIGIN, STYLE, asset_request, page_request

NOW = 1000.0


class NamingMap(Map):
    """A map of pages whose HTML names the assets of `named`."""

    named: frozenset[tuple[str, str]] = frozenset()

    def names(self, origin: str, path: str, target: str) -> bool:
        return (path, target) in self.named


class Visit:
    """One client on one connection, and the attribution of its requests for assets."""

    def __init__(
        self, *pages: str, named: tuple[tuple[str, str], ...] = (), **options: Any
    ) -> None:
        made = LearnOptions(**options)
        known = NamingMap(made)
        known.named = frozenset(named)
        self.attribution = Attribution(known, made)
        views = Views(made)
        self.views = [views.open(page_request(page, connection=7), NOW)[0] for page in pages]

    @property
    def viewer(self) -> Viewer:
        return self.views[0].viewer

    def view_of(self, referer: str, now: float = NOW, **fields: Any) -> View | None:
        request = asset_request(STYLE, connection=7)._replace(referer=referer, **fields)
        return self.attribution.view_of(self.viewer, request, now)

    def count(self, request: Request) -> None:
        self.attribution.view_of(self.viewer, request, NOW)


def test_asset_belongs_to_the_page_that_its_referer_names() -> None:
    visit = Visit("/", "/other")

    assert visit.view_of(f"{ORIGIN}/") is visit.views[0]
    assert visit.view_of(f"{ORIGIN}/other") is visit.views[1]
    assert visit.view_of(f"{ORIGIN}/unknown") is None


def test_asset_that_comes_after_all_views_have_ended_belongs_to_none() -> None:
    visit = Visit("/other")

    assert visit.view_of(f"{ORIGIN}/other", NOW + 10_000) is None
    assert visit.view_of("", NOW + 10_000) is None


@pytest.mark.parametrize("referer", ["", f"{ORIGIN}/"])
def test_asset_of_a_page_that_sends_no_path_belongs_to_the_page_that_names_it(referer: str) -> None:
    visit = Visit("/one", "/two", named=(("/one", STYLE),))

    assert visit.view_of(referer) is visit.views[0]


def test_asset_that_two_pages_name_belongs_to_the_latest() -> None:
    visit = Visit("/one", "/two", named=(("/one", STYLE), ("/two", STYLE)))

    assert visit.view_of("") is visit.views[1]


def test_root_as_referer_is_the_root_where_it_is_the_only_view_or_no_page_names_the_asset() -> None:
    assert Visit("/").view_of(f"{ORIGIN}/") is not None
    assert Visit("/one").view_of(f"{ORIGIN}/") is None
    several = Visit("/", "/two")
    assert several.view_of(f"{ORIGIN}/") is several.views[0]


def test_asset_without_referer_belongs_to_the_only_view_where_most_come_without_one() -> None:
    visit = Visit("/one")

    assert visit.view_of("") is visit.views[0]
    for _ in range(3):
        visit.view_of(f"{ORIGIN}/one")
    assert visit.view_of("") is None


@pytest.mark.parametrize("fields", [{"connection": None}, {"destination": ""}])
def test_asset_without_referer_belongs_to_none_if_it_may_be_another_clients(
    fields: dict[str, Any],
) -> None:
    assert Visit("/one").view_of("", **fields) is None


def test_asset_without_referer_belongs_to_none_if_two_views_go_on() -> None:
    assert Visit("/one", "/two").view_of("") is None


def test_sites_are_counted_within_a_bound_and_the_oldest_is_forgotten() -> None:
    visit = Visit("/one", max_sites=1)
    for _ in range(3):
        visit.view_of(f"{ORIGIN}/one")
    assert visit.view_of("") is None

    elsewhere = asset_request(STYLE, connection=7)._replace(origin="https://b.test", referer="")
    visit.count(elsewhere)

    assert visit.view_of("") is visit.views[0]
