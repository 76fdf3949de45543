"""One connection: protocol logic against a server in memory, sockets and TLS against nghttpd."""

from __future__ import annotations

import asyncio
import gc
import math
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hpack import Encoder
from hyperframe.frame import PushPromiseFrame
from ngh2 import ErrorCode

from headstart.client.connection import H2Connection, connect
from headstart.client.errors import (
    ConnectFailed,
    NotHttp2,
    RequestFailed,
    TimedOut,
    TlsFailed,
)
from headstart.client.origin import Origin
from headstart.config import ClientLimits, WireLimits
from headstart.errors import LocalProtocolError
from headstart.wire.fields import response_fields
from headstart.wire.frames import Direction, Frame
from tests.client.live import Nghttpd, certificates, free_port, nghttpd, raw_server
from tests.client.peer import Peer
from tests.h2c.push_server import push_server

# Requests and responses.


async def test_response_comes_with_its_fields_body_and_trailers() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked("/page?x", headers=[(b"Accept", b"*/*")])

    await peer.answer(stream_id, b"one", headers=[(b"x", b"1"), (b"X", b"2")], end=False)
    peer.server.send_data(stream_id, b"two", False)
    peer.server.send_trailers(stream_id, [(b"sum", b"6")])
    await peer.settle()
    response = await task

    assert (response.status, response.header("X"), response.header("none", "-")) == (
        200,
        "1, 2",
        "-",
    )
    assert await response.read() == b"onetwo"
    assert response.content == await response.read()
    assert response.trailers == [(b"sum", b"6")]
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
    assert (status, headers) == (103, [(b"link", b"</a>; rel=preload")])
    assert response.status == 200


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_response_without_a_body_is_read_at_once(method: str, status: int) -> None:
    peer = await Peer.connected()
    task = peer.request(method, "/")
    await peer.settle()

    fields = response_fields(status, [(b"content-length", b"9")] if method == "HEAD" else [])
    peer.server.respond(1, fields, end_stream=True)
    await peer.settle()

    assert await (await task).read() == b""
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
    assert (await task).status == 200


