"""`start`, `stop`, `pid`, `version`."""

from __future__ import annotations

import pytest

from headstart.h2c import options
from headstart.h2c.dump import FrameFilter
from headstart.h2c.options.process import Start
from tests.h2c.options.typed import mistake


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
