"""The commands of `h2c` and their options, each declared once.

Turns arguments into one of the frozen dataclasses below. Pure: reads nothing but its arguments.
Called by the background process, and by the command for help and for mistakes while there is no
background process. Octets in arguments that are no UTF-8 stay as surrogates (PEP 383).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from headstart.errors import ConfigurationError, HeadstartError, LocalProtocolError
from headstart.h2c.dump import FrameFilter
from headstart.wire.fields import checked_fields, valid_authority

DEFAULT_TIMEOUT = 10.0
DEFAULT_IDLE_TIMEOUT = 30 * 60.0


class HelpWanted(Exception):
    """The user asked for help; the message is the help."""


class UsageFailed(HeadstartError):
    """The arguments are wrong; the message is one line that says where the right ones are told."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Which certificates are accepted.

    Attributes:
        cafile: Roots to trust instead of the system's, "" for the system's.
        insecure: Accept every certificate.
    """

    cafile: str = ""
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Be the background process, in the foreground or not."""

    dump: bool
    shown: FrameFilter
    show_secrets: bool
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


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection and make it the current one."""

    origin: str
    trust: Trust
    timeout: float
    verbose: bool


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the current connection."""


@dataclass(frozen=True, slots=True)
class Connections:
    """List the connections."""


@dataclass(frozen=True, slots=True)
class Text:
    """Content given as an argument."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FromFile:
    """Content in a file; `-` is standard input."""

    path: str


Content: TypeAlias = Text | FromFile | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send a request and show its response.

    Attributes:
        where: A path on the current connection, or a URL.
        headers: Names in lower case, and values.
        output: Where the response goes; "" and `-` are standard output.
    """

    method: str
    where: str
    content: Content
    headers: tuple[tuple[bytes, bytes], ...]
    include: bool
    output: str
    fail: bool
    verbose: bool
    timeout: float
    use_pushes: bool
    keep_push: bool
    trust: Trust


@dataclass(frozen=True, slots=True)
class PushList:
    """List the pushed responses that wait."""

    long: bool
    json: bool


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """List the current connection's streams."""

    closed: bool


@dataclass(frozen=True, slots=True)
class Ping:
    """Measure the round trip."""

    timeout: float


@dataclass(frozen=True, slots=True)
class SetField:
    """Add a field to every request; without one, list those that are set."""

    field: tuple[bytes, bytes] | None


@dataclass(frozen=True, slots=True)
class UnsetField:
    """Take fields out again; without a value, all of that name."""

    name: str
    value: str | None


Command: TypeAlias = (
    Start
    | Stop
    | Pid
    | Version
    | Connect
    | Disconnect
    | Connections
    | Exchange
    | PushList
    | StreamInfo
    | Ping
    | SetField
    | UnsetField
)

Build: TypeAlias = Callable[[argparse.Namespace], Command]

_INTRODUCTION = """\
An HTTP/2 client whose background process keeps connections open, so that what a server pushes
waits for the next 'get'. The first command starts the background process.

  h2c connect localhost:8443              one line says what was agreed on
  h2c post --data 'hello world' /data     the answer is written to standard output
  h2c push-list                           what the server pushed meanwhile
  h2c get /data                           served from the push, nothing is sent
  h2c get https://example.org/            a full URL connects by itself

To see the frames, run the background process in a terminal of its own:

  h2c start --dump --exclude WINDOW_UPDATE,PING
"""

_LAST_WORDS = """\
'h2c COMMAND --help' tells the options of a command. 'h2c --session NAME COMMAND' uses a background
process of its own; --session may follow the command, too.

exit codes: 0 ok, 1 request failed, 2 usage, 3 not connected or no background process, 4 time-out,
5 TLS. A response with status 404 or 500 is a response: 0, unless --fail is given.
"""


def parse(arguments: Sequence[str]) -> Command:
    """The command that the arguments name.

    Raises:
        HelpWanted: They ask for help.
        UsageFailed: They are wrong.
    """
    if not arguments:
        raise UsageFailed("which command? 'h2c --help' lists them")
    arguments = _plain(arguments)
    first = arguments[0]
    if first.startswith("-") and first not in ("-h", "--help"):
        raise UsageFailed(f"there is no option {first!r} before the command; see 'h2c --help'")
    if first not in _GRAMMAR.with_value and not first.startswith("-"):
        raise UsageFailed(f"there is no command {first!r}; 'h2c --help' lists them")
    namespace, surplus = _GRAMMAR.parser.parse_known_args(_joined(arguments))
    build: Build = namespace.build
    try:
        if surplus:
            raise ConfigurationError(f"it does not take {' '.join(surplus)!r}")
        return build(namespace)
    except ConfigurationError as error:
        raise UsageFailed(f"{error}; see 'h2c {first} --help'") from error


