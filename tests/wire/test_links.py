"""The Link header: what is written, what is refused, and what is made of others' values."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import HeadstartError
from headstart.wire.links import (
    As,
    Link,
    LinkError,
    ParsedLink,
    as_link,
    encode,
    escape_target,
    parse,
)
from tests.growth import assert_grows_linearly

HASH = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
URI = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")


# Guessed.


@pytest.mark.parametrize(
    ("target", "link"),
    [
        ("/app.css", Link("/app.css", as_="style")),
        ("app.JS?v=1.2", Link("app.JS?v=1.2", as_="script")),
        ("/m.mjs", Link("/m.mjs", "modulepreload")),
        ("/a.woff2#x.css", Link("/a.woff2#x.css", as_="font", crossorigin="anonymous")),
        ("https://cdn.example/i.webp", Link("https://cdn.example/i.webp", as_="image")),
    ],
)
def test_extension_of_a_target_tells_its_use(target: str, link: Link) -> None:
    assert Link.guess(target) == link
    assert as_link(target) == link
    assert as_link(link) is link


@pytest.mark.parametrize(
    "target", ["", "/", "/data", "/css", "/a.css/", "/a.css.map", "//[", "/x?a.css", "/css/app"]
)
def test_target_whose_name_does_not_tell_its_use_is_refused(target: str) -> None:
    with pytest.raises(LinkError, match="does not tell its use"):
        Link.guess(target)


# Written.


@pytest.mark.parametrize(
    ("link", "value"),
    [
        (Link("/a.css", as_="style"), b"</a.css>; rel=preload; as=style"),
        (Link("/f.woff2", as_="font"), b"</f.woff2>; rel=preload; as=font; crossorigin"),
        (
            Link("/d.json", as_="fetch", crossorigin="use-credentials"),
            b"</d.json>; rel=preload; as=fetch; crossorigin=use-credentials",
        ),
        (Link("/m.js", "modulepreload"), b"</m.js>; rel=modulepreload"),
        (
            Link("https://cdn.example", "preconnect", crossorigin="anonymous"),
            b"<https://cdn.example>; rel=preconnect; crossorigin",
        ),
        (
            Link("/i.webp", as_="image", type="image/webp", fetchpriority="high"),
            b'</i.webp>; rel=preload; as=image; type="image/webp"; fetchpriority=high',
        ),
        (
            Link("/a.js", as_="script", integrity=HASH),
            b'</a.js>; rel=preload; as=script; integrity="' + HASH.encode() + b'"',
        ),
        (
            Link("/a.js", "modulepreload", nonce="r4nd0m+/=="),
            b'</a.js>; rel=modulepreload; nonce="r4nd0m+/=="',
        ),
        (
            Link("/w.css", as_="style", media="screen and (min-width: 40em)"),
            b'</w.css>; rel=preload; as=style; media="screen and (min-width: 40em)"',
        ),
        (
            Link(
                "/h.jpg",
                as_="image",
                imagesrcset="/h-1.jpg 400w,\n /h\u00fc,2.jpg 800w",
                imagesizes="(max-width: 600px) 100vw, calc(50vw - 2rem)",
            ),
            b'</h.jpg>; rel=preload; as=image; imagesrcset="/h-1.jpg 400w, /h%C3%BC,2.jpg 800w"; '
            b'imagesizes="(max-width: 600px) 100vw, calc(50vw - 2rem)"',
        ),
        (
            Link("/h.jpg", as_="image", imagesrcset=" /a.jpg, /b.jpg 1.5x,"),
            b'</h.jpg>; rel=preload; as=image; imagesrcset="/a.jpg, /b.jpg 1.5x"',
        ),
    ],
)
def test_a_link_is_written_with_what_it_has(link: Link, value: bytes) -> None:
    assert link.field_value() == value


def test_several_links_make_one_value_and_none_make_an_empty_one() -> None:
    links = [Link("/a.css", as_="style"), Link("/b.js", as_="script")]

    assert encode(links) == b"</a.css>; rel=preload; as=style, </b.js>; rel=preload; as=script"
    assert encode([]) == b""


def test_a_font_always_gets_crossorigin_and_keeps_its_own() -> None:
    assert Link("/f", as_="font").crossorigin == "anonymous"
    assert Link("/f", as_="font", crossorigin="use-credentials").crossorigin == "use-credentials"


@pytest.mark.parametrize(
    ("target", "written"),
    [
        ("/a b", "/a%20b"),
        ("/ü", "/%C3%BC"),
        ("/\udcfc", "/%FC"),
        ("/a>; rel=x, <b", "/a%3E;%20rel=x,%20%3Cb"),
        ("/\r\nset-cookie: a=b", "/%0D%0Aset-cookie:%20a=b"),
        ('/\0"\\^`{|}', "/%00%22%5C%5E%60%7B%7C%7D"),
        ("/100%", "/100%25"),
        ("/%zz%4", "/%25zz%254"),
        ("/%41%c3", "/%41%c3"),
        ("http://[::1]:8/?q=a'b#f", "http://[::1]:8/?q=a'b#f"),
    ],
)
def test_a_target_is_written_with_what_a_uri_allows(target: str, written: str) -> None:
    assert Link(target, as_="image").target == written


# Refused.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "", "as_": "font"}, "needs a target"),
        ({"target": "/\ud800", "as_": "font"}, "not valid text"),
        ({"target": "/", "rel": "stylesheet"}, "rel cannot be 'stylesheet'"),
        ({"target": "/"}, "says what it is used as"),
        ({"target": "/", "as_": "document"}, "as cannot be 'document'"),
        ({"target": "/", "rel": "modulepreload", "as_": "font"}, 'used as "script"'),
        ({"target": "/", "rel": "preconnect", "as_": "font"}, "fetches nothing"),
        ({"target": "/", "as_": "font", "crossorigin": ""}, "crossorigin cannot be ''"),
        ({"target": "/", "as_": "font", "fetchpriority": "now"}, "fetchpriority cannot be"),
        ({"target": "/", "as_": "font", "type": "font"}, "type is a media type"),
        ({"target": "/", "as_": "font", "type": 'a/b"; x="'}, "type is a media type"),
        ({"target": "/", "as_": "style", "type": "text/css; charset=x"}, "without parameters"),
        ({"target": "/", "as_": "font", "integrity": "md5-abc"}, "integrity is a list"),
        ({"target": "/", "as_": "font", "integrity": f"{HASH}\r\n"}, "integrity is a list"),
        ({"target": "/", "as_": "font", "nonce": 'a"; x="'}, "nonce is a base64 value"),
        ({"target": "/", "as_": "font", "nonce": "a\r\nb"}, "nonce is a base64 value"),
        ({"target": "/", "as_": "style", "media": 'print"; x="'}, "media is a media query"),
        ({"target": "/", "as_": "style", "media": "print\n"}, "media is a media query"),
        ({"target": "/", "as_": "style", "media": "a\\"}, "media is a media query"),
        ({"target": "/", "as_": "style", "imagesrcset": "/a 1x"}, "the preload of an image"),
        ({"target": "/", "as_": "image", "imagesizes": "1px"}, "needs an imagesrcset"),
        ({"target": "/", "as_": "image", "imagesrcset": "/a 1x 2w"}, "list of image candidates"),
        ({"target": "/", "as_": "image", "imagesrcset": "/a, ,"}, "list of image candidates"),
        (
            {"target": "/", "as_": "image", "imagesrcset": "/a", "imagesizes": '1px"'},
            "list of source sizes",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_when_made(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(LinkError, match=re.escape(message)) as caught:
        Link(**arguments)

    assert isinstance(caught.value, HeadstartError)
    assert isinstance(caught.value, ValueError)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"target": ""}, "Give a path such as /style.css"),
        ({"target": "/a", "rel": "modulepreload", "as_": "style"}, 'use rel="preload"'),
        ({"target": "https://a.test", "rel": "preconnect", "as_": "style"}, "Leave as_ out"),
    ],
)
def test_a_refusal_says_what_to_write_instead(arguments: dict[str, Any], hint: str) -> None:
    with pytest.raises(LinkError) as caught:
        Link(**arguments)

    assert hint in caught.value.hint


def test_a_refusal_says_what_can_be_chosen() -> None:
    with pytest.raises(LinkError) as caught:
        Link("/a.css")

    assert "font, image, script, style, fetch" in caught.value.hint


def test_a_url_in_an_imagesrcset_cannot_end_its_quotes() -> None:
    link = Link("/a", as_="image", imagesrcset='/a">,</b>;rel=x\0\\ 2x')

    (read,) = parse(link.field_value())

    assert read.get("imagesrcset") == "/a%22%3E,%3C/b%3E;rel=x%00%5C 2x"


def test_a_103_holds_a_link_without_what_chromium_would_drop_it_for() -> None:
    plain = Link("/a.js", as_="script", crossorigin="anonymous", fetchpriority="low")
    signed = replace(plain, integrity=HASH, nonce="abc")

    assert plain.early() is plain
    assert signed.early() == plain
    assert Link("/a.css", as_="style", media="screen").early() is None
    assert Link("/a.png", as_="image", imagesrcset="/b.png 2x").early() is None


# Read.


@pytest.mark.parametrize(
    ("value", "links"),
    [
        (b"", []),
        (b"</a>", [ParsedLink("/a")]),
        (b"< /a >;rel=x", [ParsedLink("/a", (("rel", "x"),))]),
        (b"</a,b;c>; rel=x", [ParsedLink("/a,b;c", (("rel", "x"),))]),
        (
            b'</a>; REL=Preload ; As="font"',
            [ParsedLink("/a", (("rel", "Preload"), ("as", "font")))],
        ),
        (b"</a>; rel = x ; crossorigin", [ParsedLink("/a", (("rel", "x"), ("crossorigin", "")))]),
        (rb'</a>; title="a\"b\\c, <d>; e"', [ParsedLink("/a", (("title", 'a"b\\c, <d>; e'),))]),
        (b'</a>; title="open', [ParsedLink("/a", (("title", "open"),))]),
        (b'</a>; title="open\\', [ParsedLink("/a", (("title", "open"),))]),
        (b"</a>;;; rel=x;", [ParsedLink("/a", (("rel", "x"),))]),
        (b"</a>; =x; rel=", [ParsedLink("/a", (("rel", ""),))]),
        (b",, </a> ,\t,</b>,", [ParsedLink("/a"), ParsedLink("/b")]),
        (b"junk, </a> junk; rel=x, </b>", [ParsedLink("/a"), ParsedLink("/b")]),
        (b'</a>; t="x" junk, </b>', [ParsedLink("/a", (("t", "x"),)), ParsedLink("/b")]),
        (
            b"</a>; t=MAX ; u=X, </b>",
            [ParsedLink("/a", (("t", "MAX"), ("u", "X"))), ParsedLink("/b")],
        ),
        (b"</a>, </b", [ParsedLink("/a")]),
        (b"<\xfc>", [ParsedLink("\xfc")]),
        ("<ü>", [ParsedLink("ü")]),
    ],
)
def test_a_value_is_read_as_far_as_it_can_be(value: bytes | str, links: list[ParsedLink]) -> None:
    assert parse(value) == links


def test_only_the_first_rel_counts_and_it_may_name_several_types() -> None:
    (link,) = parse('</a>; rel="Preload next"; rel=stylesheet; as=STYLE')

    assert link.rels == ("preload", "next")
    assert link.as_ == "style"
    assert link.get("title") is None


def test_a_link_without_rel_and_as_has_none() -> None:
    assert (ParsedLink("/").rels, ParsedLink("/").as_) == ((), "")


@pytest.mark.cost
@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<>",
        "<>,",
        ",",
        ";",
        "<>;",
        '"',
        '<a>;b="',
        "\\",
        '<a>;b="\\"',
        " ",
        "a",
        "<a>; b ",
        "=",
    ],
)
@pytest.mark.parametrize("start", ["", "<a>", '<a>;b="', "<a>;b=", "<a>;"])
def test_a_hostile_value_of_64_kib_is_read_in_linear_time(start: str, unit: str) -> None:
    value = start + unit * (65_536 // len(unit))

    assert_grows_linearly(lambda part: parse(part.decode()), value.encode())


# Anything.


def _links() -> st.SearchStrategy[Link]:
    uses = [use for use in get_args(As) if use]
    return st.builds(
        Link,
        target=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        as_=st.sampled_from(uses),
        crossorigin=st.sampled_from([None, "anonymous", "use-credentials"]),
        type=st.sampled_from(["", "text/css", "font/woff2", "image/svg+xml"]),
        fetchpriority=st.sampled_from(["", "high", "low", "auto"]),
        integrity=st.sampled_from(["", HASH, f"{HASH} {HASH}"]),
        nonce=st.sampled_from(["", "abc+/_-=="]),
        media=st.sampled_from(["", "screen and (400px<=width<=700px)"]),
    )


@given(st.lists(_links(), max_size=5))
def test_what_is_written_is_read_back(links: list[Link]) -> None:
    parsed = parse(encode(links))

    assert [link.target for link in parsed] == [link.target for link in links]
    for written, link in zip(parsed, links, strict=True):
        assert written.rels == (link.rel,)
        assert written.as_ == link.as_
        assert written.get("crossorigin") == {"anonymous": ""}.get(
            link.crossorigin or "", link.crossorigin
        )
        assert (written.get("type") or "") == link.type
        assert (written.get("fetchpriority") or "") == link.fetchpriority
        assert (written.get("integrity") or "") == link.integrity
        assert (written.get("nonce") or "") == link.nonce
        assert (written.get("media") or "") == link.media


@given(st.text(min_size=1))
def test_no_text_gets_past_the_escaping(target: str) -> None:
    try:
        written = escape_target(target)
    except LinkError:
        assert any("\ud800" <= character <= "\udfff" for character in target)
        return

    assert URI.fullmatch(written)
    assert escape_target(written) == written
    assert len(parse(Link(target, as_="image").field_value())) == 1


@given(st.text(), st.text())
def test_no_text_gets_out_of_an_imagesrcset(candidates: str, sizes: str) -> None:
    try:
        link = Link("/", as_="image", imagesrcset=candidates, imagesizes=sizes)
    except LinkError:
        return

    (read,) = parse(link.field_value())

    assert read.get("imagesrcset") == (link.imagesrcset or None)
    assert read.get("imagesizes") == (sizes or None)
    assert replace(link, imagesrcset=link.imagesrcset) == link


@pytest.mark.parametrize("unit", [" ", ",", "a", "a ", "a,", "1w ", "a 1x", "0.", ", "])
def test_a_hostile_imagesrcset_is_read_in_linear_time(unit: str) -> None:
    def read(part: bytes) -> None:
        with suppress(LinkError):
            Link("/", as_="image", imagesrcset=part.decode())

    assert_grows_linearly(read, (unit * (65_536 // len(unit))).encode())


@given(st.one_of(st.binary(), st.text(), st.text('<>;,="\\ \tarel')))
def test_reading_never_raises(value: bytes | str) -> None:
    for link in parse(value):
        assert ">" not in link.target
        assert all(name == name.lower() for name, _ in link.params)
