"""The parts of a request that decide which stored response may answer it."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.cache.requests import (
    KNOWN_FIELDS,
    CachedRequest,
    Key,
    directives,
    listed,
    number,
)
from tests.cache.cached import scope_of


def key(target: str = "/a.css", *fields: tuple[bytes, bytes], **more: Any) -> Key:
    return CachedRequest(scope_of(target, *fields, **more)).key


def test_requests_with_the_same_target_and_host_have_the_same_key_whatever_else_they_say() -> None:
    plain = key()

    assert key("/a.css", (b"accept", b"text/css"), (b"cookie", b"a=1")) == plain
    assert key(method="HEAD") == plain
    assert key(headers=[(b"host", b"SITE.example")]) == plain


@pytest.mark.parametrize(
    "other",
    [
        key("/a.css?v=2"),
        key("/b.css"),
        key("/A.css"),
        key(scheme="http"),
        key(headers=[(b"host", b"other.example")]),
        key("/a.css", (b"x-forwarded-host", b"other.example")),
        key("/a.css", (b"x-forwarded-proto", b"http")),
    ],
)
def test_each_part_that_an_application_may_answer_by_is_in_the_key(other: Key) -> None:
    assert other != key()


def test_forwarded_host_and_scheme_cannot_stand_for_each_other() -> None:
    assert key("/", (b"x-forwarded-host", b"http")) != key("/", (b"x-forwarded-proto", b"http"))


def test_path_without_its_raw_form_is_taken_as_utf_8() -> None:
    scope = scope_of("/\u00e9.css")
    raw, without = CachedRequest(scope).key, CachedRequest({**scope, "raw_path": None}).key

    assert without == raw
    assert without[2] == "/\u00e9.css".encode()


def test_field_that_stands_three_times_has_its_values_joined_in_order() -> None:
    lines = ((b"accept-language", value) for value in (b"de", b"en", b"fr"))
    request = CachedRequest(scope_of("/", *lines))

    assert request.fields[b"accept-language"] == b"de, en, fr"
    assert request.selecting((b"accept-language", b"accept")) == (b"de, en, fr", b"")


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ((), True),
        (((b"cache-control", b"no-cache"),), True),
        (((b"cache-control", b"No-Store"),), False),
        (((b"cache-control", b"max-age=0, no-store"),), False),
        (((b"range", b"bytes=0-1"),), False),
        (((b"connection", b"keep-alive, TE"),), True),
        (((b"connection", b"close"), (b"connection", b"x-own")), False),
        (((b"connection", b"accept-language"),), False),
    ],
)
def test_request_says_whether_its_response_may_be_stored(
    fields: tuple[tuple[bytes, bytes], ...], stored: bool
) -> None:
    assert CachedRequest(scope_of("/", *fields)).may_be_stored is stored


@pytest.mark.parametrize("name", [b"if-match", b"if-unmodified-since", b"authorization"])
def test_request_that_the_application_has_to_answer_bypasses_the_cache(name: bytes) -> None:
    assert CachedRequest(scope_of("/", (name, b"x"))).bypasses


@pytest.mark.parametrize("name", [b"if-none-match", b"if-modified-since", b"cookie", b"via"])
def test_request_that_the_cache_can_answer_does_not(name: bytes) -> None:
    assert not CachedRequest(scope_of("/", (name, b"x"))).bypasses


@pytest.mark.parametrize(
    ("fields", "wants"),
    [
        (((b"pragma", b"no-cache"),), True),
        (((b"pragma", b"No-Cache"),), True),
        (((b"pragma", b"no-cache"), (b"cache-control", b"max-age=60")), False),
        (((b"cache-control", b"no-cache"),), True),
        (((b"cache-control", b"max-age=0"),), False),
        ((), False),
    ],
)
def test_pragma_asks_for_a_new_response_only_where_cache_control_says_nothing(
    fields: tuple[tuple[bytes, bytes], ...], wants: bool
) -> None:
    assert CachedRequest(scope_of("/", *fields)).wants_new is wants


@pytest.mark.parametrize(
    "name",
    [
        b"x-original-url",
        b"x-rewrite-url",
        b"x-http-method-override",
        b"forwarded",
        b"x-requested-with",
        b"hx-request",
    ],
)
def test_field_by_which_a_client_could_choose_the_response_of_others_is_not_known(
    name: bytes,
) -> None:
    assert name not in KNOWN_FIELDS


def test_list_is_read_without_blanks_case_order_and_repetition() -> None:
    assert listed(b" b , A,b,, a ") == (b"a", b"b")
    assert listed(b"") == listed(b" , ") == ()


@pytest.mark.parametrize("length", [256, 257, 100_000])
def test_value_is_read_alike_however_long_it_is(length: int) -> None:
    filler = b"x" * (length - len(b"max-age=7, "))
    value = b"max-age=7, " + filler

    assert len(value) == length
    for _ in range(3):
        assert directives(value) == {b"max-age": b"7", filler: None}
        assert listed(value) == (b"max-age=7", filler)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"", {}),
        (b"public", {b"public": None}),
        (b'MAX-AGE = "60" , Public', {b"max-age": b"60", b"public": None}),
        (b"max-age=60, max-age=5", {b"max-age": b"5"}),
        (b"max-age=5, max-age=60", {b"max-age": b"5"}),
        (b"max-age=60, max-age=60", {b"max-age": b"60"}),
        (b"max-age=60, max-age=soon", {b"max-age": None}),
        (b"max-age=60, max-age=5, max-age=9", {b"max-age": b"5"}),
        (b"no-cache, no-cache=x", {b"no-cache": None}),
        (b"=1, ,max-age=", {b"max-age": b""}),
    ],
)
def test_of_a_directive_that_is_given_twice_the_smaller_number_counts(
    value: bytes, found: dict[bytes, bytes | None]
) -> None:
    assert directives(value) == found


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, None),
        (b"", None),
        (b"-1", None),
        (b"1.5", None),
        (b" 1", None),
        (b"0", 0),
        (b"0007", 7),
        (b"9" * 18, 10**18 - 1),
        (b"1" + b"0" * 18, 10**18),
        (b"0" * 5000 + b"3", 3),
        (b"9" * 5000, 10**18),
    ],
)
def test_number_of_any_length_is_read(value: bytes | None, read: int | None) -> None:
    assert number(value) == read


@pytest.mark.parametrize(
    ("came_through", "before", "is_further_on"),
    [
        (b"", b"", False),
        (b"us; id=1", b"us; id=1", False),
        (b"cdn", b"us; id=1", False),
        (b"", b"us; id=1", False),
        (b"us; id=1", b"", True),
        (b"cdn, us; id=1", b"cdn", True),
    ],
)
def test_request_that_came_through_more_proxies_may_be_the_same_one(
    came_through: bytes, before: bytes, is_further_on: bool
) -> None:
    here, there = (
        CachedRequest(scope_of("/", *([(b"cdn-loop", value)] if value else [])))
        for value in (came_through, before)
    )

    assert here.went_on_from(there) == is_further_on
