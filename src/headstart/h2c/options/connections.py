"""Connections and their streams: `connect`, `disconnect`, `connections`, `ping`, and the lists.

`push-list` and `stream-info` list the pushed responses and the streams of the current connection.
Which servers to trust is here, too: `requests` takes it, since a URL connects by itself. Called by
the package.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
from dataclasses import dataclass

from headstart.errors import ConfigurationError
from headstart.h2c.options.grammar import Grammar, Options, count, seconds
from headstart.hosts import ascii_host

DEFAULT_INTERVAL = 1.0
# A scheme whose colon or slashes are not all there, or are too many.
_BROKEN_SCHEME = re.compile(r"(https?)(?!://[^/])[:/\\]+([^:/\\].*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Trust:
    """How a server is reached and verified, and how it verifies us.

    Attributes:
        cafile: Roots to trust instead of the system's, "" for the system's.
        insecure: Accept every certificate.
        certfile: A client certificate, "" for none.
        keyfile: Its key, "" if it is in `certfile`.
        proxy: URL of an HTTP proxy to connect through, "" for none.
        addresses: Where to connect instead of asking the resolver: host, port and address.
    """

    cafile: str = ""
    insecure: bool = False
    certfile: str = ""
    keyfile: str = ""
    addresses: tuple[tuple[str, int, str], ...] = ()
    proxy: str = ""

    def address_of(self, host: str, port: int) -> str | None:
        """Return the address that the user named for a host and port, or None."""
        found = {(name, number): address for name, number, address in self.addresses}
        return found.get((host, port))


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection and make it the current one."""

    origin: str
    trust: Trust
    timeout: float
    verbose: bool
    upgrade: bool = False


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the current connection."""


@dataclass(frozen=True, slots=True)
class Connections:
    """List the connections."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Measure the round trip.

    Attributes:
        count: How often; None until Ctrl-C or `--stop`.
        interval: Seconds from one PING to the next.
        stop: End the series that run, instead.
    """

    timeout: float
    count: int | None = 1
    interval: float = DEFAULT_INTERVAL
    stop: bool = False


def declare(grammar: Grammar) -> None:
    """Declare `connect`, `disconnect`, `connections` and `ping`."""
    connect = grammar.command(
        "connect",
        _connect,
        "connect, and make that the current connection",
        """
h2c connect localhost:8443
h2c connect https://example.org
h2c connect 'http://[::1]:8080'      HTTP/2 without TLS, by prior knowledge
h2c connect --upgrade http://localhost:8080   by HTTP/1.1 Upgrade
""",
    )
    connect.argument("origin", metavar="[https://]HOST[:PORT]")
    server_options(connect)
    connect.timeout()
    connect.flag("-v", "--verbose", help="show the server's SETTINGS")
    connect.flag("--upgrade", help="without TLS: begin with HTTP/1.1 and ask for HTTP/2")
    grammar.command(
        "disconnect", lambda _: Disconnect(), "close the current connection", "h2c disconnect"
    )
    grammar.command(
        "connections", lambda _: Connections(), "list the connections", "h2c connections"
    )
    _ping_command(grammar)


def _ping_command(grammar: Grammar) -> None:
    ping = grammar.command(
        "ping",
        _ping,
        "measure the round trip",
        """
