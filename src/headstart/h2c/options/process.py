"""Commands about processes: `start`, `stop`, `pid`, `version`, `wiretap`, `completion`.

`start` and `wiretap` become the process that they name, and have the form of a dump in common.
Called by the package.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headstart.errors import ConfigurationError
from headstart.h2c.dump.settings import DumpFormat, DumpOptions, FrameFilter
from headstart.h2c.options.connections import Trust, server, trust, trust_options
from headstart.h2c.options.grammar import Grammar, Options, seconds

if TYPE_CHECKING:
    from headstart.client.origin import Origin

DEFAULT_IDLE_TIMEOUT = 30 * 60.0
# `Origin` is for those who connect, and nobody can connect to port 0.
_ANY_PORT = re.compile(r"(?<=:)0+(?=/?\Z)")
SHELLS = ("bash", "zsh", "fish")


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
    """Declare `start`, `stop`, `pid` and `version`."""
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
        "--dump",
        metavar="FILE",
        help="show the frames of all connections, or write them to FILE, which is emptied first",
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


def dump_options(options: Options) -> None:
    """`--dump-format`, `--include`, `--exclude`, `--show-secrets` and `--keylog`."""
    options.value(
        "--dump-format",
        choices=[form.value for form in DumpFormat],
        metavar="FORMAT",
        help="text (the default), json (an object a line) or har (an HTTP archive)",
    )
    for name, help in (("--include", "show only these"), ("--exclude", "do not show these")):
        options.value(
            name,
            action="append",
            default=[],
            metavar="TYPES",
            help=f"{help} frame types; commas between them, or given several times",
        )
    options.flag("--show-secrets", help="show cookies and authorization, too")
    options.value(
        "--keylog",
        metavar="FILE",
        default="",
        help="add the TLS keys to this file, for Wireshark to decrypt with (NSS key log)",
    )


def dump_options_of(given: argparse.Namespace, file: str) -> DumpOptions:
    """Return the dump settings in the options.

    Args:
        file: The dump's output; "" and `-` are standard output.

    Raises:
        ConfigurationError: A frame type has an unknown name.
    """
    return DumpOptions(
        file="" if file == "-" else file,
        format=DumpFormat(given.dump_format or DumpFormat.TEXT),
        shown=FrameFilter.of(given.include, given.exclude),
        show_secrets=given.show_secrets,
    )


def only_with_a_dump(given: argparse.Namespace) -> bool:
    """Return true if an option was given that needs a dump."""
    return bool(given.dump_format or given.include or given.exclude or given.show_secrets)


@dataclass(frozen=True, slots=True)
class Wiretap:
    """Forward connections and show their frames.

    Attributes:
        local: Where clients connect; port 0 for any that is free.
        certfile, keyfile: The certificate for clients, PEM; "" for that of the development CA.
        trust: Which certificates of the server are accepted.
    """

    local: Origin
    remote: Origin
    dump: DumpOptions
    keylog: str
    certfile: str
    keyfile: str
    trust: Trust


def declare_wiretap(grammar: Grammar) -> None:
    """Declare `wiretap`."""
    wiretap = grammar.command(
        "wiretap",
        _wiretap,
        "forward connections, and show their frames",
        """
h2c wiretap localhost:7000 localhost:8443                  then connect to localhost:7000
h2c wiretap http://localhost:7000 https://example.org      TLS to the server only
h2c wiretap localhost:7000 http://localhost:8080           TLS to the client only
h2c wiretap --dump=visit.har --dump-format=har localhost:7000 localhost:8443
""",
    )
    wiretap.argument("local", metavar="[https://]LOCAL[:PORT]")
    wiretap.argument("remote", metavar="[https://]REMOTE[:PORT]")
    wiretap.value(
        "--dump",
        metavar="FILE",
        default="",
        help="write the frames to FILE, which is emptied first, not to standard output",
    )
    dump_options(wiretap)
    wiretap.flag("--listen-anywhere", help="LOCAL may be an address that others can reach")
    wiretap.value(
        "--certfile",
        metavar="FILE",
        default="",
        help="the certificate for clients, not that of the development CA",
    )
    wiretap.value("--keyfile", metavar="FILE", default="", help="its key, where CERTFILE has none")
    trust_options(wiretap)


def _wiretap(given: argparse.Namespace) -> Wiretap:
    # Imported here: the client takes longer to import than all options, and no other command needs
    # it to parse its arguments.
    from headstart.client.origin import Origin
    from headstart.client.tls import is_loopback

    local = _local(given.local)
    if not given.listen_anywhere and not is_loopback(local.host):
        raise ConfigurationError(
            f"{local.host} may be reached by others, who could use the wiretap; "
            "--listen-anywhere lets them"
        )
    if given.keyfile and not given.certfile:
        raise ConfigurationError("--keyfile takes --certfile, too")
    return Wiretap(
        local=local,
        remote=Origin.parse(server(given.remote)),
        dump=dump_options_of(given, given.dump),
        keylog=given.keylog,
        certfile=given.certfile,
        keyfile=given.keyfile,
        trust=trust(given),
    )


def _local(text: str) -> Origin:
    from headstart.client.origin import Origin

    if text.isdecimal():  # a port, as for `headstart serve --admin`
        text = f"localhost:{text}"
    origin = Origin.parse(_ANY_PORT.sub("1", server(text)))
    return replace(origin, port=0) if _ANY_PORT.search(text) else origin


@dataclass(frozen=True, slots=True)
class Completion:
    """Print the script for a shell."""

    shell: str


def declare_completion(grammar: Grammar) -> None:
    """Declare `completion`."""
    options = grammar.command(
        "completion",
        lambda given: Completion(given.shell),
        "print a script that lets the shell complete",
        """
h2c completion bash > ~/.local/share/bash-completion/completions/h2c
h2c completion zsh > ~/.zfunc/_h2c        with ~/.zfunc in $fpath, before compinit
h2c completion fish > ~/.config/fish/completions/h2c.fish
""",
    )
    options.argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")
