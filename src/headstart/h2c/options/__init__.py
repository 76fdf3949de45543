"""The commands of `h2c` and their options, each declared once.

    grammar.py       the classes that declare them
    process.py       start, stop, pid, version, wiretap, completion
    connections.py   connect, disconnect, connections, ping, push-list, stream-info
    requests.py      get, post and so on, set, unset
    loading.py       load

Each module has its commands as frozen dataclasses, the result of parsing, and functions
that declare them to the grammar. Pure: reads only its arguments. Called by the
background process, and by the command for help and errors while the background process is not
running. Bytes in arguments that are not UTF-8 stay as surrogates (PEP 383).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from headstart.errors import ConfigurationError
from headstart.h2c.options import connections, loading, process, requests
from headstart.h2c.options.connections import (
    Connect,
    Connections,
    Disconnect,
    Ping,
    PushList,
    StreamInfo,
)
from headstart.h2c.options.grammar import (
    Grammar,
    HelpWanted,
    MissingArgumentError,
    UsageError,
)
from headstart.h2c.options.loading import LoadPage
from headstart.h2c.options.process import Completion, Pid, Start, Stop, Version, Wiretap
from headstart.h2c.options.requests import RequestCommand, SetField, UnsetField

Command: TypeAlias = (
    Start
    | Stop
    | Pid
    | Version
    | Connect
    | Disconnect
    | Connections
    | RequestCommand
    | LoadPage
    | PushList
    | StreamInfo
    | Ping
    | SetField
    | UnsetField
    | Wiretap
    | Completion
)

_INTRODUCTION = """\
An HTTP/2 client whose background process keeps connections open, so that a pushed response
waits for your next 'get'. The first command starts the background process.

  h2c connect localhost:8443              prints one line: address, ALPN, TLS version
  h2c post --data 'hello world' /data     writes the response to standard output
  h2c push-list                           lists the responses that the server has pushed
  h2c get /data                           takes the pushed response, sends nothing
  h2c get https://example.org/            connects by itself, as for every full URL
  h2c load https://example.org/           fetches a page and its assets, draws a waterfall

To see the frames, run the background process in a terminal of its own:

  h2c start --dump --exclude WINDOW_UPDATE,PING
"""

_LAST_WORDS = """\
'h2c COMMAND --help' lists the options of a command. 'h2c --session NAME COMMAND' uses a background
process of its own; --session may follow the command, too.

exit codes: 0 ok, 1 request failed, 2 usage, 3 not connected or no background process, 4 timeout,
5 TLS. A response with status 404 or 500 is a response: 0, unless --fail is given.
"""


def parse(arguments: Sequence[str]) -> Command:
    """Return the command that the arguments name.

    Raises:
        HelpWanted: They ask for help.
        UsageError: They are wrong.
    """
    if not arguments:
        raise UsageError("which command? 'h2c --help' lists them")
    arguments = _plain(arguments)
    first = arguments[0]
    if first.startswith("-") and first not in ("-h", "--help"):
        raise UsageError(f"{_without_command(first)}; see 'h2c --help'")
    if first.startswith(("http://", "https://")):
        raise UsageError(f"a URL needs a command before it; write 'h2c get {first}'")
    if first not in _GRAMMAR.with_value and not first.startswith("-"):
        meant = _meant_command(first)
        raise UsageError(f"h2c has no command {first!r}; {meant}'h2c --help' lists them")
    try:
        namespace, surplus = _GRAMMAR.parser.parse_known_args(_joined(arguments))
    except MissingArgumentError:
        # It stands last, and argparse looks for it first.
        if unknown := _unknown_options(first, _joined(arguments)[1:]):
            raise UsageError(f"{_refusal(first, unknown)}; see 'h2c {first} --help'") from None
        raise
    try:
        if surplus:
            raise ConfigurationError(_refusal(first, surplus))
        command: Command = namespace.build(namespace)
    except ConfigurationError as error:
        raise UsageError(f"{error}; see 'h2c {first} --help'") from error
    return command


# The options of curl that are not options here, and what to write for them.
_OF_CURL = {
    "-X": "write 'h2c request METHOD PATH', or the method itself as in 'h2c put PATH'",
    "--request": "write 'h2c request METHOD PATH', or the method itself as in 'h2c put PATH'",
    "-I": "write 'h2c head PATH'",
    "--head": "write 'h2c head PATH'",
    "-A": "write -H 'user-agent: TEXT'",
    "-b": "write -H 'cookie: NAME=VALUE'",
    "-e": "write -H 'referer: URL'",
    "-F": "h2c sends no multipart forms; use curl, or httpx with headstart.httpx",
    "-G": "write the parameters into the path, as in '/path?name=value'",
    "-O": "write -o FILE",
    "-T": "write 'h2c put --file FILE PATH'",
    "-s": "h2c writes nothing but the response; leave it out",
    "-S": "h2c always writes errors; leave it out",
    "-m": "write --timeout TIME, which counts while nothing moves",
    "--data-binary": "write --data TEXT or --file FILE, which change nothing",
    "--data-raw": "write --data TEXT, which changes nothing",
    "--http2": "h2c always speaks HTTP/2; leave it out",
    "--http2-prior-knowledge": "h2c always speaks HTTP/2; leave it out",
}


def _without_command(option: str) -> str:
    """Return the error for a command line that begins with an option, as one of curl may."""
    message = f"there is no option {option!r} before the command"
    if (advice := _advice(option)) is not None:
        return f"{message}: {advice}"
    if any(option in names for names in _GRAMMAR.names.values()):
        return f"{message}; write it behind the command, as in 'h2c get {option} URL'"
    return message


def _advice(option: str) -> str | None:
    """Return what to write for an option of curl that is not an option here."""
    return _OF_CURL.get(option if option.startswith("--") else option[:2])


def _unknown_options(command: str, joined: Iterable[str]) -> list[str]:
    """Return those of the arguments that look like options and are none of the command's."""
    options = (name for name in joined if name.startswith("-") and len(name) > 1)
    known = {*_GRAMMAR.names[command], "-h"}
    return [
        name
        for name in options
        if (name.partition("=")[0] if name.startswith("--") else name[:2]) not in known
    ]


