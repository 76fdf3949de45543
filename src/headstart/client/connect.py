"""How a connection begins: the name, the socket, TLS, and the server's SETTINGS.

`connect` makes an `Http2ClientConnection`. Called by `client.AsyncClient` and the process
of `h2c`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from headstart.client import failures
from headstart.client.channel import Tap
from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import ClientTimeoutError, Phase
from headstart.client.origin import Origin
from headstart.client.proxies import HttpProxy, tunnel
from headstart.client.tls import client_context, is_loopback
from headstart.client.upgrade import HARMLESS, FirstRequest, Upgrading
from headstart.config import ClientLimits
from headstart.errors import ConfigurationError

_LIMITS = ClientLimits()


async def connect(
    origin: Origin,
    *,
    cafile: Path | None = None,
    insecure: bool = False,
    certfile: Path | None = None,
    keyfile: Path | None = None,
    ssl_context: ssl.SSLContext | None = None,
    address: str | None = None,
    proxy: HttpProxy | None = None,
    push: bool = True,
    limits: ClientLimits = _LIMITS,
    tap: Tap | None = None,
    timeout: float | None = 10.0,
    upgrade: bool = False,
    first: FirstRequest | None = None,
) -> Http2ClientConnection:
    """Connect, and wait for the server's SETTINGS, which show that it speaks HTTP/2.

    Args:
        cafile: PEM file to trust instead of the system's roots.
        insecure: Do not verify the server's certificate.
        certfile: PEM file with a certificate of our own, for servers that ask for one.
        keyfile: Its key, where that is not in `certfile`.
        ssl_context: Used as it is, but for its ALPN protocols, instead of the four before.
        address: Connect to this IP address instead of asking the resolver for the origin's host.
        proxy: Ask it for a tunnel to the origin.
        push: Whether the server may push.
        timeout: Seconds for all of it; None for no end.
        upgrade: Over cleartext, ask in HTTP/1.1 for HTTP/2 (RFC 7540, 3.2) instead of knowing.
        first: The request that asks; when it is made on the connection, its response is there or
            on its way. By default an OPTIONS whose response nobody gets. Apache closes an upgraded
            connection as soon as it idles, so give it a request that is wanted.

    Raises:
        ConnectError, TlsError, NotHttp2Error, ClientTimeoutError: See `client.errors`.
        ConfigurationError: A file cannot be used, or `upgrade` is asked for over TLS.
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
            await _open(connection, context, address, proxy)
            await connection.ready()
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
    address: str | None,
    proxy: HttpProxy | None,
) -> None:
    origin = connection.origin
    hosts = hosts_of(origin.host) if address is None else (address,)
    try:
        if proxy is not None:
            await _open_on(await tunnel(proxy, origin, hosts[0]), connection, context)
        else:
            await _open_at_one_of(hosts, connection, context)
    except ssl.SSLError as error:
        raise failures.tls_failed(error, origin) from error
    except TimeoutError:
        raise
    except OSError as error:
        raise failures.connect_failed(error, origin) from error


def hosts_of(host: str) -> tuple[str, ...]:
    """Return the host; for `localhost` also the addresses that a resolver may omit (RFC 6761)."""
    is_name = host.removesuffix(".").endswith("localhost")
    return (host, "127.0.0.1", "::1") if is_name and is_loopback(host) else (host,)


async def _open_at_one_of(
    hosts: Iterable[str], connection: Http2ClientConnection, context: ssl.SSLContext | None
) -> None:
    """Connect to the first of the hosts that can be reached.

    Raises:
        OSError: None can be reached; this is the first host's error.
    """
    problems: list[OSError] = []
    for host in hosts:
        try:
            return await _open_at(host, connection, context)
        except (ssl.SSLError, TimeoutError):
            raise
        except OSError as error:
            problems.append(error)
    raise problems[0]


async def _open_at(
    host: str, connection: Http2ClientConnection, context: ssl.SSLContext | None
) -> None:
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {}
    is_eager = loop.get_task_factory() is not None  # perhaps; nothing tells for sure
    if isinstance(loop, asyncio.BaseEventLoop) and not is_eager and not _is_address(host):
        # RFC 8305, 8; uvloop has no such option and tries one address after the other. With tasks
        # that begin eagerly asyncio's own fails (CPython issue 124309). Where there is one address
        # alone it would only lose the socket of who is cancelled meanwhile.
        options["happy_eyeballs_delay"] = 0.25
    await loop.create_connection(
        partial(_protocol, connection),
        host,
        connection.origin.port,
        ssl=context,
        server_hostname=server_name(connection.origin.host) if context else None,
        **options,
    )


async def _open_on(
    opened: socket.socket, connection: Http2ClientConnection, context: ssl.SSLContext | None
) -> None:
    try:
        await asyncio.get_running_loop().create_connection(
            partial(_protocol, connection),
            sock=opened,
            ssl=context,
            server_hostname=server_name(connection.origin.host) if context else None,
        )
    except BaseException:
        opened.close()
        raise


def server_name(host: str) -> str:
    """Return the host as TLS and certificates have it.

    That is without the dot that ends an absolute name (RFC 6066, 3), and without the zone of an
    address.
    """
    return host.removesuffix(".").partition("%")[0]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _protocol(connection: Http2ClientConnection) -> asyncio.BaseProtocol:
    """Return the protocol of a new socket: the connection, or its upgrade first."""
    if connection.upgrade is None:
        return connection
    return Upgrading(connection.origin, connection.upgrade, connection, connection.refuse)
