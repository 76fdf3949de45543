"""Headers as a caller reads them."""

from __future__ import annotations

import pytest

from headstart.client.headers import Headers

RAW = [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=\xe9")]


def test_names_ignore_case() -> None:
    headers = Headers(RAW)

    assert headers["Content-Type"] == headers.get("CONTENT-TYPE") == "text/plain"
    assert "Set-Cookie" in headers
    assert "cookie" not in headers
    assert not headers.__contains__(1)


def test_missing_header_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="Location"):
        Headers(RAW)["Location"]


def test_repeated_values_are_joined_and_can_be_had_one_by_one() -> None:
    headers = Headers(RAW)

    assert headers["set-cookie"] == "a=1, b=é"
    assert headers.get_list("Set-Cookie") == ["a=1", "b=é"]
    assert headers.get_list("x") == []
    assert headers.multi_items()[1:] == [("set-cookie", "a=1"), ("set-cookie", "b=é")]


def test_it_is_a_mapping_with_each_name_once() -> None:
    headers = Headers(RAW)

    assert list(headers) == ["content-type", "set-cookie"]
    assert len(headers) == 2
    assert repr(Headers(RAW[:1])) == "Headers([('content-type', 'text/plain')])"


def test_comparison_with_a_mapping_ignores_case() -> None:
    headers = Headers(RAW[:1])

    assert headers == Headers(list(RAW[:1]))
    assert hash(headers) == hash(Headers(list(RAW[:1])))
    assert headers.__eq__({"Content-Type": "text/plain"})
    assert not headers.__eq__({"Content-Type": "text/html"})
    assert headers != RAW[:1]
