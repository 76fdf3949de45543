"""How a connection begins: the name, the socket, TLS, and the server's SETTINGS.

`connect` makes an `Http2ClientConnection`. Called by `client.AsyncClient` and the process
of `h2c`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from headstart.client import failures
from headstart.client.channel import Tap
from headstart.client.connection import Http2ClientConnection
from headstart.client.dialing import dial, dial_through, hosts_of, open_socket, server_name
from headstart.client.errors import ClientTimeoutError, Phase
from headstart.client.origin import Origin
from headstart.client.proxies import HttpProxy, tunnel
from headstart.client.tls import client_context
from headstart.client.tls_transport import TlsTransport
from headstart.client.upgrade import HARMLESS, FirstRequest, Upgrading
from headstart.config import ClientLimits
from headstart.errors import ConfigurationError

_LIMITS = ClientLimits()

Step: TypeAlias = Callable[..., AbstractAsyncContextManager[dict[str, Any]]]
"""Encloses each step of a connection. It is called with the step's name and details, and yields a
mapping for its `return_value`. The names are httpcore's: `connection.connect_tcp`,
`connection.start_tls` and `http2.send_connection_init`."""


async def connect(
    origin: Origin,
    *,
    cafile: Path | None = None,
    insecure: bool = False,
    certfile: Path | None = None,
    keyfile: Path | None = None,
    ssl_context: ssl.SSLContext | None = None,
    address: str | None = None,
    server_name: str | None = None,
    proxy: HttpProxy | None = None,
    push: bool = True,
    limits: ClientLimits = _LIMITS,
    tap: Tap | None = None,
    timeout: float | None = 10.0,
    upgrade: bool = False,
    first: FirstRequest | None = None,
    step: Step | None = None,
) -> Http2ClientConnection:
    """Connect, and wait for the server's SETTINGS, which show that it speaks HTTP/2.

    Args:
        cafile: PEM file to trust instead of the system's roots.
        insecure: Do not verify the server's certificate.
        certfile: PEM file with a certificate of our own, for servers that ask for one.
        keyfile: Its key, where that is not in `certfile`.
        ssl_context: Used as it is, but for its ALPN protocols, instead of the four before.
        address: Connect to this IP address instead of asking the resolver for the origin's host.
        server_name: The name for TLS and its certificate instead of the origin's host.
        proxy: Ask it for a tunnel to the origin.
        push: Whether the server may push.
        timeout: Seconds for all of it; None for no end.
        upgrade: Over cleartext, ask in HTTP/1.1 for HTTP/2 (RFC 7540, 3.2) instead of knowing.
        first: The request that asks; when it is made on the connection, its response is there or
            on its way. By default an OPTIONS whose response nobody gets. Apache closes an upgraded
            connection as soon as it idles, so give it a request that is wanted.
        step: Told of each step. The addresses of the host are then tried one after the other.

    Raises:
        ConnectError, TlsError, NotHttp2Error, ClientTimeoutError: See `client.errors`.
        ConfigurationError: A file or `server_name` cannot be used, or `upgrade` is asked for over
            TLS.
        LocalProtocolError: HTTP forbids something in `first`.
    """
    if origin.scheme == "https" and upgrade:
        raise ConfigurationError(
            f"no upgrade over TLS to {origin}", hint="ALPN chooses HTTP/2: leave it out."
        )
    begin = (first or HARMLESS) if upgrade else None
    connection = Http2ClientConnection(origin, push=push, limits=limits, tap=tap, first=begin)
    try:
        async with asyncio.timeout(timeout):
            context = None
            if origin.scheme == "https":  # to read certificates takes tens of milliseconds
                context = _offering_http2(ssl_context) or await asyncio.to_thread(
                    client_context, cafile, insecure, origin.host, certfile, keyfile
                )
            hosts = hosts_of(origin.host) if address is None else (address,)
            name = server_name or origin.host
            if step is None:
                await _open(connection, context, hosts, name, proxy)
                await connection.ready()
            else:
                await _open_in_steps(connection, context, hosts, name, step)
    except TimeoutError:
        connection.abort()
        raise ClientTimeoutError(
            f"no connection to {origin}" + (f" within {timeout:g} s" if timeout else " in time"),
            phase=Phase.CONNECTION,
            hint=failures.unused_proxy(origin)
            or "Check host and port, and whether a firewall is in the way.",
        ) from None
    except BaseException:
        connection.abort()
        raise
    return connection


def _offering_http2(context: ssl.SSLContext | None) -> ssl.SSLContext | None:
    if context is not None:
        context.set_alpn_protocols(["h2"])
    return context


async def _open(
    connection: Http2ClientConnection,
    context: ssl.SSLContext | None,
    hosts: tuple[str, ...],
    name: str,
    proxy: HttpProxy | None,
) -> None:
    origin = connection.origin
    make = partial(_protocol, connection, context, server_name(name))
    with _as_ours(origin):
        if proxy is not None:
            opened = await tunnel(proxy, origin, hosts[0])
            await dial_through(opened, make)
        else:
            await dial(hosts, origin.port, make, name, None)


async def _open_in_steps(
    connection: Http2ClientConnection,
    context: ssl.SSLContext | None,
    hosts: tuple[str, ...],
    name: str,
    step: Step,
) -> None:
    """Connect as `_open` does, and until the server's SETTINGS are here; tell of each step."""
    origin = connection.origin
    make = partial(_protocol, connection, context, server_name(name))
    async with step("connection.connect_tcp", host=origin.host, port=origin.port) as done:
        with _as_ours(origin):
            opened = done["return_value"] = await open_socket(hosts, origin.port)
    if context is None:
        with _as_ours(origin):
            await dial_through(opened, make)
    else:
        try:
            async with step("connection.start_tls", ssl_context=context, server_hostname=name):
                with _as_ours(origin):
                    await dial_through(opened, make)
        except BaseException:
            opened.close()
            raise
    async with step("http2.send_connection_init"):
        await connection.ready()


@contextmanager
def _as_ours(origin: Origin) -> Iterator[None]:
    """Raise our errors for those of sockets and TLS."""
    try:
        yield
    except ssl.SSLError as error:
        raise failures.tls_failed(error, origin) from error
    except TimeoutError:
        raise
    except OSError as error:
        raise failures.connect_failed(error, origin) from error
    except UnicodeError as error:  # the origin's host was checked
        raise ConfigurationError(
            f"the name for TLS is not the name of a host: {error}",
            hint="Give a name whose labels have 1 to 63 characters.",
        ) from error


def _protocol(
    connection: Http2ClientConnection, context: ssl.SSLContext | None, name: str
) -> asyncio.BaseProtocol:
    """Return the protocol of a new socket: the connection, or its TLS or upgrade first."""
    if context is not None:
        return TlsTransport(connection, context, name)
    if connection.upgrade is None:
        return connection
    return Upgrading(connection.origin, connection.upgrade, connection, connection.refuse)
