"""A request of httpx as the client sends it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import httpx
import pytest

from headstart.client.origin import Origin
from headstart.errors import ConfigurationError
from headstart.httpx.requests import prepared


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://a.test", Origin("https", "a.test", 443), "/"),
        ("http://a.test:8080/a b?c=d#e", Origin("http", "a.test", 8080), "/a%20b?c=d"),
        ("https://[::1]:8443/", Origin("https", "::1", 8443), "/"),
        ("https://straße.de/é", Origin("https", "xn--strae-oqa.de", 443), "/%C3%A9"),
    ],
)
def test_url_becomes_origin_and_target(url: str, origin: Origin, target: str) -> None:
    made = prepared(httpx.Request("GET", url))

    assert (made.origin, made.target) == (origin, target)


def test_target_of_the_extension_stands_for_that_of_the_url() -> None:
    extensions = {"target": b"/a b?%zz"}
    made = prepared(httpx.Request("GET", "https://a.test/other?c=d", extensions=extensions))

    assert (made.origin, made.target) == (Origin("https", "a.test", 443), "/a b?%zz")


def test_other_scheme_cannot_be_asked() -> None:
    with pytest.raises(ConfigurationError):
        prepared(httpx.Request("GET", "ftp://a.test/"))


def test_headers_that_http2_has_not_are_left_out() -> None:
    made = prepared(httpx.Request("GET", "https://a.test", headers={"Connection": "x", "X-A": "1"}))

    assert made.headers == [(b"host", b"a.test"), (b"x-a", b"1")]


async def parts() -> AsyncIterator[bytes]:
    yield b"part"


def test_content_that_is_whole_is_bytes_and_other_content_is_passed_on() -> None:
    assert prepared(httpx.Request("GET", "https://a.test")).content is None
    assert prepared(httpx.Request("POST", "https://a.test", content=b"x")).content == b"x"
    streamed = httpx.Request("POST", "https://a.test", content=parts())
    assert prepared(streamed).content is streamed.stream


def test_redirected_request_has_its_content() -> None:
    first = httpx.Request("POST", "https://a.test", content=b"x")
    again = httpx.Request("POST", "https://b.test", stream=first.stream)

    assert prepared(again).content == b"x"


@pytest.mark.parametrize(
    ("timeout", "content", "expected"),
    [
        (httpx.Timeout(1, read=2, write=3, connect=4, pool=5), b"x", (2, 5, 4)),
        (httpx.Timeout(1, read=2, write=3), parts(), (3, 1, 1)),
        (httpx.Timeout(1, write=None), parts(), (None, 1, 1)),
        (httpx.Timeout(None), b"x", (None, math.inf, math.inf)),
    ],
)
def test_timeouts_are_those_of_httpx(
    timeout: httpx.Timeout,
    content: bytes | AsyncIterator[bytes],
    expected: tuple[float | None, float, float],
) -> None:
    made = prepared(
        httpx.Request(
            "POST", "https://a.test", content=content, extensions={"timeout": timeout.as_dict()}
        )
    )

    assert (made.timeout, made.slot_timeout, made.connect_timeout) == expected
