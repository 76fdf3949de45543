"""Connect to an upstream that speaks HTTP/2. Used by `http2_pool` and `tunnel_pool`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from headstart.client import ClientError, ClientTimeoutError, NotHttp2Error
from headstart.client.connect import connect
from headstart.client.connection import Http2ClientConnection
from headstart.client.origin import Origin
from headstart.config import ClientLimits, ProxyOptions
from headstart.proxy.failures import UpstreamError
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway

CLOSE_PATIENCE: Final = 5.0
"""Seconds that the end of a worker waits for aborted connections; they take a turn of the loop."""


class Dialer:
    """Makes the HTTP/2 connections of one pool, and knows those whose socket is open."""

    def __init__(self, upstream: Upstream, options: ProxyOptions) -> None:
        self._upstream = upstream
        self._options = options
        self._open: set[Http2ClientConnection] = set()
        self._is_closed = False

    async def dial(self) -> Http2ClientConnection:
        """Return a new connection.

        Raises:
            NotHttp2Error: The upstream speaks something else.
            UpstreamError: It cannot be connected to.
        """
        connection = await _dial(self._upstream, self._options)
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._open.discard(connection))
        if self._is_closed:
            connection.abort()
        return connection

    def close(self) -> None:
        """Close every connection, one that is being made as soon as it is."""
        self._is_closed = True
        for connection in self._open:
            connection.abort()

    async def wait_closed(self) -> None:
        """Wait until the sockets are closed, after `close`."""
        if self._open:
            await asyncio.wait([one.lost for one in self._open], timeout=CLOSE_PATIENCE)


async def _dial(upstream: Upstream, options: ProxyOptions) -> Http2ClientConnection:
    try:
        return await connect(
            Origin("https" if upstream.tls else "http", upstream.host, upstream.port),
            cafile=Path(options.upstream_cacert) if options.upstream_cacert else None,
            insecure=not options.upstream_verify,
            push=False,
            timeout=options.upstream_connect_timeout,
            limits=ClientLimits(
                max_header_size=options.max_upstream_header_size,
                max_informational=options.max_upstream_informational,
            ),
        )
    except NotHttp2Error:
        raise
    except ClientTimeoutError as error:
        raise UpstreamError(Gateway.CONNECT_TIMEOUT, str(error)) from error
    except ClientError as error:
        raise UpstreamError(Gateway.CONNECT_FAILED, str(error)) from error
