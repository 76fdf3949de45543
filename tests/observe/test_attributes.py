"""Attributes of spans."""

from __future__ import annotations

import pytest

from headstart.observe.attributes import (
    method_attributes,
    name_of,
    request_attributes,
    response_attributes,
    without_secrets,
)
from headstart.observe.exchange import Exchange
from tests.observe.recorded import scope_of


@pytest.mark.parametrize(("method", "name"), [("GET", "GET"), ("QUERY", "QUERY"), ("BREW", "HTTP")])
def test_name_of_a_span_is_one_of_few(method: str, name: str) -> None:
    assert name_of(method) == name


def test_unknown_method_is_an_attribute_of_its_own() -> None:
    assert method_attributes("BREW") == {
        "http.request.method": "_OTHER",
        "http.request.method_original": "BREW",
    }


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("a=1&sig=abc&b=2", "a=1&sig=REDACTED&b=2"),
        ("Signature=x", "Signature=REDACTED"),
        ("http://h/p?X-Goog-Signature=x&y", "http://h/p?X-Goog-Signature=REDACTED&y"),
        ("design=abc&signature=x", "design=abc&signature=x"),
    ],
)
def test_signatures_of_a_query_are_left_out(query: str, told: str) -> None:
    assert without_secrets(query) == told


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("shop.example", "shop.example", 80),
        ("shop.example:8443", "shop.example", 8443),
        ("shop.example:" + "9" * 5000, "shop.example:" + "9" * 5000, 80),
        ("[::1]:81", "[::1]", 81),
    ],
)
def test_host_is_a_name_and_a_port(host: str, name: str, port: int) -> None:
    found = request_attributes(Exchange(scope_of("/", {"host": host})))

    assert (found["server.address"], found["server.port"]) == (name, port)


def test_what_is_not_known_is_left_out() -> None:
    assert request_attributes(Exchange(scope_of("/", method="POST"))) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "url.path": "/",
        "network.protocol.version": "2",
    }


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [(404, None, None), (500, LookupError(), "LookupError"), (503, None, "503")],
)
def test_error_is_one_of_the_server(status: int, error: Exception | None, kind: str | None) -> None:
    exchange = Exchange(scope_of("/"))
    exchange.error = error

    assert response_attributes(exchange, status).get("error.type") == kind
