"""Netlify's `_headers`, read as its documentation says."""

from __future__ import annotations

from hypothesis import given

from headstart.export import LeftOut, Plan, Reason, configuration
from tests.export.asking import exported, page
from tests.export.checks import BATCHES, random_pages, some


def read(text: str) -> dict[str, list[str]]:
    """The file's paths and their Link headers: a path begins a line, its headers are indented."""
    found: dict[str, list[str]] = {}
    path = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("  "):
            name, _, value = line.strip().partition(":")
            assert name == "Link"
            found[path].append(value.strip())
        else:
            path = line.strip()
            assert path not in found
            found[path] = []
    return found


def test_each_page_has_a_block_with_a_line_for_each_link() -> None:
    made = configuration(Plan("", (page("/", 1), page("/about", 2))), "netlify")

    found = read(made.text)
    assert list(found) == ["/", "/about"]
    assert ", ".join(found["/about"]) == made.pages[1].value


def test_of_two_paths_that_differ_in_their_last_slash_the_one_with_more_views_is_kept() -> None:
    pages = (page("/about", 1), page("/about/", 2), page("/", 3))

    made = configuration(Plan("", pages), "netlify")

    assert list(read(made.text)) == ["/", "/about/"]
    assert made.left_out == (LeftOut("/about", "", Reason.SAME),)


def test_what_would_be_a_placeholder_is_left_out() -> None:
    made = exported("netlify")

    reasons = {left.page: left.why for left in made.left_out}
    assert reasons["/a*"] is reasons["/:a"] is reasons["/a{b}"] is Reason.SYNTAX
    assert "/caf%C3%A9" in read(made.text)


@some
@given(BATCHES)
def test_random_paths_are_read_as_themselves(paths: list[str]) -> None:
    made = random_pages("netlify", paths)

    found = read(made.text)

    assert {path: ", ".join(links) for path, links in found.items()} == {
        one.path: one.value for one in made.pages
    }
