"""The header section that an upstream gets."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.config import ProxyOptions
from headstart.errors import LocalProtocolError
from headstart.proxy.heads import RequestHead, RequestHeads, request_head, target_of
from tests.proxy.asked import scope_of


def head_of(*args: Any, options: ProxyOptions | None = None, **more: Any) -> RequestHead:
    return request_head(scope_of(*args, **more), options or ProxyOptions())


def lines_of(head: RequestHead) -> list[bytes]:
    return head.framed(b"/", False).split(b"\r\n")


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"raw_path": b"/a%2Fb", "query_string": b"c=1"}, b"GET /a%2Fb?c=1 HTTP/1.1"),
        ({"raw_path": None, "path": "/caf\u00e9"}, b"GET /caf%C3%A9 HTTP/1.1"),
        ({"raw_path": b"/shop/cart", "root_path": "/shop"}, b"GET /cart HTTP/1.1"),
        ({"raw_path": b"/shop", "root_path": "/shop"}, b"GET / HTTP/1.1"),
    ],
)
def test_target_is_what_the_client_wrote_without_the_mounts_path(
    more: dict[str, Any], line: bytes
) -> None:
    assert head_of(**more).framed(target_of(scope_of(**more)), False).startswith(line)


def test_host_is_the_clients_unless_another_is_set() -> None:
    other = head_of(options=ProxyOptions(upstream_host="inner.example"))

    assert b"host: site.example" in lines_of(head_of())
    assert b"host: inner.example" in lines_of(other)
    assert b"x-forwarded-host: site.example" in lines_of(other)


def test_request_of_http_1_0_without_host_gets_one_for_the_upstream() -> None:
    scope = scope_of(http_version="1.0")
    scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"host"]
    lines = lines_of(request_head(scope, ProxyOptions()))

    assert b"host: localhost" in lines
    assert b"x-forwarded-host: localhost" in lines


@pytest.mark.parametrize(
    ("method", "fields", "chunked", "framing"),
    [
        ("GET", [], False, b""),
        ("POST", [], False, b"content-length: 0"),
        ("POST", [], True, b"transfer-encoding: chunked"),
        ("POST", [(b"content-length", b"7")], False, b"content-length: 7"),
    ],
)
def test_content_is_framed_once(
    method: str, fields: list[tuple[bytes, bytes]], chunked: bool, framing: bytes
) -> None:
    whole = head_of(method, "/", *fields).framed(b"/", chunked)

    assert whole.endswith(b"\r\n" + framing + b"\r\n\r\n" if framing else b"\r\n\r\n")
    assert whole.count(b"content-length") + whole.count(b"transfer-encoding") == bool(framing)


def test_via_names_those_before_and_can_be_left_out() -> None:
    before = (b"via", b"1.1 cdn")

    assert b"via: 1.1 cdn, 2.0 headstart" in lines_of(head_of("GET", "/", before))
    assert b"via" not in head_of("GET", "/", before, options=ProxyOptions(via=False)).framed(
        b"/", False
    )


def test_client_that_takes_trailers_is_told_of_them_hop_by_hop() -> None:
    assert b"te: trailers\r\nconnection: te" in head_of("GET", "/", (b"te", b"trailers")).framed(
        b"/", False
    )


def test_expect_is_passed_on() -> None:
    head = head_of("POST", "/", (b"expect", b"100-Continue"))

    assert head.expects_continue
    assert b"expect: 100-continue" in lines_of(head)


@pytest.mark.parametrize(
    ("more", "fields", "may"),
    [
        ({}, [], True),
        ({"http_version": "1.1"}, [], False),
        ({"http_version": "1.1"}, [(b"transfer-encoding", b"chunked")], True),
        ({"http_version": "1.1"}, [(b"content-length", b"0")], True),
    ],
)
def test_only_http2_may_have_content_unannounced(
    more: dict[str, Any], fields: list[tuple[bytes, bytes]], may: bool
) -> None:
    assert head_of("GET", "/", *fields, **more).may_have_content is may


def test_address_that_a_trusted_proxy_named_keeps_that_proxys_list() -> None:
    chain = (b"x-forwarded-for", b"198.51.100.1, 10.0.0.1")
    resolved = head_of("GET", "/", chain, client=("198.51.100.1", 0))
    forged = head_of("GET", "/", chain)

    assert b"x-forwarded-for: 198.51.100.1, 10.0.0.1" in lines_of(resolved)
    assert b"x-forwarded-for: 192.0.2.7" in lines_of(forged)


@pytest.mark.parametrize(("method", "passed"), [("OPTIONS", True), ("TRACE", True), ("GET", False)])
def test_max_forwards_is_counted_down_where_it_means_something(method: str, passed: bool) -> None:
    head = head_of(method, "/", (b"max-forwards", b"3"))

    assert head.max_forwards == (3 if passed else None)
    assert (b"max-forwards: 2" in lines_of(head)) is passed


@pytest.mark.parametrize(("version", "may"), [("1.1", False), ("2", True), ("3", True)])
def test_only_http_1_says_by_its_fields_that_there_is_no_content(version: str, may: bool) -> None:
    assert head_of("POST", "/", http_version=version).may_have_content is may


def test_what_a_client_repeats_is_made_once_and_says_the_same() -> None:
    heads = RequestHeads(ProxyOptions())
    first = heads.of(scope_of("GET", "/", (b"te", b"trailers")))

    again = heads.of(scope_of("GET", "/", (b"te", b"trailers")))
    other = heads.of(scope_of("GET", "/", (b"te", b"trailers"), raw_path=b"/other"))

    assert again is first
    assert other is first
    assert other == request_head(
        scope_of("GET", "/", (b"te", b"trailers"), raw_path=b"/other"), ProxyOptions()
    )
    assert other.framed(b"/other", False).startswith(b"GET /other HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "more",
    [
        {"client": ("192.0.2.8", 1)},
        {"http_version": "1.1"},
        {"scheme": "http"},
        {"headers": [(b"host", b"other.example")]},
        {"method": "HEAD"},
    ],
)
def test_a_request_that_differs_in_more_than_its_target_is_read_anew(more: dict[str, Any]) -> None:
    heads = RequestHeads(ProxyOptions())
    heads.of(scope_of())
    scope = {**scope_of(), **more}

    assert heads.of(scope) == request_head(scope, ProxyOptions())


@pytest.mark.parametrize("target", [b"/a\r\nx: y", b"/a b", b"/a\0"])
def test_a_target_that_splits_a_request_is_refused(target: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="white space"):
        target_of(scope_of(raw_path=target))


def test_cdn_loop_names_those_before_and_us_whatever_is_said_of_via() -> None:
    before = (b"cdn-loop", b"other.example; a=b")
    heads = RequestHeads(ProxyOptions(via=False), "ab12")

    first = heads.of(scope_of("GET", "/", before))
    value = dict(first.fields)[b"cdn-loop"]
    again = heads.of(scope_of("GET", "/", (b"cdn-loop", value)))
    another = RequestHeads(ProxyOptions(), "cd34").of(scope_of("GET", "/", (b"cdn-loop", value)))

    assert value == b"other.example; a=b, headstart; id=ab12"
    assert [(head.hops, head.returns) for head in (first, again, another)] == [
        (0, 0), (1, 1), (1, 0),
    ]  # fmt: skip


def test_requests_of_a_bounded_number_of_clients_are_remembered() -> None:
    heads = RequestHeads(ProxyOptions())
    first = heads.of(scope_of(client=("192.0.2.1", 1)))
    for port in range(2, 258):
        heads.of(scope_of(client=("192.0.2.1", port)))

    assert heads.of(scope_of(client=("192.0.2.1", 257))).fields == first.fields
    assert heads.of(scope_of(client=("192.0.2.1", 1))) is not first
