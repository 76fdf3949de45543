"""The commands and their options."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c import options
from headstart.h2c.dump import FrameFilter
from headstart.h2c.options import (
    Command,
    Connect,
    Exchange,
    FromFile,
    HelpWanted,
    Ping,
    PushList,
    SetField,
    Start,
    StreamInfo,
    Text,
    Trust,
    UnsetField,
    UsageFailed,
    Version,
)

VERBS = [
    *("start", "stop", "pid", "version"),
    *("connect", "disconnect", "connections", "ping"),
    *("get", "head", "options", "delete", "post", "put", "patch", "request"),
    *("push-list", "stream-info", "set", "unset"),
]


def exchange(*arguments: str) -> Exchange:
    command = options.parse(arguments)
    assert isinstance(command, Exchange)
    return command


def mistake(*arguments: str) -> str:
    with pytest.raises(UsageFailed) as caught:
        options.parse(arguments)
    return str(caught.value)


def shown_help(*arguments: str) -> str:
    with pytest.raises(HelpWanted) as caught:
        options.parse(arguments)
    return str(caught.value)


def test_no_command_is_told_where_the_commands_are() -> None:
    assert mistake() == "which command? 'h2c --help' lists them"


def test_an_unknown_command_is_told() -> None:
    assert mistake("fetch", "/") == "there is no command 'fetch'; 'h2c --help' lists them"


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_teaches_with_an_example(verb: str) -> None:
    with pytest.raises(HelpWanted) as caught:
        options.parse([verb, "--help"])

    assert re.search(rf"^  (h2c|tar .*h2c) {verb}", str(caught.value), re.MULTILINE)


def test_the_help_lists_every_command() -> None:
    with pytest.raises(HelpWanted) as caught:
        options.parse(["--help"])

    assert re.findall(r"^    ([a-z-]+) ", str(caught.value), re.MULTILINE) == VERBS


def test_help_is_a_command_too() -> None:
    assert shown_help("help") == shown_help("--help")
    assert shown_help("help", "get") == shown_help("get", "--help")
    assert mistake("help", "x") == "there is no command 'x'; 'h2c --help' lists them"


def test_an_option_before_the_command_is_told_where_options_are() -> None:
    expected = "there is no option '--bogus' before the command; see 'h2c --help'"
    assert mistake("--bogus", "get", "/") == expected


@pytest.mark.parametrize(
    ("arguments", "session", "others"),
    [
        (["get", "/"], None, ["get", "/"]),
        (["get", "--session", "a", "/"], "a", ["get", "/"]),
        (["get", "/", "--session=a"], "a", ["get", "/"]),
        (["get", "/", "--session"], "", ["get", "/"]),
        (["get", "--session", "a", "--session=b", "/"], "b", ["get", "/"]),
        (["post", "--data", "--session", "/"], None, ["post", "--data", "--session", "/"]),
        (["post", "/", "--data"], None, ["post", "/", "--data"]),
        (["get", "--", "--session", "a"], None, ["get", "--", "--session", "a"]),
        (["x", "--session", "a"], "a", ["x"]),
    ],
)
def test_a_session_may_be_named_behind_the_command(
    arguments: list[str], session: str | None, others: list[str]
) -> None:
    assert options.split_session(arguments) == (session, others)


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_that_does_not_exist_is_a_mistake(verb: str) -> None:
    assert mistake(verb, "--nonsense").endswith(f"see 'h2c {verb} --help'")


def test_abbreviated_options_are_mistakes_so_that_new_options_break_nobody() -> None:
    assert "'--dat" in mistake("post", "/", "--dat", "x")


def test_surplus_arguments_are_a_mistake() -> None:
    assert mistake("get", "/a", "/b") == "it does not take '/b'; see 'h2c get --help'"


@pytest.mark.parametrize("value", ["-x", "--help", "-", "--", "", "-5", "a b"])
def test_a_value_may_look_like_an_option(value: str) -> None:
    assert exchange("post", "--data", value, "/").content == Text(value.encode())


def test_after_two_dashes_everything_is_an_argument() -> None:
    assert exchange("get", "--", "--data").where == "--data"


def test_an_option_without_its_value_is_a_mistake() -> None:
    assert mistake("post", "/", "--data").startswith("argument --data: expected one argument")


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
    assert "is no header field" in mistake("get", "/", "-H", field)


@pytest.mark.parametrize(
    "arguments", [["get", "/", "-H", "Connection: close"], ["set", "upgrade", "h2c"]]
)
def test_fields_of_http1_connections_are_mistakes(arguments: list[str]) -> None:
    assert mistake(*arguments).startswith("HTTP/2 has no field ")


@pytest.mark.parametrize(
    "name", ["a b", ":path", "", "naïve", "a:", "a\n", "k\udcff", "\u212a", "a\0"]
)
def test_a_name_that_no_field_has_is_a_mistake(name: str) -> None:
    expected = f"{name!r} is no field name: letters, digits and '-' are safe"
    assert mistake("set", name, "x") == f"{expected}; see 'h2c set --help'"


def test_a_field_of_one_request_is_checked_like_one_that_is_set() -> None:
    assert mistake("get", "/", "-H", "a b: c").startswith("'a b' is no field name")
    assert mistake("get", "/", "--content-type", "a\nb").startswith("'a\\nb' cannot be the value")


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
    assert mistake("set", "host", "a@b").startswith("'a@b' is no host; write HOST or HOST:PORT;")


def test_set_needs_a_value_which_may_be_empty() -> None:
    expected = "'a' needs a value; write 'h2c set NAME VALUE'; see 'h2c set --help'"
    assert mistake("set", "a") == expected
    assert options.parse(["set", "a", ""]) == SetField((b"a", b""))


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan", "soon"])
def test_a_time_out_is_a_number_above_zero(seconds: str) -> None:
    assert mistake("get", "/", "--timeout", seconds).startswith("argument --timeout: ")


def test_every_option_of_a_request_arrives() -> None:
    command = exchange(
        *["get", "-i", "-v", "--fail", "--keep", "--no-push-cache", "--insecure"],
        *["--cacert", "ca.pem", "--timeout", "2.5", "-o", "file", "/a?b"],
    )

    assert command == Exchange(
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


def test_any_other_method_can_be_asked_for() -> None:
    assert exchange("request", "propfind", "/").method == "PROPFIND"
    assert "is no method" in mistake("request", "GET /", "/")


def test_frame_types_come_with_commas_or_several_times() -> None:
    command = options.parse(
        ["start", "--dump", "--include", "data,Headers", "--include", "PING", "--exclude", "PING"]
    )

    assert isinstance(command, Start)
    assert command.dump
    assert command.shown == FrameFilter.of(["DATA", "HEADERS", "PING"], ["PING"])


@pytest.mark.parametrize(
    "arguments", [["--include", "DATA"], ["--exclude=DATA"], ["--detach", "--show-secrets"]]
)
def test_what_is_shown_of_no_dump_is_a_mistake(arguments: list[str]) -> None:
    expected = "--include, --exclude and --show-secrets take --dump, too; see 'h2c start --help'"
    assert mistake("start", *arguments) == expected


def test_in_the_foreground_there_is_no_idle_time_out() -> None:
    expected = "--idle-timeout takes --detach, too; see 'h2c start --help'"
    assert mistake("start", "--idle-timeout", "5") == expected


def test_an_unknown_frame_type_is_a_mistake() -> None:
    assert mistake("start", "--exclude", "FRAME").startswith("no frame type is called 'FRAME'")


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ("version", Version()),
        ("--version", Version()),
        ("connect a:1 -v --timeout 1", Connect("a:1", Trust(), 1.0, True)),
        ("ping --timeout 1", Ping(1.0)),
        ("push-list", PushList(False, False)),
        ("push-list -l --json", PushList(True, True)),
        ("stream-info --closed", StreamInfo(True)),
        ("set", SetField(None)),
        ("set Name value", SetField((b"name", b"value"))),
        ("unset Name", UnsetField("Name", None)),
        ("unset Name value", UnsetField("Name", "value")),
    ],
)
def test_commands_become_what_they_say(arguments: str, command: Command) -> None:
    assert options.parse(arguments.split()) == command
