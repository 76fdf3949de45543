"""`set`, `unset`, and what a field may be."""

from __future__ import annotations

import pytest

from headstart.h2c import options
from headstart.h2c.options.fields import SetField
from tests.h2c.options.typed import exchange, mistake


@pytest.mark.parametrize(
    "arguments", [["get", "/", "-H", "Connection: close"], ["set", "upgrade", "h2c"]]
)
def test_fields_of_http1_connections_are_mistakes(arguments: list[str]) -> None:
    assert mistake(*arguments).startswith("HTTP/2 has no field ")


@pytest.mark.parametrize(
    "name", ["a b", ":path", "", "naïve", "a:", "a\n", "k\udcff", "\u212a", "a\0"]
)
def test_a_name_that_no_field_has_is_a_mistake(name: str) -> None:
    expected = f"{name!r} is not a valid header name; use letters, digits and '-'"
    assert mistake("set", name, "x") == f"{expected}; see 'h2c set --help'"


@pytest.mark.parametrize("value", ["a\nb", "\r", "\x00", "a\x7f", "\x1b[31m", "a\n"])
def test_a_value_that_no_field_has_is_a_mistake(value: str) -> None:
    expected = f"{value!r} cannot be the value of a: no line feeds, no control characters"
    assert mistake("set", "a", value) == f"{expected}; see 'h2c set --help'"
    assert "cannot be the value of a: " in mistake("get", "/", "-H", f"a: {value}")


def test_white_space_around_a_value_is_not_part_of_it() -> None:
    assert options.parse(["set", "a", "\t b c "]) == SetField((b"a", b"b c"))
    assert exchange("get", "/", "-H", "a:\tb c ").headers == ((b"a", b"b c"),)


def test_te_may_only_be_trailers() -> None:
    assert options.parse(["set", "TE", "Trailers"]) == SetField((b"te", b"Trailers"))
    assert mistake("set", "te", "x") == (
        "te can only be 'trailers' in HTTP/2 (RFC 9113, 8.2.2); see 'h2c set --help'"
    )


def test_host_is_a_host() -> None:
    assert options.parse(["set", "host", "[::1]:80"]) == SetField((b"host", b"[::1]:80"))
    assert mistake("set", "host", "a@b").startswith("'a@b' is not a host; write HOST or HOST:PORT;")


def test_set_needs_a_value_which_may_be_empty() -> None:
    expected = "'a' needs a value; write 'h2c set NAME VALUE'; see 'h2c set --help'"
    assert mistake("set", "a") == expected
    assert options.parse(["set", "a", ""]) == SetField((b"a", b""))
