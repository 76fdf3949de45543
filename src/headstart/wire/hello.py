"""The protocols that a TLS client offers by ALPN (RFC 7301), read from its ClientHello.

Python's `ssl` tells a server the protocol that was chosen, not those that were offered. Libraries
that read a ClientHello bring a whole TLS (tlslite-ng) or take it from packets (dpkt, scapy). Read
by `server.tls`, which has to answer an offer without common protocol, and by `h2c.wiretap`.
"""

from __future__ import annotations

from typing import Final

_HANDSHAKE_RECORD: Final = 0x16
_CLIENT_HELLO: Final = 0x01
_ALPN: Final = 0x0010


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
    """Return the protocols that a ClientHello offers, in its order.

    Args:
        octets: The client's bytes so far.

    Returns:
        None while the ClientHello is incomplete; an empty list if the client offers none, or if
        this is not a ClientHello. Protocols that are not text (GREASE, RFC 8701) are left out.
    """
    try:
        message = _handshake(_Reader(octets))
    except _Incomplete:
        return None
    try:
        return tuple(_protocols(_Reader(message)))
    except _Incomplete:
        return ()


def _handshake(records: _Reader) -> bytes:
    """Return the body of the ClientHello, which may span several records; b"" for another
    protocol, or another message.
    """
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
