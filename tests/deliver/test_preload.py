"""The link to an asset, which must ask for it as the page's own element does."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.deliver.preload import link_value, needs_response, preconnect_value
from headstart.learn import Kind, Named, SeenAsset

STYLE = SeenAsset("/a.css", Kind.STYLE, "text/css")
FONT = SeenAsset("/a.woff2", Kind.FONT, "font/woff2", cors=True)
SCRIPT = SeenAsset("/a.js", Kind.SCRIPT, "text/javascript")
IMAGE = SeenAsset("/a.png", Kind.IMAGE, "image/png")


def link(asset: SeenAsset, *, early: bool = False, nonce: str = "", **named: Any) -> str:
    """Return the link of an asset that the page names so."""
    name = Named(asset.target, asset.kind, **named) if named else None
    return link_value(asset, name, early=early, nonce=nonce).decode()


@pytest.mark.parametrize(
    ("asset", "said"),
    [
        (STYLE, '</a.css>; rel=preload; as=style; type="text/css"'),
        (SCRIPT, '</a.js>; rel=preload; as=script; type="text/javascript"'),
        (IMAGE, '</a.png>; rel=preload; as=image; type="image/png"'),
        (FONT, '</a.woff2>; rel=preload; as=font; crossorigin; type="font/woff2"'),
    ],
)
def test_each_kind_of_asset_has_its_word_and_its_type(asset: SeenAsset, said: str) -> None:
    assert link(asset) == said
    assert link(asset) == said  # from memory
    assert link(asset, early=True) == said


def test_module_that_the_page_does_not_name_is_preloaded_as_a_module() -> None:
    imported = SeenAsset("/a.js", Kind.SCRIPT, "text/javascript", cors=True, module=True)

    assert link(imported) == link(imported, early=True) == "</a.js>; rel=modulepreload"


def test_asset_of_an_unknown_type_has_none() -> None:
    assert link(SeenAsset("/a.css", Kind.STYLE)) == "</a.css>; rel=preload; as=style"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"crossorigin": "anonymous"}, "; crossorigin"),
        ({"crossorigin": "use-credentials"}, "; crossorigin=use-credentials"),
        ({"integrity": "sha256-abc="}, '; integrity="sha256-abc="'),
        ({"fetchpriority": "high"}, "; fetchpriority=high"),
        ({"fetchpriority": "low"}, "; fetchpriority=low"),
        ({"media": "(min-width: 600px)"}, '; media="(min-width: 600px)"'),
    ],
)
def test_attribute_of_the_pages_element_is_one_of_the_link(
    named: dict[str, Any], said: str
) -> None:
    assert said in link(SCRIPT, **named)


def test_module_is_preloaded_as_one_with_cors_in_any_case() -> None:
    plain, anonymous, credentials = (
        link(SCRIPT, module=True, crossorigin=mode) for mode in ("", "anonymous", "use-credentials")
    )

    assert plain == anonymous == "</a.js>; rel=modulepreload"
    assert credentials == "</a.js>; rel=modulepreload; crossorigin=use-credentials"


def test_image_with_candidates_has_them_and_not_the_type_of_one() -> None:
    said = link(IMAGE, imagesrcset="/a.avif 1x, /b.png 2x", imagesizes="100vw")

    assert 'imagesrcset="/a.avif 1x, /b.png 2x"' in said
    assert 'imagesizes="100vw"' in said
    assert "type=" not in said


@pytest.mark.parametrize("named", [{"media": "print"}, {"imagesrcset": "/a.png 1x, /b.png 2x"}])
def test_link_that_a_103_cannot_say_is_none_there_and_needs_the_response(
    named: dict[str, Any],
) -> None:
    asset = IMAGE if "imagesrcset" in named else STYLE

    assert link(asset, early=True, **named) == ""
    assert link(asset, **named) != ""
    assert needs_response(Named(asset.target, asset.kind, **named))


def test_plain_link_needs_no_response() -> None:
    assert not needs_response(None)
    assert not needs_response(Named("/a.css", Kind.STYLE, integrity="sha256-abc="))


def test_nonce_goes_out_with_the_response_and_never_in_a_103() -> None:
    late = link(SCRIPT, nonce="r4nd0m")
    early = link(SCRIPT, nonce="r4nd0m", early=True)

    assert 'nonce="r4nd0m"' in late or "nonce=r4nd0m" in late
    assert "nonce" not in early
    assert link(SCRIPT, nonce="0ther") != late  # one page's nonce is not kept for the next


@pytest.mark.parametrize(
    ("target", "escaped"),
    [
        ("/a b.css", b"/a%20b.css"),
        ("/a>.css", b"/a%3E.css"),
        ("/a\r\nx: y", b"/a%0D%0Ax:%20y"),
        ("/é.css", b"/%C3%A9.css"),
        ("/a%20b.css", b"/a%20b.css"),
    ],
)
def test_target_cannot_end_its_link(target: str, escaped: bytes) -> None:
    asset = SeenAsset(target, Kind.STYLE)

    for said in (link_value(asset), link_value(asset, Named(target, Kind.STYLE))):
        assert said == b"<%b>; rel=preload; as=style" % escaped


def test_asset_without_a_target_has_no_link() -> None:
    assert link_value(SeenAsset("", Kind.STYLE)) == b""
    assert link_value(SeenAsset("", Kind.STYLE), Named("", Kind.STYLE)) == b""


@pytest.mark.parametrize(
    ("url", "cors", "said"),
    [
        ("https://cdn.example", False, b"<https://cdn.example>; rel=preconnect"),
        ("https://cdn.example", True, b"<https://cdn.example>; rel=preconnect; crossorigin"),
        ("http://cdn.example:81", True, b"<http://cdn.example:81>; rel=preconnect; crossorigin"),
        ("https://a>\r\nb", False, b"<https://a%3E%0D%0Ab>; rel=preconnect"),
        ("", False, b""),
    ],
)
def test_other_origin_is_connected_to_with_or_without_credentials(
    url: str, cors: bool, said: bytes
) -> None:
    assert preconnect_value(url, cors=cors) == said