async def test_all_that_a_turn_of_the_loop_brings_is_written_at_once() -> None:
    peer = await Peer.connected()

    tasks = [peer.request("GET", f"/{number}") for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert len(peer.socket.written) == 1
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

    assert [(await task).status for task in tasks] == [200] * 4


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


# Windows.


async def test_body_that_nobody_reads_closes_its_window_and_no_other() -> None:
    peer = await Peer.connected(limits=ClientLimits(stream_window=70_000))
    first, stuck = await peer.asked("/stuck")
    await peer.answer(stuck, b"x" * 200_000)
    second, page = await peer.asked("/page")
    await peer.answer(page, b"y" * 60_000)

    assert await (await second).read() == b"y" * 60_000
    assert peer.server.queued_on(stuck) == 130_000
    response = await first
    reading = asyncio.create_task(response.read())
    await peer.settle()
    assert await reading == b"x" * 200_000


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
    assert await (await task).read() == b"y" * 60_000


# Uploads.


async def test_small_content_goes_with_its_length() -> None:
    peer = await Peer.connected()

    task = peer.request("POST", "/", content=b"hello")
    await peer.settle()

    assert peer.body(1) == b"hello"
    assert (b"content-length", b"5") in peer.requests[0].headers
    await peer.answer(1)
    assert (await task).status == 200


async def test_upload_waits_for_the_window_in_a_bounded_queue() -> None:
    limits = ClientLimits(max_queued_upload=100_000)
    peer = await Peer.connected(limits=limits)
    taken = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b"x" * 10_000

    task = peer.request("POST", "/", content=parts())
    await peer.settle()
    # 64 KiB of window, 100 kB of queue, and one part at the most above it.
    assert 10 < taken <= 65_536 // 10_000 + 10 + 2
    task.cancel()
    await peer.settle()
    assert (1, ErrorCode.CANCEL) in peer.resets()


async def test_large_upload_arrives_whole() -> None:
    peer = await Peer.connected(limits=ClientLimits(max_queued_upload=50_000))
    content = bytes(range(256)) * 2000
    seen = 0

    task = peer.request("PUT", "/", content=content)
    while seen < len(content):
        await peer.settle()
        arrived = len(peer.body(1))
        assert arrived > seen
        peer.server.acknowledge(arrived - seen, 1)
        seen = arrived
    await peer.answer(1)

    assert (await task).status == 200
    assert peer.body(1) == content
    assert not peer.resets()


async def test_error_in_the_content_reaches_the_caller_and_resets_the_stream() -> None:
    peer = await Peer.connected()

    async def broken() -> AsyncIterator[bytes]:
        yield b"part"
        await server_has_it.wait()
        raise ZeroDivisionError

    server_has_it = asyncio.Event()
    task = peer.request("POST", "/", content=broken())
    await peer.settle()
    server_has_it.set()
    await peer.settle()

    with pytest.raises(ZeroDivisionError):
        await task
    assert peer.resets() == [(1, ErrorCode.CANCEL)]


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
    assert (await page).status == 200


async def test_server_may_answer_before_it_has_read_the_request() -> None:
    peer = await Peer.connected()
    task = peer.request("POST", "/", content=b"x" * 1_000_000)
    await peer.settle()

    await peer.answer(1, b"too large", status=413)
    peer.server.reset(1, ErrorCode.NO_ERROR)
    await peer.settle()
    response = await task

    assert (response.status, await response.read()) == (413, b"too large")
    assert peer.connection.streams() == []
    assert not peer.connection.closed


# Failures.


async def test_reset_of_one_stream_leaves_the_others() -> None:
    peer = await Peer.connected()
    gone, _ = await peer.asked("/gone")
    page, stream_id = await peer.asked("/page")

    peer.server.reset(1, ErrorCode.INTERNAL_ERROR)
    await peer.settle()
    await peer.answer(stream_id)

    with pytest.raises(RequestFailed, match="INTERNAL_ERROR") as caught:
        await gone
    assert caught.value.processed
    assert await (await page).read() == b"page"


async def test_refused_stream_was_not_processed() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()

    peer.server.reset(stream_id, ErrorCode.REFUSED_STREAM)
    await peer.settle()

    with pytest.raises(RequestFailed) as caught:
        await task
    assert not caught.value.processed


async def test_reset_in_the_body_gives_what_came_and_then_fails() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id, b"part", end=False)
    peer.server.reset(stream_id, ErrorCode.INTERNAL_ERROR)
    await peer.settle()
    body = (await task).body()

    assert await anext(body) == b"part"
    with pytest.raises(RequestFailed):
        await anext(body)


async def test_wrong_content_length_fails_and_harms_nothing_else() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id, b"abc", headers=[(b"content-length", b"5")])

    with pytest.raises(RequestFailed, match="PROTOCOL_ERROR"):
        await (await task).read()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id)
    assert (await task).status == 200


async def test_too_large_fields_fail_with_what_is_too_large() -> None:
    peer = await Peer.connected(limits=ClientLimits(max_header_size=500))
    task, stream_id = await peer.asked()

    await peer.answer(stream_id, headers=[(b"x", b"1" * 500)])

    with pytest.raises(RequestFailed, match="500 bytes"):
        await task


async def test_goaway_fails_what_is_above_it_and_lets_the_others_finish() -> None:
    peer = await Peer.connected(wire_limits=WireLimits(max_concurrent_streams=2))
    page, stream_id = await peer.asked("/page")
    other, _ = await peer.asked("/other")
    queued = peer.request("GET", "/queued")
    await peer.settle()

    peer.server.last_goaway()
    await peer.settle()

    with pytest.raises(RequestFailed) as caught:
        await queued
    assert not caught.value.processed
    assert not peer.connection.available
    with pytest.raises(RequestFailed) as refused:
        await peer.connection.request("GET", "/late")
    assert not refused.value.processed
    await peer.answer(stream_id)
    await peer.answer(3)
    assert await (await page).read() == b"page"
    assert await (await other).read() == b"page"
    assert peer.connection.closed
    assert "GOAWAY" in peer.connection.closed_reason


