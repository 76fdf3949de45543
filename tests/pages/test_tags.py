"""The scan for tags: what it finds, what it passes over, and that nothing makes it slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.pages.tags import find_tags
from tests.growth import assert_grows_linearly


def found(page: str) -> list[str]:
    """Each tag as it stands in the page."""
    return [(tag.name + tag.rest).decode() for tag in find_tags(page.encode())]


def test_tags_that_name_assets_are_found_in_order_whatever_their_case() -> None:
    page = "<!DOCTYPE html><HTML><head><LINK rel=x><base href=/><p>a<IMG\nsrc=a><Script src=b>"

    tags = ["link rel=x>", "base href=/>", "img\nsrc=a>", "script src=b>"]
    assert found(page + "</script>") == tags


@pytest.mark.parametrize(
    "page",
    [
        "<!-- <link a> -->",
        "<!-- <link a> --!>",
        "<!-- <link a>",
        "<!---> <!-- <img>-->",
        "<script>'<link a>'</script >",
        "<style><img></STYLE>",
        "<title><img></title>",
        "<textarea><img></textarea>",
        "<noscript><img></noscript>",
        "<template><p><template><img></template><img></template>",
        "<p title='<img>' data-x = \"<link a='>'>\"><b a=b'><link-card><imgs>",
        "<plaintext><img>",
        "<img src='a",
        "< img><\nimg></ img>",
        "<![CDATA[ <img ]]>",
        "<?php echo '<img' ?>",
    ],
)
def test_what_a_browser_does_not_load_is_passed_over(page: str) -> None:
    assert [tag for tag in found(page) if not tag.startswith("script>")] == []


@pytest.mark.parametrize(
    "before",
    [
        "<!-->",
        "<!--->",
        "<p a=it's>",
        '<a href==">',
        "<3 </3>",
        "<>",
        "</>",
        "</template>",
        "<x y='>' z>",
    ],
)
def test_tags_behind_odd_markup_are_found(before: str) -> None:
    assert found(before + "<link a>")[-1] == "link a>"


def test_an_image_among_alternatives_is_marked() -> None:
    tags = list(find_tags(b"<picture><source srcset=a><img src=b></picture><img src=c>"))

    assert [(tag.name, tag.alternative) for tag in tags] == [
        (b"source", True),
        (b"img", True),
        (b"img", False),
    ]


def test_only_the_first_images_are_found_but_all_scripts() -> None:
    page = "<img src=a>" * 100 + "<script src=b></script>" * 50

    assert [found(page).count(tag) for tag in ("img src=a>", "script src=b>")] == [8, 50]


@given(st.one_of(st.binary(), st.text("<>!-/=\"' aimgscriptlnk\n").map(str.encode)))
def test_no_bytes_are_too_odd(page: bytes) -> None:
    for tag in find_tags(page):
        assert page[tag.at + 1 :].lower().startswith(tag.name)
        assert tag.rest in page


@pytest.mark.parametrize("start", ["", "<a ", "<script>", "<!--", "<img a='"])
@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<a>",
        "<div>",
        "<img>",
        "<img ",
        '<img a="',
        "<!--",
        "<!-- --",
        "<a b='\"",
        "=",
        "<a =",
        "<script>",
        "</script",
        "<title></title>",
        "</",
        "\0",
        "x",
        "<template>",
        "<b a='<'>",
    ],
)
def test_a_hostile_page_is_scanned_in_linear_time(start: str, unit: str) -> None:
    page = (start + unit * (65_536 // len(unit))).encode()

    assert_grows_linearly(lambda part: list(find_tags(part)), page)
