"""HTTP on a second port, redirected to https (`--redirect-http`).

The port speaks the same protocols under the same limits as the server's own, without TLS, and every
request to it gets a 308 (RFC 9110, 15.4.9). `run` opens the socket, `workers.Server` listens on it.
"""

from __future__ import annotations

import copy
import logging
import re
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from headstart.deliver.asgi import Message, Receive, Scope, Send, query_part
from headstart.server.listening import as_it_is
from headstart.wire.fields import valid_authority

if TYPE_CHECKING:
    from headstart.server.run import Config

logger = logging.getLogger("uvicorn.error")

_HTTPS: Final = 443
_HTTP: Final = 80
_PORT: Final = re.compile(rb":([0-9]{0,5})\Z")
# What may stand in a URI (RFC 3986, 2), and bytes above ASCII, which some clients send.
_TARGET: Final = re.compile(rb"/[\x21-\x7e\x80-\xff]*")


class Redirect:
    """An ASGI application that redirects each request to https.

    Args:
        port: Where this application is asked.
        https_port: Where the server speaks TLS. None if it is not known.
    """

    def __init__(self, port: int, https_port: int | None) -> None:
        self._port = port
        self._https_port = https_port or _HTTPS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        target: bytes = (scope.get("raw_path") or b"") + query_part(scope)
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        location = self.location(hosts[0], target) if len(hosts) == 1 else None
        await send(_refusal() if location is None else _redirect(location))
        await send({"type": "http.response.body", "body": b""})

    def location(self, host: bytes, target: bytes) -> bytes | None:
        """Return the https URL of a request.

        Args:
            host: The value of Host.
            target: Path and query.

        Returns:
            None if host or target cannot be a part of a URL.
        """
        if not host or not valid_authority(host) or not _TARGET.fullmatch(target):
            return None
        found = _PORT.search(host)
        name = host[: found.start()] if found else host
        if not name:
            return None
        asked = int(found[1]) if found and found[1] else _HTTP
        # A client that asks for another port does so through a load balancer or a container's
        # mapping, where https has its usual port.
        https = self._https_port if asked == self._port else _HTTPS
        port = b"" if https == _HTTPS else b":%d" % https
        return b"https://" + name + port + target


def _redirect(location: bytes) -> Message:
    return _start(308, (b"location", location))


def _refusal() -> Message:
    return _start(400)


def _start(status: int, *fields: tuple[bytes, bytes]) -> Message:
    headers = [*fields, (b"content-length", b"0")]
    return {"type": "http.response.start", "status": status, "headers": headers}


def redirect_socket(config: Config) -> socket.socket:
    """Listen for requests to redirect, on the host that the server itself listens on.

    Raises:
        OSError: The port is taken.
    """
    host, port = config.host or "", config.headstart.redirect_http
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server(
        (host, port), family=family, backlog=config.backlog, dualstack_ipv6=both
    )
    listener = as_it_is(listener)
    listener.set_inheritable(True)
    logger.info("HTTP on port %d is redirected to https", port)
    return listener


def redirecting(config: Config, listeners: Sequence[Any]) -> Config:
    """Return the configuration of the redirected port.

    Args:
        config: Of the server, loaded.
        listeners: The sockets on which the server speaks TLS.
    """
    names = [listener.getsockname() for listener in listeners]
    ports = [name[1] for name in names if isinstance(name, tuple)]
    made = copy.copy(config)
    made.tls = made.ssl = None
    made.root_path = ""
    made.loaded_app = Redirect(config.headstart.redirect_http, ports[0] if ports else None)
    return made
