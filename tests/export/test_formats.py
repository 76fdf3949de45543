"""What all formats share: comments, and what a page may take."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.export import FORMATS, LeftOut, Plan, Reason, configuration
from headstart.export.formats import safe
from tests.export.asking import page
from tests.export.checks import BATCHES, random_pages, some


def test_comments_say_what_is_there_and_what_is_left_out() -> None:
    left_out = [LeftOut(f"/{number}\n/", "", Reason.BAD_PATH) for number in range(12)]
    plan = Plan(
        "https://a.example", (page("/", 1),), (*left_out, LeftOut("/", "/a.css", Reason.BAD_LINK))
    )

    lines = configuration(plan, "nginx").text.splitlines()

    assert (
        lines[0] == "# Written by `headstart map export`: 1 page of https://a.example with 2 links."
    )
    assert f"# Left out ({Reason.BAD_PATH}):" in lines
    assert lines.count("#   /3%0A/") == 1
    assert "#   and 2 more" in lines
    assert "#   / with /a.css" in lines


@pytest.mark.parametrize("name", ["apache", "caddy", "h2o", "haproxy", "cloudflare"])
def test_assets_from_a_log_are_told_where_a_103_may_name_them(name: str) -> None:
    one = page("/", 1)
    from_log = replace(one, links=(replace(one.links[0], verified=False),))

    assert "max-age" in configuration(Plan("", (from_log,)), name).text
    assert "max-age" not in configuration(Plan("", (one,)), name).text


def test_links_that_are_too_long_together_are_left_out_one_by_one() -> None:
    one = page("/", 1)
    long = replace(one.links[0], target="/long.css", value="x" * 2930)
    made = configuration(Plan("", (replace(one, links=(long, *one.links)),)), "apache")

    assert [link.target for link in made.pages[0].links] == ["/long.css", "/b.js"]
    assert made.left_out == (LeftOut("/", "/a.css", Reason.OVER_BUDGET),)


def test_page_of_which_no_link_fits_is_no_entry() -> None:
    one = page("/", 1)
    long = replace(one.links[0], value="x" * 4000)

    made = configuration(Plan("", (replace(one, links=(long,)), page("/b", 2))), "nginx")

    assert [kept.path for kept in made.pages] == ["/b"]
    assert made.left_out == (LeftOut("/", "/a.css", Reason.OVER_BUDGET),)


@pytest.mark.parametrize("name", FORMATS)
@some
@given(paths=BATCHES)
def test_no_path_makes_a_line_of_its_own_or_leaves_ascii(name: str, paths: list[str]) -> None:
    made = random_pages(name, paths)
    alike = configuration(
        Plan("https://example.org", tuple(page(f"/{n}", n) for n in range(len(made.pages)))), name
    )

    body = made.text.partition("\n\n")[2]
    assert body.isprintable() or set(body) - {"\n"} == set(filter(str.isprintable, body))
    comments = [line for line in body.splitlines() if line.startswith("# ")]
    size = [line for line in body.splitlines() if "hash_bucket" in line or "geo" in line]
    if name not in ("nginx", "apache"):
        assert len(body.splitlines()) == len(alike.text.partition("\n\n")[2].splitlines())
    assert len(comments) <= 2
    assert len(size) <= 2


@given(st.text())
def test_comment_holds_nothing_that_a_format_expands(text: str) -> None:
    shown = safe(text)

    assert shown.isascii()
    assert shown.isprintable()
    assert not set(shown) & set("\\${}`\"'#<> ")
