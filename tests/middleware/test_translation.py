"""What the learner is told of a scope, and of the head of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from headstart.learn import Answer, Request
from headstart.middleware.translation import (
    connection_of,
    headers_of,
    learned_answer,
    learned_request,
)
from tests.middleware.served import NAVIGATION, Served, ours, scope_of


def test_request_is_read_from_the_scope() -> None:
    scope = scope_of(
        "/a%20b?x=1",
        [
            (b"user-agent", b"agent"),
            (b"referer", b"https://example.test/"),
            (b"sec-fetch-dest", b"font"),
            (b"sec-fetch-mode", b"cors"),
            (b"accept", b"text/html, */*"),
            (b"if-none-match", b'"1"'),
            (b"authorization", b"Basic x"),
        ],
        ours(7),
    )

    assert learned_request(scope) == Request(
        origin="https://example.test",
        target="/a%20b?x=1",
        address="192.0.2.1",
        user_agent="agent",
        referer="https://example.test/",
        connection=7,
        destination="font",
        mode="cors",
        accepts_html=True,
        conditional=True,
        authorized=True,
    )


def test_scope_with_nothing_in_it_is_read_all_the_same() -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/ä",
        "query_string": b"",
        "headers": [],
    }

    assert learned_request(scope) == Request(origin="http://", target="/Ã¤", address="")
    assert connection_of(scope) is None


def test_connection_counts_over_http_2_alone() -> None:
    """Over HTTP/1.1 a client opens six of them."""
    elsewhere = learned_request(scope_of()).connection
    old = learned_request(scope_of(http_version="1.1")).connection

    assert (elsewhere, old) == (("192.0.2.1", 50000), None)


async def test_headers_that_can_be_read_once_reach_the_client() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = ((name, b"1") for name in (b"x-a", b"x-b"))
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b""})

    for headers in (NAVIGATION, ()):
        wire = await Served(app).get("/", headers)
        assert list(wire.headers)[:2] == [(b"x-a", b"1"), (b"x-b", b"1")]


def test_referer_can_have_another_name() -> None:
    scope = scope_of(headers=[(b"x-page", b"https://example.test/"), (b"referer", b"no")])

    assert learned_request(scope, b"x-page").referer == "https://example.test/"


def test_answer_is_read_from_its_head_in_any_case_and_either_type() -> None:
    headers: Sequence[tuple[Any, Any]] = [
        (b"Content-Type", b"text/css"),
        (b"Cache-Control", b"public"),
        (b"cache-control", b"max-age=60"),
        (b"Vary", b"Accept"),
        (b"VARY", b"Cookie"),
        (b"Set-Cookie", b"a=b"),
        (bytearray(b"content-length"), b"12"),
        (b"content-length", b"none"),
    ]

    assert learned_answer(200, headers) == Answer(
        status=200,
        content_type="text/css",
        cache_control="public, max-age=60",
        vary="Accept, Cookie",
        sets_cookie=True,
        size=12,
        location="",
    )
    assert learned_answer(204, ()) == Answer(204, location="")


def test_connection_is_our_servers_number_or_address_and_port() -> None:
    assert connection_of(scope_of(extensions=ours(5))) == 5
    assert connection_of(scope_of()) == ("192.0.2.1", 50000)
    assert connection_of(scope_of(client=("192.0.2.1", 0))) is None


def test_fields_that_can_be_read_once_are_kept_and_a_list_is_left_as_it_is() -> None:
    fields = [(b"x-a", b"1")]
    once: dict[str, Any] = {"headers": iter(fields)}

    assert headers_of({"headers": fields}) is fields
    assert headers_of(once) is once["headers"]
    assert once["headers"] == fields
    assert headers_of({}) == ()


@pytest.mark.parametrize(
    "date",
    [
        b"yesterday",
        b"Mon, 99999999999999999999 Jan 2024 00:00:00 GMT",
        b"Mon, 01 Jan 2024 00:00:00 +9999999999999",
        b"\xff",
    ],
)
def test_date_that_is_none_says_no_lifetime(date: bytes) -> None:
    answer = learned_answer(200, [(b"content-type", b"text/css"), (b"last-modified", date)])

    assert answer.heuristic_lifetime is None


def test_file_without_a_lifetime_is_kept_for_a_tenth_of_its_age() -> None:
    old = learned_answer(200, [(b"last-modified", b"Mon, 01 Jan 2024 00:00:00 GMT")])
    said = learned_answer(
        200,
        [(b"last-modified", b"Mon, 01 Jan 2024 00:00:00 GMT"), (b"cache-control", b"no-cache")],
    )

    public = learned_answer(
        200, [(b"last-modified", b"Mon, 01 Jan 2024 00:00:00 GMT"), (b"cache-control", b"public")]
    )

    assert (old.heuristic_lifetime, old.validated) == (86_400, True)
    assert said.heuristic_lifetime is None
    assert public.heuristic_lifetime == 86_400


@pytest.mark.parametrize(
    ("expires", "date", "seconds"),
    [
        (b"Mon, 01 Jan 2024 00:10:00 GMT", b"Mon, 01 Jan 2024 00:00:00 GMT", 600),
        (b"Mon, 01 Jan 2024 00:00:00 GMT", b"Mon, 01 Jan 2024 00:10:00 GMT", 0),
        (b"Thu, 19 Nov 1981 08:52:00 GMT", b"", 0),
        (b"0", b"", 0),
        (b"-1", b"Mon, 01 Jan 2024 00:00:00 GMT", 0),
    ],
)
def test_expires_says_how_long_the_answer_is_fresh(
    expires: bytes, date: bytes, seconds: int
) -> None:
    headers = [(b"expires", expires), *([(b"date", date)] if date else [])]

    assert learned_answer(200, headers).expires_in == seconds
    assert learned_answer(200, []).expires_in is None


def test_pragma_no_cache_counts_where_cache_control_is_absent() -> None:
    pragma = (b"pragma", b"no-cache")

    assert learned_answer(200, [pragma]).cache_control == "no-cache"
    assert learned_answer(200, [pragma, (b"cache-control", b"x")]).cache_control == "x"


@pytest.mark.parametrize(
    ("fields", "prefetched"),
    [
        ([(b"sec-purpose", b"prefetch")], True),
        ([(b"purpose", b"prefetch")], True),
        ([(b"sec-purpose", b"prefetch;prerender")], False),
        ([(b"sec-purpose", b"prefetch;anonymous-client-ip")], True),
        ([], False),
    ],
)
def test_prefetch_is_told_from_a_view(fields: list[tuple[bytes, bytes]], prefetched: bool) -> None:
    assert learned_request(scope_of("/", fields)).prefetched is prefetched
