"""Between a client and a server: `wiretap`.

Called by the package.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace

from headstart.client.origin import Origin
from headstart.client.tls import is_loopback
from headstart.errors import ConfigurationError
from headstart.h2c.dump.text import DumpOptions
from headstart.h2c.options.connections import Trust, trust, trust_options
from headstart.h2c.options.dumping import dump_options, dump_options_of
from headstart.h2c.options.grammar import Grammar

# `Origin` is for those who connect, and nobody can connect to port 0.
_ANY_PORT = re.compile(r"(?<=:)0+(?=/?\Z)")


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


def declare(grammar: Grammar) -> None:
    """Declare the commands of this module."""
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
        "--dump", metavar="FILE", default="", help="write the frames to FILE, not standard output"
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
        remote=Origin.parse(given.remote),
        dump=dump_options_of(given, given.dump),
        keylog=given.keylog,
        certfile=given.certfile,
        keyfile=given.keyfile,
        trust=trust(given),
    )


def _local(text: str) -> Origin:
    if text.isdecimal():  # a port, as for `headstart serve --admin`
        text = f"localhost:{text}"
    origin = Origin.parse(_ANY_PORT.sub("1", text))
    return replace(origin, port=0) if _ANY_PORT.search(text) else origin
