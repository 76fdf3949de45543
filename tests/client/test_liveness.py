"""Finding out if the server is still there, against a server in memory whose link may vanish."""

from __future__ import annotations

import asyncio

import pytest

from headstart.client.errors import ClientTimeoutError
from headstart.client.response import AsyncResponse
from headstart.config import WireLimits
from tests.client.peer import Peer
from tests.clock import timeless


async def give_up(task: asyncio.Task[AsyncResponse]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def vanish_in_a_request(peer: Peer) -> None:
    """From now on nothing reaches the other side: a request times out."""
    with pytest.raises(ClientTimeoutError):
        await peer.connection.request("GET", "/", timeout=5)


async def settle_soon(peer: Peer, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await peer.settle()


@timeless
async def test_request_without_an_answer_leads_to_one_ping_and_no_answer_is_no() -> None:
    peer = await Peer.connected()
    loop = asyncio.get_running_loop()

    await vanish_in_a_request(peer)
    await vanish_in_a_request(peer)
    begun = loop.time()

    assert not await peer.connection.answers()
    assert not await peer.connection.answers()
    assert loop.time() == begun  # the PING left 5 s ago, and nobody waits for it again
    assert len(peer.sent("PING")) == 1


@timeless
async def test_answer_is_waited_for_up_to_a_second() -> None:
    peer = await Peer.connected()
    loop = asyncio.get_running_loop()

    await vanish_in_a_request(peer)
    begun = loop.time()

    assert not await peer.connection.answers()
    assert loop.time() == begun + 1


@timeless
async def test_server_that_answers_the_ping_is_there() -> None:
    peer = await Peer.connected()
    loop = asyncio.get_running_loop()

    await vanish_in_a_request(peer)
    begun = loop.time()
    link = asyncio.create_task(settle_soon(peer, 0.5))

    assert await peer.connection.answers()
    assert loop.time() == begun + 0.5
    await link


@timeless
async def test_server_that_comes_back_later_is_there_again() -> None:
    peer = await Peer.connected()

    await vanish_in_a_request(peer)
    assert not await peer.connection.answers()
    await peer.settle()

    assert await peer.connection.answers()


@timeless
async def test_server_that_says_something_else_meanwhile_is_there() -> None:
    peer = await Peer.connected()
    slow = peer.request("GET", "/slow", timeout=5)
    other, stream_id = await peer.asked("/other", timeout=60)
    await asyncio.sleep(4.8)
    await peer.answer(stream_id)

    with pytest.raises(ClientTimeoutError):
        await slow

    assert await peer.connection.answers()
    assert not peer.sent("PING")
    await other


@timeless
async def test_request_that_waits_in_vain_for_its_turn_is_a_reason_to_doubt() -> None:
    peer = await Peer.connected(wire_limits=WireLimits(max_concurrent_streams=1))
    first, _ = await peer.asked(timeout=None)

    with pytest.raises(ClientTimeoutError, match="no stream became free"):
        await peer.connection.request("GET", "/", timeout=5)

    assert not await peer.connection.answers()
    assert len(peer.sent("PING")) == 1
    await give_up(first)


@pytest.mark.parametrize(("seconds", "pings"), [(0.4, 0), (0.6, 1)])
def test_request_that_is_given_up_is_a_reason_to_doubt_after_half_a_second(
    seconds: float, pings: int
) -> None:
    @timeless
    async def run() -> None:
        peer = await Peer.connected()
        task, _ = await peer.asked(timeout=None)
        await asyncio.sleep(seconds)

        await give_up(task)
        await asyncio.sleep(0)

        assert len(peer.sent("PING")) == pings
        assert await peer.connection.answers() is not bool(pings)

    run()


@timeless
async def test_response_that_was_read_is_no_reason_to_doubt() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id)
    response = await task
    await response.aread()
    await asyncio.sleep(9)

    await response.aclose()

    assert await peer.connection.answers()
    assert not peer.sent("PING")


@timeless
async def test_connection_that_is_over_is_not_asked() -> None:
    peer = await Peer.connected()
    task, _ = await peer.asked(timeout=None)
    await asyncio.sleep(1)

    peer.connection.abort()
    await asyncio.gather(task, return_exceptions=True)

    assert await peer.connection.answers()
    assert not peer.connection.available
