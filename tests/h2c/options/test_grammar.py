"""What is the same for all options."""

from __future__ import annotations

import pytest

from headstart.h2c.options.requests import Text
from tests.h2c.options.typed import exchange, mistake


def test_abbreviated_options_are_mistakes_so_that_new_options_break_nobody() -> None:
    assert "'--dat" in mistake("post", "/", "--dat", "x")


@pytest.mark.parametrize("value", ["-x", "--help", "-", "--", "", "-5", "a b"])
def test_a_value_may_look_like_an_option(value: str) -> None:
    assert exchange("post", "--data", value, "/").content == Text(value.encode())


def test_after_two_dashes_everything_is_an_argument() -> None:
    assert exchange("get", "--", "--data").where == "--data"


def test_an_option_without_its_value_is_a_mistake() -> None:
    assert mistake("post", "/", "--data").startswith("argument --data: expected one argument")


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan", "soon"])
def test_a_time_out_is_a_number_above_zero(seconds: str) -> None:
    assert mistake("get", "/", "--timeout", seconds).startswith("argument --timeout: ")
