"""Hints of a real Flask application, under Headstart and under gunicorn."""

from __future__ import annotations

import flask
import pytest

from headstart import Link
from headstart.errors import HeadstartError
from headstart.flask import hint
from tests.django.serving import gunicorn, links, over_http1, over_http2
from tests.server.live import serving

STYLE = b"</static/app.css>; rel=preload; as=style"
GUARDED = b'</a.js>; rel=preload; as=script; nonce="abc"'

app = flask.Flask("tests")


@app.get("/")
def page() -> str:
    answer = hint(flask.url_for("static", filename="app.css"))
    return f"{answer.sent} {answer.linked} {answer.refusal}"


@app.get("/guarded")
def guarded() -> str:
    answer = hint("/static/app.css", Link("/a.js", as_="script", nonce="abc"))
    return f"{answer.sent} {answer.linked} {answer.refusal}"


@app.get("/nothing")
def nothing() -> str:
    return str(hint().refusal)


@pytest.mark.parametrize("learn", [[], ["--no-learn"]])
def test_hint_is_a_103_over_http2_and_a_link_header_over_http1(
    learn: list[str], tmp_path: object
) -> None:
    store = [] if learn else ["--store", f"{tmp_path}/learned.sqlite3"]
    settings = ["--interface", "wsgi", *learn, *store]
    with serving("tests.test_flask:app", *settings) as server:
        newer = over_http2(server.port, "/")
        older = over_http1(server.port, "/")
        both = over_http2(server.port, "/guarded")

    [early] = newer.informational
    assert links(early) == [STYLE]
    assert newer.body == b"True False None"
    assert older.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nlink: " + STYLE in older.lower()
    [early] = both.informational
    assert links(early) == [STYLE]
    assert links(both.headers) == [GUARDED]


def test_gunicorn_sends_a_103_to_a_browser_and_link_headers_to_others() -> None:
    with gunicorn("tests.test_flask:app") as port:
        browser = over_http1(port, "/")
        program = over_http1(port, "/guarded", navigates=False)

    assert browser.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: " + STYLE + b"\r\n\r\n")
    # The proxy in front of gunicorn may drop the 103.
    assert browser.count(STYLE) == 2
    assert program.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nLink: " + STYLE + b"\r\nLink: " + GUARDED + b"\r\n" in program
    assert program.endswith(b"False True None")


def test_flasks_own_test_client_gets_link_headers() -> None:
    response = app.test_client().get("/")

    assert response.headers.getlist("Link") == [STYLE.decode()]
    assert response.text == "False True None"


def test_hint_without_links_says_so() -> None:
    assert app.test_client().get("/nothing").text == "no-links"


def test_name_that_does_not_tell_its_use_is_an_error() -> None:
    with app.test_request_context("/"), pytest.raises(HeadstartError, match="does not tell"):
        hint("/data")
