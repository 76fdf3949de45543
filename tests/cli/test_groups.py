"""The help of serve and proxy: sections, and the ten options that most people need first."""

from __future__ import annotations

import re

import click
import pytest

from headstart.cli import proxy, serve
from headstart.cli.groups import SECTIONS, section_of
from tests.cli.command import said_in_process

COMMANDS = {"serve": serve.command, "proxy": proxy.command}
TITLES = list(SECTIONS)
FIRST = ["host", "port", "ssl-certfile", "ssl-keyfile", "workers", "forwarded-allow-ips", "store"]


def sections(command: str) -> dict[str, list[str]]:
    """The titles of the help, each with the options below it."""
    found: dict[str, list[str]] = {}
    for line in said_in_process(command, "--help").splitlines():
        if re.fullmatch(r"[A-Z].*:", line):
            found[line.removesuffix(":")] = []
        elif option := re.match(r"  (?:-h, )?--([a-z0-9-]+)", line):
            found[list(found)[-1]].append(option[1])
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_the_ten_options_that_most_people_need(command: str) -> None:
    found = sections(command)

    assert next(iter(found)) == "Most used options"
    first = found["Most used options"]
    assert len(first) <= 10
    assert [name for name in first if name in FIRST] == FIRST


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_stands_in_the_help_once_and_none_is_left_over(command: str) -> None:
    found = sections(command)

    options = [
        param.opts[0].removeprefix("--")
        for param in COMMANDS[command].params
        if isinstance(param, click.Option)
    ]
    assert sorted(name for names in found.values() for name in names) == sorted([*options, "help"])
    assert found["Other"] == ["help"]
    assert said_in_process(command, "--help").partition("Other:")[2].split()[0] == "-h,"
    assert list(found) == [title for title in TITLES if title in found]


def test_option_stands_in_the_first_section_that_it_fits() -> None:
    assert section_of("ssl_certfile")[0] == TITLES.index("Most used options")
    assert section_of("ssl_ciphers")[0] == TITLES.index("TLS")
    assert section_of("upstream_read_timeout")[0] == TITLES.index("Upstream")
    assert section_of("max_memory")[0] == TITLES.index("Sockets and processes")
    assert section_of("something_new")[0] == TITLES.index("Other")
