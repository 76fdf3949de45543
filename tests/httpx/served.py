"""The application on servers with and without HTTP/2."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette

from headstart.config import ServerOptions
from tests.httpx.app import made
from tests.server.live import LiveServer, certificate, running


@dataclass(frozen=True, slots=True)
class Site:
    """A server with its application."""

    url: str
    app: Starlette
    live: LiveServer


def trusting() -> ssl.SSLContext:
    """A context that trusts the server's certificate."""
    return ssl.create_default_context(cafile=certificate().ca_certfile)


@contextmanager
def site(
    options: ServerOptions | None = None, *, tls: bool = True, **settings: Any
) -> Iterator[Site]:
    """The application over HTTP/2 and HTTP/1.1."""
    app = made()
    with running(app, options, tls=tls, **settings) as live:
        try:
            yield Site(live.url, app, live)
        finally:
            app.state.gate.open()


@contextmanager
def plain_site(*, tls: bool) -> Iterator[Site]:
    """The application on uvicorn, which has no HTTP/2."""
    app = made()
    listener = socket.create_server(("127.0.0.1", 0))
    settings: dict[str, Any] = {}
    if tls:
        pair = certificate()
        settings = {"ssl_certfile": str(pair.certfile), "ssl_keyfile": str(pair.keyfile)}
    config = uvicorn.Config(app, log_config=None, lifespan="off", **settings)
    live = LiveServer(config, listener)
    try:
        yield Site(live.url, app, live)
    finally:
        live.kill()
