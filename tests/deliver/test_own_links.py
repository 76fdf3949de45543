"""The preloads that an application's own Link fields name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.deliver.own_links import links_of, own_links

PAGE = "https://example.com/shop/cart?x=1"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("</a.css>; rel=preload; as=style", ("/a.css", "style", True)),
        ("<a.css?v=2#x>; rel=preload; as=style", ("/shop/a.css?v=2", "style", True)),
        ("<https://example.com>; rel=preload; as=image", ("/", "image", True)),
        ("</a.css>; rel=preload; as=style; nopush", ("/a.css", "style", False)),
        ("</m.js>; rel=modulepreload", ("/m.js", "script", True)),
        ("</api>; rel=preload; as=fetch", ("/api", "fetch", False)),
        ("</v.mp4>; rel=preload; as=video", ("/v.mp4", "video", False)),
        ("</a.css>; REL=PRELOAD; AS=STYLE", ("/a.css", "style", True)),
    ],
)
def test_preload_of_the_pages_own_origin_is_found(value: str, found: tuple[str, str, bool]) -> None:
    [own] = own_links([value.encode()], PAGE)

    assert (own.target, own.kind, own.may_push) == found
    assert own.module is ("modulepreload" in value)


@pytest.mark.parametrize(
    "value",
    [
        "<https://cdn.example/a.css>; rel=preload; as=style",
        "<http://example.com/a.css>; rel=preload; as=style",
        "<https://example.com:8443/a.css>; rel=preload; as=style",
        "<https://[/a.css>; rel=preload; as=style",
        "</>; rel=canonical",
        "</wp-json/>; rel=preload-like",
        "preload",
    ],
)
def test_nothing_else_is_a_preload_of_the_page(value: str) -> None:
    assert own_links([value.encode()], PAGE) == []


def test_several_links_in_several_fields_keep_their_order() -> None:
    headers = [
        (b"Link", b"</a.css>; rel=preload; as=style, </>; rel=canonical"),
        (b"x-link", b"</no.css>; rel=preload; as=style"),
        (b"link", b"</b.js>; rel=preload; as=script"),
    ]

    assert [link.target for link in own_links(links_of(headers), PAGE)] == ["/a.css", "/b.js"]


@given(st.binary(max_size=200))
def test_any_field_is_read(value: bytes) -> None:
    for link in own_links([value, b"<" + value + b">; rel=preload; as=style"], PAGE):
        assert link.target.startswith("/")
