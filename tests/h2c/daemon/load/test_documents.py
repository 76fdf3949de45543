"""Links of an HTML page and of a stylesheet."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.daemon.load import documents
from headstart.h2c.daemon.load.documents import Document, links_of_style, links_of_stylesheet
from headstart.h2c.daemon.load.resource import Kind, Reference

URL = "https://a.test/dir/page"


def found(html: str | bytes, charset: str = "utf-8") -> list[tuple[str, str]]:
    """Paths and kinds, in the order of the page."""
    document = Document(URL, charset)
    octets = html if isinstance(html, bytes) else html.encode(charset or "utf-8")
    wanted = document.feed(octets, final=True)
    assert all(one.initiator == URL for one in wanted)
    return [(one.url.removeprefix("https://a.test"), one.kind.value) for one in wanted]


@pytest.mark.parametrize(
    ("html", "url", "kind"),
    [
        ("<link rel=stylesheet href=a.css>", "/dir/a.css", "style"),
        ("<LINK REL='StyleSheet' HREF=' /a.css '>", "/a.css", "style"),
        ("<link rel=stylesheet href='//b.test/a.css'>", "https://b.test/a.css", "style"),
        ("<link rel=preload as=font href=a.woff2>", "/dir/a.woff2", "font"),
        ("<link rel=preload as=fetch href=a.json>", "/dir/a.json", "other"),
        ("<link rel=modulepreload href=a.mjs>", "/dir/a.mjs", "script"),
        ("<link rel='shortcut icon' href=/i.png>", "/i.png", "image"),
        ("<script src=a.js></script>", "/dir/a.js", "script"),
        ("<script type=module src=a.js></script>", "/dir/a.js", "script"),
        ("<img src='a.png?x=1&amp;y=2#part'>", "/dir/a.png?x=1&y=2", "image"),
        ("<img srcset='a.png 2x, b.png 1x'>", "/dir/a.png", "image"),
        ("<img src=s.png srcset='a.png 2x'>", "/dir/s.png", "image"),
        ("<video poster=a.jpg>", "/dir/a.jpg", "image"),
        ("<input type=image src=a.gif>", "/dir/a.gif", "image"),
        ("<style>body { background: url(a.png) }</style>", "/dir/a.png", "image"),
        ("<p style='background: url(&quot;a.png&quot;)'>", "/dir/a.png", "image"),
        ("<img src=a.png src=b.png>", "/dir/a.png", "image"),
    ],
)
def test_what_a_browser_fetches_is_found(html: str, url: str, kind: str) -> None:
    assert found(html) == [(url, kind)]


@pytest.mark.parametrize(
    "html",
    [
        "<link rel='alternate stylesheet' href=a.css>",
        "<link rel=stylesheet href=a.css disabled>",
        "<link rel=stylesheet>",
        "<link rel=preload href=a>",
        "<link rel=preload as=nonsense href=a>",
        "<link rel=canonical href=/>",
        "<script type=application/json src=a.json></script>",
        "<script nomodule src=a.js></script>",
        "<script>document.write('<img src=a.png>')</script>",
        "<!-- <img src=a.png> -->",
        "<noscript><img src=a.png></noscript>",
        "<template><img src=a.png><style>a{background:url(a.png)}</style></template>",
        "<img src=a.png loading=LAZY>",
        "<img src=''><img srcset=''><img>",
        "<img src='data:image/png;base64,AAAA'>",
        "<img src='javascript:0'>",
        "<img src='#part'>",
        "<img src='http://[x'>",
        "<input type=text src=a.png>",
        "<iframe src=a.html></iframe>",
        "</noscript></style>",
        "<![<",
        "<![if !IE]><![endif]>",
    ],
)
def test_what_a_browser_does_not_fetch_is_not(html: str) -> None:
    assert found(html) == []


def test_after_what_is_inert_the_page_goes_on() -> None:
    html = "<template><noscript></noscript></template><img src=a.png>"

    assert found(html) == [("/dir/a.png", "image")]


def test_the_first_base_counts() -> None:
    html = "<base href=/one/><base href=/two/><img src=a.png>"

    assert found(html) == [("/one/a.png", "image")]


def test_links_are_found_while_the_page_comes() -> None:
    document = Document(URL, "utf-8")

    first = document.feed(b"<link rel=stylesheet href=a.css><img src=")
    second = document.feed(b"b.png>")

    assert [one.kind for one in first] == [Kind.STYLE]
    assert [one.url for one in second] == ["https://a.test/dir/b.png"]


@pytest.mark.parametrize(
    ("html", "charset"),
    [
        ("<img src=\xfc.png>".encode("latin-1"), "iso-8859-1"),
        ("<meta charset='iso-8859-1'><img src=\xfc.png>".encode("latin-1"), ""),
        (
            "<meta http-equiv=content-type content='text/html; charset=latin1'>"
            "<img src=\xfc.png>".encode("latin-1"),
            "",
        ),
        ("<img src=\xfc.png>".encode(), ""),
        ("<img src=\xfc.png>".encode(), "no-such-charset"),
        ("<img src=\xfc.png>".encode(), "base64"),
    ],
)
def test_the_encoding_is_what_the_server_or_the_page_says(html: bytes, charset: str) -> None:
    document = Document(URL, charset)

    (image,) = document.feed(html, final=True)

    assert image.url == "https://a.test/dir/%C3%BC.png"


def test_a_page_without_an_encoding_waits_for_its_head() -> None:
    document = Document(URL)

    assert document.feed(b"<img src=a.png>") == []
    assert len(document.feed(b" " * 1024)) == 1
    assert document.feed(b"<img src=b.png>", final=True)[0].url.endswith("b.png")


@pytest.mark.parametrize("endless", ["<!-- ", "<a b='", "<style>", "<![CDATA["])
def test_what_has_no_end_is_not_read_again_with_each_piece(
    endless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    feed = HTMLParser.feed

    def counting(parser: HTMLParser, text: str) -> None:
        nonlocal read
        read += len(parser.rawdata) + len(text)
        feed(parser, text)

    monkeypatch.setattr(HTMLParser, "feed", counting)
    document = Document(URL, "utf-8")
    document.feed(endless.encode())
    for _ in range(1000):
        document.feed(b"x" * 100)
    document.feed(b"", final=True)

    assert read < 5 * 100_000


@pytest.mark.parametrize("token", ["<a>", "</a>", "<!>", "<", "<p>x"])
def test_no_more_is_read_than_so_many_tokens(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_TOKENS", 20)
    read = 0
    feed = HTMLParser.feed

    def counting(parser: HTMLParser, text: str) -> None:
        nonlocal read
        read += len(parser.rawdata) + len(text)
        feed(parser, text)

    monkeypatch.setattr(HTMLParser, "feed", counting)
    document = Document(URL, "utf-8")

    wanted = document.feed(f"<img src=first>{token * 100_000}".encode())
    wanted += document.feed(b"<img src=last>", final=True)

    assert [one.url for one in wanted] == ["https://a.test/dir/first"]
    assert read < 40_000


@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "utf-16", "x"]), st.integers(0, 300))
def test_whatever_comes_is_read(octets: bytes, charset: str, cut: int) -> None:
    document = Document(URL, charset)

    for one in [*document.feed(octets[:cut]), *document.feed(octets[cut:], final=True)]:
        assert one.url.startswith(("http://", "https://"))


@given(st.text(alphabet="<>!-/ =\"'abcdlinkrestyushf[]?", max_size=120))
def test_broken_markup_is_read(html: str) -> None:
    found(html)


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
        ("@font-face { src: url(a); unicode-range: U+0-FF, U+131 }", "a font"),
        ("@font-face { src: url(a); unicode-range: U+400-45F, U+26 }", "a font"),
        ("@font-face { unicode-range: odd; src: url(a) }", "a font"),
        ("@font-face { src: url(a); unicode-range: U+0301, U+4?? }", []),
        ("@font-face { unicode-range: U+7F-2AF; src: url(a) }", []),
        ("@media all { @font-face { src: url(a); unicode-range: U+4?? } }", []),
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

    assert [(one.target, one.kind) for one in links_of_stylesheet(css)] == expected


def test_a_style_attribute_has_images() -> None:
    found = links_of_style("color: red; background: url(a.png)")
    assert found == [Reference("a.png", Kind.IMAGE)]


def test_the_families_of_fonts_and_styles_are_found() -> None:
    face = '@font-face { font-family: "Open  Sans"; src: url(f) }'
    assert links_of_stylesheet(face) == [Reference("f", Kind.FONT, "open sans")]

    document = Document(URL, "utf-8")
    document.feed(b"<p style='font: 12px A'><style>b { font-family: C }</style>", final=True)
    assert {"a", "c"} <= document.families


@pytest.mark.parametrize("bracket", ["(", "[", "{", "f("])
def test_deep_nesting_is_read_to_some_depth(bracket: str) -> None:
    assert links_of_stylesheet("a { b: " + bracket * 5000 + "url(a.png)") == []


@given(st.text(max_size=200))
def test_whatever_comes_as_a_stylesheet_is_read(css: str) -> None:
    links_of_stylesheet(css)
    links_of_style(css)


@given(st.text(alphabet="@import url()\"'{};:font-acesr[]\\/*", max_size=120))
def test_broken_stylesheets_are_read(css: str) -> None:
    links_of_stylesheet(css)
