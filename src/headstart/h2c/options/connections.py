"""Connections: `connect`, `disconnect`, `connections`, `ping`, and whom to trust.

Called by the package; `requests` takes the trust from here, since a URL connects by itself.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from headstart.h2c.options.grammar import Grammar, Options


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
class Ping:
    """Measure the round trip."""

    timeout: float


def declare(grammar: Grammar) -> None:
    """The commands of this module."""
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
    trust_options(connect)
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


def trust_options(options: Options) -> None:
    """`--cacert` and `--insecure`."""
    options.value(
        "--cacert", metavar="FILE", default="", help="trust these roots, not the system's"
    )
    options.flag("--insecure", help="accept any certificate; said each time")


def trust(given: argparse.Namespace) -> Trust:
    """What they say."""
    return Trust(given.cacert, given.insecure)


def _connect(given: argparse.Namespace) -> Connect:
    return Connect(given.origin, trust(given), given.timeout, given.verbose)
