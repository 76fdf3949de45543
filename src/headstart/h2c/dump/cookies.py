"""Cookies as HAR lists them.

Pure: values of `cookie` and `set-cookie` in (RFC 6265, 5.2 and 5.4), objects of an archive out.
Reads leniently: `http.cookies` gives up all of a field for one odd octet in it. Called by `har`.
"""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Any


def request_cookies(values: Iterable[str]) -> list[dict[str, Any]]:
    """Return a request's cookies; HTTP/2 may split them over several fields (RFC 9113, 8.2.3)."""
    pairs = [pair.strip() for value in values for pair in value.split(";")]
    return [_named(pair) for pair in pairs if "=" in pair]


def response_cookies(values: Iterable[str]) -> list[dict[str, Any]]:
    """Return the cookies that a response sets."""
    return [_cookie(value) for value in values if "=" in value.partition(";")[0]]


def _cookie(value: str) -> dict[str, Any]:
    pair, *attributes = value.split(";")
    cookie = _named(pair)
    for attribute in attributes:
        name, _, content = (part.strip() for part in attribute.partition("="))
        match name.lower():
            case "path" | "domain" as known:
                cookie[known] = content
            case "secure":
                cookie["secure"] = True
            case "httponly":
                cookie["httpOnly"] = True
            case "expires":
                cookie.update(_expiry(content))
            case _:  # HAR has no other
                pass
    return cookie


def _named(pair: str) -> dict[str, Any]:
    name, _, value = pair.partition("=")
    return {"name": name.strip(), "value": value.strip()}


def _expiry(date: str) -> dict[str, str]:
    """Return the time in ISO 8601, or None if it is invalid."""
    try:
        return {"expires": parsedate_to_datetime(date).isoformat()}
    except (ValueError, OverflowError):
        return {}
