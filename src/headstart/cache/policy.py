"""Which responses a shared cache may store, and for how long they are fresh (RFC 9111, 3 and 4.2).

Pure functions; the time is a parameter. Called by `fetch` for each response.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from email.utils import parsedate
from functools import lru_cache
from typing import TypeAlias

from headstart.cache.requests import CachedRequest, Directives, directives, listed, number

Fields: TypeAlias = list[tuple[bytes, bytes]]

# RFC 9110, 15.1: final statuses whose meaning does not depend on the moment. 206 is a part only.
_STATUSES = frozenset((200, 203, 204, 300, 301, 302, 307, 308, 404, 410))
# Fields of one connection, or of one response (RFC 9111, 3.1). The cache writes Age itself.
_NOT_STORED = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
        b"te",
        b"trailer",
        b"age",
        b"cache-status",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"alt-svc",
    )
)
# What a page is made of beside its text. Sites serve it to everybody alike.
_ASSET_TYPES = (
    b"text/css",
    b"text/javascript",
    b"application/javascript",
    b"application/x-javascript",
    b"application/wasm",
    b"application/font",
    b"application/vnd.ms-fontobject",
    b"font/",
    b"image/",
    b"audio/",
    b"video/",
)
# None that is a date is longer, and clients write some of them.
_LONGEST_DATE = 64
# A year; RFC 9111, 1.2.2 asks for at least 2^31 where it does not fit.
_LONGEST = 31_536_000.0 * 68


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long a stored response may be used. Seconds.

    Attributes:
        lifetime: From the moment when the origin made it.
        age: How old it was when it arrived.
        while_revalidate: How long behind `lifetime` it may be used while a new one is fetched.
        if_error: How long behind `lifetime` it may be used if a new one cannot be fetched.
        shared: It says that it is for everybody: `public` or `s-maxage`.
        asset: It is a stylesheet, script, font, image or the like.
    """

    lifetime: float
    age: float
    while_revalidate: float
    if_error: float
    shared: bool
    asset: bool


def freshness(request: CachedRequest, status: int, fields: Fields, now: float) -> Freshness | None:
    """Return how long the response is fresh; None if it may not be stored.

    Args:
        request: It may forbid storing as well.
        status: Of the response.
        fields: Of the response; names in lower case.
        now: Seconds since 1970.
    """
    if status not in _STATUSES or not request.may_be_stored:
        return None
    single: dict[bytes, bytes] = {}
    for name, value in fields:
        if name == b"set-cookie":
            return None
        single[name] = b"%b, %b" % (single[name], value) if name in single else value
    if b"cache-control" not in single and b"expires" not in single:
        return None  # as most pages, for which nothing else need be looked at
    says = directives(single.get(b"cache-control", b""))
    if b"private" in says or b"no-store" in says or b"no-cache" in says:
        return None
    shared = b"public" in says or b"s-maxage" in says
    if request.cookies and not shared:
        return None
    vary = listed(single.get(b"vary", b""))
    if b"*" in vary or b"cookie" in vary or b"authorization" in vary:
        return None
    if not request.names - request.known <= set(vary):
        return None
    lifetime = _lifetime(says, single, now)
    age = _age(single, now)
    if lifetime <= age:
        return None
    strict = b"must-revalidate" in says or b"proxy-revalidate" in says
    return Freshness(
        lifetime,
        age,
        0.0 if strict else seconds(says, b"stale-while-revalidate"),
        0.0 if strict else seconds(says, b"stale-if-error"),
        shared,
        single.get(b"content-type", b"").lower().startswith(_ASSET_TYPES),
    )


def stored_fields(fields: Fields) -> Fields:
    """Return the fields that are kept with a response."""
    return [pair for pair in fields if pair[0] not in _NOT_STORED]


def seconds(says: Directives, name: bytes) -> float:
    """Return the value of a directive; 0 if it is missing or malformed."""
    return min(float(number(says.get(name)) or 0), _LONGEST)


def _lifetime(says: Directives, single: dict[bytes, bytes], now: float) -> float:
    """RFC 9111, 4.2.1, without heuristics."""
    for name in (b"s-maxage", b"max-age"):
        if name in says:
            return seconds(says, name)
    expires = date(single.get(b"expires", b""))
    if expires is None:
        return 0.0
    made = date(single.get(b"date", b""))
    return expires - (made if made is not None else now)


def _age(single: dict[bytes, bytes], now: float) -> float:
    """Return a response's age from its Age or Date (RFC 9111, 4.2.3)."""
    said = float(number(single.get(b"age")) or 0)
    made = date(single.get(b"date", b""))
    return max(said, now - made if made is not None else 0.0, 0.0)


def date(value: bytes) -> float | None:
    """Return an HTTP date as seconds since 1970; None if it is not one (RFC 9110, 5.6.7)."""
    return _date(value) if len(value) <= _LONGEST_DATE else None


@lru_cache(256)
def _date(value: bytes) -> float | None:
    try:
        read = parsedate(value.decode("ascii"))
        return float(calendar.timegm(read)) if read is not None else None
    except (UnicodeDecodeError, ValueError, OverflowError):
        return None
