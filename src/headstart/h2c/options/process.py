"""The background process itself: `start`, `stop`, `pid`, `version`.

Called by the package.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from headstart.errors import ConfigurationError
from headstart.h2c.dump.text import DumpOptions
from headstart.h2c.options.dumping import dump_options, dump_options_of, only_with_a_dump
from headstart.h2c.options.grammar import Grammar, seconds

DEFAULT_IDLE_TIMEOUT = 30 * 60.0


@dataclass(frozen=True, slots=True)
class Start:
    """Be the background process, in the foreground or not.

    Attributes:
        dump: How frames are shown; None for not at all.
        keylog: Where the TLS keys go; "" for nowhere.
    """

    dump: DumpOptions | None
    keylog: str
    detach: bool
    idle_timeout: float


@dataclass(frozen=True, slots=True)
class Stop:
    """End the background process."""


@dataclass(frozen=True, slots=True)
class Pid:
    """Print the background process's id."""


@dataclass(frozen=True, slots=True)
class Version:
    """Print the version."""


def declare(grammar: Grammar) -> None:
    """Declare the commands of this module."""
    _start_command(grammar)
    grammar.command("stop", lambda _: Stop(), "end the background process", "h2c stop")
    grammar.command("pid", lambda _: Pid(), "print the background process's id", "h2c pid")
    grammar.command("version", lambda _: Version(), "print the version", "h2c version")


def _start_command(grammar: Grammar) -> None:
    start = grammar.command(
        "start",
        _start,
        "run the background process here, until Ctrl-C",
        """
h2c start --dump                                  show all frames
h2c start --dump --include HEADERS,PUSH_PROMISE   only these
h2c start --dump --exclude DATA --exclude PING    all but these
h2c start --dump=frames.txt --detach              in the background, frames to a file
h2c start --dump=visit.har --dump-format har      an HTTP archive
h2c start --detach                                in the background
""",
    )
    start.optional_value(
        "--dump", metavar="FILE", help="show the frames of all connections, or write them to FILE"
    )
    dump_options(start)
    start.flag("--detach", help="leave the terminal, as the other commands do it")
    start.value(
        "--idle-timeout",
        type=seconds,
        metavar="TIME",
        help="with --detach: end after so long without connection and command (default: 30m)",
    )


def _start(given: argparse.Namespace) -> Start:
    dump = None if given.dump is None else dump_options_of(given, given.dump)
    if dump is None and only_with_a_dump(given):
        raise ConfigurationError(
            "--dump-format, --include, --exclude and --show-secrets need --dump"
        )
    if dump is not None and not dump.file and given.detach:
        raise ConfigurationError("--dump with --detach needs a file: --dump=FILE")
    if given.idle_timeout is not None and not given.detach:
        raise ConfigurationError("--idle-timeout needs --detach")
    idle_timeout = DEFAULT_IDLE_TIMEOUT if given.idle_timeout is None else given.idle_timeout
    return Start(dump, given.keylog, given.detach, idle_timeout)
