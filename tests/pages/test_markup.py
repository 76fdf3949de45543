"""What pages in the style of well-known frameworks name, and what broken ones cannot do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.learn import Kind, Named, OtherOrigin
from headstart.pages.markup import Markup, read_markup
from tests.growth import assert_grows_linearly

URL = "https://example.org/blog/"
HASH = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
LATIN = "<meta charset=iso-8859-1>"
JAPANESE = (
    '<meta name=viewport content="width=device-width">'
    '<meta http-equiv=content-type content="text/html; charset=shift_jis">'
)


def named(page: str) -> list[Named]:
    """What a page in UTF-8 names."""
    return list(read_markup(page.encode(), URL).named)


def test_a_vite_build_names_modules_and_styles() -> None:
    page = """<!doctype html><html lang="en"><head><meta charset="UTF-8" />
      <link rel="icon" type="image/svg+xml" href="/vite.svg" />
      <script type="module" crossorigin src="/assets/index-BDf82k1x.js"></script>
      <link rel="modulepreload" crossorigin href="/assets/vendor-CbA_x3.js">
      <link rel="stylesheet" crossorigin href="/assets/index-DiwrgTda.css">
    </head><body><div id="app"></div></body></html>"""

    assert named(page) == [
        Named("/assets/index-BDf82k1x.js", Kind.SCRIPT, module=True, crossorigin="anonymous"),
        Named("/assets/vendor-CbA_x3.js", Kind.SCRIPT, module=True, crossorigin="anonymous"),
        Named("/assets/index-DiwrgTda.css", Kind.STYLE, crossorigin="anonymous"),
    ]


def test_a_wordpress_page_names_styles_with_versions_and_its_first_images() -> None:
    page = """<head><link rel='dns-prefetch' href='//stats.example.net' />
      <link rel='stylesheet' id='block-css' media='all'
        href='https://example.org/wp/style.min.css?ver=6.1.9&#038;x=1' />
      <link rel='stylesheet' href='/wp/print.css?ver=6.1.9' media='print' />
      <script src='/wp/jquery.min.js?ver=3.6.1' id='jquery-core-js'></script>
      <script type="speculationrules">{"prefetch":[]}</script></head><body>
      <img width="1200" height="800" src="/up/hero.jpg" fetchpriority="high"
        srcset="/up/hero-300.jpg 300w, /up/hero.jpg 1200w" sizes="(max-width: 9px) 100vw, 9px" />
      <img src="/up/below.jpg" loading="lazy" /><img src="/pixel.gif" width="1" height="1">
      <script src='/wp/nav.js?ver=1' async defer></script></body>"""

    assert named(page) == [
        Named("/wp/style.min.css?ver=6.1.9&x=1", Kind.STYLE),
        Named("/wp/jquery.min.js?ver=3.6.1", Kind.SCRIPT),
        Named(
            "/up/hero.jpg",
            Kind.IMAGE,
            fetchpriority="high",
            imagesrcset="/up/hero-300.jpg 300w, /up/hero.jpg 1200w",
            imagesizes="(max-width: 9px) 100vw, 9px",
        ),
        Named("/wp/nav.js?ver=1", Kind.SCRIPT, late=True),
    ]


def test_preloads_fonts_and_attributes_are_kept() -> None:
    page = f"""<link rel="preload" href="/f.woff2" as="font" type="font/woff2">
      <link rel=preload as=image href=/h.png imagesrcset="/h2.png 2x">
      <link rel=preload as=fetch href=/d.json><link rel=preload href=/nothing>
      <link rel="stylesheet" href="wide.css" media=" (min-width:  40em) ">
      <script src=/a.js integrity="{HASH}" crossorigin=use-credentials nonce=abc></script>
      <link rel=modulepreload as=worker href=/w.js>"""

    assert named(page) == [
        Named("/f.woff2", Kind.FONT, crossorigin="anonymous"),
        Named("/h.png", Kind.IMAGE, imagesrcset="/h2.png 2x"),
        Named("/blog/wide.css", Kind.STYLE, media="(min-width: 40em)"),
        Named("/a.js", Kind.SCRIPT, crossorigin="use-credentials", integrity=HASH, nonced=True),
    ]


@pytest.mark.parametrize(
    "element",
    [
        "<link rel='alternate stylesheet' href=/a.css>",
        "<link rel=stylesheet href=/a.css disabled>",
        "<link rel=stylesheet href=/a.less type=text/less>",
        "<link rel=stylesheet href=''>",
        "<script nomodule src=/a.js></script>",
        "<script type=importmap src=/a.js></script>",
        "<script type=text/x-template src=/a.js></script>",
        "<script>import('/a.js')</script>",
        "<img src=/a.png fetchpriority=low>",
        "<img alt=x>",
        "<picture><source type=image/avif srcset=/a.avif><img src=/a.jpg></picture>",
        "<img src=/a.png srcset='//cdn.example/b.png 2x'>",
        f"<img src=/a.png srcset='{'/b.png 2x,' * 200}'>",
        f"<link rel=stylesheet href=/a.css media='{'x' * 600}'>",
        "<template><link rel=stylesheet href=/a.css></template>",
        "<noscript><link rel=stylesheet href=/a.css></noscript>",
    ],
)
def test_what_is_not_surely_loaded_soon_is_left_out(element: str) -> None:
    assert named(element) == []


def test_other_origins_are_kept_without_what_is_loaded_from_them() -> None:
    page = """<link rel=preconnect href=https://fonts.example crossorigin>
      <link rel=stylesheet href=//cdn.example/a.css><img src=//pictures.example/a.png>
      <script type=module src=//cdn.example/a.js></script>"""

    assert read_markup(page.encode(), URL) == Markup(
        (),
        (
            OtherOrigin("https://fonts.example", cors=True),
            OtherOrigin("https://cdn.example"),
            OtherOrigin("https://cdn.example", cors=True),
        ),
    )


