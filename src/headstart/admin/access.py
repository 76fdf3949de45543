"""Where the admin port is, and who may use it.

Reads the options, a file and the environment; `admin` calls it before the server starts, so that
each fault is one line.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from headstart.config import AdminOptions
from headstart.errors import ConfigurationError
from headstart.hosts import ascii_host

TOKEN_VARIABLE: Final = "HEADSTART_ADMIN_TOKEN"
# Characters; fewer can be guessed over the network.
_SHORTEST_TOKEN: Final = 16
_LOOPBACK: Final = "127.0.0.1"
_NAME: Final = re.compile(r"[a-z0-9_.-]+")
_HINT: Final = "give --admin HOST:PORT, for instance 127.0.0.1:9001."


@dataclass(frozen=True, slots=True)
class Access:
    """The address of the admin port and the conditions of its use.

    Attributes:
        host: To listen on.
        port: To listen on; 0 for one that the system chooses.
        names: Host names that requests may name, in lower case, beside IP addresses.
        token: Asked of each request, if there is one.
    """

    host: str
    port: int
    names: frozenset[str]
    token: str

    @classmethod
    def of(cls, options: AdminOptions) -> Access:
        """Read the options.

        Raises:
            ConfigurationError: The address or the token cannot be used, or the address is not
                loopback and no token is given.
        """
        host, port = parse_address(options.admin)
        token = read_token(options.admin_token_file)
        local = is_loopback(host)
        if not token and not local:
            raise ConfigurationError(
                f"--admin {options.admin} can be reached from other machines and has no token",
                hint="give --admin-token-file FILE, or listen on 127.0.0.1.",
            )
        names = frozenset({"localhost", host.lower(), *read_names(options.admin_host)})
        return cls(host, port, names, token)

    def listen(self) -> socket.socket:
        """Open the listening socket.

        Raises:
            ConfigurationError: The port is taken, or the host is not this machine's.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family)
        except OSError as error:
            number = error.errno or 0
            # Numbers of the resolver are below 0.
            why = os.strerror(number) if number >= 0 else "the name has no IPv4 address"
            raise ConfigurationError(
                f"--admin cannot listen on {self.authority(self.port)}: {why}",
                hint="choose another address.",
            ) from error

    def authority(self, port: int) -> str:
        """Return HOST:PORT as a URL has it."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


def parse_address(text: str) -> tuple[str, int]:
    """Read HOST:PORT, or a port of the loopback address."""
    host, _, port = text.rpartition(":")
    if text.isascii() and text.isdigit():
        host = _LOOPBACK
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else -1
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not 0 <= number <= 65535 or not bare or (":" in bare and bare == host):
        raise ConfigurationError(f"{text!r} is not an address", hint=_HINT)
    return bare, number


def is_loopback(host: str) -> bool:
    """Return true if only this machine reaches the address."""
    try:
        found = socket.getaddrinfo(host, None)
    except OSError as error:
        raise ConfigurationError(f"--admin: the host {host!r} is unknown", hint=_HINT) from error
    return all(ip_address(str(entry[4][0])).is_loopback for entry in found)


def read_names(text: str) -> Iterator[str]:
    """Yield the names of `--admin-host` in lower case, as the Host of a request has them.

    Raises:
        ConfigurationError: One could never be the name of a request.
    """
    for given in filter(None, map(str.strip, text.split(","))):
        name = ascii_host(given).lower()
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"--admin-host: {given!r} is not a host name",
                hint="give names without scheme, port or wildcard, such as metrics.internal.",
            )
        yield name


def read_token(file: str) -> str:
    """Return the token of the file, or else that of the environment, or an empty string."""
    if file:
        try:
            token = Path(file).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not ASCII"
            raise ConfigurationError(
                f"--admin-token-file {file} cannot be read: {why}",
                hint="name a file with one line of ASCII characters.",
            ) from error
    else:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            return ""
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise ConfigurationError(
            f"the token in {file or TOKEN_VARIABLE} is shorter than {_SHORTEST_TOKEN} characters, "
            "or not printable ASCII",
            hint="make one with: openssl rand -hex 32",
        )
    return token
