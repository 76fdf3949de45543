"""Which fields pass, and what an upstream is told of the client."""

from __future__ import annotations

import pytest

from headstart.proxy.fields import (
    Fields,
    forwarded,
    leading_back,
    passed_to_client,
    passed_to_upstream,
)


def test_fields_of_one_connection_end_at_the_proxy() -> None:
    fields: Fields = [
        (b"accept", b"*/*"),
        (b"connection", b"close, X-Secret"),
        (b"keep-alive", b"5"),
        (b"te", b"gzip"),
        (b"upgrade", b"h2c"),
        (b"x-secret", b"1"),
    ]

    assert passed_to_upstream(fields) == [(b"accept", b"*/*")]
    assert passed_to_client(fields) == [(b"accept", b"*/*")]


def test_response_without_such_fields_passes_as_it_is() -> None:
    fields: Fields = [(b"content-type", b"text/html"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]

    assert passed_to_client(fields) == fields


@pytest.mark.parametrize(
    "name",
    [
        b"x-forwarded-for",
        b"x_forwarded_for",
        b"forwarded",
        b"x-real-ip",
        b"proxy",
        b"remote_user",
        b"content-length",
    ],
)
def test_client_cannot_say_who_it_is_or_where_its_content_ends(name: bytes) -> None:
    assert passed_to_upstream([(name, b"1")]) == []


@pytest.mark.parametrize(
    ("url", "led"),
    [
        (b"http://inner.example:8080/a?b#c", b"/shop/a?b#c"),
        (b"HTTPS://Inner.Example:8080/a", b"/shop/a"),
        (b"http://inner.example:8080", b"/shop/"),
        (b"http://inner.example/a", None),
        (b"http://inner.example:8080.evil.example/a", None),
        (b"http://other.example/http://inner.example:8080/", None),
        (b"http://user@inner.example:8080/a", None),
        (b"/a", None),
        # Another host to a browser, if only the path were left.
        (b"http://inner.example:8080//evil.example/", None),
        (b"http://inner.example:8080/\\evil.example/", None),
        (b"http://inner.example:8080/\t/evil.example/", None),
    ],
)
def test_location_on_the_host_that_the_upstream_was_asked_for_leads_to_the_clients(
    url: bytes, led: bytes | None
) -> None:
    fields: Fields = [(b"x", url), (b"location", url), (b"content-location", url)]

    found = leading_back(fields, b"inner.example:8080", b"/shop")

    assert found[0] == (b"x", url)
    assert {value for _, value in found[1:]} == {url if led is None else led}


@pytest.mark.parametrize(
    ("url", "plain", "led"),
    [
        # An upstream that wants TLS, to a client without.
        (b"https://inner.example/a?b", b"/shop/a?b", b"https://inner.example/a?b"),
        (b"HTTPS://inner.example", b"/shop/", b"HTTPS://inner.example"),
        # A page after a form, and one whose URL the upstream always gives with https.
        (b"http://inner.example/a?b", b"/shop/a?b", b"/shop/a?b"),
        (b"https://inner.example/new", b"/shop/a?b", b"/shop/new"),
        # To a client with TLS.
        (b"https://inner.example/a?b", b"", b"/shop/a?b"),
    ],
)
def test_redirect_to_tls_does_not_lead_back_to_itself(url: bytes, plain: bytes, led: bytes) -> None:
    found = leading_back([(b"location", url)], b"inner.example", b"/shop", plain)

    assert found == [(b"location", led)]


def test_cookies_that_came_one_by_one_become_one_field() -> None:
    fields: Fields = [(b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2")]

    assert passed_to_upstream(fields) == [(b"accept", b"*/*"), (b"cookie", b"a=1; b=2")]


def test_address_of_a_client_is_told_in_each_form() -> None:
    told = dict(forwarded([], "192.0.2.7", "https", b"site.example", trusted=False))

    assert told == {
        b"x-forwarded-proto": b"https",
        b"x-forwarded-host": b"site.example",
        b"x-forwarded-for": b"192.0.2.7",
        b"x-real-ip": b"192.0.2.7",
        b"forwarded": b'for=192.0.2.7;host="site.example";proto=https',
    }


def test_address_of_ipv6_is_quoted_where_the_grammar_wants_it() -> None:
    told = dict(forwarded([], "2001:db8::1", "http", b"a", trusted=False))

    assert told[b"x-forwarded-for"] == b"2001:db8::1"
    assert told[b"forwarded"].startswith(b'for="[2001:db8::1]";')


def test_client_without_an_address_has_none_told() -> None:
    assert dict(forwarded([], "", "http", b"a", trusted=False)).keys() == {
        b"x-forwarded-proto",
        b"x-forwarded-host",
    }


def test_list_of_a_trusted_proxy_is_kept_and_anybody_elses_replaced() -> None:
    fields: Fields = [
        (b"x-forwarded-for", b"198.51.100.1, 10.0.0.1"),
        (b"x-forwarded-host", b"public.example"),
    ]

    trusted = dict(forwarded(fields, "198.51.100.1", "https", b"inner", trusted=True))
    forged = dict(forwarded(fields, "192.0.2.7", "https", b"inner", trusted=False))

    assert trusted[b"x-forwarded-for"] == b"198.51.100.1, 10.0.0.1"
    assert trusted[b"x-forwarded-host"] == b"public.example"
    assert forged[b"x-forwarded-for"] == b"192.0.2.7"
    assert forged[b"x-forwarded-host"] == b"inner"
