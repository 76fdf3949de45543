"""Responses as bytes of HTTP/1.1."""

from __future__ import annotations

import http

import pytest

from headstart.errors import LocalProtocolError
from headstart.server.http1_response import answer, chunk, http1_head, trailer_section

DEFAULTS = [(b"server", b"headstart")]


def test_head_has_the_defaults_first_and_no_framing() -> None:
    fields = [(b"X-A", b" 1 "), (b"Transfer-Encoding", b"chunked"), (b"content-length", b"2")]
    head = http1_head(http.HTTPStatus.OK, fields, DEFAULTS)

    assert (
        head.whole == b"HTTP/1.1 200 OK\r\nserver: headstart\r\nx-a: 1\r\ncontent-length: 2\r\n\r\n"
    )
    assert head.lines + b"\r\n" == head.whole
    assert head.fields[0] == (b":status", b"200")
    assert (head.content_length, head.bodiless, head.closes) == (2, False, False)


@pytest.mark.parametrize(
    ("value", "closes"), [(b"close", True), (b"x, Close", True), (b"keep-alive", False)]
)
def test_head_says_whether_the_application_closes(value: bytes, closes: bool) -> None:
    head = http1_head(200, [(b"Connection", value), (b"connection", b"y")], DEFAULTS)

    assert head.closes is closes
    assert b"connection: " + value in head.lines


def test_status_that_is_not_registered_has_no_phrase() -> None:
    assert http1_head(299, [], []).whole == b"HTTP/1.1 299 \r\n\r\n"


def test_status_above_those_of_http_is_sent_as_the_application_says() -> None:
    assert http1_head(999, [], []).whole == b"HTTP/1.1 999 \r\n\r\n"


@pytest.mark.parametrize("status", [199, 1000, "200"])
def test_status_that_is_no_final_one_is_refused(status: object) -> None:
    with pytest.raises(LocalProtocolError):
        http1_head(status, [], DEFAULTS)


def test_204_has_no_length_and_304_may_have_one() -> None:
    length = [(b"content-length", b"5")]

    assert (http1_head(204, length, []).content_length, http1_head(204, [], []).bodiless) == (
        None,
        True,
    )
    assert http1_head(304, length, []).content_length == 5


def test_chunk_says_its_size() -> None:
    assert b"".join(chunk(bytes(17))) == b"11\r\n" + bytes(17) + b"\r\n"
    assert chunk(b"") == []


def test_trailers_end_the_chunks() -> None:
    assert trailer_section([(b"a", b"b")]) == b"0\r\na: b\r\n\r\n"


def test_answer_of_the_servers_own_is_whole() -> None:
    assert answer(400, b"no\n", DEFAULTS) == (
        b"HTTP/1.1 400 Bad Request\r\nserver: headstart\r\n"
        b"content-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\n"
        b"connection: close\r\n\r\nno\n"
    )
    assert answer(400, b"no\n", DEFAULTS, bare=True).endswith(b"close\r\n\r\n")
