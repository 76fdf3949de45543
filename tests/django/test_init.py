"""Hints of a real Django site, under ASGI and WSGI, under Headstart and under gunicorn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import headstart
from tests.django.serving import gunicorn, links, over_http1, over_http2
from tests.server.live import serving

STYLE = b"</static/app.css>; rel=preload; as=style"
FONT = b"</font.woff2>; rel=preload; as=font; crossorigin"
NAMES = ["a.css", "b.css"]
ASGI = ["tests.django.site:application"]
WSGI = ["tests.django.site:wsgi_application", "--interface", "wsgi"]


@pytest.fixture(scope="module", params=["learning", "--no-learn"])
def more(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if request.param == "--no-learn":
        return ["--no-learn"]
    return ["--store", str(tmp_path_factory.mktemp("store") / "learned.sqlite3")]


@pytest.fixture(scope="module")
def asgi(more: list[str]) -> Iterator[int]:
    with serving(*ASGI, *more) as server:
        yield server.port


@pytest.fixture(scope="module")
def wsgi(more: list[str]) -> Iterator[int]:
    with serving(*WSGI, *more) as server:
        yield server.port


def test_hint_of_a_view_under_asgi_is_one_103(asgi: int) -> None:
    page = over_http2(asgi, "/view")

    [early] = page.informational
    assert links(early) == [STYLE, FONT]
    assert page.body == b"True False None"
    assert links(page.headers) == []


def test_hint_of_a_view_under_wsgi_is_one_103(wsgi: int) -> None:
    page = over_http2(wsgi, "/view")

    [early] = page.informational
    assert links(early) == [STYLE, FONT]
    assert page.body == b"True False None"
    assert links(page.headers) == []


def test_hint_of_an_asynchronous_view_is_a_103_under_asgi(asgi: int) -> None:
    page = over_http2(asgi, "/async")

    [early] = page.informational
    assert links(early) == [STYLE]
    assert page.body == b"True False None"


def test_hint_without_await_in_an_asynchronous_view_goes_with_the_response(asgi: int) -> None:
    page = over_http2(asgi, "/unawaited")

    assert (page.informational, links(page.headers)) == ([], [STYLE])
    assert page.body == b"False True None"


def test_hint_of_an_asynchronous_view_goes_with_the_response_under_wsgi(wsgi: int) -> None:
    page = over_http2(wsgi, "/async")

    assert links(page.headers) == [STYLE]
    assert page.body == b"False True None"


def test_client_over_http1_gets_the_links_with_the_response(asgi: int, wsgi: int) -> None:
    for port in (asgi, wsgi):
        said = over_http1(port, "/view")

        assert said.startswith(b"HTTP/1.1 200 ")
        assert STYLE in said
        assert FONT in said


def test_link_that_no_103_can_carry_goes_with_the_response(asgi: int, wsgi: int) -> None:
    for port in (asgi, wsgi):
        page = over_http2(port, "/guarded")

        [early] = page.informational
        assert links(early) == [b"</a.js>; rel=preload; as=script"]
        assert links(page.headers) == [b'</b.js>; rel=preload; as=script; nonce="abc"']
        assert page.body == b"True False None"


def test_hint_without_links_says_so(asgi: int) -> None:
    page = over_http2(asgi, "/nothing")

    assert (page.informational, page.body) == ([], b"False False no-links")


def test_link_of_the_response_is_kept_and_not_repeated(wsgi: int) -> None:
    [value] = links(over_http2(wsgi, "/own").headers)

    assert value == b'</a.css>; rel=preload; as=style; media="print", </>; rel=canonical'


def test_asset_that_went_out_in_a_103_is_not_linked_again(asgi: int, wsgi: int) -> None:
    for port in (asgi, wsgi):
        page = over_http2(port, "/again")

        named = [*(link for early in page.informational for link in links(early))]
        named += links(page.headers)
        assert sorted(named) == [f"</{name}>; rel=preload; as=style".encode() for name in NAMES]


def test_gunicorn_sends_a_103_to_a_browser_and_link_headers_to_others() -> None:
    with gunicorn("tests.django.site:wsgi_application") as port:
        browser = over_http1(port, "/view")
        program = over_http1(port, "/view", navigates=False)

    assert browser.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: " + STYLE + b"\r\n")
    # The proxy in front of gunicorn may drop the 103.
    assert browser.count(STYLE) == 2
    assert b"\r\nTrue False None\r\n" in browser
    assert program.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Link: " + STYLE + b", " + FONT + b"\r\n" in program
    assert b"\r\nFalse True None\r\n" in program


def test_hint_without_a_103_and_without_the_middleware_says_why() -> None:
    with gunicorn("tests.django.site:wsgi_application", BARE="1") as port:
        program = over_http1(port, "/view", navigates=False)

    assert b"Link:" not in program
    assert b"\r\nFalse False unsupported\r\n" in program


def test_name_of_the_package_is_not_in_the_way_of_djangos() -> None:
    # A module of ours is called django; `import django` inside of it must be Django's own.
    import django.http

    ours = Path(headstart.__file__).parent
    assert ours not in Path(django.http.__file__).parents
