"""The addresses of both ends of a connection, as an application and a trust list name them.

A socket that takes IPv4 and IPv6 together names an IPv4 peer by its IPv4-mapped IPv6 address,
`::ffff:192.0.2.1` (RFC 4291, 2.5.5.2). Trust lists, logs and applications mean `192.0.2.1`.
Changes nothing; read by the protocols, `admission` and `run`.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Final

from uvicorn.protocols.utils import get_local_addr, get_remote_addr

REAL_SOCKET: Final = "headstart.socket"
"""Names a transport's socket where `socket` does not, as its ends are not the client's."""

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def unmapped(host: str) -> str:
    """Return the IPv4 address if `host` is an IPv4-mapped IPv6 address, and `host` if it is not."""
    if ":" not in host:
        return host
    try:
        mapped = ipaddress.IPv6Address(host).ipv4_mapped
    except ValueError:
        return host
    return host if mapped is None else str(mapped)


def remote_address(transport: asyncio.Transport) -> tuple[str, int] | None:
    """Return the client's address and port; None for a Unix socket."""
    found = get_remote_addr(transport)
    return found and (unmapped(found[0]), found[1])


def local_address(transport: asyncio.Transport) -> tuple[str, int | None] | None:
    """Return the server's address and port; for a Unix socket its path and None."""
    found = get_local_addr(transport)
    return found and (unmapped(found[0]), found[1])


def unmapped_trust(hosts: list[str] | str) -> list[str] | str:
    """Return a trust list with mapped addresses and networks as those of IPv4 that they stand for.

    Clients are compared by their IPv4 addresses, so that a list with mapped ones, which was needed
    for a socket of both kinds, would match nobody.

    Args:
        hosts: As --forwarded-allow-ips takes them: separated by commas, or a list.
    """
    if isinstance(hosts, str):
        return ",".join(_trusted(host.strip()) for host in hosts.split(","))
    return [_trusted(host) for host in hosts]


def _trusted(host: str) -> str:
    if "/" not in host:
        return unmapped(host)
    try:
        network = ipaddress.IPv6Network(host)
    except ValueError:
        return host
    if not network.subnet_of(_MAPPED):
        return host
    return f"{unmapped(str(network.network_address))}/{network.prefixlen - _MAPPED.prefixlen}"
