"""The parts of a request that the cache decides by.

Two requests with the same key may get the same stored response. So everything that could make an
application answer differently is in the key, is named by the response's Vary, or keeps the response
out of the cache. Pure; made by `middleware` for each GET and HEAD.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

from headstart.deliver.asgi import query_part

Directives: TypeAlias = dict[bytes, bytes | None]
Key: TypeAlias = tuple[str, bytes, bytes, bytes]
"""Scheme, Host, target, and what a proxy in front says of scheme and host."""

# Longer values are read each time: what clients write must not fill the memory of what was read.
_LONGEST_REMEMBERED = 256
# Digits of a number of seconds or bytes that matter: a thousand million years.
_DIGITS = 18

# Fields whose effect on a response Vary or Cache-Control states, or that say how the request came
# here. A response to a request with any other one is not stored, unless its Vary names that field.
# Frameworks read X-Original-URL, X-HTTP-Method-Override and the like, so one client could choose
# the response that all others get. A script that loads a part of a page says so by
# X-Requested-With, HX-Request or Turbo-Frame, often at the URL of the whole page.
KNOWN_FIELDS = frozenset(
    (
        b"host accept accept-charset accept-encoding accept-language access-control-request-headers"
        b" access-control-request-method available-dictionary baggage cache-control cache-digest "
        b"cdn-loop cf-connecting-ip cf-ray connection cookie date device-memory dnt downlink dpr "
        b"early-data ect from http2-settings if-modified-since if-none-match keep-alive origin "
        b"pragma priority proxy-connection purpose referer rtt save-data sec-ch-ua sec-ch-ua-arch "
        b"sec-ch-ua-bitness sec-ch-ua-full-version sec-ch-ua-full-version-list sec-ch-ua-mobile "
        b"sec-ch-ua-model sec-ch-ua-platform sec-ch-ua-platform-version "
        b"sec-ch-prefers-color-scheme sec-fetch-dest sec-fetch-mode sec-fetch-site "
        b"sec-fetch-storage-access sec-fetch-user sec-gpc sec-purpose te traceparent tracestate "
        b"true-client-ip upgrade-insecure-requests user-agent via viewport-width width "
        b"x-amzn-trace-id x-correlation-id x-forwarded-for x-forwarded-host x-forwarded-proto "
        b"x-real-ip x-request-id"
    ).split()
)
_KEYED = (b"x-forwarded-host", b"x-forwarded-proto")
# RFC 9110, 7.6.1: a field that Connection names ends at the first hop, so the application never saw
# it, and Vary would be answered wrongly.
_PLAIN_CONNECTION = frozenset((b"", b"close", b"keep-alive", b"te", b"upgrade"))
_PASSED_ON = frozenset((b"if-match", b"if-unmodified-since", b"authorization"))


class CachedRequest:
    """One GET or HEAD.

    Attributes:
        method: GET or HEAD.
        key: Responses are stored by it.
        fields: Name to value; the values of a name that occurs more than once are joined.
        names: The names.
        known: Names that do not keep a response from being stored.
        cookies: It has a Cookie field.
        says: Its Cache-Control.
        bypasses: The application has to answer it, and nothing is stored.
        may_be_stored: Nothing in the request forbids to store its response.
    """

    __slots__ = (
        "bypasses",
        "cookies",
        "fields",
        "key",
        "known",
        "may_be_stored",
        "method",
        "names",
        "says",
    )

    def __init__(self, scope: Any) -> None:
        fields: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            fields[name] = b"%b, %b" % (fields[name], value) if name in fields else value
        self.fields = fields
        self.method: str = scope["method"]
        path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8")
        target = path + query_part(scope)
        front = b""
        if b"x-forwarded-host" in fields or b"x-forwarded-proto" in fields:
            front = b" ".join(fields.get(name, b"") for name in _KEYED)
        self.key: Key = (
            scope.get("scheme", "http"),
            fields.get(b"host", b"").lower(),
            target,
            front,
        )
        self.names = frozenset(fields)
        self.known = KNOWN_FIELDS
        self.cookies = b"cookie" in fields
        control = fields.get(b"cache-control")
        if control is None and fields.get(b"pragma", b"").lower() == b"no-cache":
            control = b"no-cache"
        self.says: Directives = directives(control) if control else {}
        self.bypasses = not _PASSED_ON.isdisjoint(self.names)
        connection = fields.get(b"connection", b"")
        self.may_be_stored = (
            b"no-store" not in self.says
            and b"range" not in fields
            and (not connection or set(listed(connection)) <= _PLAIN_CONNECTION)
        )

    @property
    def wants_new(self) -> bool:
        """Return true if the request wants one confirmed by the origin (RFC 9111, 5.2.1.4)."""
        return b"no-cache" in self.says

    def went_on_from(self, other: CachedRequest) -> bool:
        """Return whether CDN-Loop says that this may be the other request, sent on by a proxy.

        Of a proxy that asks itself; it must not wait for its own response. RFC 8586: each proxy
        appends to the field.
        """
        came_through, before = (each.fields.get(b"cdn-loop", b"") for each in (self, other))
        return len(came_through) > len(before) and came_through.startswith(before)

    def selecting(self, vary: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Return the values of the fields that a response varies by."""
        return tuple(self.fields.get(name, b"") for name in vary)


def listed(value: bytes) -> tuple[bytes, ...]:
    """Return the members of a list of tokens, in lower case and sorted."""
    if not value:
        return ()
    return _listed(value) if len(value) <= _LONGEST_REMEMBERED else _split(value)


def _split(value: bytes) -> tuple[bytes, ...]:
    return tuple(sorted({part.strip().lower() for part in value.split(b",")} - {b""}))


_listed = lru_cache(256)(_split)


def number(value: bytes | None) -> int | None:
    """Return a number of any length; None if it is missing or malformed.

    One with more digits than matter is as large as those can say: int() refuses thousands of them.
    """
    if value is None or not value.isdigit():
        return None
    digits = value.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= _DIGITS else 10**_DIGITS


def directives(value: bytes) -> Directives:
    """Return the directives of a Cache-Control value (RFC 9111, 5.2); callers must not change it.

    Of one that is given twice with different values the smallest number counts, as less may be
    cached then. A value in quotes loses them; one with a comma in quotes is read as far as it
    matters, since a directive with a list of fields counts as without.
    """
    return _directives(value) if len(value) <= _LONGEST_REMEMBERED else _read(value)


def _read(value: bytes) -> Directives:
    found: Directives = {}
    for part in value.split(b","):
        name, equals, argument = part.strip().partition(b"=")
        name = name.strip().lower()
        given = argument.strip(b' "') if equals else None
        if name in found and found[name] != given:
            given = _smaller(found[name], given)
        if name:
            found[name] = given
    return found


_directives = lru_cache(512)(_read)


def _smaller(one: bytes | None, other: bytes | None) -> bytes | None:
    if one is None or other is None:
        return None
    first, second = number(one), number(other)
    if first is None or second is None:
        return None
    return one if first <= second else other
