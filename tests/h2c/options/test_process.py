"""`start`, `stop`, `pid`, `version`."""

from __future__ import annotations

import pytest

from headstart.h2c import options
from headstart.h2c.dump.text import DumpFormat, DumpOptions
from headstart.h2c.options.process import Start
from tests.h2c.options.typed import mistake


def start(*arguments: str) -> Start:
    command = options.parse(["start", *arguments])
    assert isinstance(command, Start)
    return command


@pytest.mark.parametrize(
    ("arguments", "dump"),
    [
        ([], None),
        (["--dump"], DumpOptions()),
        (["--dump", "--show-secrets"], DumpOptions(show_secrets=True)),
        (["--dump=-"], DumpOptions()),
        (["--dump=x.har", "--dump-format=har"], DumpOptions("x.har", DumpFormat.HAR)),
        (["--dump", "x.txt"], DumpOptions("x.txt")),
    ],
)
def test_a_dump_goes_to_standard_output_or_to_a_file(
    arguments: list[str], dump: DumpOptions | None
) -> None:
    assert start(*arguments).dump == dump


def test_keys_are_kept_with_and_without_a_dump() -> None:
    assert start("--keylog", "keys").keylog == "keys"
    assert start("--dump", "--keylog=keys").keylog == "keys"


@pytest.mark.parametrize(
    "arguments",
    [["--include", "DATA"], ["--exclude=DATA"], ["--show-secrets"], ["--dump-format", "text"]],
)
def test_what_is_shown_of_no_dump_is_a_mistake(arguments: list[str]) -> None:
    assert mistake("start", *arguments) == (
        "--dump-format, --include, --exclude and --show-secrets need --dump; see 'h2c start --help'"
    )


def test_a_dump_in_the_background_needs_a_file() -> None:
    expected = "--dump with --detach needs a file: --dump=FILE; see 'h2c start --help'"
    assert mistake("start", "--detach", "--dump") == expected
    assert start("--detach", "--dump=x").dump == DumpOptions("x")


def test_in_the_foreground_there_is_no_idle_time_out() -> None:
    expected = "--idle-timeout needs --detach; see 'h2c start --help'"
    assert mistake("start", "--idle-timeout", "5") == expected
