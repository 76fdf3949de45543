"""URLs of a page, resolved as a browser would, or left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.learn.safety import bad_target
from headstart.pages.addresses import Address, Addresses

PAGE = "https://example.org/shop/chair?x=1"
ORIGIN = "https://example.org"


@pytest.mark.parametrize(
    ("href", "target"),
    [
        ("/a.css", "/a.css"),
        (" /a.css\n", "/a.css"),
        ("a.css", "/shop/a.css"),
        ("../a/./b.css", "/a/b.css"),
        ("/v1.2/a.css?v=3&w=4#x", "/v1.2/a.css?v=3&w=4"),
        ("?a", "/shop/chair?a"),
        ("//example.org/a.css", "/a.css"),
        ("https://EXAMPLE.org:443/a.css", "/a.css"),
        ("/a b/ü.css", "/a%20b/%C3%BC.css"),
        ("/a\n.css", "/a.css"),
        ("/a%20b.css", "/a%20b.css"),
    ],
)
def test_a_url_of_the_page_s_own_origin_has_a_target(href: str, target: str) -> None:
    assert Addresses(PAGE).resolve(href) == Address(True, ORIGIN, target)


@pytest.mark.parametrize(
    "href",
    [
        "",
        "#part",
        " ",
        "data:text/css,a",
        "javascript:a()",
        "blob:x",
        "mailto:a",
        "http://[",
        "/a\\b.css",
        "/a'b?c",
        "/%zz",
        "/a/%2e%2E/b",
        "/a|b",
        "/" + "a" * 2048,
        "\ufffd",
        "//ex ample/",
        "//é.example/",
    ],
)
def test_a_url_that_is_not_fetched_or_not_surely_so_is_left_out(href: str) -> None:
    assert Addresses(PAGE).resolve(href) is None


def test_another_origin_is_named_alone() -> None:
    addresses = Addresses(PAGE)

    assert addresses.resolve("//cdn.example/x?y") == Address(False, "https://cdn.example", "")
    assert addresses.resolve("http://example.org/") == Address(False, "http://example.org", "")
    assert addresses.resolve("//u:p@cdn.example:8443/") == Address(
        False, "https://cdn.example:8443", ""
    )


def test_a_base_changes_what_follows() -> None:
    addresses = Addresses(PAGE)

    addresses.rebase("/static/")
    assert addresses.resolve("a.css") == Address(True, ORIGIN, "/static/a.css")
    addresses.rebase("javascript:0")
    assert addresses.resolve("a.css") == Address(True, ORIGIN, "/static/a.css")
    addresses.rebase("//cdn.example/")
    assert addresses.resolve("/a.css") == Address(False, "https://cdn.example", "")


def test_image_candidates_are_resolved_all_or_none() -> None:
    addresses = Addresses(PAGE)

    widths = [("/shop/a.jpg", "400w"), ("/b,2.jpg", "800w")]
    assert addresses.candidates("a.jpg 400w,\n /b,2.jpg 800w") == widths
    assert addresses.candidates("a.jpg, b.jpg 2x") == [("/shop/a.jpg", ""), ("/shop/b.jpg", "2x")]
    assert addresses.candidates("a.jpg 1x, //cdn.example/b.jpg 2x") == []
    assert addresses.candidates("a.jpg 1x 2w") == []


@given(st.text(), st.text())
def test_no_text_becomes_a_target_that_may_not_be_sent(base: str, href: str) -> None:
    addresses = Addresses(PAGE)
    addresses.rebase(base)

    address = addresses.resolve(href)

    if address is not None and address.own:
        assert bad_target(address.target, 2048) is None


@pytest.mark.parametrize(
    "base", ["/" + "a/" * 1100, "/" + "a" * 2100 + "/", "https://b.test/" * 200]
)
def test_relative_urls_are_unsure_behind_a_base_that_is_long(base: str) -> None:
    addresses = Addresses(PAGE)
    addresses.rebase(base)

    assert addresses.resolve("a.css") is None
    assert addresses.resolve("https://example.org/a.css") == Address(True, ORIGIN, "/a.css")


def test_a_long_query_of_the_page_makes_no_url_unsure() -> None:
    addresses = Addresses("https://example.org/shop/chair?" + "x" * 5000)

    assert addresses.resolve("a.css") == Address(True, ORIGIN, "/shop/a.css")


@pytest.mark.parametrize(
    ("srcset", "found"),
    [
        ("a.png", [("/shop/a.png", "")]),
        ("a.png,b.png 2x", [("/shop/a.png,b.png", "2x")]),
        ("a.png, b.png", [("/shop/a.png", ""), ("/shop/b.png", "")]),
        (",, a.png 1x,", [("/shop/a.png", "1x")]),
        ("a.png,,", [("/shop/a.png", "")]),
        ("a.png 1.5x ,b.png\n200w", [("/shop/a.png", "1.5x"), ("/shop/b.png", "200w")]),
        (",", []),
        ("a.png junk", []),
        ("a.png 1x junk", []),
        ("a.png 1x2", []),
    ],
)
def test_a_list_of_candidates_is_read_as_browsers_do(
    srcset: str, found: list[tuple[str, str]]
) -> None:
    assert Addresses(PAGE).candidates(srcset) == found


def test_no_more_urls_are_joined_than_a_page_may_have() -> None:
    addresses = Addresses(PAGE)

    assert addresses.resolve("./a.css") is not None
    while addresses.resolve("./" + "a" * 2000) is not None:
        pass
    assert addresses.resolve("./a.css") is None
    assert addresses.resolve("/a.css") is None
