"""Parameters, forms and JSON of a request."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.client.encoding import Pairs, add_params, as_json, form


@pytest.mark.parametrize(
    ("target", "params", "expected"),
    [
        ("/", {"a": "1"}, "/?a=1"),
        ("/?b=2", [("a", "1"), ("a", "2")], "/?b=2&a=1&a=2"),
        ("/?a=0&b=2", {"a": "1"}, "/?b=2&a=1"),
        ("/?b", {"a": None}, "/?b&a="),
        ("/?b=%20x", "a=%2F", "/?b=%20x&a=%2F"),
        ("/?b=1", "?a=1", "/?b=1&a=1"),
        ("/?b=1", [], "/?b=1"),
        ("/", [], "/"),
        ("/?", {}, "/"),
    ],
)
def test_parameters_stand_behind_the_query_and_replace_theirs(
    target: str, params: Pairs | str, expected: str
) -> None:
    assert add_params(target, params) == expected


def test_values_are_written_as_httpx_writes_them() -> None:
    assert form({"a": True, "b": False, "c": None, "d": 1.5, "e": ("x", 2)}) == (
        "a=true&b=false&c=&d=1.5&e=x&e=2"
    )


@given(st.lists(st.tuples(st.text(), st.text())))
def test_any_text_survives_a_form(pairs: list[tuple[str, str]]) -> None:
    read = parse_qsl(form(pairs), keep_blank_values=True)

    assert read == [(name, value) for name, value in pairs]


def test_json_is_compact_utf_8() -> None:
    assert as_json({"é": [1, 2]}) == '{"é":[1,2]}'.encode()
    assert json.loads(as_json("\N{SNOWMAN}")) == "\N{SNOWMAN}"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_value_that_json_has_not_is_an_error(value: object) -> None:
    with pytest.raises((TypeError, ValueError), match="JSON"):
        as_json(value)
