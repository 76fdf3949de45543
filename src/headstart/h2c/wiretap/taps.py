"""Clients of the wiretap: the sockets that they connect to, and their way to the server.

Each client is accepted and connected to the server. Called by the package.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import ssl
from collections.abc import Coroutine, Iterable

from headstart.client import failures
from headstart.client.dialing import dial, hosts_of
from headstart.client.errors import ClientTimeoutError
from headstart.client.origin import Origin
from headstart.errors import HeadstartError
from headstart.h2c import exits, streams
from headstart.h2c.dump.tap import Dump
from headstart.h2c.failures import explanation
from headstart.h2c.options.process import Wiretap
from headstart.h2c.streams import Failed
from headstart.h2c.wiretap.relay import Relay
from headstart.h2c.wiretap.tls import Tls, offered_in_the_clear, peek
from headstart.wire.frames import Direction
from headstart.wire.hello import offered_by_alpn

_BACKLOG = 128
# A port that the system chose for one address may be taken on another.
_TRIES = 10
# Seconds that a client or the server may take to agree on TLS.
_PATIENCE = 10.0
# What connections may take to write what is on its way, at the end.
_FAREWELL = 1.0


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


class _Gone(Exception):
    """The client went before it was connected."""


class _RefusedError(HeadstartError):
    """TLS with the client failed."""


class Taps:
    """Accepts clients, and connects each to the server.

    Attributes:
        connections: How many clients there were.
        counts: Octets that went each way.
    """

    def __init__(self, command: Wiretap, tls: Tls, dump: Dump) -> None:
        self._local = command.local
        self._remote = command.remote
        self._tls = tls
        self._dump = dump
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.counts = dict.fromkeys(Direction, 0)

    def stop(self) -> None:
        """Begin to end; `serve` returns soon."""
        self._stopping.set()

    async def serve(self, listeners: list[socket.socket]) -> None:
        """Forward until stopped, then close all connections."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        for listener in listeners:
            self._begin(self._accept(listener))
        port = listeners[0].getsockname()[1]
        self._local = Origin(self._local.scheme, self._local.host, port)
        streams.say(exits.TAPPING.format(self._local, self._remote))
        await self._stopping.wait()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        for listener in listeners:
            listener.close()

    def _interrupted(self) -> None:
        streams.leave_interrupt()
        self.stop()

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        told = False
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as error:
                # Too many open files, for instance: it goes on when a connection has ended.
                if not told:
                    streams.say(exits.CANNOT_ACCEPT.format(error.strerror))
                told = True
                await asyncio.sleep(0.1)
                continue
            told = False
            self.connections += 1
            self._begin(self._serve_client(client, self.connections))

    async def _serve_client(self, client: socket.socket, number: int) -> None:
        """Everything from the client's first octet to the last one."""
        schemes = {self._local.scheme, self._remote.scheme}
        began = asyncio.get_running_loop().time()
        relay = Relay(self._dump.tap(), began, half_closes=schemes == {"http"})
        try:
            await self._connect(client, relay)
            relay.start()
            await relay.over
            if isinstance(relay.client.error, ssl.SSLError):  # TLS 1.3 tells it this late
                raise self._refused(relay.client.error)
        except HeadstartError as error:
            streams.say(exits.TAP_FAILED.format(number, explanation(error)))
        except (_Gone, ConnectionError):
            return  # nothing was said that would be missed
        except asyncio.CancelledError:
            relay.close()
            await asyncio.wait((relay.over,), timeout=_FAREWELL)
            raise
        finally:
            relay.abort()
            client.close()
            for direction, count in relay.counts.items():
                self.counts[direction] += count

    async def _connect(self, client: socket.socket, relay: Relay) -> None:
        """Connect to the server, then answer the client.

        Raises:
            HeadstartError, _Gone, ConnectionError: It does not come to that.
        """
        offered = await self._offered(client)
        if offered is None:
            raise _Gone
        chosen = await self._reach_server(relay, offered)
        await self._answer_client(client, relay, chosen)

    async def _offered(self, client: socket.socket) -> tuple[str, ...] | None:
        """Return the protocols that the client offers; None if it disconnected."""
        if self._local.scheme == "https":
            return await peek(client, offered_by_alpn)
        if self._remote.scheme == "https":
            return await peek(client, offered_in_the_clear)
        return ()

    async def _reach_server(self, relay: Relay, offered: tuple[str, ...]) -> str | None:
        """Connect to the server; give the protocol that it chose, if any."""
        remote = self._remote
        context = self._tls.to_server(offered) if remote.scheme == "https" else None
        try:
            async with asyncio.timeout(_PATIENCE):
                transport = await dial(
                    hosts_of(remote.host), remote.port, lambda: relay.server, remote.host, context
                )
        except ssl.SSLError as error:
            raise failures.tls_failed(error, remote) from error
        except TimeoutError:
            raise ClientTimeoutError(
                f"no connection to {remote} within {_PATIENCE:g} s",
                hint="Check host and port, and whether a firewall is in the way.",
            ) from None
        except OSError as error:
            raise failures.connect_failed(error, remote) from error
        if context is not None:
            chosen: str | None = transport.get_extra_info("ssl_object").selected_alpn_protocol()
            return chosen
        # Over cleartext the server has no say: it takes what the client begins with.
        return next((name for name in ("h2", "http/1.1") if name in offered), None)

    async def _answer_client(self, client: socket.socket, relay: Relay, chosen: str | None) -> None:
        secure = self._local.scheme == "https"
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: relay.client,
                client,
                ssl=self._tls.to_client(chosen) if secure else None,
                ssl_handshake_timeout=_PATIENCE if secure else None,
            )
        except (ssl.SSLError, ConnectionError) as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> _RefusedError:
        """Explain why TLS with the client failed."""
        reason = getattr(error, "reason", None) or ""
        if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            here = self._local.authority.decode("ascii")
            return _RefusedError(exits.CLIENT_WITHOUT_TLS.format(here))
        why = reason.replace("_", " ").lower() or "the client closed the connection"
        return _RefusedError(exits.CLIENT_DISTRUSTS.format(why, self._tls.trusted))
