"""Cookies as HAR lists them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.dump.cookies import request_cookies, response_cookies


def test_a_request_may_have_its_cookies_in_one_field_or_in_several() -> None:
    expected = [{"name": "a", "value": "1"}, {"name": "b", "value": "x=y"}]

    assert request_cookies(["a=1; b=x=y"]) == expected
    assert request_cookies(["a=1", "b=x=y"]) == expected


def test_what_is_hidden_or_empty_is_no_cookie() -> None:
    assert request_cookies(["{hidden}", ""]) == []
    assert response_cookies(["{hidden}", "", "x; path=/"]) == []


def test_a_response_tells_where_and_how_long_a_cookie_counts() -> None:
    value = (
        "id=1; Path=/x; Domain=example.org; Secure; HttpOnly; SameSite=Lax; "
        "Expires=Wed, 21 Oct 2026 07:28:00 GMT"
    )

    assert response_cookies([value]) == [
        {
            "name": "id",
            "value": "1",
            "path": "/x",
            "domain": "example.org",
            "secure": True,
            "httpOnly": True,
            "expires": "2026-10-21T07:28:00+00:00",
        }
    ]


def test_a_date_that_is_none_is_left_out() -> None:
    assert response_cookies(["id=1; expires=soon"]) == [{"name": "id", "value": "1"}]


@given(st.lists(st.text(max_size=60), max_size=3))
def test_no_value_raises(values: list[str]) -> None:
    for cookie in request_cookies(values) + response_cookies(values):
        assert json.loads(json.dumps(cookie))["name"] == cookie["name"]


@given(st.text(max_size=60))
def test_no_date_raises(date: str) -> None:
    (cookie,) = response_cookies([f"a=b; expires={date.replace(';', '')}"])

    assert cookie["name"] == "a"
