"""Tests of headstart.learn.logs.json_lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headstart.learn.logs.json_lines import fields_of, object_of, wrapped_in
from headstart.learn.logs.lines import line_of

NGINX = {
    "time_local": "10/Oct/2025:13:55:36 +0200",
    "remote_addr": "192.0.2.1",
    "request": "GET /site.css HTTP/2.0",
    "status": "200",
    "body_bytes_sent": "99",
    "http_host": "example.org",
    "http_referer": "https://example.org/",
    "http_user_agent": "Agent",
}
TRAEFIK = {
    "ClientHost": "192.0.2.1",
    "RequestMethod": "GET",
    "RequestHost": "example.org",
    "RequestPath": "/site.css",
    "DownstreamStatus": 200,
    "DownstreamContentSize": 99,
    "StartUTC": "2025-10-10T11:55:36.000000000Z",
    "request_Referer": "https://example.org/",
    "request_User-Agent": "Agent",
}
CLOUDFLARE = {
    "ClientIP": "192.0.2.1",
    "ClientRequestMethod": "GET",
    "ClientRequestHost": "example.org",
    "ClientRequestURI": "/site.css",
    "EdgeResponseStatus": 200,
    "EdgeResponseBytes": 99,
    "EdgeStartTimestamp": 1760097336000000000,
    "ClientRequestReferer": "https://example.org/",
    "ClientRequestUserAgent": "Agent",
}
CLOUDFRONT = {
    "date": "2025-10-10",
    "time": "11:55:36",
    "c-ip": "192.0.2.1",
    "cs-method": "GET",
    "x-host-header": "example.org",
    "cs-uri-stem": "/site.css",
    "cs-uri-query": "-",
    "sc-status": "200",
    "sc-bytes": "99",
    "cs(Referer)": "https://example.org/",
    "cs(User-Agent)": "Agent",
}
GOOGLE = {
    "timestamp": "2025-10-10T11:55:36.000000Z",
    "resource": {"type": "http_load_balancer"},
    "httpRequest": {
        "requestMethod": "GET",
        "requestUrl": "https://example.org/site.css",
        "status": 200,
        "responseSize": "99",
        "remoteIp": "192.0.2.1",
        "referer": "https://example.org/",
        "userAgent": "Agent",
    },
}
FASTLY = {
    "timestamp": "2025-10-10T11:55:36+0000",
    "client_ip": "192.0.2.1",
    "host": "example.org",
    "url": "/site.css",
    "request_method": "GET",
    "request_referer": "https://example.org/",
    "request_user_agent": "Agent",
    "response_state": "HIT",
    "response_status": 200,
    "response_body_size": 99,
}
ENVOY = {
    "start_time": "2025-10-10T11:55:36.000Z",
    "downstream_remote_address": "10.0.0.7:52312",
    "x_forwarded_for": "192.0.2.1,10.0.0.7",
    "authority": "example.org",
    "method": "GET",
    "path": "/site.css",
    "response_code": 200,
    "bytes_sent": 99,
    "bytes_received": 0,
    "referer": "https://example.org/",
    "user_agent": "Agent",
}
VERCEL = {
    "id": "1",
    "timestamp": 1760097336100,
    "source": "static",
    "host": "deployment.example",
    "path": "/site.css",
    "proxy": {
        "timestamp": 1760097336000,
        "method": "GET",
        "host": "example.org",
        "path": "/site.css",
        "statusCode": 200,
        "responseByteSize": 99,
        "clientIp": "192.0.2.1",
        "userAgent": ["Agent"],
        "referer": "https://example.org/",
    },
}
GKE = {"timestamp": "2025-10-10T11:55:36Z", "severity": "INFO", "jsonPayload": NGINX}
ELASTIC = {
    "@timestamp": "2025-10-10T11:55:36.000Z",
    "message": "GET /site.css",
    "source": {"address": "192.0.2.1"},
    "http": {
        "version": "2.0",
        "request": {"method": "GET", "referrer": "https://example.org/"},
        "response": {"status_code": 200, "body": {"bytes": 99}, "mime_type": "text/css"},
    },
    "url": {"domain": "example.org", "path": "/site.css", "original": "/site.css"},
    "user_agent": {"original": "Agent", "name": "Other"},
}
DOTTED = {
    "@timestamp": "2025-10-10T11:55:36.000Z",
    "client.ip": "192.0.2.1",
    "http.request.method": "GET",
    "http.request.referrer": "https://example.org/",
    "http.response.status_code": 200,
    "http.response.body.bytes": 99,
    "url.domain": "example.org",
    "url.path": "/site.css",
    "user_agent.original": "Agent",
}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(NGINX, id="nginx"),
        pytest.param(TRAEFIK, id="traefik"),
        pytest.param(CLOUDFLARE, id="cloudflare"),
        pytest.param(CLOUDFRONT, id="cloudfront"),
        pytest.param(GOOGLE, id="google"),
        pytest.param(GKE, id="gke"),
        pytest.param(FASTLY, id="fastly"),
        pytest.param(ENVOY, id="envoy"),
        pytest.param(VERCEL, id="vercel"),
        pytest.param(ELASTIC, id="elastic"),
        pytest.param(DOTTED, id="elastic with dots"),
    ],
)
def test_names_of_servers_are_known(entry: dict[str, Any]) -> None:
    found = object_of(json.dumps(entry))
    assert found is not None
    line = line_of(fields_of(found) or {}, "")

    assert line is not None
    request, answer = line.exchange.request, line.exchange.answer
    assert line.time == 1760097336.0
    assert (request.method, request.origin, request.target) == (
        "GET",
        "https://example.org",
        "/site.css",
    )
    assert (request.address, request.user_agent) == ("192.0.2.1", "Agent")
    assert request.referer == "https://example.org/"
    assert (answer.status, answer.size) == (200, 99)


@pytest.mark.parametrize("query", [{"url.query": "v=1"}, {"url": {"query": "v=1"}}])
def test_elastic_query_stands_behind_the_path(query: dict[str, Any]) -> None:
    fields = fields_of({**DOTTED, **query})

    assert fields is not None
    assert fields["url"] == "/site.css?v=1"


def test_elastic_line_without_a_referer_has_an_empty_one() -> None:
    fields = fields_of({name: DOTTED[name] for name in DOTTED if "referrer" not in name})

    assert fields is not None
    assert fields["referer"] == ""


@pytest.mark.parametrize("agents", [{}, {"userAgent": []}, {"userAgent": "Agent"}])
def test_vercels_line_without_a_referer_has_an_empty_one(agents: dict[str, Any]) -> None:
    fields = fields_of({"proxy": {"statusCode": 200, "path": "/", **agents}})

    assert fields is not None
    assert fields["referer"] == ""


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("8.8.8.8:4711", "192.0.2.1", "8.8.8.8"),
        ("10.0.0.7:4711", None, "10.0.0.7"),
        ("[2001:db8::1]:4711", None, "2001:db8::1"),
    ],
)
def test_envoys_client_is_the_one_that_it_saw_unless_a_proxy_nearby_named_another(
    remote: str, forwarded: str | None, client: str
) -> None:
    found = fields_of({**ENVOY, "downstream_remote_address": remote, "x_forwarded_for": forwarded})

    assert found is not None
    assert found["client"] == client


def test_elastic_line_of_something_else_says_nothing() -> None:
    assert fields_of({"http": {"request": "none"}}) == {"referer": ""}


def test_caddys_cookie_is_told() -> None:
    entry = {"request": {"uri": "/a.css", "headers": {}}, "resp_headers": {"Set-Cookie": ["a=1"]}}

    fields = fields_of(entry)

    assert fields is not None
    assert fields["url"] == "/a.css"
    assert "referer" in fields
    assert fields["cookie"] is True


@pytest.mark.parametrize(
    ("headers", "validated"),
    [
        ({"Etag": ['"1"']}, True),
        ({"Last-Modified": ["Mon, 02 Mar 2026 00:00:00 GMT"]}, True),
        ({"Server": ["Caddy"]}, False),
        ({}, None),
        (None, None),
    ],
)
def test_caddys_validator_is_told_where_it_logs_the_fields(
    headers: dict[str, list[str]] | None, validated: bool | None
) -> None:
    fields = fields_of({"request": {"uri": "/a.css?v=1", "headers": {}}, "resp_headers": headers})

    assert fields is not None
    assert fields["validated"] is validated


@pytest.mark.parametrize("line", ["", "[]", "7", "{", '{"a":' * 9999])
def test_what_is_not_an_object_is_none(line: str) -> None:
    assert object_of(line) is None


@pytest.mark.parametrize(
    "entry", [{"request": {"headers": 5}}, {"request": {"headers": {"Referer": 5}}}]
)
def test_headers_that_are_none_are_refused(entry: dict[str, Any]) -> None:
    assert fields_of(entry) is None


@pytest.mark.parametrize("request_line", ["", "GET"])
def test_request_line_without_a_target_says_nothing(request_line: str) -> None:
    assert fields_of({"request": request_line}) == {}


@pytest.mark.parametrize("name", ["log", "message", "MESSAGE", "textPayload"])
def test_line_within_is_unwrapped(name: str) -> None:
    assert wrapped_in({name: "a line\n", "stream": "stdout"}) == "a line\n"
    assert wrapped_in({name: 5, "stream": "stdout"}) is None
    assert wrapped_in({"line": "a line\n"}) is None