def split_session(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The session named behind a command, and the arguments without it.

    Args:
        arguments: The command, and what follows it.

    Returns:
        None where no session is named, "" where its name is missing.
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
    """`--data VALUE` as `--data=VALUE`: argparse would take a value like `-x` for an option."""
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
        else:
            joined.append(argument + value)
    return joined


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )

    def print_help(self, file: object = None) -> NoReturn:
        raise HelpWanted(self.format_help())

    def error(self, message: str) -> NoReturn:
        raise UsageFailed(f"{message}; see '{self.prog} --help'")


class _Grammar:
    """Adds commands to a parser."""

    def __init__(self) -> None:
        self.parser = _Parser(prog="h2c", description=_INTRODUCTION, epilog=_LAST_WORDS)
        self._commands = self.parser.add_subparsers(
            metavar="COMMAND", required=True, parser_class=_Parser
        )
        self.with_value: dict[str, set[str]] = {}
        """The options of each command that a value follows."""

    def command(self, name: str, build: Build, help: str, examples: str) -> Options:
        """A new command, without options yet.

        Args:
            examples: Lines that `--help` shows, each a command and what it does.
        """
        lines = "\n".join("  " + line for line in examples.strip().splitlines())
        parser: _Parser = self._commands.add_parser(
            name, help=help, description=f"{help[0].upper()}{help[1:]}.\n\n{lines}"
        )
        parser.set_defaults(build=build)
        return Options(parser, self.with_value.setdefault(name, set()))


class Options:
    """One command's options."""

    def __init__(self, parser: argparse.ArgumentParser, with_value: set[str]) -> None:
        self._parser = parser
        self._with_value = with_value

    def flag(self, *names: str, help: str) -> None:
        """An option that is there or not."""
        self._parser.add_argument(*names, action="store_true", help=help)

    def value(self, *names: str, **settings: Any) -> None:
        """An option that is followed by a value."""
        self._with_value.update(names)
        self._parser.add_argument(*names, **settings)

    def argument(self, name: str, **settings: Any) -> None:
        """An argument known by its place."""
        self._parser.add_argument(name, **settings)

    def set_method(self, method: str) -> None:
        """The command stands for this method."""
        self._parser.set_defaults(method=method)

    def timeout(self) -> None:
        """`--timeout`."""
        self.value(
            "--timeout",
            type=_seconds,
            metavar="SECONDS",
            default=DEFAULT_TIMEOUT,
            help="give up when nothing has moved for so long (default: 10)",
        )

    def trust(self) -> None:
        """`--cacert` and `--insecure`."""
        self.value(
            "--cacert", metavar="FILE", default="", help="trust these roots, not the system's"
        )
        self.flag("--insecure", help="accept any certificate; said each time")


def _seconds(text: str) -> float:
    seconds = float(text)  # argparse turns ValueError into its own message
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give seconds above 0")
    return seconds


_seconds.__name__ = "number of seconds"  # what argparse calls it in its message


def _trust(given: argparse.Namespace) -> Trust:
    return Trust(given.cacert, given.insecure)


def _start(given: argparse.Namespace) -> Start:
    shown = FrameFilter.of(given.include, given.exclude)
    if not given.dump and (given.include or given.exclude or given.show_secrets):
        raise ConfigurationError("--include, --exclude and --show-secrets take --dump, too")
    if given.idle_timeout is not None and not given.detach:
        raise ConfigurationError("--idle-timeout takes --detach, too")
    idle_timeout = DEFAULT_IDLE_TIMEOUT if given.idle_timeout is None else given.idle_timeout
    return Start(given.dump, shown, given.show_secrets, given.detach, idle_timeout)


def _connect(given: argparse.Namespace) -> Connect:
    return Connect(given.origin, _trust(given), given.timeout, given.verbose)


def _exchange(given: argparse.Namespace) -> Exchange:
    return Exchange(
        method=given.method,
        where=given.where,
        content=_content(given),
        headers=_headers(given),
        include=given.include,
        output=given.output,
        fail=given.fail,
        verbose=given.verbose,
        timeout=given.timeout,
        use_pushes=not given.no_push_cache,
        keep_push=given.keep,
        trust=_trust(given),
    )


