"""`wsgi.early_hints` on the real server, and `hint`, which calls it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest

from headstart import Link
from headstart.errors import HeadstartError
from headstart.wsgi import hint
from headstart.wsgi.hints import needs_links
from tests.server.live import running
from tests.server.raw import RawClient, Response

STYLE = ("Link", "</style.css>; rel=preload; as=style")
NAVIGATION = [(b"sec-fetch-mode", b"navigate")]
GO = threading.Event()


def asked(app: Any, *headers: tuple[bytes, bytes]) -> Response:
    with running(app, interface="wsgi") as server, RawClient(server.port) as client:
        return client.get(b"/", headers=headers)


def test_callable_sends_the_links_before_the_response() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.early_hints"]([STYLE, ("x-other", "1"), (b"link", b"</b.js>; rel=preload")])
        start_response("200 OK", [])
        return [b"page"]

    page = asked(app, *NAVIGATION)

    [(_, *fields)] = page.informational
    assert fields == [(b"link", STYLE[1].encode()), (b"link", b"</b.js>; rel=preload")]
    assert page.body == b"page"


def test_hint_comes_while_the_application_still_works() -> None:
    with running(slow, interface="wsgi") as server, RawClient(server.port) as client:
        stream_id = client.request(b"/", headers=NAVIGATION)
        client.until(lambda: client.responses[stream_id].informational)
        assert not client.responses[stream_id].status
        client.request(b"/go")

        assert client.response(stream_id).body == b"page"


def slow(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer `/` when `/go` was asked for."""
    if environ["PATH_INFO"] == "/go":
        GO.set()
    else:
        hint(environ, "/style.css")
        assert GO.wait(90)
    start_response("200 OK", [])
    return [b"page"]


@pytest.mark.parametrize("headers", [[], [("X-Other", "1")]])
def test_call_without_links_sends_nothing(headers: list[tuple[str, str]]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.early_hints"](headers)
        start_response("200 OK", [])
        return [b"page"]

    assert asked(app, *NAVIGATION).informational == []


def test_call_after_the_response_has_started_does_nothing() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"pa"
        environ["wsgi.early_hints"]([STYLE])
        yield b"ge"

    page = asked(app, *NAVIGATION)

    assert (page.informational, page.body) == ([], b"page")


@pytest.mark.parametrize("value", ["</a.css>\r\nx: y", "</a.css>\n", "</a\0.css>"])
def test_value_with_a_line_end_is_refused_where_it_is_given(value: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            environ["wsgi.early_hints"]([("Link", value)])
        except ValueError as error:
            start_response("200 OK", [])
            return [type(error).__name__.encode()]
        raise AssertionError("no error")

    page = asked(app, *NAVIGATION)

    assert (page.informational, page.body) == ([], b"ValueError")


def test_request_that_takes_no_103_is_offered_none() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [str(hint(environ, "/style.css")).encode()]

    assert asked(app, (b"sec-fetch-mode", b"cors")).body == b"False"
    assert asked(app, *NAVIGATION).body == b"True"


def collecting(**environ: Any) -> tuple[dict[str, Any], list[Any]]:
    """The environ of a server such as gunicorn, and what was given to it."""
    given: list[Any] = []
    base = {"REQUEST_METHOD": "GET", "HTTP_SEC_FETCH_MODE": "navigate"}
    return {**base, "wsgi.early_hints": given.append, **environ}, given


def test_other_servers_are_given_native_strings() -> None:
    environ, given = collecting()

    assert hint(environ, "/a.css", Link("/b", as_="fetch"))
    assert given == [
        [
            ("Link", "</a.css>; rel=preload; as=style"),
            ("Link", "</b>; rel=preload; as=fetch"),
        ]
    ]


@pytest.mark.parametrize(
    "environ",
    [{"REQUEST_METHOD": "POST"}, {"HTTP_SEC_FETCH_MODE": "cors"}, {"HTTP_SEC_FETCH_MODE": ""}],
)
def test_other_servers_send_no_103_but_for_navigations(environ: dict[str, str]) -> None:
    made, given = collecting(**environ)

    assert not hint(made, "/a.css")
    assert given == []


@pytest.mark.parametrize(
    ("protocol", "needed"), [("HTTP/1.1", True), ("HTTP/1.0", True), ("HTTP/2.0", False)]
)
def test_response_over_http1_of_another_server_needs_the_links_too(
    protocol: str, needed: bool
) -> None:
    environ, _ = collecting(SERVER_PROTOCOL=protocol)

    assert needs_links(environ) is needed


def test_response_of_our_own_server_needs_no_links() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [str(needs_links(environ)).encode()]

    assert asked(app, *NAVIGATION).body == b"False"


def test_no_links_and_no_server_are_no_hint() -> None:
    environ, given = collecting()

    assert not hint(environ)
    assert not hint({}, "/a.css")
    assert given == []


def test_name_that_does_not_tell_its_use_is_an_error() -> None:
    with pytest.raises(HeadstartError, match="does not tell its use"):
        hint({}, "/data")