def _refusal(command: str, surplus: Sequence[str]) -> str:
    """Return the error for surplus arguments; a word after an unknown option may be its value."""
    name = surplus[0].partition("=")[0]
    if (advice := _advice(name)) is not None:
        return f"it has no option {name!r}: {advice}"
    if not name.startswith("-"):
        return f"it does not take {' '.join(surplus)!r}"
    meant = _meant(name, _GRAMMAR.names[command]).rstrip()
    return f"it has no option {name!r}" + (f"; {meant}" if meant else "")


# Words for commands that have other names.
_OTHER_NAMES = {
    "dump": "start --dump",
    "list": "connections",
    "status": "connections",
    "tap": "wiretap",
}


def _meant_command(word: str) -> str:
    """Return a question with the command that was meant; "" if none is similar."""
    longer = [name for name in _GRAMMAR.names if name.partition("-")[0] == word]
    for name in (_OTHER_NAMES.get(word), *longer):
        if name is not None:
            return f"did you mean {name!r}? "
    return _meant(word, _GRAMMAR.with_value)


def _meant(word: str, words: Iterable[str]) -> str:
    """Return a question with the most similar word; "" if none is similar."""
    from difflib import get_close_matches  # of no use but for mistakes

    return "".join(f"did you mean {near!r}? " for near in get_close_matches(word, words, 1, 0.65))


def split_session(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the session named after a command, and the arguments without it.

    Args:
        arguments: The command and its arguments.

    Returns:
        None if no session is named, "" if its name is missing.
    """
    session: str | None = None
    others: list[str] = []
    with_value = _GRAMMAR.with_value.get(arguments[0], set())
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return session, [*others, argument, *rest]
        if argument == "--session":
            session = next(rest, "")
        elif argument.startswith("--session="):
            session = argument.removeprefix("--session=")
        else:
            others.append(argument)
            if argument in with_value:
                others += [value for value in (next(rest, None),) if value is not None]
    return session, others


def _plain(arguments: Sequence[str]) -> list[str]:
    """`--version` and `help [COMMAND]` as a command and an option."""
    match arguments:
        case ["--version", *rest]:
            return ["version", *rest]
        case ["help", *rest]:
            return [*rest, "--help"]
        case _:
            return [*arguments]


def _joined(arguments: Sequence[str]) -> list[str]:
    """Join `--data VALUE` to `--data=VALUE`: argparse takes a value like `-x` for an option."""
    joined: list[str] = []
    with_value = _GRAMMAR.with_value.get(arguments[0], set())
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*joined, argument, *rest]
        value = next(rest, None) if argument in with_value else None
        if value is None:
            joined.append(argument)
        elif argument.startswith("--"):
            joined.append(f"{argument}={value}")
        elif not value:  # a bare `-o` would take what follows for its value
            joined += [argument, value]
        else:
            joined.append(argument + value)
    return joined


def new_grammar() -> Grammar:
    """All commands and options, to read arguments with, or to list them."""
    grammar = Grammar(_INTRODUCTION, _LAST_WORDS)
    # In the order in which `--help` lists them.
    process.declare(grammar)
    connections.declare(grammar)
    requests.declare(grammar)
    loading.declare(grammar)
    connections.declare_lists(grammar)
    requests.declare_headers(grammar)
    process.declare_wiretap(grammar)
    process.declare_completion(grammar)
    return grammar


_GRAMMAR = new_grammar()


__all__ = ["Command", "HelpWanted", "UsageError", "new_grammar", "parse", "split_session"]
