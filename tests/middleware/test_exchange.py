"""What the learner is told of a scope, and of the head of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.learn import Answer, Request
from headstart.middleware.exchange import connection_of, headers_of, learned_answer, learned_request
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
        assert list(wire.headers) == [(b"x-a", b"1"), (b"x-b", b"1")]


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
    )
    assert learned_answer(204, ()) == Answer(204)


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
