"""Requests and their options."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.options.connections import Trust
from headstart.h2c.options.requests import FromFile, RequestCommand, Text
from tests.h2c.options.typed import exchange, mistake


@given(st.binary(max_size=50).filter(lambda octets: b"\0" not in octets))
def test_data_is_octet_by_octet_what_was_typed(octets: bytes) -> None:
    typed = octets.decode("utf-8", "surrogateescape")

    assert exchange("post", "--data", typed, "/").content == Text(octets)


def test_content_can_come_from_a_file() -> None:
    assert exchange("put", "--file", "-", "/").content == FromFile("-")


@pytest.mark.parametrize(
    "both",
    [
        ("--data", "a", "--file", "b"),
        ("--data", "a", "--json", "b"),
        ("--json", "1", "--file", "b"),
    ],
)
def test_content_comes_from_one_place_only(both: tuple[str, ...]) -> None:
    assert mistake("post", "/", *both).startswith("--data, --json and --file exclude each other")


def test_json_has_its_type_unless_another_is_given() -> None:
    assert exchange("post", "/", "--json", "{}").headers == (
        (b"content-type", b"application/json"),
    )
    other = exchange("post", "/", "--json", "{}", "--content-type", "application/ld+json")
    assert other.headers == ((b"content-type", b"application/ld+json"),)


def test_fields_are_lower_case_and_keep_the_colons_of_their_values() -> None:
    command = exchange("get", "/", "-H", "X-Time: 12:30", "--header", "Empty:")

    assert command.headers == ((b"x-time", b"12:30"), (b"empty", b""))


@pytest.mark.parametrize("field", ["no colon", ": no name", ":path: /"])
def test_what_is_no_field_is_a_mistake(field: str) -> None:
    assert "is not a header" in mistake("get", "/", "-H", field)


def test_a_field_of_one_request_is_checked_like_one_that_is_set() -> None:
    assert mistake("get", "/", "-H", "a b: c").startswith("'a b' is not a valid header name")
    assert mistake("get", "/", "--content-type", "a\nb").startswith("'a\\nb' cannot be the value")


def test_every_option_of_a_request_arrives() -> None:
    command = exchange(
        *["get", "-i", "-v", "--fail", "--keep", "--no-push-cache", "--insecure"],
        *["--cacert", "ca.pem", "--timeout", "2.5", "-o", "file", "/a?b"],
    )

    assert command == RequestCommand(
        method="GET",
        where="/a?b",
        content=None,
        headers=(),
        include=True,
        output="file",
        fail=True,
        verbose=True,
        timeout=2.5,
        use_pushes=False,
        keep_push=True,
        trust=Trust("ca.pem", True),
    )


@pytest.mark.parametrize("method", ["get", "head", "options", "delete", "post", "put", "patch"])
def test_methods_have_commands(method: str) -> None:
    assert exchange(method, "/").method == method.upper()


def test_hints_are_followed_by_a_get() -> None:
    assert exchange("get", "--follow-hints", "/").follow_hints
    expected = "--follow-hints goes with a GET that sends no file; see 'h2c post --help'"
    assert mistake("post", "--follow-hints", "/") == expected
    assert mistake("get", "--follow-hints", "--file", "x", "/").startswith("--follow-hints goes")


def test_any_other_method_can_be_asked_for() -> None:
    assert exchange("request", "propfind", "/").method == "PROPFIND"
    assert "is not a method" in mistake("request", "GET /", "/")
    for name in ("CONNECT", "connect"):
        assert "'h2c connect HOST:PORT' makes a connection" in mistake("request", name, "/")


def test_an_empty_name_of_a_file_is_a_mistake() -> None:
    for option in ("-o", "--output", "--file", "--cacert"):
        expected = "the name of the file is empty; give a path; see 'h2c post --help'"
        assert mistake("post", option, "", "/path").endswith(expected)