async def test_lost_connection_fails_all_requests_at_once() -> None:
    peer = await Peer.connected()
    waiting, _ = await peer.asked("/waiting")
    reading, stream_id = await peer.asked("/reading")
    await peer.answer(stream_id, b"part", end=False)
    ping = asyncio.create_task(peer.connection.ping())
    await peer.settle()

    peer.connection.connection_lost(ConnectionResetError("reset"))

    for failing in (waiting, (await reading).read()):
        with pytest.raises(RequestFailed, match="reset") as caught:
            await failing
        assert caught.value.processed
    assert await ping >= 0
    assert peer.connection.closed
    with pytest.raises(RequestFailed):
        await peer.connection.ping()


async def test_ping_under_way_fails_with_the_connection() -> None:
    peer = await Peer.connected()
    ping = asyncio.create_task(peer.connection.ping())
    await asyncio.sleep(0)

    peer.connection.connection_lost(None)

    with pytest.raises(RequestFailed):
        await ping


async def test_ping_without_an_answer_times_out() -> None:
    peer = await Peer.connected()

    with pytest.raises(TimedOut):
        await peer.connection.ping(timeout=0.01)


async def test_request_without_progress_times_out_and_resets_its_stream() -> None:
    peer = await Peer.connected()

    with pytest.raises(TimedOut) as caught:
        await peer.connection.request("GET", "/", timeout=0.02)
    await peer.settle()

    assert caught.value.hint
    assert peer.resets() == [(1, ErrorCode.CANCEL)]


async def test_body_without_progress_times_out_and_resets_its_stream() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked(timeout=0.05)
    await peer.answer(stream_id, b"part", end=False)

    with pytest.raises(TimedOut):
        await (await task).read()
    await peer.settle()

    assert peer.resets() == [(1, ErrorCode.CANCEL)]


async def test_progress_renews_the_time_out() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked(timeout=0.2)

    for _ in range(4):
        await asyncio.sleep(0.08)
        peer.server.inform(stream_id, 103, [])
        await peer.settle()
    await peer.answer(stream_id)

    assert (await task).status == 200


async def test_no_time_out_waits_without_end() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked(timeout=math.inf)

    await peer.answer(stream_id)

    assert (await task).status == 200


@pytest.mark.parametrize("reading", [False, True])
async def test_cancelling_the_caller_resets_the_stream(reading: bool) -> None:
    peer = await Peer.connected()
    task: asyncio.Task[Any]
    task, stream_id = await peer.asked()
    if reading:
        await peer.answer(stream_id, b"part", end=False)
        task = asyncio.create_task((await task).read())
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
    with pytest.raises(RequestFailed):
        await response.read()


async def test_closing_a_response_that_was_read_sends_nothing() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    await peer.answer(stream_id)

    async with await task as response:
        await response.read()
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
        with pytest.raises(RequestFailed):
            await failing
    await peer.connection.aclose()


async def test_server_that_breaks_the_rules_is_told_so() -> None:
    peer = await Peer.connected()
    task, _ = await peer.asked()

    peer.connection.data_received(b"\x00\x00\x05\x00\x00\x00\x00\x00\x00hello")
    await peer.settle()

    with pytest.raises(RequestFailed, match="PROTOCOL_ERROR"):
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


# Pushed responses.


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
    assert (first.from_push, first.stream_id, await first.read()) == (True, promised, b"pushed")
    await first.aclose()
    await peer.settle()
    assert len(peer.frames) == frames
    assert peer.connection.pushes.listing(0) == []

    second, stream_id = await peer.asked("/data")
    await peer.answer(stream_id, b"asked")
    assert (await second).from_push is False


