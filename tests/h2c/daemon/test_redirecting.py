"""The request that a redirection leads to."""

from __future__ import annotations

import pytest

from headstart.client.origin import Origin, split_url
from headstart.errors import ConfigurationError, LocalProtocolError
from headstart.h2c.daemon.redirecting import location_of, redirected
from headstart.h2c.options.requests import RequestCommand, Text
from tests.h2c.options.typed import exchange

HERE = Origin("https", "a.test", 443)


def after(command: RequestCommand, status: int, location: str) -> RequestCommand:
    made = redirected(command, HERE, "/folder/page", status, location)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("/other", "https://a.test/other"),
        ("next?x=1#part", "https://a.test/folder/next?x=1"),
        ("//b.test/", "https://b.test/"),
        ("http://b.test:81/", "http://b.test:81/"),
    ],
)
def test_location_is_relative_to_the_request(location: str, where: str) -> None:
    made = after(exchange("get", "-L", "/folder/page"), 302, location)

    assert (made.where, made.redirections) == (where, 49)


@pytest.mark.parametrize(
    ("status", "method", "content"),
    [
        (301, "GET", None),
        (302, "GET", None),
        (303, "GET", None),
        (307, "POST", Text(b"a=1")),
        (308, "POST", Text(b"a=1")),
    ],
)
def test_method_and_content_stay_where_http_says_so(
    status: int, method: str, content: Text | None
) -> None:
    made = after(exchange("post", "-L", "-d", "a=1", "/"), status, "/other")

    assert (made.method, made.content, bool(made.headers)) == (method, content, content is not None)


def test_credentials_stay_with_their_server() -> None:
    command = exchange("get", "-L", "-u", "a:b", "-H", "cookie: c=1", "-H", "x-a: 1", "/")

    assert len(after(command, 302, "/here").headers) == 3
    assert after(command, 302, "https://b.test/").headers == ((b"x-a", b"1"),)


@pytest.mark.parametrize(("status", "location"), [(200, "/other"), (304, "/other"), (302, "")])
def test_other_responses_are_the_last(status: int, location: str) -> None:
    assert redirected(exchange("get", "-L", "/"), HERE, "/", status, location) is None


def test_nothing_is_followed_unasked_or_without_end() -> None:
    command = exchange("get", "-L", "/")
    for _ in range(50):
        command = after(command, 302, "/")

    assert redirected(command, HERE, "/", 302, "/") is None
    assert redirected(exchange("get", "/"), HERE, "/", 302, "/other") is None


def test_file_cannot_be_sent_twice() -> None:
    with pytest.raises(LocalProtocolError, match="can be sent only once"):
        after(exchange("post", "-L", "--file", "x", "/"), 307, "/other")


@pytest.mark.parametrize("location", ["ftp://b.test/", "http://[", "http://[::1"])
def test_location_that_is_no_url_of_http_is_an_error(location: str) -> None:
    with pytest.raises(ConfigurationError):
        after(exchange("get", "-L", "/"), 302, location)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/caf\xc3\xa9?x=\xc3\xbc", "/caf%C3%A9?x=%C3%BC"),
        (b"/caf\xe9", "/caf%E9"),
        (b"/a%20b|c d", "/a%20b|c%20d"),
    ],
)
def test_location_is_read_as_browsers_do(location: bytes, target: str) -> None:
    found = location_of([(b"x", b"/other"), (b"location", location), (b"location", b"/second")])

    where = after(exchange("get", "-L", "/"), 302, found).where
    assert split_url(where)[1] == target


def test_response_may_have_no_location() -> None:
    assert location_of([(b"x", b"/other")]) == ""
