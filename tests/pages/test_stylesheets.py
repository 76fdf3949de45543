"""What a stylesheet names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.pages.stylesheets import Stylesheet, read_stylesheet
from tests.growth import assert_grows_linearly

URL = "https://example.org/css/site.css?v=3"


def fonts(css: str) -> tuple[str, ...]:
    return read_stylesheet(css.encode(), URL).fonts


def face(src: str) -> str:
    return "@font-face { font-family: f; src: " + src + "; }"


@pytest.mark.parametrize(
    ("css", "expected"),
    [
        (face("url(a.woff2)"), ("/css/a.woff2",)),
        (face("url('/a.woff2') format('woff2')"), ("/a.woff2",)),
        (face('url("https://example.org/a.woff2") format(woff2)'), ("/a.woff2",)),
        (face("url(../f/a.woff2?v=4.7.0#x)"), ("/f/a.woff2?v=4.7.0",)),
        (face("local(Arial), url(a.woff2)"), ("/css/a.woff2",)),
        (face("URL(a.eot?#iefix) format('embedded-opentype'), url(a.woff)"), ("/css/a.woff",)),
        (face("url(a.svg#f) format('svg'), url(a.ttf) format('truetype')"), ("/css/a.ttf",)),
        (face("url(a.eot)"), ()),
        (face("url(a.woff2) format('unknown')"), ()),
        (face("url(a.woff2) tech(variations)"), ("/css/a.woff2",)),
        (face("url(old.woff); src: url(new.woff2)"), ("/css/new.woff2",)),
        (face("url(data:font/woff2;base64,AAAA)"), ()),
        (face("url(https://fonts.example/a.woff2)"), ()),
        ("@media screen {" + face("url(a.woff2)") + "}", ("/css/a.woff2",)),
        ("@FONT-FACE{src:url(a.woff2)}", ("/css/a.woff2",)),
        ("/* " + face("url(a.woff2)") + " */", ()),
        ("/* never closed " + face("url(a.woff2)"), ()),
        (".a { background: url(a.woff2) } @font-face", ()),
        (face("url(a.woff2)") * 2, ("/css/a.woff2",)),
        ("@font-face { font-family: f }", ()),
        (face(""), ()),
        (face("url(a\\.woff2)"), ("/css/a.woff2",)),
    ],
)
def test_of_each_face_the_font_that_a_browser_fetches_is_taken(
    css: str, expected: tuple[str, ...]
) -> None:
    assert fonts(css) == expected


@pytest.mark.parametrize(
    ("css", "expected"),
    [
        ("@import 'a.css';", ("/css/a.css",)),
        ("@import url(a.css) screen;", ("/css/a.css",)),
        ('@import url("/a.css") layer(x);', ("/a.css",)),
        ("@import 'a.css' print;", ()),
        ("@import 'https://other.example/a.css';", ()),
        ("@import-not 'a.css';", ()),
        ("@import ;", ()),
    ],
)
def test_imports_are_taken_but_for_print(css: str, expected: tuple[str, ...]) -> None:
    assert read_stylesheet(css.encode(), URL).imports == expected


def test_a_stylesheet_of_which_only_the_beginning_is_known_says_so() -> None:
    assert read_stylesheet(b"", URL, whole=False) == Stylesheet(whole=False)


def test_only_so_many_fonts_are_taken() -> None:
    css = "".join(face(f"url({number}.woff2)") for number in range(200))

    assert len(fonts(css)) == 64


@given(st.binary(max_size=2000) | st.text(max_size=500).map(lambda text: face(text).encode()))
def test_whatever_the_bytes_are_they_are_read(css: bytes) -> None:
    read_stylesheet(css, URL)


@pytest.mark.parametrize(
    "part", [b"@font-face{", b"/*", b"@import a", b"*/", b"@font-face{src:url(a);", b"/*/", b"{"]
)
def test_reading_takes_time_in_proportion_whatever_the_stylesheet_holds(part: bytes) -> None:
    assert_grows_linearly(lambda css: read_stylesheet(css, URL), part * (256 * 1024 // len(part)))
