"""The attributes of spans, with the names of the semantic conventions for HTTP, 1.23 and later.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/. Read by `spans`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from headstart.observe.delivered import delivered
from headstart.observe.exchange import Exchange

# RFC 9110, 9 and RFC 5789; others are one name, or each client could make many.
_METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
)
_OTHER: Final = "_OTHER"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PORT_DIGITS: Final = 5
# Parameters that let their bearer in. The conventions name them.
_SECRET: Final = re.compile(r"(^|[?&])(AWSAccessKeyId|Signature|sig|X-Goog-Signature)=[^&]*")


def name_of(method: str) -> str:
    """Return the name of a span, which must be one of few: anybody can make up methods."""
    return method if method in _METHODS else "HTTP"


def method_attributes(method: str) -> dict[str, Any]:
    """Return the attributes of a request's method."""
    if method in _METHODS:
        return {"http.request.method": method}
    return {"http.request.method": _OTHER, "http.request.method_original": method}


def without_secrets(query: str) -> str:
    """Return a query or a URL without the values of parameters that are signatures."""
    return _SECRET.sub(r"\1\2=REDACTED", query)


def request_attributes(exchange: Exchange) -> dict[str, Any]:
    """Return the attributes of a request that begins."""
    scope = exchange.scope
    path, _, query = exchange.target.partition("?")
    found = method_attributes(scope["method"])
    found["url.scheme"] = scope["scheme"]
    found["url.path"] = path
    found["network.protocol.version"] = scope["http_version"]
    if query:
        found["url.query"] = without_secrets(query)
    if (host := exchange.header(b"host")) is not None:
        name, colon, port = host.decode("latin-1").rpartition(":")
        # Host may have a port of thousands of digits, which int() refuses.
        known = colon and port.isdecimal() and len(port) <= _PORT_DIGITS
        found["server.address"] = name if known else host.decode("latin-1")
        found["server.port"] = int(port) if known else _DEFAULT_PORTS.get(scope["scheme"], 80)
    if (agent := exchange.header(b"user-agent")) is not None:
        found["user_agent.original"] = agent.decode("latin-1")
    if scope.get("client") is not None:
        found["client.address"] = scope["client"][0]
    if exchange.pushed:
        found["headstart.pushed"] = True
    return found


def response_attributes(exchange: Exchange, status: int) -> dict[str, Any]:
    """Return the attributes of a response that has ended."""
    found: dict[str, Any] = {
        "http.response.status_code": status,
        "http.response.body.size": exchange.size,
    }
    if status >= 500:
        error = exchange.error
        found["error.type"] = str(status) if error is None else type(error).__qualname__
    page = delivered(exchange.scope)
    if page is not None:
        found["headstart.way"] = page.way
        found["headstart.sent"] = page.sent
        found["headstart.refused"] = [*page.refused]
    return found
