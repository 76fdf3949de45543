"""PING frames that wait for their answer."""

from __future__ import annotations

import asyncio

import pytest

from headstart.client.errors import ClientTimeoutError, RequestError
from tests.client.peer import Peer
from tests.clock import timeless


async def test_ping_under_way_fails_with_the_connection() -> None:
    peer = await Peer.connected()
    ping = asyncio.create_task(peer.connection.ping())
    await asyncio.sleep(0)

    peer.connection.connection_lost(None)

    with pytest.raises(RequestError):
        await ping


@timeless
async def test_ping_without_an_answer_times_out() -> None:
    peer = await Peer.connected()

    with pytest.raises(ClientTimeoutError):
        await peer.connection.ping(timeout=0.01)


@timeless
async def test_answer_that_nobody_waits_for_is_ignored() -> None:
    peer = await Peer.connected()

    peer.connection.data_received(b"\0\0\x08\x06\x01\0\0\0\0" + b"unasked!")
    pinging = asyncio.create_task(peer.connection.ping(5))
    await peer.settle()

    assert await pinging >= 0


async def test_ping_on_a_connection_that_is_over_fails() -> None:
    peer = await Peer.connected()
    peer.connection.abort()

    with pytest.raises(RequestError):
        await peer.connection.ping(5)
