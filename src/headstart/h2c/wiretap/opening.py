"""What a client wants, seen in its first octets before anybody takes them from the socket.

The protocols that a client offers by ALPN stand in its ClientHello (RFC 8446, 4.1.2; RFC 7301),
which `ssl` reads only when it answers; the wiretap must ask the server first. So the octets are
looked at with MSG_PEEK, and stay where they are. Libraries that read a ClientHello bring a whole
TLS (tlslite-ng) or take it from packets (dpkt, scapy). Called by `wiretap`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from headstart.wire.frames import PREFACE

LONGEST = 64 * 1024
"""Octets of a ClientHello that are looked at. Those with keys against quantum computers have 2 KiB;
the protocols of a longer one than this are not known."""

_HANDSHAKE_RECORD = 0x16
_CLIENT_HELLO = 0x01
_ALPN = 0x0010


class _Incomplete(Exception):
    """More octets are needed."""


class _Reader:
    """Takes numbers and vectors from octets, as RFC 8446, 3 lays them out.

    Raises:
        _Incomplete: There are fewer octets than asked for.
    """

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._octets):
            raise _Incomplete
        taken, self._at = self._octets[self._at : end], end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Octets behind their number, which takes `size` octets."""
        return self.take(self.number(size))

    @property
    def at_end(self) -> bool:
        return self._at == len(self._octets)


def offered_by_alpn(octets: bytes) -> tuple[str, ...] | None:
    """The protocols that a ClientHello offers, in its order.

    Args:
        octets: What the client has sent so far.

    Returns:
        None where it is not complete yet; nothing where the client offers none, or where this is no
        ClientHello. Protocols that are no text (GREASE, RFC 8701) are left out: nobody speaks them.
    """
    try:
        message = _handshake(_Reader(octets))
    except _Incomplete:
        return None
    try:
        return tuple(_protocols(_Reader(message)))
    except _Incomplete:
        return ()


def offered_in_the_clear(octets: bytes) -> tuple[str, ...] | None:
    """What the first octets over cleartext are, as ALPN would call it; None for not known yet."""
    if octets.startswith(PREFACE[:4]):
        return ("h2",)
    return ("http/1.1",) if len(octets) >= 4 else None


def _handshake(records: _Reader) -> bytes:
    """The body of the ClientHello, which may be cut up into several records; b"" for another
    protocol, or another message."""
    message = b""
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        if records.number(1) != _HANDSHAKE_RECORD or records.number(1) != 0x03:
            return b""
        records.take(1)
        message += records.vector(2)
        if message and message[0] != _CLIENT_HELLO:
            return b""
    return message[4:]


def _protocols(hello: _Reader) -> list[str]:
    hello.take(2 + 32)  # version and random
    hello.vector(1)  # session identifier
    hello.vector(2)  # cipher suites
    hello.vector(1)  # compression methods
    extensions = _Reader(b"" if hello.at_end else hello.vector(2))
    while not extensions.at_end:
        kind, extension = extensions.number(2), extensions.vector(2)
        if kind == _ALPN:
            return _names(_Reader(_Reader(extension).vector(2)))
    return []


def _names(protocols: _Reader) -> list[str]:
    names = []
    while not protocols.at_end:
        name = protocols.vector(1)
        if name and name.isascii():
            names.append(name.decode("ascii"))
    return names


async def look(
    client: socket.socket, read: Callable[[bytes], tuple[str, ...] | None]
) -> tuple[str, ...] | None:
    """Wait until the first octets say enough, and leave them in the socket.

    Args:
        client: Connected, non-blocking, and used by nobody else.
        read: Makes of the octets what is wanted; None for more of them.

    Returns:
        What `read` made of them; None where the client ends before that.

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
