"""The admin port as the command line starts it.

`cli` makes an `Admin` from the options, which checks them, and gives it to `server.run.serve`. That
enters `beside` in the main process and hands the reporter to each process that serves.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from headstart.admin.access import Access
from headstart.admin.app import AdminApp
from headstart.admin.exposition import Exposition
from headstart.admin.guard import Guard
from headstart.admin.listener import Listener
from headstart.admin.metrics import Totals
from headstart.admin.pages import ROUTES
from headstart.admin.reporter import Reporter
from headstart.admin.routes import Route
from headstart.admin.workers import Workers
from headstart.config import AdminOptions
from headstart.errors import ConfigurationError
from headstart.server.run import Config

logger = logging.getLogger("headstart.admin")


class Admin:
    """The admin port.

    Args:
        options: `options.admin` is not empty.

    Raises:
        ConfigurationError: The address or the token cannot be used.
    """

    def __init__(self, options: AdminOptions) -> None:
        self._access = Access.of(options)

    @contextmanager
    def beside(self, config: Config) -> Iterator[Reporter]:
        """Serve the admin port while the block runs.

        Args:
            config: Of the site.

        Raises:
            ConfigurationError: The port is the site's own, or taken.
        """
        access = self._access
        # A socket that is inherited or of Unix has no port of the options.
        has_port = config.uds is None and config.fd is None
        sites = {config.port, config.headstart.redirect_http} if has_port else set()
        if access.port and access.port in sites:
            raise ConfigurationError(
                f"--admin {access.authority(access.port)} has the port of the site",
                hint="choose another port: nothing of it is for the site's visitors.",
            )
        listening = access.listen()
        # Datagrams: greetings of processes that come at the same time stay apart.
        outside, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        totals = Totals()
        workers = Workers(inside, totals.ended)
        routes = (*ROUTES, Route("GET", "/metrics", Exposition(totals).serve))
        listener = Listener(listening, AdminApp(Guard(access), routes, workers), workers)
        with outside, inside:
            listener.start()
            logger.info("Admin port at http://%s", access.authority(listening.getsockname()[1]))
            try:
                yield Reporter(outside)
            finally:
                listener.close()
