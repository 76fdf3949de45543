"""The template tag in a real Django site."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.django.serving import links, over_http2
from tests.server.live import serving
from tests.server.raw import Response

APPS = {
    "asgi": ["tests.django.site:application"],
    "wsgi": ["tests.django.site:wsgi_application", "--interface", "wsgi"],
}


@pytest.fixture(scope="module", params=APPS)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with serving(*APPS[request.param], "--no-learn") as server:
        yield server.port


def rendered(port: int, arguments: str) -> Response:
    return over_http2(port, f"/tag?tag={quote(arguments, safe='')}")


def test_tag_writes_the_elements_and_hints_them_in_one_103(port: int) -> None:
    page = rendered(port, '"app.css" "/own/app.js" "font.woff2" "logo.svg"')

    assert page.body.decode().split("\n") == [
        '<link rel="stylesheet" href="/static/app.css">',
        '<script src="/own/app.js"></script>',
        '<link rel="preload" href="/static/font.woff2" as="font" crossorigin="anonymous">',
        '<link rel="preload" href="/static/logo.svg" as="image">',
    ]
    [early] = page.informational
    assert links(early) == [
        b"</static/app.css>; rel=preload; as=style",
        b"</own/app.js>; rel=preload; as=script",
        b"</static/font.woff2>; rel=preload; as=font; crossorigin",
        b"</static/logo.svg>; rel=preload; as=image",
    ]


@pytest.mark.parametrize(
    ("arguments", "element", "link"),
    [
        (
            '"a.js" defer=True type="module"',
            '<script src="/static/a.js" type="module" defer></script>',
            b"</static/a.js>; rel=modulepreload",
        ),
        (
            '"https://cdn.example/a.mjs" fetchpriority="high"',
            '<script src="https://cdn.example/a.mjs" type="module" fetchpriority="high"></script>',
            b"<https://cdn.example/a.mjs>; rel=modulepreload; fetchpriority=high",
        ),
        (
            '"a.css" crossorigin=True data_theme="dark"',
            '<link rel="stylesheet" href="/static/a.css" crossorigin data-theme="dark">',
            b"</static/a.css>; rel=preload; as=style; crossorigin",
        ),
        (
            '"a.css" title=""',
            '<link rel="stylesheet" href="/static/a.css" title="">',
            b"</static/a.css>; rel=preload; as=style",
        ),
    ],
)
def test_attributes_are_in_the_element_and_in_the_link(
    port: int, arguments: str, element: str, link: bytes
) -> None:
    page = rendered(port, arguments)

    assert page.body.decode() == element
    [early] = page.informational
    assert links(early) == [link]


def test_element_with_a_nonce_is_linked_by_the_response(port: int) -> None:
    page = rendered(port, '"a.js" nonce=nonce')

    assert page.body == b'<script src="/static/a.js" nonce="abc"></script>'
    assert page.informational == []
    assert links(page.headers) == [b'</static/a.js>; rel=preload; as=script; nonce="abc"']


def test_hostile_name_stays_inside_of_its_attribute(port: int) -> None:
    page = rendered(port, "'/\"><script>.css'")

    assert page.body == b'<link rel="stylesheet" href="/%22%3E%3Cscript%3E.css">'


def test_attribute_is_escaped(port: int) -> None:
    page = rendered(port, "'a.css' title='\"><script>'")

    assert b'title="&quot;&gt;&lt;script&gt;"' in page.body


def test_name_without_a_use_is_an_error_that_says_so(port: int) -> None:
    assert rendered(port, '"app.data"').status == 500


def test_tag_without_a_request_writes_the_elements(port: int) -> None:
    page = over_http2(port, "/mail")

    assert page.body == b'<link rel="stylesheet" href="/a.css">'
    assert page.informational == []
