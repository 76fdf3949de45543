from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import pytest

from headstart.learn.plain import FieldError, UnknownValueError, reader_of, undeclared


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    text: str
    flag: bool = False


@dataclass(frozen=True)
class Outer:
    number: int
    share: float
    inner: tuple[Inner, ...] = ()
    colour: Colour | None = None
    mode: Literal["", "cors"] = ""


@dataclass(frozen=True)
class Holder:
    inner: Inner | None = None


READ = reader_of(Outer)
RIGHT: dict[str, Any] = {
    "number": 1,
    "share": 2,
    "inner": [{"text": "a", "flag": True}, {"text": ""}],
    "colour": "red",
    "mode": "cors",
}


def test_values_of_the_declared_types_make_the_dataclass() -> None:
    read = READ(RIGHT)

    assert read == Outer(1, 2.0, (Inner("a", True), Inner("")), Colour.RED, "cors")
    assert isinstance(read.share, float)
    assert READ({"number": -1, "share": 0.5, "colour": None}) == Outer(-1, 0.5)


WRONG: dict[str, list[Any]] = {
    "number": ["1", 1.0, True, None, 1 << 63, -(1 << 63)],
    "share": ["1", True, None, -1, 1e13, float("nan"), float("inf")],
    "inner": ["a", {}, None, [1], [[]], [{"flag": True}], [{"text": "a", "flag": 1}]],
    "colour": ["blue", 1, []],
    "mode": ["no-cors", None, 0, []],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_value_of_another_type_is_an_error(name: str, value: Any) -> None:
    with pytest.raises((FieldError, UnknownValueError)):
        READ(RIGHT | {name: value})


def test_missing_value_is_an_error() -> None:
    with pytest.raises(FieldError, match=r"the field 'share' is missing$"):
        READ({"number": 1})


def test_missing_value_is_told_with_a_field_that_is_not_known() -> None:
    with pytest.raises(FieldError, match=r"the field 'share' is missing, and 'shar' is not known$"):
        READ({"number": 1, "shar": 2})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"share": "1"}, "the value of 'share' is not a number"),
        ({"inner": [{"text": 1}]}, "the value of 'text' is not a string"),
        ({"inner": [1]}, "the value of 'inner' is not an object"),
    ],
)
def test_the_field_with_a_wrong_value_is_named(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(FieldError, match=f"^{fault}$"):
        READ(RIGHT | changes)


def test_field_that_is_not_declared_is_left_out() -> None:
    assert READ({**RIGHT, "more": [1]}) == READ(RIGHT)


@pytest.mark.parametrize("changes", [{"colour": "blue"}, {"mode": "no-cors"}])
def test_unknown_name_is_told_from_a_value_of_another_type(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownValueError):
        READ({**RIGHT, **changes})


def test_fields_that_are_not_declared_are_found_at_any_depth() -> None:
    inner = {"text": "a", "flg": True}
    value = {**RIGHT, "inner": [inner, {"text": "b"}], "colour": None, "colr": 1}

    assert list(undeclared(Outer, RIGHT)) == []
    assert list(undeclared(Outer, value)) == [
        ("flg", ("text", "flag")),
        ("colr", ("number", "share", "inner", "colour", "mode")),
    ]
    assert list(undeclared(Holder, {"inner": {"texts": ""}})) == [("texts", ("text", "flag"))]
    assert list(undeclared(Holder, {"inner": None})) == []
