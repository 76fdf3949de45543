"""Tests of headstart.learn.safety."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.learn.safety import (
    Kind,
    Unlearnable,
    bad_target,
    directives,
    kind_of,
    lifetime,
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
        ({"target": "/site.css?v=1"}, {"cache_control": "max-age=59"}, Unlearnable.QUERY),
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
        ({}, {"cache_control": "no-cache"}, Unlearnable.PRIVATE),
        ({}, {"vary": "Accept-Encoding, Cookie"}, Unlearnable.VARIES),
        ({}, {"vary": "*"}, Unlearnable.VARIES),
    ],
)
def test_what_another_user_might_not_be_given_is_refused(
    request_fields: dict[str, Any], answer_fields: dict[str, Any], reason: Unlearnable
) -> None:
    request = asset_request(STYLE)._replace(**request_fields)
    answer = asset_answer(STYLE)._replace(**answer_fields)

    assert refusal(request, answer, MAX_URL) is reason


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
    assert bad_target(text, MAX_URL) in (None, Unlearnable.LONG_URL, Unlearnable.BAD_URL)


@given(st.text(alphabet=st.characters(max_codepoint=0x17F), max_size=60))
def test_no_allowed_target_can_end_a_link_or_a_header(text: str) -> None:
    if bad_target(text, MAX_URL) is None:
        assert text.isascii()
        assert text.isprintable()
        assert not set(text) & set('<>" \\^`{}|#')
        assert text.startswith("/")
        assert not text.startswith("//")
