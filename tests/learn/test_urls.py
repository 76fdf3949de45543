"""Tests of headstart.learn.urls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.learn.urls import extension, path_of, pattern_of, stem_of


def test_a_page_is_known_by_its_path_without_the_query() -> None:
    assert path_of("/shop?token=secret") == "/shop"


@pytest.mark.parametrize(
    ("path", "found"),
    [("/app.min.JS", "js"), ("/v1.2/app", ""), ("/app.", ""), ("/.css", "css"), ("", "")],
)
def test_an_extension_is_what_stands_behind_the_last_dot_of_the_name(path: str, found: str) -> None:
    assert extension(path) == found


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/product/17", "/product/*"),
        ("/product/blue-shoe", "/product/*"),
        ("/product/17/", "/product/*"),
        ("/blog/2014/05/a-post.html", "/blog/*/*/*"),
        ("/user/6ba7b810-9dad-11d1-80b4-00c04fd430c8/orders", "/user/*/*"),
        ("/about", ""),
        ("/", ""),
        ("", ""),
    ],
)
def test_a_pattern_leaves_out_what_varies(path: str, pattern: str) -> None:
    assert pattern_of(path) == pattern


@pytest.mark.parametrize(
    ("target", "stem"),
    [
        ("/js/app.3f9a01bc.js", "/js/app.*.js"),
        ("/js/app-3f9a01bc77d2.min.js", "/js/app-*.min.js"),
        ("/assets/index-BsR0aG3k.js", "/assets/index-*.js"),
        ("/lib/jquery-3.7.1.min.js", "/lib/jquery-*.min.js"),
        ("/site.css?v=81", "/site.css?*"),
        ("/site.css", ""),
        ("/images/photo-one.png", ""),
        ("/fonts/roboto-regular.woff2", ""),
    ],
)
def test_a_stem_leaves_out_the_fingerprint(target: str, stem: str) -> None:
    assert stem_of(target) == stem


def test_two_builds_of_a_file_share_a_stem_and_two_files_do_not() -> None:
    assert stem_of("/app.3f9a01bc.js") == stem_of("/app.77aa12bd.js")
    assert stem_of("/app.3f9a01bc.js") != stem_of("/vendor.3f9a01bc.js")


@given(st.text(max_size=300))
def test_any_text_has_an_extension_a_pattern_and_a_stem(text: str) -> None:
    assert extension(text) == extension(text).lower()
    assert pattern_of(text) == "" or pattern_of(text).endswith("/*")
    assert isinstance(stem_of(text), str)
