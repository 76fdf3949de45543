"""The wiretap's TLS, and the protocols that a client offers.

The protocols that a client offers by ALPN are in its ClientHello (RFC 8446, 4.1.2; RFC 7301), which
`ssl` reads only when it responds; the wiretap must ask the server first. So the first bytes are
read with MSG_PEEK and stay in the socket. Then TLS speaks to the server as a client, and to the
client as a server. Contexts are made once for each ALPN offer or choice: loading the system's roots
takes longer than a handshake. Called by `taps` and the package.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from headstart import devca
from headstart.client.tls import client_context, is_loopback
from headstart.errors import ConfigurationError
from headstart.h2c import keylog
from headstart.h2c.options.process import Wiretap
from headstart.wire.frames import PREFACE

LONGEST_HELLO = 64 * 1024
"""Octets of a ClientHello that are looked at. Those with keys against quantum computers have 2 KiB;
the protocols of a longer one than this are not known."""
# Clients decide what they offer, so there may be any number.
_CONTEXTS = 16


def offered_in_the_clear(octets: bytes) -> tuple[str, ...] | None:
    """Return the protocol of a cleartext connection as an ALPN name; None while it is unknown."""
    if octets.startswith(PREFACE[:4]):
        return ("h2",)
    return ("http/1.1",) if len(octets) >= 4 else None


async def peek(
    client: socket.socket, read: Callable[[bytes], tuple[str, ...] | None]
) -> tuple[str, ...] | None:
    """Wait until the first bytes suffice, and leave them in the socket.

    Args:
        client: A connected, non-blocking socket without another user.
        read: Parses the bytes; returns None if it needs more.

    Returns:
        The result of `read`, or None if the client closes before that.

    Raises:
        OSError: The client reset the connection.
    """
    seen = -1
    try:
        while True:
            await _readable(client, seen + 1)
            octets = client.recv(LONGEST_HELLO, socket.MSG_PEEK)
            found = read(octets)
            if found is not None:
                return found
            if len(octets) == seen or not octets:  # it is readable since it has ended
                return None
            if len(octets) == LONGEST_HELLO:
                return ()
            seen = len(octets)
    finally:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


async def _readable(client: socket.socket, size: int) -> None:
    """Wait until so many octets are there, or the end.

    Octets that are peeked at stay readable: without SO_RCVLOWAT this would spin.
    """
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, max(1, size))
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(client, _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(client)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class Tls:
    """The TLS of both sides.

    Raises:
        HeadstartError: The certificate for clients is missing, or a file cannot be used.
    """

    def __init__(self, command: Wiretap) -> None:
        self._trust = command.trust
        self._remote = command.remote
        self._to_server: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._to_client: dict[str | None, ssl.SSLContext] = {}
        self.trusted = command.certfile
        """What a client must trust."""
        if command.local.scheme == "https":
            self._certfile, self._keyfile = self._certificate(command)
            for chosen in (None, "h2", "http/1.1"):
                self.to_client(chosen)  # now: others renew the development CA's files, too
        if command.remote.scheme == "https":
            self.to_server(("h2",))

    def _certificate(self, command: Wiretap) -> tuple[str, str | None]:
        if command.certfile:
            return command.certfile, command.keyfile or None
        host = command.local.host
        hosts = (*devca.LOOPBACK_HOSTS, *([host] if is_loopback(host) else []))
        made = devca.ensure(hosts)
        self.trusted = str(made.ca_certfile)
        return str(made.certfile), str(made.keyfile)

    def to_server(self, offered: tuple[str, ...]) -> ssl.SSLContext:
        """For the connection to the server, which is offered these protocols."""
        if offered not in self._to_server:
            trust = self._trust
            cafile = Path(trust.cafile) if trust.cafile else None
            context = client_context(cafile, trust.insecure, self._remote.host, protocols=offered)
            if len(self._to_server) >= _CONTEXTS:
                self._to_server.clear()
            self._to_server[offered] = context
        return self._to_server[offered]

    def to_client(self, chosen: str | None) -> ssl.SSLContext:
        """For the connection to the client, which is given this protocol; None for none."""
        if chosen not in self._to_client:
            if len(self._to_client) >= _CONTEXTS:
                self._to_client.clear()
            self._to_client[chosen] = self._server_context(chosen)
        return self._to_client[chosen]

    def _server_context(self, chosen: str | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._certfile, self._keyfile)
        except OSError as error:  # of which ssl.SSLError is one
            raise ConfigurationError(
                f"cannot use the certificate {self._certfile}: {error.strerror or error}",
                hint="--certfile and --keyfile are PEM, and belong together.",
            ) from None
        if chosen is not None:
            context.set_alpn_protocols([chosen])
        if (keys := keylog.in_use()) is not None:
            context.keylog_filename = keys
        return context
