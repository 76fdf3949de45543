"""Read the protocols that a client offers from its first bytes, which stay in the socket.

The protocols that a client offers by ALPN are in its ClientHello (RFC 8446, 4.1.2; RFC 7301), which
`ssl` reads only when it responds; the wiretap must ask the server first. So the bytes are read with
MSG_PEEK and stay in the socket. Called by `wiretap`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from headstart.wire.frames import PREFACE

LONGEST = 64 * 1024
"""Octets of a ClientHello that are looked at. Those with keys against quantum computers have 2 KiB;
the protocols of a longer one than this are not known."""


def offered_in_the_clear(octets: bytes) -> tuple[str, ...] | None:
    """Return the protocol of a cleartext connection as an ALPN name; None while it is unknown."""
    if octets.startswith(PREFACE[:4]):
        return ("h2",)
    return ("http/1.1",) if len(octets) >= 4 else None


async def look(
    client: socket.socket, read: Callable[[bytes], tuple[str, ...] | None]
) -> tuple[str, ...] | None:
    """Wait until the first bytes suffice, and leave them in the socket.

    Args:
        client: A connected, non-blocking socket without another user.
        read: Parses the bytes; returns None if it needs more.

    Returns:
        The result of `read`, or None if the client closes before that.

    Raises:
        OSError: The client reset the connection.
    """
    seen = -1
    try:
        while True:
            await _readable(client, seen + 1)
            octets = client.recv(LONGEST, socket.MSG_PEEK)
            found = read(octets)
            if found is not None:
                return found
            if len(octets) == seen or not octets:  # it is readable since it has ended
                return None
            if len(octets) == LONGEST:
                return ()
            seen = len(octets)
    finally:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


async def _readable(client: socket.socket, size: int) -> None:
    """Wait until so many octets are there, or the end.

    Octets that are peeked at stay readable: without SO_RCVLOWAT this would spin.
    """
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, max(1, size))
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(client, _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(client)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
