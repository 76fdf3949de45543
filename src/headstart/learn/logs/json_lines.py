"""Access logs with a JSON object a line: nginx's, Caddy's, Traefik's, Envoy's and Istio's,
Cloudflare's, CloudFront's, Fastly's, Google Cloud's, Vercel's, those in the Elastic Common Schema,
and plain ones.

Called by `file`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from headstart.learn.logs import w3c
from headstart.learn.logs.lines import Fields
from headstart.learn.logs.text import forwarded, request_line

# Names that web servers give the fields of `lines`, in the order in which they are looked for:
# nginx's variables, Caddy's, Traefik's (RequestPath), Cloudflare Logpush's (ClientRequestURI),
# Envoy's (response_code), Fastly's (request_referer), and plain ones.
_ALIASES: Final = {
    "time": (
        *("time", "ts", "timestamp", "@timestamp", "msec", "time_iso8601", "time_local", "t"),
        *("StartUTC", "EdgeStartTimestamp", "start_time"),
    ),
    "client": (
        *("client", "remote_addr", "remote_ip", "client_ip", "ip", "remote_host", "address"),
        *("ClientHost", "ClientIP"),
    ),
    "method": ("method", "request_method", "RequestMethod", "ClientRequestMethod"),
    "host": (
        *("host", "http_host", "server_name", "vhost"),
        *("RequestHost", "ClientRequestHost", "authority"),
    ),
    "url": (
        *("url", "request_uri", "uri", "path", "target"),
        *("RequestPath", "ClientRequestURI"),
    ),
    "status": (
        *("status", "status_code", "response_status"),
        *("DownstreamStatus", "EdgeResponseStatus", "response_code"),
    ),
    "size": (
        *("size", "body_bytes_sent", "bytes_sent", "bytes", "response_size"),
        *("DownstreamContentSize", "EdgeResponseBytes", "response_body_size"),
    ),
    "type": ("type", "content_type", "sent_http_content_type", "mime", "EdgeResponseContentType"),
    "referer": (
        *("referer", "http_referer", "referrer"),
        *("request_Referer", "ClientRequestReferer", "request_referer"),
    ),
    "agent": (
        *("agent", "http_user_agent", "user_agent", "ua"),
        *("request_User-Agent", "ClientRequestUserAgent", "request_user_agent"),
    ),
    "cache": ("cache_control", "sent_http_cache_control"),
    "vary": ("vary", "sent_http_vary"),
    "location": ("location", "sent_http_location"),
    # Of Caddy, which logs all fields of a response; see `_caddy`.
    "cookie": ("resp_sets_cookie",),
    "validated": ("resp_validated",),
}


def object_of(line: str) -> Fields | None:
    """Return the line's object, None if the line is not one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


# The Elastic Common Schema, in objects within objects or with dots in their names.
_ECS: Final = {
    "time_iso8601": ("@timestamp",),
    "client": ("client.ip", "client.address", "source.ip", "source.address"),
    "method": ("http.request.method",),
    "host": ("url.domain", "destination.domain"),
    "url": ("url.original",),
    "path": ("url.path",),
    "query": ("url.query",),
    "status": ("http.response.status_code",),
    "size": ("http.response.body.bytes", "http.response.bytes"),
    "type": ("http.response.mime_type",),
    "referer": ("http.request.referrer",),
    "agent": ("user_agent.original",),
}
# https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#httprequest
_GOOGLE: Final = {
    "requestMethod": "method",
    "requestUrl": "url",
    "status": "status",
    "responseSize": "size",
    "remoteIp": "client",
    "referer": "referer",
    "userAgent": "agent",
}
# https://vercel.com/docs/drains/reference/logs, within `proxy`
_VERCEL: Final = {
    "timestamp": "time",
    "method": "method",
    "host": "host",
    "path": "url",
    "statusCode": "status",
    "responseByteSize": "size",
    "clientIp": "client",
    "referer": "referer",
}
# Those who gather logs put a line into one of these: Docker and Fluent Bit, Beats and Logstash,
# journald, Google Cloud.
_WRAPPERS: Final = ("log", "message", "MESSAGE", "textPayload")


