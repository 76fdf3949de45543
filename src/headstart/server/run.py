"""uvicorn's Config and Server with our protocol, and the checks before the start.

uvicorn keeps reload, lifespan and logging; this module gives it
`HeadstartProtocol` and reports in one line why the server cannot start: `application` checks the
application, this module the rest. `workers` has the processes. Called by `cli`.
"""

from __future__ import annotations

import logging
import resource
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.middleware.asgi2 import ASGI2Middleware
from uvicorn.middleware.message_logger import MessageLoggerMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from headstart.cache import CacheMiddleware
from headstart.config import ServerOptions
from headstart.deliver.decide import fields_size
from headstart.learn import LearnOptions
from headstart.middleware import HeadstartMiddleware
from headstart.observe import Observer, TracePassing, Tracing, check_tracing
from headstart.server.addresses import unmapped_trust
from headstart.server.application import check_application, check_kind, takes
from headstart.server.checks import (
    check_address,
    check_certificate,
    check_choices,
    check_settings,
    usable_logging,
)
from headstart.server.forwarded import ProxyHeaders
from headstart.server.listening import as_it_is
from headstart.server.redirect import redirect_socket
from headstart.server.workers import Companion, Server, Supervisor, reloader
from headstart.store import MemoryStore, Place, open_store
from headstart.wsgi import WsgiApplication

logger = logging.getLogger("uvicorn.error")

# Open files beside connections: modules, logs, the store, what the application opens.
_OTHER_FILES = 256
_PROTOCOL = "headstart.server.protocol:HeadstartProtocol"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """The arguments of the middleware around the application.

    Attributes:
        options: Options of learning.
        store: The store that the workers share; None for memory.
    """

    options: LearnOptions = field(default_factory=LearnOptions)
    store: Place | None = None