def _content(given: argparse.Namespace) -> Content:
    sources = [text for text in (given.data, given.json) if text is not None]
    if len(sources) + (given.file is not None) > 1:
        raise ConfigurationError("--data, --json and --file exclude each other")
    if given.file is not None:
        return FromFile(given.file)
    return Text(octets(sources[0])) if sources else None


def _headers(given: argparse.Namespace) -> tuple[tuple[bytes, bytes], ...]:
    headers = [_header(text) for text in given.header]
    if given.content_type is not None:
        headers.append(field_of("content-type", given.content_type))
    elif given.json is not None:
        headers.append((b"content-type", b"application/json"))
    return tuple(headers)


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigurationError(f"{text!r} is no header field; write -H 'name: value'")
    return field_of(name.strip(), value)


def field_of(name: str, value: str) -> tuple[bytes, bytes]:
    """A header field to send; white space around the value is not part of it (RFC 9110, 5.5).

    Raises:
        ConfigurationError: HTTP/2 has no such field.
    """
    field = octets(name).lower(), octets(value.strip(" \t"))
    if _sendable(field[0], b"") is None:
        raise ConfigurationError(f"{name!r} is no field name: letters, digits and '-' are safe")
    sent = _sendable(*field)
    if sent is None:
        raise ConfigurationError(
            f"{value!r} cannot be the value of {name}: no line feeds, no control characters"
        )
    if not sent:
        raise ConfigurationError(f"HTTP/2 has no field {name!r} (RFC 9113, 8.2.2)")
    if field[0] == b"te" and field[1].lower() != b"trailers":
        raise ConfigurationError("te can only be 'trailers' in HTTP/2 (RFC 9113, 8.2.2)")
    if field[0] == b"host" and field[1] and not valid_authority(field[1]):
        raise ConfigurationError(f"{value!r} is no host; write HOST or HOST:PORT")
    return field


def _sendable(name: bytes, value: bytes) -> list[tuple[bytes, bytes]] | None:
    """The field as it is sent, if at all; None where HTTP forbids it."""
    try:
        return checked_fields([(name, value)], [])
    except LocalProtocolError:
        return None


def _set(given: argparse.Namespace) -> SetField:
    if given.name is None:
        return SetField(None)
    if given.value is None:
        raise ConfigurationError(f"{given.name!r} needs a value; write 'h2c set NAME VALUE'")
    return SetField(field_of(given.name, given.value))


def octets(text: str) -> bytes:
    """The octets that the user typed."""
    return text.encode("utf-8", "surrogateescape")


def _grammar() -> _Grammar:
    grammar = _Grammar()
    _process_commands(grammar)
    _connection_commands(grammar)
    for method in ("get", "head", "options", "delete", "post", "put", "patch"):
        _method_command(grammar, method)
    _request_command(grammar)
    _push_commands(grammar)
    _field_commands(grammar)
    return grammar


def _process_commands(grammar: _Grammar) -> None:
    _start_command(grammar)
    grammar.command("stop", lambda _: Stop(), "end the background process", "h2c stop")
    grammar.command("pid", lambda _: Pid(), "print the background process's id", "h2c pid")
    grammar.command("version", lambda _: Version(), "print the version", "h2c version")


def _start_command(grammar: _Grammar) -> None:
    start = grammar.command(
        "start",
        _start,
        "run the background process here, until Ctrl-C",
        """
h2c start --dump                                  show all frames
h2c start --dump --include HEADERS,PUSH_PROMISE   only these
h2c start --dump --exclude DATA --exclude PING    all but these
h2c start --detach                                in the background
""",
    )
    start.flag("--dump", help="show the frames of all connections")
    for name, help in (("--include", "show only these"), ("--exclude", "do not show these")):
        start.value(
            name,
            action="append",
            default=[],
            metavar="TYPES",
            help=f"{help} frame types; commas between them, or given several times",
        )
    start.flag("--show-secrets", help="show cookies and authorization, too")
    start.flag("--detach", help="leave the terminal, as the other commands do it")
    start.value(
        "--idle-timeout",
        type=_seconds,
        metavar="SECONDS",
        help="with --detach: end after so long without connection and command (default: 1800)",
    )