def wrapped_in(found: Fields) -> str | None:
    """Return the line that a container's or a system's log holds, None where there is none."""
    lines = (found.get(name) for name in _WRAPPERS)
    return next((line for line in lines if isinstance(line, str)), None)


def fields_of(found: Fields) -> Fields | None:
    """Return the named fields of a line's object; those that it does not have are left out."""
    try:
        if isinstance(payload := found.get("jsonPayload"), dict):
            found = {**found, **payload}
        request = found.get("request")
        if "cs-uri-stem" in found:
            return w3c.named_in(found)
        if isinstance(asked := found.get("httpRequest"), dict):
            found = {**found, **{_GOOGLE[name]: asked[name] for name in _GOOGLE if name in asked}}
        elif isinstance(proxy := found.get("proxy"), dict) and "statusCode" in proxy:
            found = _vercel(proxy)
        elif "downstream_remote_address" in found:
            found = {**found, "client": _client_of_envoy(found)}
        elif "http.request.method" in found or isinstance(found.get("http"), dict):
            found = _elastic(found)
        elif isinstance(request, dict):
            found = {**_caddy(found, request), **found}
        elif isinstance(request, str):
            found = {**(request_line(request) or {}), **found}
        return {name: found[alias] for name, alias in _names(tuple(found))}
    except (TypeError, AttributeError, LookupError):
        return None


@lru_cache(maxsize=256)
def _names(given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return which of the given names stands for which field: most lines of a log have the same."""
    known = frozenset(given)
    found = (
        (name, next((alias for alias in aliases if alias in known), None))
        for name, aliases in _ALIASES.items()
    )
    return tuple((name, alias) for name, alias in found if alias is not None)


def _vercel(proxy: Fields) -> Fields:
    agents = proxy.get("userAgent")
    agent = agents[0] if isinstance(agents, list) and agents else agents
    row = {name: proxy[given] for given, name in _VERCEL.items() if given in proxy}
    # The schema has a place for the Referer: it is left out where a client sent none.
    return {"referer": "", "agent": agent, **row}


def _client_of_envoy(found: Fields) -> str:
    """Return the client's address: behind a proxy nearby, the one that the proxy named."""
    remote = str(found["downstream_remote_address"]).rpartition(":")[0].strip("[]")
    return forwarded(remote, str(found.get("x_forwarded_for") or "")) or remote


def _elastic(found: Fields) -> Fields:
    row: Fields = {}
    for name, paths in _ECS.items():
        values = (_within(found, path) for path in paths)
        value = next((value for value in values if value is not None), None)
        if value is not None:
            row[name] = value
    if "url" not in row and "path" in row:
        row["url"] = f"{row['path']}?{row['query']}" if row.get("query") else row["path"]
    # The schema has a place for the Referer: it is empty where a client sent none.
    return {"referer": "", **row}


def _within(found: Fields, path: str) -> object:
    """Return the value at a path such as `http.request.method`, however much of it is one name."""
    if path in found:
        return found[path]
    value: object = found
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _caddy(found: Fields, request: Fields) -> Fields:
    """Caddy's log nests the request and the header fields of both sides."""
    asked = _first_values(request.get("headers"))
    said = _first_values(found.get("resp_headers"))
    return {
        **request,
        "http_referer": asked.get("referer"),
        "http_user_agent": asked.get("user-agent"),
        "content_type": said.get("content-type"),
        "cache_control": said.get("cache-control", ""),
        "vary": said.get("vary"),
        "location": said.get("location", ""),
        "resp_sets_cookie": "set-cookie" in said,
        "resp_validated": "etag" in said or "last-modified" in said if said else None,
    }


def _first_values(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name.lower(): values[0] for name, values in (headers or {}).items() if values}
