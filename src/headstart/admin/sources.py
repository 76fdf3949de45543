"""The parts of a process that serves, from which answers are read.

Made by `reporter`; given to each function of `questions.QUESTIONS`, which run on the process' event
loop between two requests and so see nothing half changed. They must be short.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headstart.admin.delays import Delays
from headstart.cache import CacheMiddleware
from headstart.middleware import HeadstartMiddleware
from headstart.proxy import Proxy
from headstart.server.http2 import Http2ServerConnection
from headstart.server.worker import Worker

if TYPE_CHECKING:
    from headstart.server.workers import Server


class Sources:
    """One process that serves.

    Args:
        server: Its server, whose application is loaded.

    Attributes:
        server: The same.
        worker: Its counters and its connections.
        delays: Of its event loop.
        middleware: It learns and delivers; None with --no-learn.
        cache: None without a cache.
        proxy: None for `headstart serve`.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.worker: Worker = server.worker()
        self.delays = Delays()
        self.middleware: HeadstartMiddleware | None = None
        self.cache: CacheMiddleware | None = None
        self.proxy: Proxy | None = None
        for part in layers(server.config.loaded_app):
            if isinstance(part, HeadstartMiddleware):
                self.middleware = part
            elif isinstance(part, CacheMiddleware):
                self.cache = part
            elif isinstance(part, Proxy):
                self.proxy = part

    def open_streams(self) -> int:
        """Return the number of open HTTP/2 streams whose requests wait for something."""
        connections = self.worker.sheddable
        return sum(len(c.streams) for c in connections if isinstance(c, Http2ServerConnection))


def layers(app: Any) -> Iterator[Any]:
    """Yield the layers around the application from the outside, as far as they are known."""
    while app is not None:
        yield app
        known = type(app).__module__.startswith(("headstart.", "uvicorn."))
        app = getattr(app, "app", None) if known else None
