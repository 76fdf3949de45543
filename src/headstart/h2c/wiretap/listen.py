"""The sockets that the wiretap's clients connect to. Called by the package."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from headstart.client.dialing import hosts_of
from headstart.client.origin import Origin
from headstart.h2c import exits
from headstart.h2c.streams import Failed

_BACKLOG = 128
# A port that the system chose for one address may be taken on another.
_TRIES = 10


def listen(local: Origin) -> list[socket.socket]:
    """Sockets that listen on all addresses of the host, on one port.

    Raises:
        Failed: They cannot.
    """
    for _ in range(1 if local.port else _TRIES):
        listeners, problems = _listening(local)
        taken = [problem for problem in problems if problem.errno == errno.EADDRINUSE]
        if listeners and not taken:
            return listeners
        for listener in listeners:
            listener.close()
    raise Failed(exits.CANNOT_LISTEN.format(local, (taken or problems)[0].strerror))


def _listening(local: Origin) -> tuple[list[socket.socket], list[OSError]]:
    port, listeners, problems = local.port, list[socket.socket](), list[OSError]()
    for host in hosts_of(local.host):
        try:
            for family, _, _, _, address in socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                if _listens_on(listeners, address[0]):
                    continue
                listener = _listener(family, (address[0], port, *address[2:]))
                listeners.append(listener)
                port = listener.getsockname()[1]
        except OSError as error:
            problems.append(error)
    return listeners, problems


def _listens_on(listeners: Iterable[socket.socket], address: object) -> bool:
    return any(listener.getsockname()[0] == address for listener in listeners)


def _listener(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
