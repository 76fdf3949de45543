"""The commands, and how they are told apart."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from headstart.h2c import options
from headstart.h2c.options import Command, HelpWanted
from headstart.h2c.options.connections import Connect, Ping, PushList, StreamInfo, Trust
from headstart.h2c.options.process import Completion, Version
from headstart.h2c.options.requests import SetField, UnsetField
from tests.h2c.options.typed import mistake, shown_help

VERBS = [
    *("start", "stop", "pid", "version"),
    *("connect", "disconnect", "connections", "ping"),
    *("get", "head", "options", "delete", "post", "put", "patch", "request", "load"),
    *("push-list", "stream-info", "set", "unset", "wiretap", "completion"),
]


def test_no_command_is_told_where_the_commands_are() -> None:
    assert mistake() == "which command? 'h2c --help' lists them"


def test_arguments_are_parsed_without_the_client_and_the_wire() -> None:
    """The command parses them itself if it starts the background process; somebody waits."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from headstart.h2c import options; options.parse(['connect', 'host']); "
            "others = {'asyncio', 'ssl', 'headstart.client', 'headstart.wire', 'hpack', 'ngh2'}; "
            "print(*sorted(others & {*sys.modules}))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "\n"


def test_an_unknown_command_is_told() -> None:
    assert mistake("fetch", "/") == "h2c has no command 'fetch'; 'h2c --help' lists them"


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_teaches_with_an_example(verb: str) -> None:
    with pytest.raises(HelpWanted) as caught:
        options.parse([verb, "--help"])

    assert re.search(rf"^  (h2c|tar .*h2c) {verb}", str(caught.value), re.MULTILINE)


def test_the_help_lists_every_command() -> None:
    with pytest.raises(HelpWanted) as caught:
        options.parse(["--help"])

    # Python 3.12 and before give the longest names a line of their own.
    assert re.findall(r"^    ([a-z-]+)(?: |$)", str(caught.value), re.MULTILINE) == VERBS


def test_help_is_a_command_too() -> None:
    assert shown_help("help") == shown_help("--help")
    assert shown_help("help", "get") == shown_help("get", "--help")
    assert mistake("help", "x") == "h2c has no command 'x'; 'h2c --help' lists them"


def test_an_option_before_the_command_is_told_where_options_are() -> None:
    expected = "there is no option '--bogus' before the command; see 'h2c --help'"
    assert mistake("--bogus", "get", "/") == expected


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["-k", "https://a/"], "; write it behind the command, as in 'h2c get -k URL'"),
        (["-X", "POST", "https://a/"], ": write 'h2c request METHOD PATH'"),
        (["-XPOST", "https://a/"], ": write 'h2c request METHOD PATH'"),
        (["--http2", "https://a/"], ": h2c always speaks HTTP/2; leave it out"),
    ],
)
def test_a_command_line_of_curl_is_told_how_to_go_on(arguments: list[str], advice: str) -> None:
    expected = f"there is no option {arguments[0]!r} before the command{advice}"
    assert mistake(*arguments).startswith(expected)


def test_a_url_without_a_command_is_told_the_command() -> None:
    expected = "a URL needs a command before it; write 'h2c get https://a.test/'"
    assert mistake("https://a.test/") == expected


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


def test_surplus_arguments_are_a_mistake() -> None:
    assert mistake("get", "/a", "/b") == "it does not take '/b'; see 'h2c get --help'"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("pots /", "h2c has no command 'pots'; did you mean 'post'? 'h2c --help' lists them"),
        ("gte /", "h2c has no command 'gte'; did you mean 'get'? 'h2c --help' lists them"),
        ("push", "h2c has no command 'push'; did you mean 'push-list'? 'h2c --help' lists them"),
        (
            "dump",
            "h2c has no command 'dump'; did you mean 'start --dump'? 'h2c --help' lists them",
        ),
        (
            "status",
            "h2c has no command 'status'; did you mean 'connections'? 'h2c --help' lists them",
        ),
        (
            "get --incldue /",
            "it has no option '--incldue'; did you mean '--include'?; see 'h2c get --help'",
        ),
        ("post -z=x y z", "it has no option '-z'; see 'h2c post --help'"),
        ("get --nonsense --include", "it has no option '--nonsense'; see 'h2c get --help'"),
        (
            "load -O",
            "it has no option '-O': write -o FILE; see 'h2c load --help'",
        ),
    ],
)
def test_what_was_probably_meant_is_asked(arguments: str, message: str) -> None:
    assert mistake(*arguments.split()) == message


@pytest.mark.parametrize(
    ("arguments", "missing", "example"),
    [
        ("get", "PATH_OR_URL", "h2c get https://example.org/path"),
        ("get --include -H a:b", "PATH_OR_URL", "h2c get https://example.org/path"),
        ("request GET", "PATH_OR_URL", "h2c request PROPFIND -H 'depth: 1' /folder"),
        ("load --json", "PATH_OR_URL", "h2c load https://example.org/"),
        ("connect", "[https://]HOST[:PORT]", "h2c connect localhost:8443"),
        ("unset", "NAME", "h2c unset user-agent"),
    ],
)
def test_missing_argument_is_told_with_an_example(
    arguments: str, missing: str, example: str
) -> None:
    verb = arguments.partition(" ")[0]

    message = mistake(*arguments.split())

    assert message == f"missing: {missing}; see 'h2c {verb} --help'. For example: {example}"


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ("version", Version()),
        ("--version", Version()),
        ("connect a:1 -v --timeout 1", Connect("a:1", Trust(), 1.0, True)),
        ("ping --timeout 1", Ping(1.0)),
        ("push-list", PushList(False, False)),
        ("push-list -l --json", PushList(True, True)),
        ("stream-info --closed", StreamInfo(True, False)),
        ("completion zsh", Completion("zsh")),
        ("set", SetField(None)),
        ("set Name value", SetField((b"name", b"value"))),
        ("unset Name", UnsetField("Name", None)),
        ("unset Name value", UnsetField("Name", "value")),
    ],
)
def test_commands_become_what_they_say(arguments: str, command: Command) -> None:
    assert options.parse(arguments.split()) == command
