"""What the learner costs, as the number of functions that it calls; `bench.costs` has the times."""

from __future__ import annotations

import pytest

from bench.costs import Site
from tests.counting import calls_of

pytestmark = pytest.mark.cost


def test_a_page_costs_about_the_same_however_many_pages_and_assets_are_known() -> None:
    def calls(pages: int, assets: int) -> int:
        site = Site(pages, assets)
        site.learner.candidates("https://example.org", "/d5/p5")
        return calls_of(lambda: site.view(5, "10.9.0.1"))

    least = calls(10, 10)

    assert 0 < least < 150
    assert calls(10, 20) < least + 20
    assert calls(200, 10) < least + 20


def test_what_is_no_page_costs_a_few_calls_however_much_is_known() -> None:
    def calls(pages: int, assets: int) -> list[int]:
        site = Site(pages, assets)
        site.view_on_connection()
        # The first view of an asset is noted.
        return [
            *(calls_of(site.call) for _ in range(3)),
            *(calls_of(lambda: site.ask(2)) for _ in range(3)),
        ]

    api, *_, first, _, again = few = calls(10, 10)

    assert 0 < api < 30
    assert 0 < again <= first < 90
    assert calls(200, 20) == few
