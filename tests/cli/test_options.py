"""Options derived from dataclasses: names, ranges, the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import pytest
from click.testing import CliRunner

from headstart.cli.options import LEARN, derived, taken
from headstart.config import CacheOptions, DeliverOptions, ServerOptions, WireLimits, option
from headstart.learn import LearnOptions


def given_to(kind: type, *arguments: str, prefix: str = "", **variables: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    command = click.Command("command", params=[*derived(kind, prefix)], callback=found.update)
    result = CliRunner(env=variables).invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return found


def test_without_a_word_each_option_is_what_the_dataclass_says() -> None:
    for kind in (LearnOptions, DeliverOptions, ServerOptions, CacheOptions, WireLimits):
        assert kind(**taken(given_to(kind), kind)) == kind()


def test_prefix_tells_two_options_of_one_name_apart() -> None:
    given = given_to(LearnOptions, "--learn-max-assets", "7", prefix=LEARN)

    assert taken(given, LearnOptions, LEARN)["max_assets"] == 7
    assert given == {}


def test_what_the_server_is_told_in_the_environment_is_told_to_each_command() -> None:
    given = given_to(LearnOptions, prefix=LEARN, HEADSTART_SERVE_LEARN_LIKELY="0.75")

    assert given["learn_likely"] == 0.75


def test_no_control_views_can_be_asked_for() -> None:
    given = given_to(LearnOptions, "--learn-control-share", "0", prefix=LEARN)

    assert given["learn_control_share"] == 0


@pytest.mark.parametrize(
    ("option", "number"),
    [
        ("max-connections-per-address", 0),
        ("max-unused-connections", 0),
        ("max-memory", 0),
        ("wsgi-gather", 0),
        ("max-memory", 64_000_000_000),
    ],
)
def test_none_and_more_than_a_window_holds_can_be_asked_for(option: str, number: int) -> None:
    given = given_to(ServerOptions, f"--{option}", str(number))

    assert given[option.replace("-", "_")] == number


@dataclass(frozen=True, slots=True)
class NewOptions:
    """Options that nobody has heard of."""

    count: int = option(1, "A number above 0.")
    count_or_none: int = option(1, "A number; 0 for none.", zero=True)
    size: int = option(1, "Bytes.", unit="size")
    share: float = option(0.5, "A part of 1.", unit="share")
    port: int = option(0, "A port.", unit="port")
    word: str = option("one", "One of two.", choices=("one", "two"))


@pytest.mark.parametrize(
    ("name", "right", "value", "wrong"),
    [
        ("count", "2", 2, "0"),
        ("count-or-none", "0", 0, "-1"),
        ("size", "2KiB", 2048, "two"),
        ("share", "1", 1.0, "1.1"),
        ("port", "65535", 65535, "65536"),
        ("word", "two", "two", "three"),
    ],
)
def test_range_of_an_option_is_declared_with_its_field(
    name: str, right: str, value: object, wrong: str
) -> None:
    command = click.Command("command", params=[*derived(NewOptions)])

    assert given_to(NewOptions, f"--{name}", right)[name.replace("-", "_")] == value
    assert CliRunner().invoke(command, [f"--{name}", wrong]).exit_code == 2


def test_memory_of_a_worker_may_have_a_unit() -> None:
    assert given_to(ServerOptions, "--max-memory", "2GiB")["max_memory"] == 2 * 1024**3


@pytest.mark.parametrize("wrong", ["0", "-1", "x"])
def test_number_out_of_range_is_refused(wrong: str) -> None:
    command = click.Command("command", params=[*derived(LearnOptions)])

    assert CliRunner().invoke(command, ["--max-pages", wrong]).exit_code == 2


def test_time_can_be_without_end_but_not_no_number() -> None:
    command = click.Command("command", params=[*derived(ServerOptions)])

    assert given_to(ServerOptions, "--idle-timeout", "inf")["idle_timeout"] == float("inf")
    assert CliRunner().invoke(command, ["--idle-timeout", "nan"]).exit_code == 2


def test_some_can_be_left_out_or_not_shown() -> None:
    options = list(derived(LearnOptions, without=("window",), hidden=True))

    assert "window" not in [option.name for option in options]
    assert all(option.hidden for option in options)


@pytest.mark.parametrize(
    ("option", "wrong", "message"),
    [
        ("redirect-http", "x", "'x' is not a valid integer."),
        ("max-connections", "1.5", "'1.5' is not a valid integer."),
        ("idle-timeout", "soon", "'soon' is not a valid number."),
        ("wsgi-gather", "much", "'much' is not a size: give bytes"),
    ],
)
def test_value_of_another_kind_is_told_in_plain_words(
    option: str, wrong: str, message: str
) -> None:
    command = click.Command("command", params=[*derived(ServerOptions)])

    assert message in CliRunner().invoke(command, [f"--{option}", wrong]).output