async def test_push_of_a_post_answers_a_get() -> None:
    peer = await Peer.connected()
    post = peer.request("POST", "/data", content=b"hello")
    await peer.settle()
    promised = await peer.promise(1)
    await peer.answer(1, b"")
    await peer.answer(promised, b"I received hello")
    await post

    response = await peer.connection.request("GET", "/data")

    assert await response.read() == b"I received hello"


async def test_push_under_way_is_waited_for() -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    waiting = peer.request("GET", "/data")
    await peer.settle()
    assert len(peer.requests) == 1

    await peer.answer(promised, b"x" * 200_000, end=False)
    response = await waiting
    reading = asyncio.create_task(response.read())
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
    assert (response.from_push, await response.read()) == (False, b"asked")
    assert len(peer.connection.pushes) == 0


async def test_two_requests_share_no_push() -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    waiting = [peer.request("GET", "/data") for _ in range(2)]
    await peer.settle()

    await peer.answer(promised, b"pushed")
    await peer.answer(peer.requests[-1].stream_id, b"asked")

    bodies = {(await task).from_push: await (await task).read() for task in waiting}
    assert bodies == {True: b"pushed", False: b"asked"}


async def test_kept_push_is_seen_again_and_again() -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    promised = await peer.promise(stream_id)
    looking = peer.request("GET", "/data", keep_push=True)
    await peer.settle()
    await peer.answer(promised, b"pushed")

    assert await (await looking).read() == b"pushed"
    async with await peer.connection.request("GET", "/data", keep_push=True) as again:
        assert await again.read() == b"pushed"
    last = await peer.connection.request("GET", "/data")
    assert (last.from_push, await last.read()) == (True, b"pushed")
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


async def test_time_out_while_waiting_for_a_push_leaves_the_push() -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    await peer.promise(stream_id)

    with pytest.raises(TimedOut):
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
    reading = asyncio.create_task((await page).read())
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
    assert await (await peer.connection.request("GET", "/data")).read() == b"new"


async def test_push_that_is_here_answers_even_after_the_connection_is_gone() -> None:
    peer = await Peer.connected()
    _page, stream_id = await peer.asked()
    done = await peer.promise(stream_id, b"/done")
    await peer.answer(done, b"pushed")
    await peer.promise(stream_id, b"/part")

    peer.connection.connection_lost(None)

    assert await (await peer.connection.request("GET", "/done")).read() == b"pushed"
    with pytest.raises(RequestFailed):
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


# Sockets.


def _kinds(frames: list[Frame], direction: Direction) -> list[str]:
    return [frame.kind for frame in frames if frame.direction is direction]


async def test_cleartext_server_answers_and_pushes(server: Nghttpd) -> None:
    connection = await connect(Origin("http", "localhost", server.port))

    page = await connection.request("GET", "/page.html", timeout=5)
    pushed = await connection.request("GET", "/style.css", timeout=5)

    assert await page.read() == b"<html>"
    assert (pushed.from_push, await pushed.read()) == (True, b"css")
    assert (connection.alpn, connection.tls_version) == (None, None)
    assert connection.peername[1] == server.port
    assert connection.server_settings
    assert 0 < await connection.ping(5) < 5
    await connection.aclose()


async def test_tls_server_answers(tls_server: Nghttpd) -> None:
    origin = Origin("https", "localhost", tls_server.port)
    connection = await connect(origin, cafile=tls_server.cafile)

    response = await connection.request("GET", "/page.html", timeout=5)

    assert await response.read() == b"<html>"
    assert connection.alpn == "h2"
    assert connection.tls_version == "TLSv1.3"
    await connection.aclose()
    assert connection.closed


async def test_large_bodies_go_both_ways(server: Nghttpd) -> None:
    connection = await connect(Origin("http", "localhost", server.port), push=False)

    sent = await connection.request("POST", "/big", content=b"x" * 3_000_000, timeout=5)
    body = await (await connection.request("GET", "/big", timeout=5)).read()

    assert sent.status == 200
    assert body == server.big
    await connection.aclose()


