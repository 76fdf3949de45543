"""How HTTP/1.1 becomes HTTP/2 on a cleartext connection (RFC 7540, 3.2).

RFC 9113 has given this up, but servers that take no prior knowledge still offer it. `Upgrading`
sends one request without content, and hands the socket over when the server answers 101; the
response to that request comes on stream 1. Made by `client.connect`.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools

from headstart.client import failures
from headstart.client.channel import Channel
from headstart.client.errors import ClientError
from headstart.client.origin import Origin, as_ascii
from headstart.wire.asking import request_fields
from headstart.wire.events import Fields
from headstart.wire.frames import Direction

# What a server may say before it switches.
_MAX_HEAD = 16 * 1024


class FirstRequest(NamedTuple):
    """A request without content; asks the server to change to HTTP/2.

    Attributes:
        target: Path and query, ASCII.
        headers: Names and values; `host` is the authority.
        is_wanted: Somebody will ask for its response, with the same words.
    """

    method: str
    target: str
    headers: Fields
    is_wanted: bool = True


# RFC 7540, 3.2 names OPTIONS for it; Apache answers `OPTIONS *` with 400.
HARMLESS = FirstRequest("OPTIONS", "/", [], is_wanted=False)


def upgrade_request(
    method: str, authority: bytes, target: str, headers: Fields, settings: bytes
) -> bytes:
    """Return the bytes of the upgrade request.

    Args:
        headers: Names in lower case, without `host`.
        settings: See `wire.client.settings_payload`.

    Raises:
        LocalProtocolError: HTTP forbids something in the request.
    """
    path = as_ascii(target)
    checked = request_fields(method, b"http", authority, path, headers)
    lines = [b"%s %s HTTP/1.1" % (method.encode(), path), b"Host: " + authority]
    lines += [name + b": " + value for name, value in checked if not name.startswith(b":")]
    lines += [
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: " + urlsafe_b64encode(settings).rstrip(b"="),
    ]
    return b"".join(line + b"\r\n" for line in [*lines, b""])


class Upgrading(asyncio.Protocol):
    """Holds the socket until the server has responded to the upgrade request.

    Args:
        request: See `upgrade_request`.
        successor: Gets the socket, and passes the bytes so far to its tap.
        refuse: Called with the reason if the upgrade fails.
    """

    def __init__(
        self,
        origin: Origin,
        request: bytes,
        successor: Channel,
        refuse: Callable[[ClientError], None],
    ) -> None:
        self._origin = origin
        self._request = request
        self._successor = successor
        self._refuse = refuse
        self._size = 0
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the upgrade request."""
        # uvloop's transports have the methods of asyncio's, and another base.
        self._transport = cast(asyncio.Transport, transport)
        self._successor.tell(Direction.SENT, self._request)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Parse the server's response."""
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._successor.tell(Direction.RECEIVED, data[: upgrade.args[0]])
            self._switch(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._successor.tell(Direction.RECEIVED, data)
            self._give_up(0)
        else:
            self._successor.tell(Direction.RECEIVED, data)
            if self._size > _MAX_HEAD:
                self._give_up(0)

    def on_headers_complete(self) -> None:
        """Finish the upgrade; called by the parser."""
        status = self._parser.get_status_code()
        if status >= 200:
            self._give_up(status)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the upgrade: the server closed the connection."""
        self._successor.connection_lost(error)

    def _switch(self, rest: bytes) -> None:
        self._transport.set_protocol(self._successor)
        self._successor.connection_made(self._transport)
        if rest:
            self._successor.data_received(rest)

    def _give_up(self, status: int) -> None:
        self._refuse(failures.no_upgrade(self._origin, status))
        self._transport.abort()
