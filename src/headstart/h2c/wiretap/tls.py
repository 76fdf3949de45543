"""The wiretap's TLS: to the server as a client, to clients as a server. Called by the package.

Contexts are made once for each ALPN offer or choice: loading the system's roots takes longer than a
handshake.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from headstart import devca
from headstart.client.tls import client_context, is_loopback
from headstart.errors import ConfigurationError
from headstart.h2c import keylog
from headstart.h2c.options.process import Wiretap

# Clients decide what they offer, so there may be any number.
_CONTEXTS = 16


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
