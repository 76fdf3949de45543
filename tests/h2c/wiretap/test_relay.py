"""Octets of one connection, to and fro, over real sockets."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from headstart.h2c.wiretap.relay import Relay
from headstart.wire.frames import Direction

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED


class Tapped:
    """A client and a server with a relay between them; what the tap is told is in `told`."""

    def __init__(self, half_closes: bool) -> None:
        self.told: list[tuple[Direction, bytes]] = []
        now = asyncio.get_running_loop().time()
        self.relay = Relay(self._tell, now, half_closes=half_closes)
        self.client, self._near = socket.socketpair()
        self.server, self._far = socket.socketpair()
        for one in (self.client, self._near, self.server, self._far):
            one.setblocking(False)

    def _tell(self, direction: Direction, data: bytes, at: float) -> None:
        assert at >= 0
        self.told.append((direction, data))

    def all_told(self, direction: Direction) -> bytes:
        return b"".join(data for way, data in self.told if way is direction)

    async def connect_server(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: self.relay.server, self._far)

    async def connect_client(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: self.relay.client, self._near)


@asynccontextmanager
async def tapped(*, half_closes: bool = True, start: bool = True) -> AsyncIterator[Tapped]:
    made = Tapped(half_closes)
    await made.connect_server()
    if start:
        await made.connect_client()
        made.relay.start()
    try:
        async with asyncio.timeout(90):
            yield made
    finally:
        made.relay.abort()
        for one in (made.client, made.server):
            one.close()
        await asyncio.sleep(0)


async def read_all(end: socket.socket) -> bytes:
    loop, found = asyncio.get_running_loop(), bytearray()
    while data := await loop.sock_recv(end, 65536):
        found += data
    return bytes(found)


async def exactly(end: socket.socket, size: int) -> bytes:
    loop, found = asyncio.get_running_loop(), bytearray()
    while len(found) < size:
        found += await loop.sock_recv(end, size - len(found))
    return bytes(found)


async def test_octets_go_both_ways_as_they_are_and_the_tap_is_told_of_them() -> None:
    up, down = random.Random(1).randbytes(300_000), random.Random(2).randbytes(300_000)
    async with tapped() as wire:
        loop = asyncio.get_running_loop()
        got = await asyncio.gather(
            loop.sock_sendall(wire.client, up),
            loop.sock_sendall(wire.server, down),
            exactly(wire.server, len(up)),
            exactly(wire.client, len(down)),
        )

        assert (got[2], got[3]) == (up, down)
        assert (wire.all_told(SENT), wire.all_told(RECEIVED)) == (up, down)
        assert wire.relay.counts == {SENT: len(up), RECEIVED: len(down)}


async def test_what_the_server_says_first_waits_for_the_client() -> None:
    async with tapped(start=False) as wire:
        wire.server.send(b"hello")
        await asyncio.sleep(0.05)
        assert wire.told == []

        await wire.connect_client()
        wire.relay.start()

        assert await exactly(wire.client, 5) == b"hello"


async def test_the_end_of_one_direction_is_passed_on_and_the_other_goes_on() -> None:
    async with tapped() as wire:
        wire.client.send(b"question")
        wire.client.shutdown(socket.SHUT_WR)
        assert await read_all(wire.server) == b"question"
        assert not wire.relay.over.done()

        wire.server.send(b"answer")
        wire.server.shutdown(socket.SHUT_WR)

        assert await read_all(wire.client) == b"answer"
        await wire.relay.over


async def test_without_half_closes_an_end_ends_both_once_all_is_written() -> None:
    down = random.Random(3).randbytes(2_000_000)
    async with tapped(half_closes=False) as wire:
        loop = asyncio.get_running_loop()
        sending = asyncio.ensure_future(loop.sock_sendall(wire.server, down))
        sending.add_done_callback(lambda _: wire.server.shutdown(socket.SHUT_WR))

        assert await read_all(wire.client) == down
        await wire.relay.over
        assert wire.told[-1] == (RECEIVED, b"")


@pytest.mark.parametrize("to", [SENT, RECEIVED])
async def test_who_does_not_read_is_not_read_for(to: Direction) -> None:
    async with tapped() as wire:
        writer = wire.client if to is SENT else wire.server
        reader = wire.server if to is SENT else wire.client
        sending = asyncio.ensure_future(
            asyncio.get_running_loop().sock_sendall(writer, bytes(50_000_000))
        )
        passed = -1
        while passed < len(wire.all_told(to)):
            passed = len(wire.all_told(to))
            await asyncio.sleep(0.2)

        assert passed < 2_000_000
        assert len(await exactly(reader, 50_000_000)) == 50_000_000
        await sending


async def test_a_client_that_goes_takes_the_server_along() -> None:
    async with tapped(half_closes=False) as wire:
        wire.client.close()

        assert await read_all(wire.server) == b""
        await wire.relay.over


async def test_a_server_that_went_before_the_client_came_ends_the_connection() -> None:
    async with tapped(start=False) as wire:
        wire.relay.server.abort()
        while not wire.relay.server.closed:
            await asyncio.sleep(0)

        await wire.connect_client()
        wire.relay.start()

        assert await read_all(wire.client) == b""
        await wire.relay.over
