"""Tell whether a client can still be reached, and how much has reached it, as TCP knows it.

A link that is gone (a closed laptop, a forgotten NAT entry) says nothing. Over HTTP/2 the client is
asked by PING, and gone if TCP must repeat that; over a WebSocket by its own ping. Over HTTP/1.1
nothing can be asked, and TCP alone knows. Its probes find a client that is sent nothing. If
something is sent to it, TCP repeats that for a quarter of an hour instead of probing, so
`http1_deadlines` asks for how long it went unacknowledged. Changes a socket's options; used by
`protocol`, `http1_deadlines`, `http2_lifetime` and `lingering`.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from typing import Final

from headstart.server.addresses import REAL_SOCKET

# Seconds of silence after which TCP asks whether a client is there, between two such questions, and
# how many stay unanswered until the connection is lost: after two minutes and a half.
_TCP_IDLE: Final = 60
_TCP_INTERVAL: Final = 15
_TCP_PROBES: Final = 6
PATIENCE: Final = float(_TCP_IDLE + _TCP_INTERVAL * _TCP_PROBES)
"""Seconds for which a client may acknowledge nothing of what was sent to it."""

# Of Linux' struct tcp_info: how often something was repeated since the last acknowledgement, and
# the milliseconds since then.
_TCP_INFO: Final = struct.Struct("=2xB53xI")
_INT: Final = struct.Struct("=i")


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let TCP ask whether the client is there; it never notices otherwise that a link is gone."""
    connection = _tcp_socket(transport)
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _TCP_IDLE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _TCP_INTERVAL)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _TCP_PROBES)


def unacknowledged_for(transport: asyncio.BaseTransport) -> float:
    """Return the seconds since the client acknowledged anything; 0 if nothing had to be repeated.

    A client that does not read still acknowledges: while its window is closed, TCP probes and does
    not repeat. Always 0 for a Unix socket, and where the system is not Linux.
    """
    connection = None if transport.is_closing() else _tcp_socket(transport)
    if connection is None or sys.platform != "linux":
        return 0.0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    repeated, milliseconds = _TCP_INFO.unpack(info)
    return milliseconds / 1000 if repeated else 0.0


def undelivered(transport: asyncio.BaseTransport) -> int:
    """Return the bytes that the system took and that the client's has not acknowledged.

    The end of this side counts as one byte. Always 0 where the system is not Linux.
    """
    connection = None if transport.is_closing() else _socket(transport)
    if connection is None or sys.platform != "linux":
        return 0
    found = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(_INT.size))
    size: int = _INT.unpack(found)[0]
    return size


def _socket(transport: asyncio.BaseTransport) -> socket.socket | None:
    found: socket.socket | None = transport.get_extra_info("socket")
    return found or transport.get_extra_info(REAL_SOCKET)


def _tcp_socket(transport: asyncio.BaseTransport) -> socket.socket | None:
    connection = _socket(transport)
    if connection is None or connection.family == getattr(socket, "AF_UNIX", None):
        return None
    return connection