h2c ping                          once
h2c ping --interval 500ms         until Ctrl-C, and then statistics
h2c ping --count 10               ten times, a second between them
h2c ping --stop                   end the series that runs in another terminal
""",
    )
    ping.value(
        "--interval",
        type=seconds,
        metavar="TIME",
        help="ping again and again, with so much time between (500ms, 2s, 1m)",
    )
    ping.value("--count", type=count, metavar="N", help="ping so often")
    ping.flag("--stop", help="end the series that run on the current connection")
    ping.timeout()


def _ping(given: argparse.Namespace) -> Ping:
    if given.stop and (given.interval or given.count):
        raise ConfigurationError("--stop excludes --interval and --count")
    often = given.count or (None if given.interval else 1)
    return Ping(given.timeout, often, given.interval or DEFAULT_INTERVAL, given.stop)


def trust_options(options: Options) -> None:
    """`--cacert` and `--insecure`."""
    options.value(
        "--cacert", metavar="FILE", default="", help="trust these roots, not the system's"
    )
    options.flag("-k", "--insecure", help="accept any certificate; said each time")


def server_options(options: Options) -> None:
    """`trust_options`, `--cert`, `--key`, `--resolve` and `--proxy`."""
    trust_options(options)
    options.value(
        "--cert",
        metavar="FILE",
        default="",
        help="a client certificate (PEM)",
    )
    options.value("--key", metavar="FILE", default="", help="its key, if --cert does not have it")
    options.value(
        "--resolve",
        action="append",
        default=[],
        type=_resolved,
        metavar="HOST:PORT:ADDRESS",
        help="connect to this address for that host; TLS and :authority keep the host",
    )
    options.value(
        "-x",
        "--proxy",
        default="",
        metavar="URL",
        help="connect through this HTTP proxy; URL is http://[USER:PASSWORD@]HOST[:PORT]",
    )


def trust(given: argparse.Namespace) -> Trust:
    """Return the settings of `trust_options` or `server_options`."""
    if "resolve" not in given:
        return Trust(given.cacert, given.insecure)
    if given.key and not given.cert:
        raise ConfigurationError("--key goes with --cert")
    addresses = tuple(given.resolve)
    return Trust(given.cacert, given.insecure, given.cert, given.key, addresses, given.proxy)


def _resolved(text: str) -> tuple[str, int, str]:
    """Parse `HOST:PORT:ADDRESS`; an IPv6 address may be in brackets."""
    host, _, rest = text.partition(":")
    port, _, address = rest.partition(":")
    address = address.removeprefix("[").removesuffix("]")
    try:
        found = ipaddress.ip_address(address).compressed
        return ascii_host(host), int(port), found
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not HOST:PORT:ADDRESS; write example.org:443:127.0.0.1"
        ) from None


def mended_scheme(text: str) -> str | None:
    """Return the URL that was meant by one such as `https:/HOST` or `https//HOST`, or None."""
    match = _BROKEN_SCHEME.fullmatch(text)
    return None if match is None else f"{match[1].lower()}://{match[2]}"


def server(text: str) -> str:
    """Return the argument that names a server, unless its scheme is misspelled.

    Raises:
        ConfigurationError: The scheme would be taken for a host.
    """
    if (meant := mended_scheme(text)) is not None:
        raise ConfigurationError(f"{text!r} is not a server; write {meant}")
    return text


def _connect(given: argparse.Namespace) -> Connect:
    return Connect(server(given.origin), trust(given), given.timeout, given.verbose, given.upgrade)


@dataclass(frozen=True, slots=True)
class PushList:
    """List the pushed responses that wait."""

    long: bool
    json: bool


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """List the current connection's streams.

    Attributes:
        verbose: With their windows.
    """

    closed: bool
    verbose: bool


def declare_lists(grammar: Grammar) -> None:
    """Declare `push-list` and `stream-info`."""
    pushes = grammar.command(
        "push-list",
        lambda given: PushList(given.long, given.json),
        "list the pushed responses that wait for a 'get'",
        """
h2c push-list            a path a line
h2c push-list --json     everything that is known
""",
    )
    pushes.flag("-l", "--long", help="stream, parent, status, size, age, state; promises refused")
    pushes.flag("--json", help="the same as a JSON array")
    streams = grammar.command(
        "stream-info",
        lambda given: StreamInfo(given.closed, given.verbose),
        "list the current connection's streams",
        """
h2c stream-info            those that are open, and pushed responses that wait
h2c stream-info --closed   the last hundred that have ended, too
h2c stream-info -v         with what may still be sent and received on each
""",
    )
    streams.flag("--closed", help="those that have ended, too")
    streams.flag("-v", "--verbose", help="flow-control windows, and bytes received")
