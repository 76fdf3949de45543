"""Listening sockets whose family and protocol Python knows.

Python keeps family and protocol of a socket as they were given, not as the kernel has them. uvicorn
takes the socket of --fd for a Unix socket, and those that workers share have no protocol. asyncio
sets TCP_NODELAY only where both say TCP, and our protocol keep-alive where it is no Unix socket. So
such sockets are opened once more by their descriptor, from which Python asks the kernel. Called by
`run` and `workers`.
"""

from __future__ import annotations

import os
import socket


def as_it_is(listener: socket.socket) -> socket.socket:
    """Return the same socket with the kernel's family and protocol; the given one is closed."""
    inheritable = listener.get_inheritable()
    known = socket.socket(fileno=listener.detach())
    known.set_inheritable(inheritable)
    return known


def inherited(descriptor: int) -> socket.socket:
    """Return a socket that was handed over open, as --fd names it; its descriptor stays open."""
    return socket.socket(fileno=os.dup(descriptor))
