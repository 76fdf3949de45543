"""uvicorn's Config and Server with our protocol, and the checks before the start.

uvicorn keeps processes, reload, lifespan, logging, HTTP/1.1 and WebSockets; this module hands it
`HeadstartProtocol` and says in one line what would keep the server from starting. Called by `cli`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.config import LOGGING_CONFIG, STARTUP_FAILURE, create_ssl_context
from uvicorn.importer import ImportFromStringError, import_from_string
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.supervisors import ChangeReload, Multiprocess

from headstart.config import ServerOptions
from headstart.errors import ConfigurationError
from headstart.learn import LearnOptions
from headstart.middleware import HeadstartMiddleware
from headstart.server.memory import keep_free_pages
from headstart.server.protocol import HeadstartProtocol
from headstart.server.worker import Worker
from headstart.store import MemoryStore, open_store

logger = logging.getLogger("uvicorn.error")

_PROTOCOL = "headstart.server.protocol:HeadstartProtocol"

LOGGING: dict[str, Any] = {
    **LOGGING_CONFIG,
    "loggers": {
        **LOGGING_CONFIG["loggers"],
        "headstart": {"handlers": ["default"], "level": "INFO", "propagate": False},
    },
}
"""uvicorn's own, and our loggers beside its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What the middleware around the application is made with.

    Attributes:
        options: How to learn.
        store: The file that the workers of this machine share; None for memory.
    """

    options: LearnOptions = field(default_factory=LearnOptions)
    store: Path | None = None


class Config(uvicorn.Config):
    """uvicorn's Config, with our protocol and our options.

    Args:
        app: The application, or where it is: `module:app`.
        options: Ours.
        learning: With it, `HeadstartMiddleware` is put around the application.
        settings: uvicorn's own.
    """

    def __init__(
        self,
        app: Any,
        options: ServerOptions | None = None,
        learning: Learning | None = None,
        **settings: Any,
    ) -> None:
        self.headstart = options or ServerOptions()
        self.learning = learning
        self.tls: ssl.SSLContext | None = None
        """What our protocol does the handshake with; set by `load`."""
        headers: list[tuple[str, str]] = list(settings.pop("headers", None) or [])
        named = any(name.lower() == "server" for name, _ in headers)
        if settings.get("server_header", True) and not named:
            headers.append(("server", "headstart"))
        super().__init__(app, http=_PROTOCOL, headers=headers, **settings)

    def load(self) -> None:
        """Load the application and put the middleware around it."""
        super().load()
        # Else the event loop does the handshake, where nobody counts or times it.
        self.tls, self.ssl = self.ssl, None
        if self.tls is not None:
            self.tls.options |= ssl.OP_NO_RENEGOTIATION
        if self.learning is None:
            return
        outer = self.loaded_app
        if isinstance(outer, ProxyHeadersMiddleware):
            # Inside of it, so that the learner sees the client and not the proxy.
            outer.app = cast(Any, self._around(outer.app))
        else:
            self.loaded_app = self._around(outer)

    def configure_logging(self) -> None:
        """As uvicorn; the level that it was given holds for us too."""
        super().configure_logging()
        if self.log_level is not None:
            logging.getLogger("headstart").setLevel(logging.getLogger("uvicorn.error").level)

    def _around(self, app: Any) -> HeadstartMiddleware:
        learning = self.learning or Learning()
        store = (
            MemoryStore() if learning.store is None else open_store(learning.store, logger.warning)
        )
        return HeadstartMiddleware(
            app,
            learn=learning.options,
            deliver=self.headstart.deliver,
            store=store,
            hint_unmarked_clients=self.headstart.hint_unmarked_clients,
        )


def serve(
    app: Any,
    options: ServerOptions | None = None,
    learning: Learning | None = None,
    *,
    announce: Callable[[], None] | None = None,
    **settings: Any,
) -> None:
    """Serve until a signal ends it.

    Args:
        app: The application, or where it is: `module:app`.
        options: Ours.
        learning: With it, what pages need is learned and sent ahead.
        announce: Called when nothing is known to keep the server from starting.
        settings: uvicorn's own, as its `Config` takes them.

    Raises:
        ConfigurationError: The server cannot start: the application is not there, the address is
            taken, the certificate cannot be read.
    """
    config = Config(app, options, learning, **settings)
    check_application(config)
    check_certificate(config)
    check_address(config)
    if announce is not None:
        announce()
    server = Server(config)
    try:
        if config.should_reload:
            ChangeReload(config, target=server.run, sockets=[config.bind_socket()]).run()
        elif config.workers > 1:
            Multiprocess(config, sockets=[config.bind_socket()]).run()
        else:
            server.run()
    except KeyboardInterrupt:
        return  # Ctrl-C, after the graceful end
    finally:
        if config.uds:
            Path(config.uds).unlink(missing_ok=True)
    if not server.started and not config.use_subprocess:
        sys.exit(STARTUP_FAILURE)


class Server(uvicorn.Server):
    """uvicorn's Server, with an end that leaves nobody and nothing behind.

    It raises the signal that ended it once more, so nothing behind `run` is sure to happen.
    """

    config: Config

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, once there is a worker to count who comes."""
        keep_free_pages()
        Worker.of(self.server_state, self.config, asyncio.get_running_loop())
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; first take in who is waiting at the door, last remove a Unix socket of its own."""
        loop = asyncio.get_running_loop()
        Worker.of(self.server_state, self.config, loop).draining = True
        # With several processes the parent's socket stays open, and who waits there is the next
        # one's.
        if not self.config.use_subprocess:
            await self._accept_the_rest(loop)
        await super().shutdown(sockets)
        if self.config.uds and not self.config.use_subprocess:
            # Which Python leaves behind before 3.13.
            Path(self.config.uds).unlink(missing_ok=True)

    async def _accept_the_rest(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connections that the kernel has accepted would be reset with the listening socket."""
        listeners = [
            socket.socket(fileno=os.dup(listener.fileno()))
            for server in self.servers
            for listener in server.sockets
        ]
        for server in self.servers:
            server.close()
        for listener in listeners:
            with listener:
                listener.setblocking(False)
                while (waiting := _accepted(listener)) is not None:
                    await loop.connect_accepted_socket(self._protocol, waiting)

    def _protocol(self) -> HeadstartProtocol:
        return HeadstartProtocol(self.config, self.server_state, self.lifespan.state)

    def _log_started_message(self, listeners: Sequence[socket.SocketType]) -> None:
        # It asks `ssl` whether to say https.
        self.config.ssl = self.config.ssl or self.config.tls
        super()._log_started_message(listeners)