class Config(uvicorn.Config):
    """uvicorn's Config, with our protocol and our options.

    Args:
        app: The application, or its name: `module:app`.
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
        self.companion: Companion | None = None
        """Runs in each process that serves; set by `serve`."""
        self.cache: CacheMiddleware | None = None
        """What stored responses may be taken from without a call; set by `load`."""
        self.tls: ssl.SSLContext | None = None
        """What our protocol does the handshake with; set by `load`."""
        headers: list[tuple[str, str]] = list(settings.pop("headers", None) or [])
        named = any(name.lower() == "server" for name, _ in headers)
        if settings.get("server_header", True) and not named:
            headers.append(("server", "headstart"))
        self.wsgi = settings.get("interface") == "wsgi"
        if self.wsgi:
            # uvicorn would put a2wsgi around it, or refuse where that is not installed.
            settings |= {"interface": "asgi3", "ws": "none"}
        settings["root_path"] = _prefix(settings.get("root_path", ""))
        super().__init__(app, http=_PROTOCOL, headers=headers, **settings)
        self._logs_access_as_json = self.access_log and self.headstart.log_format == "json"
        if self._logs_access_as_json:
            self.access_log = False  # the observer writes it
        self.forwarded_allow_ips = unmapped_trust(self.forwarded_allow_ips)

    def load_app(self) -> Any:
        """Load the application or its factory.

        uvicorn calls an application without arguments to find out whether it is a factory. This
        would run a WSGI application that takes any number of them.
        """
        app = super().load_app()
        if self.wsgi and not self.factory and takes(app, 2):
            return self._as_asgi(app)
        return app

    def _as_asgi(self, app: Any) -> WsgiApplication:
        check_kind(app, "wsgi", name=_name(self.app))
        options = self.headstart
        return WsgiApplication(
            app, options.wsgi_threads, self.workers > 1, gather=options.wsgi_gather
        )

    def load(self) -> None:
        """Load the application and put the middleware around it.

        Raises:
            ConfigurationError: The object, or the factory's result, is not an application.
        """
        super().load()
        # Else the event loop does the handshake, where nobody counts or times it.
        self.tls, self.ssl = self.ssl, None
        if self.tls is not None:
            self.tls.options |= ssl.OP_NO_RENEGOTIATION
        if isinstance(self.loaded_app, ProxyHeadersMiddleware):
            self.loaded_app = ProxyHeaders(self.loaded_app.app, self.forwarded_allow_ips)
        self._put_around_application()

    def _put_around_application(self) -> None:
        """Put our middleware inside of uvicorn's.

        So the learner sees the client and not the proxy in front.
        """
        outer: Any = None
        inner: Any = self.loaded_app
        while isinstance(inner, (ProxyHeadersMiddleware, MessageLoggerMiddleware)):
            outer, inner = inner, inner.app
        if not self.wsgi:
            loaded = inner.app if isinstance(inner, ASGI2Middleware) else inner
            check_kind(loaded, self.interface, name=_name(self.app))
        elif not isinstance(inner, WsgiApplication):  # a factory made it
            inner = self._as_asgi(inner)
        if self.headstart.tracing:
            inner = TracePassing(inner)
        if self.headstart.caching.cache:
            required = self.lifespan == "on"
            inner = CacheMiddleware(inner, self.headstart.caching, lifespan_required=required)
            # With --log-level trace, each message has a line in the log.
            self.cache = None if isinstance(outer, MessageLoggerMiddleware) else inner
        if self.learning is not None:
            inner = self._around(inner)
        inner = self._observed(inner)
        if outer is None:
            self.loaded_app = inner
        else:
            outer.app = inner

    def _observed(self, app: Any) -> Any:
        """Put an observer around the application if there is anything to observe for."""
        access, traced = self._logs_access_as_json, self.headstart.tracing
        if access or traced:
            self.cache = None  # a push that is answered without a call would be missing
            identify = self.headstart.log_format == "json"
            tracing = Tracing() if traced else None
            return Observer(app, access=access, identify=identify, tracing=tracing)
        return app

    def bind_socket(self) -> socket.socket:
        """Open the socket that worker processes share."""
        return as_it_is(super().bind_socket())

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
        middleware = HeadstartMiddleware(
            app,
            learn=learning.options,
            deliver=self.headstart.deliver,
            store=store,
            hint_unmarked_clients=self.headstart.hint_unmarked_clients,
            lifespan_required=self.lifespan == "on",
            recording=self.companion is not None,
            rum=self.headstart.rum,
        )
        middleware.shared.added_fields = fields_size(
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers
        )
        return middleware


Beside: TypeAlias = Callable[[Config], AbstractContextManager[Companion]]
"""Runs in the main process while it serves, and gives each process that serves a companion."""


def serve(
    app: Any,
    options: ServerOptions | None = None,
    learning: Learning | None = None,
    *,
    announce: Callable[[], None] | None = None,
    beside: Beside | None = None,
    **settings: Any,
) -> None:
    """Serve until a signal ends it.

    Args:
        app: The application, or where it is: `module:app`.
        options: Ours.
        learning: Learn the assets of pages and send them ahead; None for not.
        announce: Called when all checks before the start have passed.
        beside: Runs in this process meanwhile, such as the admin port.
        settings: uvicorn's own, as its `Config` takes them.

    Raises:
        ConfigurationError: The server cannot start: the application is not there, the address is
            taken, the certificate cannot be read.
    """
    check_settings(settings)
    with usable_logging(settings):
        config = Config(app, options, learning, **settings)
    check_application(config)
    check_choices(config)
    if config.headstart.tracing:
        check_tracing()
    check_certificate(config)
    check_address(config)
    allow_open_files(config.headstart.max_connections)
    if announce is not None:
        announce()
    with beside(config) if beside is not None else nullcontext() as config.companion:
        _run(config)


def _run(config: Config) -> None:
    """Serve, in this process or in others, until a signal ends it."""
    server = Server(config)
    try:
        if config.should_reload:
            reloader(config, server, _listeners(config)).run()
        elif config.workers > 1:
            Supervisor(config, _listeners(config)).run()
        else:
            server.run(_listeners(config) if _is_any_address(config) else None)
    except KeyboardInterrupt:
        return  # Ctrl-C, after the graceful end
    finally:
        if config.uds:
            Path(config.uds).unlink(missing_ok=True)
    if not server.started and not config.use_subprocess:
        sys.exit(STARTUP_FAILURE)


def allow_open_files(connections: int) -> None:
    """Raise this process's limit of open files for so many connections, as far as it may.

    An ordinary user often has 1,024 to begin with, for the sake of programs that use select().
    Worker processes inherit the limit.

    Args:
        connections: From clients; each may need one more to an upstream or to a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _prefix(root_path: str) -> str:
    """Return a root path as paths begin with it: `/sub`, or nothing for the root itself.

    The path of a request follows it, slash and all, so `/sub/` would lead to `/sub//page`.
    """
    inner = root_path.strip("/")
    return f"/{inner}" if inner else ""


def _is_any_address(config: Config) -> bool:
    """Return whether the server listens on `::`, which asyncio would take for IPv6 alone."""
    return config.host == "::" and not config.uds and config.fd is None


def _listeners(config: Config) -> list[socket.socket]:
    """Open the sockets that worker processes share: the server's, then that of --redirect-http."""
    listeners = [config.bind_socket()]
    if config.headstart.redirect_http:
        listeners.append(redirect_socket(config))
    return listeners


def _name(app: object) -> str:
    return app if isinstance(app, str) else "the application"
