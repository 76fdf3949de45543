"""Later visitors of each site are told of its assets, and their loads suffer in no way."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from sites.site import SITES, Site
from sites.visits import Measured, measure

# On a shared machine a site's ratio may be off by this much.
_NOISE = 1.1


@pytest.fixture(scope="module", params=SITES, ids=lambda site: site.module)
def measured(
    request: pytest.FixtureRequest,
    chromium: Browser,
    folder: Path,
    certificate: tuple[Path, Path],
) -> Measured:
    """Visit one site."""
    site: Site = request.param
    return measure(chromium, site, folder / site.module, certificate)


def test_second_and_third_visitor_are_told_of_assets_ahead(measured: Measured) -> None:
    assert all(visit.named for visit in measured.visits)


def test_everything_named_ahead_is_asked_for_and_nothing_twice(measured: Measured) -> None:
    assert [visit.unasked for visit in measured.visits] == [set(), set()]
    assert [visit.repeated for visit in measured.visits] == [[], []]


def test_console_warns_of_no_unused_preload(measured: Measured) -> None:
    assert [visit.load.warnings for visit in measured.visits] == [[], []]


def test_load_event_is_not_later_than_without(measured: Measured) -> None:
    assert measured.ratio.ratio <= _NOISE
    assert measured.ratio.low <= 1.0
