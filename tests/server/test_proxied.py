"""A transport whose ends are those that a load balancer names."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headstart.server.addresses import REAL_SOCKET
from headstart.server.proxied import ProxiedTransport

CLIENT, SERVER = ("192.0.2.1", 4711), ("192.0.2.9", 443)


class Protocol(asyncio.Protocol):
    """Keep what came."""

    def __init__(self) -> None:
        self.received = b""
        self.came = asyncio.Event()
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.came.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[ProxiedTransport, Protocol, socket.socket]]:
    """A transport over a real socket, its protocol, and the load balancer's end."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    protocol = Protocol()
    loop = asyncio.get_running_loop()
    raw, _ = await loop.create_connection(lambda: protocol, sock=ours)
    transport = ProxiedTransport(raw, CLIENT, SERVER)
    with theirs:
        try:
            yield transport, protocol, theirs
        finally:
            transport.abort()


async def test_ends_are_those_of_the_client_and_all_else_is_the_load_balancers() -> None:
    async with proxied() as (transport, _, _):
        assert transport.get_extra_info("peername") == CLIENT
        assert transport.get_extra_info("sockname") == SERVER
        # Who reads the socket's addresses itself would read the load balancer's.
        assert transport.get_extra_info("socket") is None
        assert transport.get_extra_info(REAL_SOCKET) is not None
        assert transport.get_extra_info("cipher", "none") == "none"


async def test_bytes_go_both_ways() -> None:
    async with proxied() as (transport, protocol, theirs):
        loop = asyncio.get_running_loop()
        transport.write(b"one ")
        transport.writelines([b"two ", b"three"])
        said = b""
        while len(said) < 13:
            said += await loop.sock_recv(theirs, 100)
        await loop.sock_sendall(theirs, b"page")
        await protocol.came.wait()

        assert (said, protocol.received) == (b"one two three", b"page")


async def test_reading_is_paused_and_another_protocol_takes_over() -> None:
    async with proxied() as (transport, first, theirs):
        second = Protocol()
        transport.pause_reading()
        paused = transport.is_reading()
        transport.set_protocol(second)
        await asyncio.get_running_loop().sock_sendall(theirs, b"later")
        transport.resume_reading()
        await second.came.wait()

        assert (paused, transport.is_reading()) == (False, True)
        assert transport.get_protocol() is second
        assert (first.received, second.received) == (b"", b"later")


async def test_limits_of_the_write_buffer_are_the_transports_own() -> None:
    async with proxied() as (transport, _, _):
        transport.set_write_buffer_limits(high=100, low=10)

        assert transport.get_write_buffer_limits() == (10, 100)
        assert transport.get_write_buffer_size() == 0


async def test_one_side_is_ended_and_then_both() -> None:
    async with proxied() as (transport, protocol, theirs):
        assert transport.can_write_eof()
        transport.write_eof()
        assert await asyncio.get_running_loop().sock_recv(theirs, 1) == b""
        assert not transport.is_closing()

        transport.close()
        await protocol.lost.wait()

        assert transport.is_closing()
