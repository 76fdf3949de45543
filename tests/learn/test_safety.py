"""Tests of headstart.learn.safety."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.learn import Answer, Request
from headstart.learn.safety import (
    Kind,
    Unlearnable,
    bad_target,
    directives,
    is_personal,
    kind_of,
    lifetime,
    lifetime_of,
    needs_second,
    refusal,
)
from tests.learn.site import STYLE, asset_answer, asset_request

MAX_URL = 2048


def test_a_cacheable_stylesheet_may_be_learned() -> None:
    assert refusal(asset_request(STYLE), asset_answer(STYLE), MAX_URL) is None


@pytest.mark.parametrize(
    ("request_fields", "answer_fields", "reason"),
    [
        ({"method": "POST"}, {}, Unlearnable.METHOD),
        ({"method": "HEAD"}, {}, Unlearnable.METHOD),
        ({"authorized": True}, {}, Unlearnable.AUTHORIZED),
        ({"target": "/site.css?logout=1"}, {"cache_control": ""}, Unlearnable.QUERY),
        ({"target": "/site.css?v=1"}, {"cache_control": "max-age=0"}, Unlearnable.QUERY),
        ({"target": "/" + "a" * 2048 + ".css"}, {}, Unlearnable.LONG_URL),
        ({"target": "//evil.example/a.css"}, {}, Unlearnable.BAD_URL),
        ({"target": '/a".css'}, {}, Unlearnable.BAD_URL),
        ({"target": "/a\r\nset-cookie:x.css"}, {}, Unlearnable.BAD_URL),
        ({"target": "/a>; rel=preload,</b.css"}, {}, Unlearnable.BAD_URL),
        ({"target": "/\\evil.example/a.css"}, {}, Unlearnable.BAD_URL),
        ({"destination": "empty"}, {}, Unlearnable.DYNAMIC_TYPE),
        ({"destination": "image"}, {}, Unlearnable.DYNAMIC_TYPE),
        ({}, {"status": 404}, Unlearnable.STATUS),
        ({}, {"status": 206}, Unlearnable.STATUS),
        ({}, {"content_type": "text/html"}, Unlearnable.DYNAMIC_TYPE),
        ({}, {"content_type": "application/json"}, Unlearnable.DYNAMIC_TYPE),
        ({}, {"sets_cookie": True}, Unlearnable.SETS_COOKIE),
        ({}, {"cache_control": "Private"}, Unlearnable.PRIVATE),
        ({}, {"cache_control": 'private="x, y"'}, Unlearnable.PRIVATE),
        ({}, {"cache_control": "max-age=60, no-store"}, Unlearnable.PRIVATE),
        ({}, {"vary": "Accept-Encoding, Cookie"}, Unlearnable.VARIES),
        ({}, {"vary": "accept-encoding,cookie"}, Unlearnable.VARIES),
        ({}, {"vary": "Authorization"}, Unlearnable.VARIES),
        ({}, {"vary": "*"}, Unlearnable.VARIES),
    ],
)
def test_what_another_user_might_not_be_given_is_refused(
    request_fields: dict[str, Any], answer_fields: dict[str, Any], reason: Unlearnable
) -> None:
    request = asset_request(STYLE)._replace(**request_fields)
    answer = asset_answer(STYLE)._replace(**answer_fields)

    assert refusal(request, answer, MAX_URL) is reason


@pytest.mark.parametrize(
    "fields",
    [
        {"cache_control": "", "validated": True},
        {"cache_control": "", "validated": True, "heuristic_lifetime": 86_400},
        {"cache_control": "max-age=59"},
    ],
)
def test_a_query_that_says_little_is_learned_but_needs_a_second_asker(
    fields: dict[str, Any],
) -> None:
    request, answer = asset_request("/site.css?ver=6.1.9"), asset_answer("/site.css", **fields)

    assert refusal(request, answer, MAX_URL) is None
    assert needs_second(request.target, lifetime_of(request, answer))


@pytest.mark.parametrize(
    "fields",
    [
        {"cache_control": "no-cache"},
        {"vary": "Accept-Encoding"},
        {"vary": "Accept"},
        {"vary": "Origin, Accept-Encoding"},
    ],
)
def test_what_anybody_would_be_given_is_learned(fields: dict[str, Any]) -> None:
    """No-cache says that it may be kept and must be asked for; Vary, what a client chose it by."""
    assert refusal(asset_request(STYLE), asset_answer(STYLE, **fields), MAX_URL) is None


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"cache_control": "no-cache, max-age=600", "heuristic_lifetime": 60}, 0),
        ({"cache_control": 'no-cache="Set-Cookie", max-age=600'}, 600),
        ({"cache_control": "", "expires_in": 0, "heuristic_lifetime": 60}, 0),
        ({"cache_control": "", "expires_in": 300}, 300),
        ({"cache_control": "max-age=5", "expires_in": 300}, 5),
        ({"cache_control": "public"}, None),
    ],
)
def test_lifetime_is_what_a_browser_makes_of_all_fields(
    fields: dict[str, Any], seconds: int | None
) -> None:
    assert lifetime_of(asset_request(STYLE), asset_answer(STYLE, **fields)) == seconds


def test_age_of_a_file_is_its_lifetime_where_nothing_else_says_one() -> None:
    old = asset_answer(STYLE, cache_control="", heuristic_lifetime=600)
    said = asset_answer(STYLE, cache_control="max-age=5", heuristic_lifetime=600)

    assert lifetime_of(asset_request(STYLE), old) == 600
    assert lifetime_of(asset_request(STYLE), said) == 5
    assert not needs_second(STYLE, None)
    assert not needs_second("/site.css?v=3", 60)


@pytest.mark.parametrize("cache_control", ["immutable", "max-age=60", "public, max-age=31536000"])
def test_a_query_is_learned_where_the_answer_says_that_it_is_a_file(cache_control: str) -> None:
    request = asset_request("/site.css?v=1")

    answer = asset_answer("/site.css", cache_control=cache_control)

    assert refusal(request, answer, MAX_URL) is None


def test_a_log_without_types_is_read_by_its_file_names() -> None:
    request = asset_request(STYLE, destination="")

    assert kind_of(request, asset_answer(STYLE, content_type="")) is Kind.STYLE
    assert kind_of(request._replace(target="/api"), asset_answer(STYLE, content_type="")) is None


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("max-age=60", 60),
        ("max-age=60, max-age=9", 60),
        ('MAX-AGE="7"', 7),
        ("max-age=-1", None),
        ("max-age=" + "9" * 40, None),
        ("max-age=٣", None),
        ("", None),
        (None, None),
    ],
)
def test_a_lifetime_is_the_first_max_age(cache_control: str | None, seconds: int | None) -> None:
    assert lifetime(cache_control) == seconds


@given(st.text(max_size=200))
def test_any_cache_control_has_directives_and_any_target_a_verdict(text: str) -> None:
    assert all(name == name.lower() for name in directives(text))
    verdicts = (None, Unlearnable.LONG_URL, Unlearnable.BAD_URL, Unlearnable.OURS)
    assert bad_target(text, MAX_URL) in verdicts


@given(st.text(alphabet=st.characters(max_codepoint=0x17F), max_size=60))
def test_no_allowed_target_can_end_a_link_or_a_header(text: str) -> None:
    if bad_target(text, MAX_URL) is None:
        assert text.isascii()
        assert text.isprintable()
        assert not set(text) & set('<>" \\^`{}|#')
        assert text.startswith("/")
        assert not text.startswith("//")


@pytest.mark.parametrize(("more", "reason"), [(0, None), (1, Unlearnable.LONG_URL)])
def test_target_may_be_as_long_as_is_said(more: int, reason: Unlearnable | None) -> None:
    assert bad_target("/" + "a" * (MAX_URL - 1 + more), MAX_URL) is reason


@pytest.mark.parametrize(("age", "seconds"), [("9" * 11, 99_999_999_999), ("9" * 12, None)])
def test_lifetime_of_three_thousand_years_is_the_longest(age: str, seconds: int | None) -> None:
    assert lifetime(f"max-age={age}") == seconds


def test_argument_of_a_directive_is_all_that_the_quotes_hold() -> None:
    assert directives('a="Xy", B=X, a=2') == {"a": "Xy", "b": "X"}


def test_file_with_a_query_has_no_age_of_a_minute_or_more() -> None:
    old = asset_answer("/site.css", cache_control="", heuristic_lifetime=600)
    young = asset_answer("/site.css", cache_control="", heuristic_lifetime=5)

    assert lifetime_of(asset_request("/site.css?v=3"), old) == 59
    assert lifetime_of(asset_request("/site.css?v=3"), young) == 5


@pytest.mark.parametrize(
    ("cookies", "cache_control", "vary", "personal"),
    [
        (False, "private, no-store", "Cookie", False),
        (True, None, "", True),
        (True, "no-cache", "", True),
        (True, "max-age=0, must-revalidate", "", True),
        (True, "private, max-age=600", "", True),
        (True, "no-store, max-age=600", "", True),
        (True, "max-age=600", "Accept, Cookie", True),
        (True, "max-age=600", "*", True),
        (True, "max-age=600", "Accept-Encoding", False),
        (True, "public, no-cache", "", False),
    ],
)
def test_page_is_personal_if_no_cache_may_share_it_and_its_reader_had_credentials(
    cookies: bool, cache_control: str | None, vary: str, personal: bool
) -> None:
    request = Request("https://example.test", "/drafts/7/", "192.0.2.1", cookies=cookies)
    answer = Answer(200, "text/html", cache_control=cache_control, vary=vary)

    assert is_personal(request, answer) is personal
    authorized = request._replace(authorized=True)
    assert is_personal(authorized, answer) is (personal or not cookies)
