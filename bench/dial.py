"""Connections to a server on loopback, in cleartext or with TLS. Called by `latency` and `idle`."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from bench.sample import LoadFailed

TIMEOUT: Final = 5.0


def dial(port: int, *, tls: bool, source: str = "127.0.0.1") -> socket.socket:
    """A blocking connection; with TLS, one that has agreed on HTTP/2.

    Args:
        source: Address of loopback to come from; servers limit connections by address.

    Raises:
        LoadFailed: The server speaks no HTTP/2 over TLS.
        OSError: It cannot be reached.
    """
    # Port 0: any that is free there.
    peer = socket.create_connection(("127.0.0.1", port), TIMEOUT, (source, 0))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not tls:
        return peer
    try:
        secured = _context().wrap_socket(peer, server_hostname="localhost")
    except BaseException:
        peer.close()
        raise
    if secured.selected_alpn_protocol() != "h2":
        secured.close()
        raise LoadFailed("the server did not agree on HTTP/2")
    return secured


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # as h2load: whom we talk to is no question here
    context.set_alpn_protocols(["h2"])
    return context


def receive(peer: socket.socket, size: int = 256 * 1024) -> bytes | None:
    """What a connection that does not block has, b"" at its end; None where there is nothing yet.

    Raises:
        OSError: The connection was lost.
    """
    try:
        return peer.recv(size)
    except (BlockingIOError, ssl.SSLWantReadError):
        return None


def send(peer: socket.socket, data: bytes) -> int:
    """Send what a connection that does not block takes; how many bytes.

    Raises:
        OSError: The connection was lost.
    """
    try:
        return peer.send(data)
    except (BlockingIOError, ssl.SSLWantWriteError):
        return 0