def test_images_that_a_browser_chooses_among_are_told_apart() -> None:
    page = """<picture><source type=image/avif srcset="/a.avif 1x, /b.avif 2x">
      <img src=/a.jpg srcset="/b.jpg 2x"></picture><img src=/c.jpg srcset="d.jpg 2x">
      <img src=/e.jpg><video><source src=/f.mp4></video>"""

    markup = read_markup(page.encode(), URL)

    assert [each.target for each in markup.named] == ["/c.jpg", "/e.jpg"]
    assert markup.alternatives == ("/a.avif", "/b.avif", "/b.jpg", "/a.jpg", "/blog/d.jpg")


def test_the_first_base_counts() -> None:
    page = "<base target=x><base href=/s/><base href=/t/><link rel=stylesheet href=a.css>"

    assert [each.target for each in named(page)] == ["/s/a.css"]


@pytest.mark.parametrize(
    ("charset", "declared", "name", "target"),
    [
        ("utf-8", "", "é", "/%C3%A9.css"),
        ("utf-8-sig", LATIN, "é", "/%C3%A9.css"),
        ("iso-8859-1", LATIN, "é", "/%C3%A9.css"),
        ("shift_jis", JAPANESE, "\N{KATAKANA LETTER SO}", "/%E3%82%BD.css"),
    ],
)
def test_the_page_says_its_encoding(charset: str, declared: str, name: str, target: str) -> None:
    page = f"{declared}<link rel=stylesheet href=/{name}.css>".encode(charset)

    assert [each.target for each in read_markup(page, URL).named] == [target]


def test_a_page_whose_tags_are_no_ascii_names_nothing() -> None:
    page = "<link rel=stylesheet href=/a.css>"

    assert read_markup(page.encode("utf-16"), URL) == Markup()
    assert read_markup(page.encode(), URL, "utf-16le") == Markup()


def test_an_attribute_cannot_stand_for_another_tag() -> None:
    page = "<link headstart-at=1 rel=stylesheet href=/a.css><p><link rel=icon href=/b.css>"

    assert [each.target for each in named(page)] == ["/a.css"]


def test_names_and_origins_are_bounded_in_number() -> None:
    page = "".join(
        f"<script src=/{at}.js></script><script src=//c{at}.example/a.js></script>"
        for at in range(100)
    )

    markup = read_markup(page.encode(), URL)

    assert (len(markup.named), len(markup.others)) == (64, 4)


@given(st.one_of(st.binary(), st.text("<>!-/=\"' aimgscriptlnkrelhf\n\0").map(str.encode)))
def test_no_bytes_are_too_odd(page: bytes) -> None:
    markup = read_markup(b"<link rel=stylesheet href=/a.css>" + page, URL, "utf-8")

    assert markup.named[:1] == (Named("/a.css", Kind.STYLE),)


@pytest.mark.parametrize(
    ("begin", "repeated", "end"),
    [
        pytest.param(b"<base href='/%s'>", b"<link rel=stylesheet href=b.css>", b"a/", id="base"),
        pytest.param(
            b"<base href='/%s/'>", b"<link rel=stylesheet href=b.css>", b"a", id="base in one"
        ),
        pytest.param(b"<picture>%s", b"<source srcset='%sb junk'>", b",", id="commas"),
        pytest.param(b"<picture>%s", b"<source srcset='%sb'>", b"a 1w,", id="candidates"),
    ],
)
def test_no_page_costs_more_than_in_proportion(begin: bytes, repeated: bytes, end: bytes) -> None:
    def page(size: int) -> bytes:
        """Half of it in one value, or in values as long as are read."""
        if b"%s" not in repeated:
            filler = end * (size // 2 // len(end))
            return begin % filler + repeated * (size // 2 // len(repeated))
        one = repeated % (end * (8000 // len(end)))
        return begin % (one * max(1, size // len(one)))

    def read(room: bytes) -> None:
        read_markup(page(len(room)), "https://example.org/")

    assert_grows_linearly(read, bytes(256 * 1024))


def test_icons_are_told_apart_from_images_that_the_page_shows() -> None:
    page = b"""<link rel="shortcut icon" href=/fav.png><link rel=apple-touch-icon href=touch.png>
      <link rel=mask-icon href=//elsewhere.example/mask.svg><link rel=icon href=data:,>
      <link rel=ICON href=/logo.png><link rel=icon href=http://[x><img src=/logo.png>"""

    found = read_markup(page, URL)

    assert found.icons == ("/fav.png", "/blog/touch.png")
    assert [each.target for each in found.named] == ["/logo.png"]


def test_so_many_icons_are_kept_and_no_more() -> None:
    page = "".join(f"<link rel=icon href=/{number}.png>" for number in range(20))

    assert len(read_markup(page.encode(), URL).icons) == 16