def _connection_commands(grammar: _Grammar) -> None:
    connect = grammar.command(
        "connect",
        _connect,
        "connect, and make that the current connection",
        """
h2c connect localhost:8443
h2c connect https://example.org
h2c connect 'http://[::1]:8080'      HTTP/2 without TLS, by prior knowledge
""",
    )
    connect.argument("origin", metavar="[https://]HOST[:PORT]")
    connect.trust()
    connect.timeout()
    connect.flag("-v", "--verbose", help="show the server's SETTINGS")
    grammar.command(
        "disconnect", lambda _: Disconnect(), "close the current connection", "h2c disconnect"
    )
    grammar.command(
        "connections", lambda _: Connections(), "list the connections", "h2c connections"
    )
    ping = grammar.command(
        "ping", lambda given: Ping(given.timeout), "measure the round trip", "h2c ping"
    )
    ping.timeout()


_METHOD_EXAMPLES = {
    "post": """
h2c post --data 'hello world' /data
h2c post --file picture.png --content-type image/png /upload
tar c folder | h2c post --file - https://example.org/backup
""",
    "put": """
h2c put --file page.html --content-type text/html /page.html
h2c put --json '{"name": "value"}' /settings
""",
    "patch": """
h2c patch --json '{"name": "value"}' /settings
""",
}


def _method_command(grammar: _Grammar, method: str) -> None:
    name = method.upper()
    examples = _METHOD_EXAMPLES.get(
        method,
        f"""
h2c {method} /path
h2c {method} -H 'accept-language: de' https://example.org/path
h2c {method} --include -v /path       show the status and the fields, and where they came from
""",
    )
    article = "an" if name[0] in "AEIOU" else "a"
    options = grammar.command(method, _exchange, f"send {article} {name} request", examples)
    _exchange_options(options)
    options.set_method(name)


def _request_command(grammar: _Grammar) -> None:
    options = grammar.command(
        "request",
        _exchange,
        "send a request with any method",
        """
h2c request PROPFIND -H 'depth: 1' /folder
""",
    )
    options.argument("method", metavar="METHOD", type=_method)
    _exchange_options(options)


def _method(text: str) -> str:
    if not text.isascii() or not text.replace("-", "").replace("_", "").isalnum():
        raise argparse.ArgumentTypeError(f"{text!r} is no method")
    return text.upper()


def _exchange_options(options: Options) -> None:
    options.argument("where", metavar="PATH_OR_URL")
    options.value("--data", metavar="TEXT", help="the content, exactly so")
    options.value("--file", metavar="FILE", help="the content is in this file; - is standard input")
    options.value("--json", metavar="TEXT", help="the content, and its type application/json")
    options.value("--content-type", metavar="TYPE", help="the content's type")
    options.value(
        "-H",
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="send this field, too; may be given several times",
    )
    options.flag(
        "-i", "--include", help="show status and fields before the content, trailers behind it"
    )
    options.value("-o", "--output", metavar="FILE", default="", help="write to this file")
    options.flag("--fail", help="a status from 400 on is an error: exit code 1, no content")
    options.flag("-v", "--verbose", help="say where the answer came from: pushed, or requested")
    options.flag("--keep", help="leave the pushed response there for the next time")
    options.flag("--no-push-cache", help="send a request even if a pushed response waits")
    options.timeout()
    options.trust()


def _push_commands(grammar: _Grammar) -> None:
    pushes = grammar.command(
        "push-list",
        lambda given: PushList(given.long, given.json),
        "list the pushed responses that wait for a 'get'",
        """
h2c push-list            a path a line
h2c push-list --json     everything that is known
""",
    )
    pushes.flag("-l", "--long", help="stream, parent, status, size, age and state, too")
    pushes.flag("--json", help="the same as a JSON array")
    streams = grammar.command(
        "stream-info",
        lambda given: StreamInfo(given.closed),
        "list the current connection's streams",
        "h2c stream-info --closed",
    )
    streams.flag("--closed", help="those that have ended, too")


def _field_commands(grammar: _Grammar) -> None:
    fields = grammar.command(
        "set",
        _set,
        "send a field with every request from now on",
        """
h2c set user-agent mine/1.0
h2c set accept ''              with an empty value
h2c set                        list what is set
""",
    )
    fields.argument("name", nargs="?")
    fields.argument("value", nargs="?")
    unset = grammar.command(
        "unset",
        lambda given: UnsetField(given.name, given.value),
        "take such a field out again",
        """
h2c unset user-agent           all of that name
h2c unset cookie a=1           only the one with this value
""",
    )
    unset.argument("name")
    unset.argument("value", nargs="?")


_GRAMMAR = _grammar()