def _accepted(listener: socket.socket) -> socket.socket | None:
    try:
        return listener.accept()[0]
    except OSError:  # there is none, or there are no descriptors left for it
        return None


def check_application(config: Config) -> None:
    """Raise ConfigurationError where the application is not where `module:app` says."""
    app = config.app
    if not isinstance(app, str):
        if config.use_subprocess:
            raise ConfigurationError(
                "several workers, or reload, need the application's name",
                hint="pass it as 'module:app'.",
            )
        return
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        import_from_string(app)
    except ImportFromStringError as error:
        raise ConfigurationError(
            str(error).rstrip("."),
            hint="name the application as module:attribute, for instance main:app, "
            "from the folder that holds main.py (or give --app-dir).",
        ) from error


def check_certificate(config: Config) -> None:
    """Raise ConfigurationError where certificate or key cannot be used."""
    if config.ssl_context_factory is not None or not config.is_ssl:
        return
    if not config.ssl_certfile:
        raise ConfigurationError("a key without a certificate", hint="give --ssl-certfile too.")
    for path in (config.ssl_certfile, config.ssl_keyfile):
        if path is not None:
            _check_readable(path)
    password = config.ssl_keyfile_password
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Without a password, an encrypted key would make OpenSSL ask on the terminal.
        context.load_cert_chain(config.ssl_certfile, config.ssl_keyfile, lambda: password or "")
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"{config.ssl_certfile} and its key cannot be used: {_reason(error)}",
            hint="both must be PEM and belong together; an encrypted key needs "
            "--ssl-keyfile-password.",
        ) from error
    _check_tls_settings(config)


def _check_tls_settings(config: Config) -> None:
    """What is said of TLS beside the certificate, which is known to be good."""
    if config.ssl_ca_certs is not None:
        _check_readable(config.ssl_ca_certs)
    try:
        create_ssl_context(
            config.ssl_certfile or "",
            config.ssl_keyfile,
            config.ssl_keyfile_password,
            config.ssl_version,
            config.ssl_cert_reqs,
            config.ssl_ca_certs,
            config.ssl_ciphers,
        )
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"TLS cannot be set up: {error.args[-1]}",
            hint="look at --ssl-version, --ssl-cert-reqs, --ssl-ca-certs and --ssl-ciphers.",
        ) from error


def _check_readable(path: str | os.PathLike[str]) -> None:
    try:
        with open(path, "rb"):
            return
    except OSError as error:
        raise ConfigurationError(
            f"{os.fspath(path)} cannot be read: {error.strerror}",
            hint="check the path and who may read it.",
        ) from error


def _reason(error: ssl.SSLError) -> str:
    # OpenSSL gives no reason where a file holds nothing that looks like PEM.
    return (error.reason or "not PEM").replace("_", " ").lower()


def check_address(config: Config) -> None:
    """Raise ConfigurationError where the host is unknown or the port is taken."""
    if config.uds is not None:
        _check_unix_socket(Path(config.uds))
        return
    if config.fd is not None:
        _check_descriptor(config.fd)
        return
    try:
        found = socket.getaddrinfo(
            config.host or None, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, OverflowError) as error:
        raise ConfigurationError(
            f"cannot listen on {config.host}:{config.port}: {error}",
            hint="--host takes a name or address of this machine, --port a number up to 65535.",
        ) from error
    for family, kind, proto, _, address in found:
        try:
            with socket.socket(family, kind, proto) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {config.host}:{config.port}: {os.strerror(error.errno or 0)}",
                hint=_address_hint(error.errno),
            ) from error


def _check_unix_socket(path: Path) -> None:
    """What is there is removed at the end, so it must be a socket, and nobody else's."""
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"cannot listen on {path}: there is no such folder", hint="make it, or name another."
        )
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigurationError(
            f"cannot listen on {path}: it is no socket",
            hint="name a path with --uds where nothing is yet.",
        )
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise ConfigurationError(
                f"cannot listen on {path}: {os.strerror(errno.EADDRINUSE)}",
                hint="stop what listens there, or name another path with --uds.",
            )


def _check_descriptor(number: int) -> None:
    try:
        socket.socket(fileno=os.dup(number)).close()
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on descriptor {number}: {error.strerror}",
            hint="--fd takes the number of a socket that was handed over open.",
        ) from error


def _address_hint(number: int | None) -> str:
    if number == errno.EADDRINUSE:
        return "stop what listens there, or choose another port with --port."
    if number == errno.EACCES:
        return "ports below 1024 need more rights; choose another with --port."
    return "--host takes a name or address of this machine."
