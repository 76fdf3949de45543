"""The responses that a shared cache may store, and how long they are fresh."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest

from headstart.cache.policy import Freshness, date, freshness, seconds, stored_fields
from headstart.cache.requests import CachedRequest, directives
from tests.cache.cached import Fields, scope_of

NOW = 1_700_000_000.0
HOUR = (b"cache-control", b"max-age=3600")


def stamp(at: float) -> bytes:
    return formatdate(at, usegmt=True).encode()


def fresh(
    *fields: tuple[bytes, bytes], status: int = 200, asks: Fields | None = None, **more: Any
) -> Freshness | None:
    """The freshness of a response with these fields to a request with those."""
    request = CachedRequest(scope_of("/a.css", *(asks or []), **more))
    return freshness(request, status, list(fields), NOW)


def test_lifetime_is_that_of_max_age() -> None:
    assert fresh(HOUR) == Freshness(3600.0, 0.0, 0.0, 0.0, shared=False, asset=False)


@pytest.mark.parametrize(
    ("fields", "lifetime"),
    [
        ([(b"cache-control", b"max-age=60, s-maxage=120")], 120.0),
        ([(b"expires", stamp(NOW + 90))], 90.0),
        ([(b"expires", stamp(NOW + 90)), (b"date", stamp(NOW + 30))], 60.0),
        ([HOUR, (b"expires", stamp(NOW + 90))], 3600.0),
        ([(b"cache-control", b"max-age=9999999999999999999999")], 31_536_000.0 * 68),
        ([(b"cache-control", b"public"), (b"cache-control", b"max-age=60")], 60.0),
    ],
)
def test_lifetime_is_read_in_the_order_of_rfc_9111(fields: Fields, lifetime: float) -> None:
    found = fresh(*fields)

    assert found is not None
    assert found.lifetime == lifetime


@pytest.mark.parametrize(
    ("fields", "age"),
    [
        ([(b"age", b"100")], 100.0),
        ([(b"date", stamp(NOW - 200))], 200.0),
        ([(b"age", b"100"), (b"date", stamp(NOW - 200))], 200.0),
        ([(b"date", stamp(NOW + 200))], 0.0),
        ([(b"age", b"old"), (b"date", b"yesterday")], 0.0),
    ],
)
def test_age_is_the_larger_of_age_and_date(fields: Fields, age: float) -> None:
    found = fresh(HOUR, *fields)

    assert found is not None
    assert found.age == age


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"cache-control", b"max-age=0")],
        [(b"cache-control", b"max-age=soon")],
        [(b"expires", b"0")],
        [(b"expires", stamp(NOW - 1))],
        [HOUR, (b"age", b"3600")],
        [(b"cache-control", b"max-age=3600, private")],
        [(b"cache-control", b"max-age=3600, no-store")],
        [(b"cache-control", b"max-age=3600, no-cache")],
        [HOUR, (b"set-cookie", b"a=1")],
        [HOUR, (b"vary", b"*")],
        [HOUR, (b"vary", b"Accept, Cookie")],
        [HOUR, (b"vary", b"authorization")],
    ],
)
def test_response_that_is_stale_or_one_clients_is_not_stored(fields: Fields) -> None:
    assert fresh(*fields) is None


@pytest.mark.parametrize("status", [206, 304, 401, 500, 503])
def test_status_of_the_moment_is_not_stored(status: int) -> None:
    assert fresh(HOUR, status=status) is None
    assert fresh(HOUR, status=404) is not None


def test_request_may_forbid_that_its_response_is_stored() -> None:
    assert fresh(HOUR, asks=[(b"cache-control", b"no-store")]) is None
    assert fresh(HOUR, asks=[(b"range", b"bytes=0-1")]) is None


def test_response_to_a_request_with_cookies_is_stored_only_if_it_says_that_it_is_for_all() -> None:
    asks = [(b"cookie", b"a=1")]

    assert fresh(HOUR, asks=asks) is None
    for said in (b"public, max-age=60", b"s-maxage=60"):
        found = fresh((b"cache-control", said), asks=asks)
        assert found is not None
        assert found.shared


def test_response_to_a_request_with_an_unknown_field_is_stored_only_if_it_varies_by_it() -> None:
    asks = [(b"x-theme", b"dark")]

    assert fresh(HOUR, asks=asks) is None
    assert fresh(HOUR, (b"vary", b"X-Theme"), asks=asks) is not None


@pytest.mark.parametrize("strict", [b"must-revalidate", b"proxy-revalidate"])
def test_stale_response_may_be_used_as_long_as_it_says_unless_it_is_strict(strict: bytes) -> None:
    said = b"max-age=60, stale-while-revalidate=30, stale-if-error=90"

    found = fresh((b"cache-control", said))
    assert found is not None
    assert (found.while_revalidate, found.if_error) == (30.0, 90.0)
    found = fresh((b"cache-control", said + b", " + strict))
    assert found is not None
    assert (found.while_revalidate, found.if_error) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("content_type", "is_asset"),
    [(b"text/css", True), (b"FONT/woff2", True), (b"text/html", False), (b"", False)],
)
def test_stylesheets_scripts_fonts_and_images_are_assets(
    content_type: bytes, is_asset: bool
) -> None:
    found = fresh(HOUR, (b"content-type", content_type))

    assert found is not None
    assert found.asset is is_asset


def test_fields_of_one_connection_or_one_response_are_not_kept() -> None:
    kept: Fields = [(b"content-type", b"text/css"), (b"etag", b'"1"')]

    assert stored_fields([*kept, (b"connection", b"close"), (b"age", b"1")]) == kept


def test_directive_without_a_number_counts_as_0() -> None:
    assert seconds(directives(b"max-age=7"), b"max-age") == 7.0
    assert seconds(directives(b"max-age"), b"max-age") == 0.0
    assert seconds({}, b"max-age") == 0.0


@pytest.mark.parametrize(
    "value", [b"", b"0", b"\xff", b"Mon, 99 Foo 2020", b"Sun, 06 Nov 1994 08:49:37 GMT" + b" " * 64]
)
def test_date_that_is_not_one_counts_as_none(value: bytes) -> None:
    assert date(value) is None
    assert date(b"Sun, 06 Nov 1994 08:49:37 GMT") == 784111777.0


def test_date_beyond_the_calendar_counts_as_none() -> None:
    assert date(b"Sun, 06 Nov 99999999999999999999 08:49:37 GMT") is None
