"""What a stylesheet links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.daemon.load.stylesheets import links, links_of_style


@pytest.mark.parametrize(
    ("css", "expected"),
    [
        ('@import "a.css";', [("a.css", "style")]),
        ("@import url( 'a.css' ) screen;", [("a.css", "style")]),
        ("@IMPORT URL(a.css);", [("a.css", "style")]),
        ("@import;", []),
        ("@import supports(x);", []),
        ("@font-face { font-family: X; src: url(a.woff2) }", [("a.woff2", "font")]),
        ("@font-face { src: local(X), url(a.woff2) format('woff2'), url(a.ttf) }", "a.woff2 font"),
        ("@font-face { src: url(a.eot); src: url('a.woff2'), url(a.ttf) }", "a.woff2 font"),
        ("@font-face { src: local(X) }", []),
        ("body { background: url(a.png) no-repeat }", [("a.png", "image")]),
        ("a { b: url(1.png); c: url('2.png') }", [("1.png", "image"), ("2.png", "image")]),
        ("a { b: image-set('a.png' 1x, 'b.png' 2x) }", [("a.png", "image")]),
        ("a { b: -webkit-image-set(url(a.png) 1x, url(b.png) 2x) }", [("a.png", "image")]),
        ("a { b: image-set(none) }", []),
        ("a { b: linear-gradient(red, blue), url(a.png) }", [("a.png", "image")]),
        ("a { b: cross-fade(url(a.png), [url(b.png)]) }", "a.png image, b.png image"),
        ("@media print { a { b: url(a.png) } @font-face { src: url(f) } }", "a.png image, f font"),
        ("@namespace svg url(http://www.w3.org/2000/svg);", []),
        ("/* url(a.png) */ a { content: 'url(b.png)' }", []),
        ("a { b: url(a.png", [("a.png", "image")]),
        ("}}} a { b: url(a.png) }", [("a.png", "image")]),
    ],
)
def test_references_are_found_in_order(css: str, expected: object) -> None:
    if isinstance(expected, str):
        expected = [tuple(pair.split()) for pair in expected.split(", ")]

    assert links(css) == expected


def test_a_style_attribute_has_images() -> None:
    assert links_of_style("color: red; background: url(a.png)") == [("a.png", "image")]


@pytest.mark.parametrize("bracket", ["(", "[", "{", "f("])
def test_deep_nesting_is_read_to_some_depth(bracket: str) -> None:
    assert links("a { b: " + bracket * 5000 + "url(a.png)") == []


@given(st.text(max_size=200))
def test_whatever_comes_is_read(css: str) -> None:
    links(css)
    links_of_style(css)


@given(st.text(alphabet="@import url()\"'{};:font-acesr[]\\/*", max_size=120))
def test_broken_stylesheets_are_read(css: str) -> None:
    links(css)
