"""The map as an operator sees it."""

from __future__ import annotations

from tests.learn.site import ASSETS, ORIGIN, STYLE, Site


def test_rows_of_one_page_are_those_of_the_whole_map() -> None:
    site = Site()
    for page in ("/a", "/product/1", "/product/2"):
        site.visit(page, ASSETS)
    learner = site.learner
    learner.pin("/a", "/pinned.css")
    learner.pin(ORIGIN + "/only-pinned", "/pinned.css")

    for path in {row.page.removeprefix(ORIGIN) for row in learner.rows()}:
        found = [row for row in learner.rows() if row.page in (ORIGIN + path, path)]
        assert list(learner.rows_at(ORIGIN, path)) == found
        assert learner.knows_exactly(ORIGIN, path)
    assert list(learner.rows_at(ORIGIN, "/never-seen")) == []
    assert not learner.knows_exactly(ORIGIN, "/never-seen")


def test_list_of_pages_has_the_most_viewed_first_and_the_site_last() -> None:
    site = Site()
    for page in ("/a", "/b", "/b", "/product/1"):
        site.visit(page, ASSETS)
    site.learner.pin("/only-pinned", "/pinned.css")

    count, entries = site.learner.entries(ORIGIN)

    assert [entry.page.removeprefix(ORIGIN) for entry in entries] == [
        *("/b", "/a", "/product/*", "/product/1", "/*", "/only-pinned")
    ]
    assert count == 6
    assert [entry.assets for entry in entries] == [4, 4, 4, 4, 4, 1]


def test_list_of_pages_is_given_in_parts_and_by_text() -> None:
    site = Site()
    for number in range(10):
        site.visit(f"/Page-{number}", [STYLE])
    site.learner.pin("/page-pinned", "/pinned.css")
    learner = site.learner

    count, _ = learner.entries(ORIGIN, "page")
    parts = [learner.entries(ORIGIN, "pAGE", start, 4) for start in (0, 4, 8, 12)]

    assert count == 11
    assert [(total, len(part)) for total, part in parts] == [(11, 4), (11, 4), (11, 3), (11, 0)]
    assert len({entry.page for _, part in parts for entry in part}) == 11
    assert learner.entries("https://other.example", "page")[0] == 1
    assert learner.entries(ORIGIN, "nothing")[0] == 0


def test_origins_are_those_of_pages_and_of_pins() -> None:
    site = Site()
    site.visit("/a", ASSETS)
    site.learner.pin("https://other.example/a", STYLE)
    site.learner.pin("/everywhere", STYLE)

    assert site.learner.origins() == [ORIGIN, "https://other.example"]
