"""The group: its help, its version, one line for every mistake."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import headstart
from headstart import cli
from headstart.errors import ConfigurationError
from tests.cli.command import PATIENCE, headstart_says, said_in_process
from tests.server.live import environment


def test_help_shows_both_commands_and_how_to_begin() -> None:
    for flag in ("--help", "-h"):
        text = said_in_process(flag)

        assert "headstart serve main:app" in text
        assert "headstart demo" in text
        assert "HEADSTART_SERVE_PORT" in text


@pytest.mark.parametrize(
    ("command", "variable", "option"),
    [
        (["serve", "main:app"], "HEADSTART_SERVE_PORT", "--port"),
        (["map"], "HEADSTART_SERVE_LEARN_LIKELY", "--learn-likely"),
        (["map"], "HEADSTART_MAP_LEARN_LIKELY", "--learn-likely"),
    ],
)
def test_wrong_value_of_the_environment_is_told_with_its_variable(
    command: list[str], variable: str, option: str
) -> None:
    status, _, err = headstart_says(*command, **{variable: "wrong"})

    assert status == 2
    assert f"Invalid value for '{option}' ({variable} in the environment): 'wrong'" in err


def test_wrong_value_of_the_command_line_is_told_without_a_variable() -> None:
    _, _, err = headstart_says("map", "--learn-likely", "2", HEADSTART_SERVE_LEARN_LIKELY="wrong")

    assert "Invalid value for '--learn-likely': 2" in err


def test_version_is_the_packages() -> None:
    assert headstart.__version__ in said_in_process("--version")


def test_no_command_shows_the_help() -> None:
    status, out, err = headstart_says()

    assert status == 2
    assert "Usage:" in out + err


def test_error_of_the_tree_becomes_one_line_with_its_hint() -> None:
    @click.group(cls=cli.OneLineErrors)
    def group() -> None:
        pass

    @group.command()
    @click.argument("hint", default="")
    def fail(hint: str) -> None:
        raise ConfigurationError("it cannot be", hint=hint)

    run = CliRunner().invoke

    assert run(group, ["fail"]).output == "Error: it cannot be.\n"
    assert run(group, ["fail", "do this."]).output == "Error: it cannot be. Do this.\n"
    assert run(group, ["fail"]).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serv", "main:app"], "No such command 'serv'. Did you mean serve?"),
        (["xyz"], "No such command 'xyz'. Commands are serve, proxy, map, cache, replay, demo."),
        (["map", "exprot"], "No such command 'exprot'. Did you mean export?"),
        (["--verson"], "--version"),
    ],
)
def test_command_that_there_is_not_is_told_which_there_are(
    arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(cli.main, arguments)

    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("arguments", [["map"], ["map", "never", "/a.css"], ["demo"]])
def test_user_without_a_home_folder_is_told_in_one_line(
    homeless: None, arguments: list[str]
) -> None:
    result = CliRunner().invoke(cli.main, arguments)

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: this user has no home folder to keep data in. "
        "Set HEADSTART_DATA to a folder of yours, or HOME.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        (["--help"], ("uvicorn", "headstart.learn", "headstart.store", "asyncio")),
        (["map", "--help"], ("uvicorn", "asyncio", "ngh2")),
        (["replay", "--help"], ("uvicorn", "asyncio", "ngh2")),
    ],
)
def test_command_loads_only_what_it_needs(arguments: list[str], spared: tuple[str, ...]) -> None:
    source = f"""
import sys
from headstart.cli import main
main({arguments!r}, standalone_mode=False)
print("loaded:", *sorted(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        env=environment(),
    )

    loaded = done.stdout.rpartition("loaded:")[2].split()
    assert "click" in loaded
    assert not set(spared).intersection(loaded)


def test_help_names_each_command_as_it_names_itself() -> None:
    text = said_in_process("--help")

    for name in ("serve", "proxy", "map", "cache", "replay", "demo"):
        command = cli.main.get_command(click.Context(cli.main), name)
        assert command is not None
        assert f"{name:<6}  {command.get_short_help_str(100)}" in text


def test_unknown_command_is_a_wrong_call() -> None:
    status, _, err = headstart_says("sevre")

    assert status == 2
    assert "No such command 'sevre'" in err


def commands_of(group: click.Group, *names: str) -> dict[tuple[str, ...], click.Command]:
    """Return each command that is not a group, with the names it is called by."""
    ctx = click.Context(group)
    found: dict[tuple[str, ...], click.Command] = {}
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= commands_of(command, *names, name)
        else:
            found[*names, name] = command
    return found


def test_missing_argument_is_told_with_an_example_of_its_command() -> None:
    needing = {
        names: command
        for names, command in commands_of(cli.main).items()
        if any(isinstance(param, click.Argument) and param.required for param in command.params)
    }

    assert {("serve",), ("proxy",), ("replay",), ("map", "pin"), ("cache", "purge")} <= set(needing)
    for names, command in needing.items():
        result = CliRunner().invoke(cli.main, names, prog_name="headstart")
        *_, last = result.stderr.splitlines()
        called = f"headstart {' '.join(names)} "
        told, _, example = last.partition(f". For example: {called}")
        assert (names, result.exit_code) == (names, 2)
        assert told.startswith("Error: Missing argument '")
        arguments = [param for param in command.params if isinstance(param, click.Argument)]
        assert len(example.split()) == len(arguments), last


def test_missing_option_value_has_no_example() -> None:
    _, _, err = headstart_says("map", "export", "--format")

    assert err == "Error: Option '--format' requires an argument.\n"
