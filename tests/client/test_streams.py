"""The streams of one connection: what becomes of them, against a server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from ngh2 import ErrorCode

from headstart.client.errors import ClientTimeoutError, RequestError
from headstart.config import ClientLimits, WireLimits
from headstart.wire.events import Fields
from tests.client import hostile
from tests.client.peer import Peer
from tests.clock import timeless


async def test_error_of_whoever_is_told_fails_the_request_alone() -> None:
    def refuse(status: int, headers: Fields) -> None:
        assert (status, headers) == (103, [])
        raise LookupError("mine")

    peer = await Peer.connected()
    task, stream_id = await peer.asked(informed=refuse)
    other, other_id = await peer.asked()

    peer.server.inform(stream_id, 103, [])
    await peer.settle()
    await peer.answer(other_id)

    with pytest.raises(LookupError, match="mine"):
        await task
    assert (await other).status_code == 200
    await peer.settle()
    assert peer.resets() == [(stream_id, ErrorCode.CANCEL)]


async def test_streams_are_listed_with_their_states() -> None:
    peer = await Peer.connected()
    forever = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        await forever.wait()
        yield b""

    page, stream_id = await peer.asked("/page")
    upload = peer.request("POST", "/up", content=endless())
    await peer.settle()
    await peer.promise(stream_id)

    infos = {info.id: info for info in peer.connection.streams()}
    await peer.answer(stream_id)

    assert (infos[1].method, infos[1].target, infos[1].state) == (
        "GET",
        "/page",
        "half-closed (local)",
    )
    assert infos[3].state == "open"
    assert (infos[2].state, infos[2].pushed, infos[2].parent, infos[2].cached) == (
        "reserved (remote)",
        True,
        1,
        True,
    )
    assert [info.id for info in peer.connection.streams()] == [2, 3]
    closed = [info for info in peer.connection.streams(closed=True) if info.state == "closed"]
    assert [(info.id, info.status, info.received) for info in closed] == [(1, 200, 4)]
    await page
    upload.cancel()


async def test_what_comes_for_a_cancelled_stream_does_not_shrink_the_connections_window() -> None:
    limits = ClientLimits(stream_window=70_000, connection_window=70_000)
    peer = await Peer.connected(limits=limits)

    for _ in range(5):
        task, stream_id = await peer.asked()
        await peer.answer(stream_id, b"x" * 60_000, end=False)
        await (await task).aclose()
        await peer.settle()

    task, stream_id = await peer.asked()
    await peer.answer(stream_id, b"y" * 60_000)
    assert await (await task).aread() == b"y" * 60_000


async def test_reset_of_one_stream_leaves_the_others() -> None:
    peer = await Peer.connected()
    gone, _ = await peer.asked("/gone")
    page, stream_id = await peer.asked("/page")

    peer.server.reset(1, ErrorCode.INTERNAL_ERROR)
    await peer.settle()
    await peer.answer(stream_id)

    with pytest.raises(RequestError, match="INTERNAL_ERROR") as caught:
        await gone
    assert caught.value.processed
    assert await (await page).aread() == b"page"


async def test_refused_stream_was_not_processed() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()

    peer.server.reset(stream_id, ErrorCode.REFUSED_STREAM)
    await peer.settle()

    with pytest.raises(RequestError) as caught:
        await task
    assert not caught.value.processed


REFUSING = [ErrorCode.REFUSED_STREAM, ErrorCode.ENHANCE_YOUR_CALM]


async def refused(peer: Peer, code: int, times: int) -> None:
    for _ in range(times):
        task, stream_id = await peer.asked()
        peer.server.reset(stream_id, code)
        await peer.settle()
        with pytest.raises(RequestError):
            await task


@pytest.mark.parametrize("code", REFUSING)
async def test_server_that_answered_and_refuses_three_in_a_row_gets_no_more(code: int) -> None:
    peer = await Peer.connected()
    long, open_id = await peer.asked("/long")
    await peer.answer(open_id, b"be", end=False)

    taken = []
    for _ in range(3):
        await refused(peer, code, 1)
        taken.append(peer.connection.available)

    assert taken == [True, True, False]
    peer.server.send_data(open_id, b"gun", True)
    await peer.settle()
    assert await (await long).aread() == b"begun"
    task, stream_id = await peer.asked()
    await peer.answer(stream_id)
    await task
    assert peer.connection.available


@pytest.mark.parametrize("code", REFUSING)
async def test_answer_between_refusals_keeps_the_connection(code: int) -> None:
    peer = await Peer.connected()

    for _ in range(3):
        await refused(peer, code, 2)
        task, stream_id = await peer.asked()
        await peer.answer(stream_id)
        await task

    assert peer.connection.available


async def test_server_that_has_answered_nothing_is_asked_on_the_same_connection() -> None:
    peer = await Peer.connected()

    await refused(peer, ErrorCode.REFUSED_STREAM, 5)

    assert peer.connection.available


async def test_other_resets_keep_the_connection() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id)
    await task

    await refused(peer, ErrorCode.INTERNAL_ERROR, 5)
    for _ in range(5):
        task, stream_id = await peer.asked()
        await peer.answer(stream_id, end=False)
        peer.server.reset(stream_id, ErrorCode.ENHANCE_YOUR_CALM)
        await peer.settle()
        with pytest.raises(RequestError):
            await (await task).aread()

    assert peer.connection.available


async def test_reset_in_the_body_gives_what_came_and_then_fails() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id, b"part", end=False)
    peer.server.reset(stream_id, ErrorCode.INTERNAL_ERROR)
    await peer.settle()
    body = (await task).aiter_bytes()

    assert await anext(body) == b"part"
    with pytest.raises(RequestError):
        await anext(body)


async def test_wrong_content_length_fails_and_harms_nothing_else() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id, b"abc", headers=[(b"content-length", b"5")])

    with pytest.raises(RequestError, match="PROTOCOL_ERROR"):
        await (await task).aread()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id)
    assert (await task).status_code == 200


async def test_too_large_fields_fail_with_what_is_too_large() -> None:
    peer = await Peer.connected(limits=ClientLimits(max_header_size=500))
    task, stream_id = await peer.asked()

    await peer.answer(stream_id, headers=[(b"x", b"1" * 500)])

    with pytest.raises(RequestError, match="500 bytes"):
        await task


async def test_goaway_fails_what_is_above_it_and_lets_the_others_finish() -> None:
    peer = await Peer.connected(wire_limits=WireLimits(max_concurrent_streams=2))
    page, stream_id = await peer.asked("/page")
    other, _ = await peer.asked("/other")
    queued = peer.request("GET", "/queued")
    await peer.settle()

    peer.server.last_goaway()
    await peer.settle()

    with pytest.raises(RequestError) as caught:
        await queued
    assert not caught.value.processed
    assert not peer.connection.available
    with pytest.raises(RequestError) as refused:
        await peer.connection.request("GET", "/late")
    assert not refused.value.processed
    await peer.answer(stream_id)
    await peer.answer(3)
    assert await (await page).aread() == b"page"
    assert await (await other).aread() == b"page"
    assert peer.connection.closed
    assert "GOAWAY" in peer.connection.closed_reason


_CALM = hostile.number(2**31 - 1, ErrorCode.ENHANCE_YOUR_CALM) + b"too_many_pings\n"
_SHUT = hostile.number(0, ErrorCode.NO_ERROR) + b'{"reason":"BadCertificate"}'


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (
            _CALM,
            r"the server closed the connection \(after GOAWAY ENHANCE_YOUR_CALM: too_many_pings",
        ),
        (_SHUT, r'did not process the request \(GOAWAY NO_ERROR: {"reason":"BadCertificate"}\)'),
        (hostile.number(1, ErrorCode.NO_ERROR), r"closed the connection \(after GOAWAY NO_ERROR\)"),
    ],
)
async def test_error_repeats_what_the_server_said_in_its_goaway(
    payload: bytes, message: str
) -> None:
    peer = await Peer.connected()
    task, _ = await peer.asked()

    peer.connection.data_received(hostile.frame(hostile.GOAWAY, 0, 0, payload))
    peer.connection.connection_lost(None)

    with pytest.raises(RequestError, match=message) as caught:
        await task
    assert str(caught.value).isprintable()


async def test_connection_that_takes_no_requests_says_what_the_server_said() -> None:
    peer = await Peer.connected()
    await peer.asked()

    peer.connection.data_received(hostile.frame(hostile.GOAWAY, 0, 0, _CALM))

    with pytest.raises(RequestError, match="GOAWAY ENHANCE_YOUR_CALM: too_many_pings"):
        await peer.connection.request("GET", "/late")


@timeless
async def test_time_out_after_a_goaway_says_what_the_server_said() -> None:
    peer = await Peer.connected()
    task, _ = await peer.asked(timeout=0.01)

    peer.connection.data_received(hostile.frame(hostile.GOAWAY, 0, 0, _CALM))

    with pytest.raises(ClientTimeoutError, match="after GOAWAY ENHANCE_YOUR_CALM: too_many_pings"):
        await task


async def test_lost_connection_fails_all_requests_at_once() -> None:
    peer = await Peer.connected()
    waiting, _ = await peer.asked("/waiting")
    reading, stream_id = await peer.asked("/reading")
    await peer.answer(stream_id, b"part", end=False)
    ping = asyncio.create_task(peer.connection.ping())
    await peer.settle()

    peer.connection.connection_lost(ConnectionResetError("reset"))

    for failing in (waiting, (await reading).aread()):
        with pytest.raises(RequestError, match="reset") as caught:
            await failing
        assert caught.value.processed
    assert await ping >= 0
    assert peer.connection.closed
    with pytest.raises(RequestError):
        await peer.connection.ping()


async def test_request_is_stale_if_a_used_connection_was_lost_before_anything_of_its_answer() -> (
    None
):
    peer = await Peer.connected()
    fresh, first = await peer.asked("/fresh")
    answered, second = await peer.asked("/answered")
    await peer.answer(second)
    await (await answered).aread()
    informed, third = await peer.asked("/informed")
    peer.server.inform(third, 103, [])
    unanswered, _ = await peer.asked("/unanswered")

    peer.connection.connection_lost(None)

    stale = []
    for failing in (fresh, informed, unanswered):
        with pytest.raises(RequestError) as caught:
            await failing
        stale.append(caught.value.stale)
    assert first < third
    assert stale == [False, False, True]


async def test_request_that_this_side_gave_up_is_not_stale() -> None:
    peer = await Peer.connected()
    answered, stream_id = await peer.asked("/answered")
    await peer.answer(stream_id)
    await (await answered).aread()
    waiting, _ = await peer.asked("/waiting")

    peer.connection.abort()

    with pytest.raises(RequestError) as caught:
        await waiting
    assert not caught.value.stale
