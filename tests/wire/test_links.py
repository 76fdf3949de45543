"""The Link header: what is written, what is refused, and what is made of others' values."""

from __future__ import annotations

import re
import time
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
    encode,
    escape_target,
    parse,
)

HASH = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
URI = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")


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
        ({"target": "/\ud800", "as_": "font"}, "no valid text"),
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
    ],
)
def test_what_cannot_be_written_is_refused_when_made(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(LinkError, match=re.escape(message)) as caught:
        Link(**arguments)

    assert isinstance(caught.value, HeadstartError)
    assert isinstance(caught.value, ValueError)


def test_a_refusal_says_what_can_be_chosen() -> None:
    with pytest.raises(LinkError) as caught:
        Link("/a.css")

    assert "font, image, script, style, fetch" in caught.value.hint


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

    begun = time.thread_time()
    parse(value)

    assert time.thread_time() - begun < 0.5


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


@given(st.one_of(st.binary(), st.text(), st.text('<>;,="\\ \tarel')))
def test_reading_never_raises(value: bytes | str) -> None:
    for link in parse(value):
        assert ">" not in link.target
        assert all(name == name.lower() for name, _ in link.params)
