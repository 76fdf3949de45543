"""One connection: protocol logic against a server in memory."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from ngh2 import ErrorCode

from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import (
    ClientTimeoutError,
    RequestError,
)
from headstart.config import ClientLimits, WireLimits
from headstart.errors import LocalProtocolError
from headstart.wire.events import Fields
from headstart.wire.fields import response_fields
from headstart.wire.frames import Direction
from tests.client.peer import ORIGIN, Peer
from tests.clock import timeless

# Requests and responses.


async def test_response_comes_with_its_fields_body_and_trailers() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked("/page?x", headers=[(b"Accept", b"*/*")])

    await peer.answer(stream_id, b"one", headers=[(b"x", b"1"), (b"X", b"2")], end=False)
    peer.server.send_data(stream_id, b"two", False)
    peer.server.send_trailers(stream_id, [(b"sum", b"6")])
    await peer.settle()
    response = await task

    assert (
        response.status_code,
        response.headers.get("X", ""),
        response.headers.get("none", "-"),
    ) == (
        200,
        "1, 2",
        "-",
    )
    assert await response.aread() == b"onetwo"
    assert response.content == await response.aread()
    assert response.trailers.raw == [(b"sum", b"6")]
    assert not response.from_push
    request = peer.requests[0]
    assert (request.method, request.target, request.authority) == (
        "GET",
        b"/page?x",
        b"example.test",
    )
    assert (b"accept", b"*/*") in request.headers


async def test_informational_responses_come_apart_with_their_time() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()

    peer.server.inform(stream_id, 103, [(b"link", b"</a>; rel=preload")])
    await peer.answer(stream_id)
    response = await task

    ((seconds, status, headers),) = response.informational
    assert seconds >= 0
    assert (status, dict(headers)) == (103, {"link": "</a>; rel=preload"})
    assert response.status_code == 200


async def test_informational_response_is_told_of_before_the_response_comes() -> None:
    peer = await Peer.connected()
    told: list[tuple[int, Fields]] = []
    asking = peer.connection.request("GET", "/", informed=lambda *said: told.append(said))
    task = asyncio.ensure_future(asking)
    await peer.settle()

    peer.server.inform(1, 103, [(b"link", b"</a>; rel=preload")])
    await peer.settle()

    assert told == [(103, [(b"link", b"</a>; rel=preload")])]
    assert not task.done()
    await peer.answer(1)
    assert (await task).status_code == 200


async def test_response_knows_when_it_came() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()

    await peer.answer(stream_id, b"one", end=False)
    response = await task
    begun = response.times
    peer.server.send_data(stream_id, b"two", True)
    await peer.settle()
    await response.aread()

    assert begun.responded is not None
    assert begun.ended is None
    ended = response.times.ended
    assert ended is not None
    assert begun.started <= begun.responded <= ended


async def test_windows_shrink_with_what_is_sent_and_received() -> None:
    peer = await Peer.connected()
    _, stream_id = await peer.asked()
    opened = peer.connection.windows(stream_id), peer.connection.windows()

    await peer.answer(stream_id, bytes(1000), end=False)
    received = peer.connection.windows(stream_id), peer.connection.windows()

    for before, after in zip(opened, received, strict=True):
        assert before is not None
        assert after is not None
        assert (before[0] - after[0], before[1] - after[1]) == (0, 1000)
    assert peer.connection.windows(99) is None


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_response_without_a_body_is_read_at_once(method: str, status: int) -> None:
    peer = await Peer.connected()
    task = peer.request(method, "/")
    await peer.settle()

    fields = response_fields(status, [(b"content-length", b"9")] if method == "HEAD" else [])
    peer.server.respond(1, fields, end_stream=True)
    await peer.settle()

    assert await (await task).aread() == b""
    assert peer.connection.streams() == []


async def test_host_field_takes_the_place_of_the_authority() -> None:
    peer = await Peer.connected()

    await peer.asked(headers=[(b"Host", b"other.test")])

    assert peer.requests[0].authority == b"other.test"


async def test_what_http_forbids_is_refused_and_the_connection_goes_on() -> None:
    peer = await Peer.connected()

    for target, headers in [("/a b", []), ("/ä", []), ("/", [(b"x", b"a\nb")])]:
        with pytest.raises(LocalProtocolError):
            await peer.connection.request("GET", target, headers)

    task, stream_id = await peer.asked()
    await peer.answer(stream_id)
    assert (await task).status_code == 200


async def test_request_while_nothing_is_under_way_is_written_at_once() -> None:
    peer = await Peer.connected()

    task = peer.request("GET", "/")
    await asyncio.sleep(0)

    assert len(peer.socket.written) == 1
    task.cancel()


async def test_all_that_a_turn_of_the_loop_brings_besides_is_written_in_one_go() -> None:
    peer = await Peer.connected()

    tasks = [peer.request("GET", f"/{number}") for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert len(peer.socket.written) == 2
    await peer.settle()
    assert len(peer.requests) == 20
    for task in tasks:
        task.cancel()


async def test_requests_above_the_servers_limit_wait_for_their_turn() -> None:
    peer = await Peer.connected(wire_limits=WireLimits(max_concurrent_streams=2))
    tasks = [peer.request("GET", f"/{number}") for number in range(4)]
    await peer.settle()
    assert len(peer.requests) == 2

    await peer.answer(1)
    await peer.answer(3)
    await peer.answer(5)
    await peer.answer(7)

    assert [(await task).status_code for task in tasks] == [200] * 4


async def test_tap_sees_all_bytes_in_both_directions() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id)
    await task

    assert set(peer.tapped) == {Direction.SENT, Direction.RECEIVED}
    assert [frame.kind for frame in peer.frames if not frame.problem and frame.stream_id == 1] == [
        "HEADERS",
        "HEADERS",
        "DATA",
    ]


async def test_the_tap_is_told_of_the_end_by_no_bytes() -> None:
    told: list[bytes] = []
    connection = Http2ClientConnection(ORIGIN, tap=lambda direction, data, at: told.append(data))

    connection.connection_lost(None)

    assert told == [b""]


# Windows.


async def test_body_that_nobody_reads_closes_its_window_and_no_other() -> None:
    peer = await Peer.connected(limits=ClientLimits(stream_window=70_000))
    first, stuck = await peer.asked("/stuck")
    await peer.answer(stuck, b"x" * 200_000)
    second, page = await peer.asked("/page")
    await peer.answer(page, b"y" * 60_000)

    assert await (await second).aread() == b"y" * 60_000
    assert peer.server.queued_on(stuck) == 130_000
    response = await first
    reading = asyncio.create_task(response.aread())
    await peer.settle()
    assert await reading == b"x" * 200_000


async def test_request_that_is_cancelled_before_it_is_written_leaves_nothing() -> None:
    peer = await Peer.connected()
    peer.connection.pause_writing()
    task = peer.request("GET", "/")
    await peer.settle()
    assert len(peer.connection.streams()) == 1

    task.cancel()
    await peer.settle()
    peer.connection.resume_writing()
    await peer.settle()

    assert peer.requests == []
    assert peer.connection.streams() == []
    page, stream_id = await peer.asked()
    await peer.answer(stream_id)
    assert (await page).status_code == 200


async def test_server_may_answer_before_it_has_read_the_request() -> None:
    peer = await Peer.connected()
    task = peer.request("POST", "/", content=b"x" * 1_000_000)
    await peer.settle()

    await peer.answer(1, b"too large", status=413)
    peer.server.reset(1, ErrorCode.NO_ERROR)
    await peer.settle()
    response = await task

    assert (response.status_code, await response.aread()) == (413, b"too large")
    assert peer.connection.streams() == []
    assert not peer.connection.closed


# Failures.


@timeless
async def test_request_without_progress_times_out_and_resets_its_stream() -> None:
    peer = await Peer.connected()

    with pytest.raises(ClientTimeoutError) as caught:
        await peer.connection.request("GET", "/", timeout=0.02)
    await peer.settle()

    assert caught.value.hint
    assert peer.resets() == [(1, ErrorCode.CANCEL)]


@timeless
async def test_body_without_progress_times_out_and_resets_its_stream() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked(timeout=0.05)
    await peer.answer(stream_id, b"part", end=False)

    with pytest.raises(ClientTimeoutError):
        await (await task).aread()
    await peer.settle()

    assert peer.resets() == [(1, ErrorCode.CANCEL)]


@timeless
async def test_progress_renews_the_time_out() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked(timeout=0.2)

    for _ in range(4):
        await asyncio.sleep(0.08)
        peer.server.inform(stream_id, 103, [])
        await peer.settle()
    await peer.answer(stream_id)

    assert (await task).status_code == 200


async def test_no_time_out_waits_without_end() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked(timeout=math.inf)

    await peer.answer(stream_id)

    assert (await task).status_code == 200


@pytest.mark.parametrize("reading", [False, True])
async def test_cancelling_the_caller_resets_the_stream(reading: bool) -> None:
    peer = await Peer.connected()
    task: asyncio.Task[Any]
    task, stream_id = await peer.asked()
    if reading:
        await peer.answer(stream_id, b"part", end=False)
        task = asyncio.create_task((await task).aread())
        await peer.settle()

    task.cancel()
    await peer.settle()

    assert peer.resets() == [(1, ErrorCode.CANCEL)]
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_closing_a_response_resets_its_stream_once() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id, b"part", end=False)

    async with await task as response:
        pass
    await response.aclose()
    await peer.settle()

    assert peer.resets() == [(1, ErrorCode.CANCEL)]
    with pytest.raises(RequestError):
        await response.aread()


async def test_closing_a_response_that_was_read_sends_nothing() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id)

    async with await task as response:
        await response.aread()
    await peer.settle()

    assert peer.resets() == []


async def test_closing_says_goaway_and_fails_what_is_under_way() -> None:
    peer = await Peer.connected()
    task, _ = await peer.asked()
    upload = peer.request("POST", "/", content=b"x" * 1_000_000)
    await peer.settle()

    await peer.connection.aclose()
    await peer.settle()

    assert peer.server.goaway
    assert len(peer.sent("GOAWAY")) == 1
    assert (peer.connection.closed, peer.connection.closed_reason) == (True, "closed by this side")
    for failing in (task, upload):
        with pytest.raises(RequestError):
            await failing
    await peer.connection.aclose()


async def test_closing_ends_even_where_the_server_does_not_take_leave() -> None:
    peer = await Peer.connected()
    peer.socket.lingers = True

    await peer.connection.aclose()

    assert peer.socket.lost


async def test_server_that_breaks_the_rules_is_told_so() -> None:
    peer = await Peer.connected()
    task, _ = await peer.asked()

    peer.connection.data_received(b"\x00\x00\x05\x00\x00\x00\x00\x00\x00hello")
    await peer.settle()

    with pytest.raises(RequestError, match="PROTOCOL_ERROR"):
        await task
    assert peer.sent("GOAWAY")
    assert peer.socket.closed


async def test_paused_socket_gets_nothing_until_it_takes_more() -> None:
    peer = await Peer.connected()
    peer.connection.pause_writing()
    task = peer.request("GET", "/")
    await peer.settle()
    assert peer.requests == []

    peer.connection.resume_writing()
    await peer.settle()

    assert len(peer.requests) == 1
    await peer.answer(1)
    await task
