"""Pushed responses and who gets them: against a server in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hpack import Encoder
from hyperframe.frame import PushPromiseFrame
from ngh2 import ErrorCode

from headstart.client.errors import (
    ClientTimeoutError,
    RequestError,
)
from headstart.config import ClientLimits
from tests.client.peer import Peer
from tests.clock import timeless


async def test_pushed_response_answers_one_request_without_a_frame() -> None:
    peer = await Peer.connected()
    page, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    await peer.answer(promised, b"pushed")
    await peer.answer(stream_id)
    await page
    frames = len(peer.frames)

    assert [pushed.target for pushed in peer.connection.pushes.listing(0)] == [b"/data"]
    first = await peer.connection.request("GET", "/data")
    assert (first.from_push, first.stream_id, await first.aread()) == (True, promised, b"pushed")
    await first.aclose()
    await peer.settle()
    assert len(peer.frames) == frames
    assert peer.connection.pushes.listing(0) == []

    second, stream_id = await peer.asked("/data")
    await peer.answer(stream_id, b"asked")
    assert (await second).from_push is False


async def test_pushed_body_that_is_looked_at_stays() -> None:
    peer = await Peer.connected()
    page, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    before = peer.connection.look_at_pushed("GET", "/data")
    await peer.answer(promised, b"pushed")
    await peer.answer(stream_id)
    await page

    looks = [peer.connection.look_at_pushed("GET", "/data") for _ in range(2)]

    assert (before, looks) == (b"", [b"pushed", b"pushed"])
    assert peer.connection.look_at_pushed("GET", "/other") == b""
    assert await (await peer.connection.request("GET", "/data")).aread() == b"pushed"


async def test_push_of_a_post_answers_a_get() -> None:
    peer = await Peer.connected()
    post = peer.request("POST", "/data", content=b"hello")
    await peer.settle()
    promised = await peer.promise(1)
    await peer.answer(1, b"")
    await peer.answer(promised, b"I received hello")
    await post

    response = await peer.connection.request("GET", "/data")

    assert await response.aread() == b"I received hello"


async def test_push_under_way_is_waited_for() -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    waiting = peer.request("GET", "/data")
    await peer.settle()
    assert len(peer.requests) == 1

    await peer.answer(promised, b"x" * 200_000, end=False)
    response = await waiting
    reading = asyncio.create_task(response.aread())
    peer.server.send_data(promised, b"y" * 2_000_000, True)
    await peer.settle()

    assert await reading == b"x" * 200_000 + b"y" * 2_000_000
    assert len(peer.requests) == 1


@pytest.mark.parametrize("keep", [False, True])
async def test_push_that_is_reset_falls_back_to_a_real_request(keep: bool) -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    waiting = peer.request("GET", "/data", keep_push=keep)
    await peer.settle()

    peer.server.reset(promised, ErrorCode.INTERNAL_ERROR)
    await peer.settle()
    await peer.answer(peer.requests[-1].stream_id, b"asked")

    response = await waiting
    assert (response.from_push, await response.aread()) == (False, b"asked")
    assert len(peer.connection.pushes) == 0


async def test_two_requests_share_no_push() -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    waiting = [peer.request("GET", "/data") for _ in range(2)]
    await peer.settle()

    await peer.answer(promised, b"pushed")
    await peer.answer(peer.requests[-1].stream_id, b"asked")

    bodies = {(await task).from_push: await (await task).aread() for task in waiting}
    assert bodies == {True: b"pushed", False: b"asked"}


async def test_kept_push_is_seen_again_and_again() -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    looking = peer.request("GET", "/data", keep_push=True)
    await peer.settle()
    await peer.answer(promised, b"pushed")

    assert await (await looking).aread() == b"pushed"
    async with await peer.connection.request("GET", "/data", keep_push=True) as again:
        assert await again.aread() == b"pushed"
    last = await peer.connection.request("GET", "/data")
    assert (last.from_push, await last.aread()) == (True, b"pushed")
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "more", [{"use_pushes": False}, {"content": b""}, {"headers": [(b"range", b"bytes=0-1")]}]
)
async def test_some_requests_are_always_sent(more: dict[str, Any]) -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    await peer.answer(await peer.promise(stream_id), b"pushed")

    task, stream_id = await peer.asked("/data", **more)
    await peer.answer(stream_id, b"asked")

    assert not (await task).from_push
    assert len(peer.connection.pushes) == 1


@timeless
async def test_time_out_while_waiting_for_a_push_leaves_the_push() -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    await peer.promise(stream_id)

    with pytest.raises(ClientTimeoutError):
        await peer.connection.request("GET", "/data", timeout=0.02)

    assert len(peer.connection.pushes) == 1
    assert peer.resets() == []


async def test_unclaimed_pushes_are_bounded_in_bytes_and_do_not_stall_the_connection() -> None:
    limits = ClientLimits(max_push_bytes=100_000, stream_window=70_000, connection_window=70_000)
    peer = await Peer.connected(limits=limits)
    page, stream_id = await peer.asked()
    promised = [await peer.promise(stream_id, b"/%d" % number) for number in range(4)]

    for push in promised[:3]:
        await peer.answer(push, b"x" * 40_000)
    await peer.answer(promised[3], b"x" * 150_000)

    assert [pushed.target for pushed in peer.connection.pushes.listing(0)] == []
    assert (promised[3], ErrorCode.CANCEL) in peer.resets()
    await peer.answer(stream_id, b"y" * 60_000)
    reading = asyncio.create_task((await page).aread())
    await peer.settle()
    assert await reading == b"y" * 60_000


async def test_newer_promise_cancels_the_older_one_under_way() -> None:
    peer = await Peer.connected()
    await peer.asked("/one")
    await peer.asked("/two")
    older = await peer.promise(1)

    newer = await peer.promise(3)
    await peer.answer(newer, b"new")

    assert peer.resets() == [(older, ErrorCode.CANCEL)]
    assert await (await peer.connection.request("GET", "/data")).aread() == b"new"


async def test_push_that_is_here_answers_even_after_the_connection_is_gone() -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    done = await peer.promise(stream_id, b"/done")
    await peer.answer(done, b"pushed")
    await peer.promise(stream_id, b"/part")

    peer.connection.connection_lost(None)

    assert await (await peer.connection.request("GET", "/done")).aread() == b"pushed"
    with pytest.raises(RequestError):
        await peer.connection.request("GET", "/part")


async def test_promise_that_must_not_be_is_counted_and_serves_nobody() -> None:
    peer = await Peer.connected()
    await peer.asked()
    # Our own server's side promises no such thing.
    fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "other.test"),
        (":path", "/data"),
    ]
    promise = PushPromiseFrame(1, promised_stream_id=2, data=Encoder().encode(fields))
    promise.flags.add("END_HEADERS")

    peer.connection.data_received(promise.serialize())
    await peer.settle()

    assert peer.connection.refused_promises == {"foreign-authority": 1}
    assert len(peer.connection.pushes) == 0
    assert [frame.stream_id for frame in peer.sent("RST_STREAM")] == [2]
