"""Cloudflare Pages' `_headers`, within its limits."""

from __future__ import annotations

from dataclasses import replace

from headstart.export import Plan, Reason, configuration
from tests.export.asking import page
from tests.export.test_netlify import read


def test_hundred_pages_with_the_most_views_are_kept() -> None:
    pages = tuple(page(f"/{number}", number) for number in range(103))

    made = configuration(Plan("", pages), "cloudflare")

    assert set(read(made.text)) == {f"/{number}" for number in range(3, 103)}
    assert [left.page for left in made.left_out] == ["/2", "/1", "/0"]
    assert {left.why for left in made.left_out} == {Reason.TOO_MANY}


def test_page_whose_lines_would_be_too_long_is_left_out() -> None:
    one = page("/", 1)
    long = replace(one, links=(replace(one.links[0], value="x" * 1993),))

    made = configuration(Plan("", (long, page("/" + "a" * 2000, 2), page("/b", 3))), "cloudflare")

    assert list(read(made.text)) == ["/b"]
    assert {left.page[:2] for left in made.left_out} == {"/", "/a"}
