"""Connect a socket to the first address of a host that can be reached, perhaps with TLS.

Knows nothing of HTTP. Called by `connect`, and by `h2c wiretap` for the server of each connection.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from headstart.client.tls import is_loopback
from headstart.client.tls_transport import TlsTransport

# RFC 8305, 8.
_ATTEMPT_DELAY = 0.25


async def dial(
    hosts: Iterable[str],
    port: int,
    make: Callable[[], asyncio.BaseProtocol],
    name: str,
    context: ssl.SSLContext | None,
) -> asyncio.Transport:
    """Connect to the first of the hosts that can be reached.

    Args:
        hosts: Names or addresses; see `hosts_of`.
        port: The port of each.
        make: Makes the protocol of a new socket. The handshake of a `TlsTransport` is waited for.
        name: The host that the server's certificate must name.
        context: For asyncio's TLS; None for cleartext, and for a `TlsTransport`.

    Raises:
        ssl.SSLError: TLS failed. The other hosts are not tried.
        TimeoutError: A connection took too long.
        OSError: None can be reached; this is the first host's error.
    """
    problems: list[OSError] = []
    for host in hosts:
        try:
            return await _dial_one(host, port, make, name, context)
        except (ssl.SSLError, TimeoutError):
            raise
        except OSError as error:
            problems.append(error)
    raise problems[0]


async def _dial_one(
    host: str,
    port: int,
    make: Callable[[], asyncio.BaseProtocol],
    name: str,
    context: ssl.SSLContext | None,
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {}
    is_eager = loop.get_task_factory() is not None  # perhaps; nothing tells for sure
    if isinstance(loop, asyncio.BaseEventLoop) and not is_eager and not _is_address(host):
        # uvloop has no such option and tries one address after the other. With tasks that begin
        # eagerly asyncio's own fails (CPython issue 124309). Where there is one address alone it
        # would only lose the socket of who is cancelled meanwhile.
        options["happy_eyeballs_delay"] = _ATTEMPT_DELAY
    transport, protocol = await loop.create_connection(
        make,
        host,
        port,
        ssl=context,
        server_hostname=server_name(name) if context else None,
        **options,
    )
    if isinstance(protocol, TlsTransport):
        await protocol.established()
    return transport


async def open_socket(hosts: Iterable[str], port: int) -> socket.socket:
    """Return a socket that is connected to the first of the hosts that can be reached.

    Args:
        hosts: Names or addresses; see `hosts_of`.
        port: The port of each.

    Raises:
        OSError: None can be reached; this is the first address's error.
    """
    loop = asyncio.get_running_loop()
    problems: list[OSError] = []
    for host in hosts:
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            problems.append(error)
            continue
        for family, kind, protocol, _, address in found:
            opened = socket.socket(family, kind, protocol)
            opened.setblocking(False)
            try:
                await loop.sock_connect(opened, address)
            except OSError as error:
                opened.close()
                problems.append(error)
            except BaseException:
                opened.close()
                raise
            else:
                with suppress(OSError):
                    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return opened
    raise problems[0] if problems else OSError("no address")


async def dial_through(
    opened: socket.socket,
    make: Callable[[], asyncio.BaseProtocol],
) -> None:
    """Connect on a socket that is open already, such as a tunnel; it is closed on an error.

    Args:
        opened: The socket.
        make: See `dial`.

    Raises:
        OSError: TLS failed, or the socket was lost.
    """
    try:
        _, protocol = await asyncio.get_running_loop().create_connection(make, sock=opened)
        if isinstance(protocol, TlsTransport):
            await protocol.established()
    except BaseException:
        opened.close()
        raise


def hosts_of(host: str) -> tuple[str, ...]:
    """Return the host; for `localhost` also the addresses that a resolver may omit (RFC 6761)."""
    is_name = host.removesuffix(".").endswith("localhost")
    return (host, "127.0.0.1", "::1") if is_name and is_loopback(host) else (host,)


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