async def test_certificate_of_an_unknown_ca_is_refused_with_a_hint(tls_server: Nghttpd) -> None:
    with pytest.raises(TlsFailed, match="not trusted") as caught:
        await connect(Origin("https", "localhost", tls_server.port))

    assert "--cacert" in caught.value.hint
    connection = await connect(Origin("https", "localhost", tls_server.port), insecure=True)
    await connection.aclose()


async def test_certificate_for_another_name_is_refused_with_a_hint(tls_server: Nghttpd) -> None:
    with pytest.raises(TlsFailed) as caught:
        await connect(Origin("https", "127.0.0.1", tls_server.port), cafile=tls_server.cafile)

    assert "name" in caught.value.hint


async def test_closed_port_is_told(unused_port: int) -> None:
    with pytest.raises(ConnectFailed, match="refuses") as caught:
        await connect(Origin("https", "localhost", unused_port))

    assert "running" in caught.value.hint


async def test_localhost_is_both_addresses_though_the_resolver_knows_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve = socket.getaddrinfo

    def only_ipv6(host: str, *arguments: Any, **options: Any) -> Any:
        return resolve("::1" if host == "localhost" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", only_ipv6)
    with push_server(host="127.0.0.1") as running:
        connection = await connect(Origin("http", "localhost", running.port))

        assert connection.peername[0] == "127.0.0.1"
        await connection.aclose()


async def test_unknown_host_is_told() -> None:
    with pytest.raises(ConnectFailed, match="no host"):
        await connect(Origin("https", "no-such-host.invalid", 443))


async def test_https_to_a_cleartext_port_is_told(server: Nghttpd) -> None:
    with pytest.raises(TlsFailed):
        await connect(Origin("https", "localhost", server.port))


async def test_http_to_a_tls_port_is_told(tls_server: Nghttpd) -> None:
    with pytest.raises(NotHttp2):
        await connect(Origin("http", "localhost", tls_server.port))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP/2"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "speaks TLS"),
        (b"", "does not speak HTTP/2"),
    ],
    ids=["http1", "ssh", "tls", "nothing"],
)
async def test_server_of_another_protocol_is_told(answer: bytes, message: str) -> None:
    async with raw_server(answer) as port:
        with pytest.raises(NotHttp2, match=message) as caught:
            await connect(Origin("http", "127.0.0.1", port))

    assert caught.value.hint


async def test_tls_server_without_http2_is_told(tmp_path: Path) -> None:
    files = certificates(tmp_path)
    async with raw_server(b"", tls=files) as port:
        with pytest.raises(NotHttp2, match="ALPN"):
            await connect(Origin("https", "localhost", port), cafile=files.cafile)


async def test_server_that_says_nothing_times_out() -> None:
    async with raw_server(None) as port:
        with pytest.raises(TimedOut, match=r"0\.05 s"):
            await connect(Origin("http", "127.0.0.1", port), timeout=0.05)


async def test_server_that_is_killed_fails_its_requests_at_once(tmp_path: Path) -> None:
    async with nghttpd(tmp_path) as server:
        connection = await connect(Origin("http", "localhost", server.port))
        reading = await connection.request("GET", "/big", timeout=5)
        server.kill()

        with pytest.raises(RequestFailed):
            await reading.read()

    assert connection.closed


async def test_nothing_is_left_behind(server: Nghttpd) -> None:
    connection: H2Connection | None = await connect(Origin("http", "localhost", server.port))
    assert connection is not None
    await (await connection.request("POST", "/page.html", content=b"x" * 100_000)).read()
    await connection.aclose()
    connection = None
    await asyncio.sleep(0)
    gc.collect()

    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def unused_port() -> int:
    return free_port()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Nghttpd]:
    async with nghttpd(tmp_path) as running:
        yield running


@pytest.fixture
async def tls_server(tmp_path: Path) -> AsyncIterator[Nghttpd]:
    async with nghttpd(tmp_path, tls=True) as running:
        yield running
