"""Bodies of requests: against a server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import pytest
from ngh2 import ErrorCode

from headstart.client.contents import Content
from headstart.config import ClientLimits, WireLimits
from headstart.errors import LocalProtocolError
from headstart.wire.events import TrailersReceived
from headstart.wire.fields import response_fields
from tests.client.peer import Peer
from tests.clock import timeless


async def test_small_content_goes_with_its_length() -> None:
    peer = await Peer.connected()

    task = peer.request("POST", "/", content=b"hello")
    await peer.settle()

    assert peer.body(1) == b"hello"
    assert (b"content-length", b"5") in peer.requests[0].headers
    await peer.answer(1)
    assert (await task).status_code == 200


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

    assert (await task).status_code == 200
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


async def parts() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


@pytest.mark.parametrize("content", [parts, lambda: [b"one", b"two"], lambda: iter([b"onetwo"])])
async def test_parts_come_from_any_kind_of_iterable(content: Callable[[], Content]) -> None:
    peer = await Peer.connected()

    peer.request("POST", "/", content=content())
    await peer.settle()

    assert peer.body(1) == b"onetwo"
    assert b"content-length" not in dict(peer.requests[0].headers)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
async def test_octets_of_any_kind_are_sent(kind: type[bytearray] | type[memoryview]) -> None:
    peer = await Peer.connected()

    peer.request("POST", "/", content=kind(b"whole"))
    peer.request("POST", "/", content=[kind(b"pa"), b"rt", kind(b"s")])
    await peer.settle()

    assert (peer.body(1), peer.body(3)) == (b"whole", b"parts")


@pytest.mark.parametrize("part", ["text", None, 5])
@pytest.mark.parametrize("is_async", [False, True])
async def test_part_that_is_no_bytes_fails_the_request(part: object, is_async: bool) -> None:
    peer = await Peer.connected()
    parts = [b"first", cast(bytes, part), b"last"]

    async def each() -> AsyncIterator[bytes]:
        for one in parts:
            yield one

    task = peer.request("POST", "/", content=each() if is_async else parts)
    await peer.settle()

    with pytest.raises(LocalProtocolError, match=f"is {type(part).__name__}, not bytes") as caught:
        await task
    assert caught.value.hint
    await peer.settle()
    assert peer.connection.streams() == []


@pytest.mark.parametrize("content", [None, b"", b"data", b"x" * 60_000])
async def test_trailers_end_the_request(content: Content) -> None:
    peer = await Peer.connected()
    sums: list[int] = []

    def trailers() -> list[tuple[bytes, bytes]]:
        sums.append(len(peer.body(1)))
        return [(b"sum", b"6")]

    peer.request("POST", "/", content=content, trailers=trailers)
    await peer.settle()

    (received,) = (event for event in peer.events if isinstance(event, TrailersReceived))
    assert received.headers == ((b"sum", b"6"),)
    assert peer.body(1) == (content or b"")
    assert len(sums) == 1


async def test_trailers_that_http_forbids_fail_the_request() -> None:
    peer = await Peer.connected()

    task = peer.request("POST", "/", content=b"data", trailers=[(b"a b", b"")])
    await peer.settle()

    with pytest.raises(LocalProtocolError):
        await task
    await peer.settle()
    assert peer.connection.streams() == []


@timeless
async def test_time_that_the_caller_takes_for_a_part_does_not_count() -> None:
    peer = await Peer.connected()
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"one"
        await go_on.wait()
        yield b"two"

    task = peer.request("POST", "/", content=slow(), timeout=0.02)
    await asyncio.sleep(0.1)
    waited = not task.done()
    go_on.set()
    await peer.settle()
    await peer.answer(1)

    assert waited
    assert (await task).status_code == 200
    assert peer.body(1) == b"onetwo"


async def test_closing_a_response_that_came_early_ends_the_upload() -> None:
    peer = await Peer.connected(wire_limits=WireLimits(stream_window=1000))
    task = peer.request("POST", "/", content=bytes(100_000))
    await peer.settle()
    await peer.answer(1, b"enough", end=False)
    response = await task

    await response.aclose()
    await peer.settle()

    assert peer.resets() == [(1, ErrorCode.CANCEL)]
    assert peer.connection.streams() == []


async def test_upload_stops_when_the_response_is_complete() -> None:
    peer = await Peer.connected()
    taken: list[bytes] = []
    is_closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                taken.append(b"part")
                yield taken[-1]
                await asyncio.sleep(0)
        finally:
            is_closed.set()

    task = peer.request("POST", "/", content=endless())
    while not peer.requests:
        await asyncio.sleep(0)
        peer.carry()
    peer.server.respond(1, response_fields(413, []), end_stream=True)
    await peer.settle()
    response = await task

    assert response.status_code == 413
    assert await response.aread() == b""
    assert is_closed.is_set()
    assert peer.resets() == [(1, ErrorCode.NO_ERROR)]
    assert peer.connection.streams() == []


def one_by_one(closed: list[str]) -> Iterator[bytes]:
    try:
        while True:
            yield b"x" * 50_000
    finally:
        closed.append("generator")


async def test_generator_is_closed_when_the_response_comes_before_its_end() -> None:
    peer = await Peer.connected()
    closed: list[str] = []
    task = peer.request("POST", "/", content=one_by_one(closed))
    await peer.settle()
    assert not closed

    await peer.answer(1, b"enough")

    assert await (await task).aread() == b"enough"
    assert closed == ["generator"]
    assert peer.connection.streams() == []


@pytest.mark.parametrize("size", [60_000, 100_000])
async def test_content_that_the_window_holds_back_ends_with_the_response(size: int) -> None:
    peer = await Peer.connected(wire_limits=WireLimits(stream_window=1000))
    task = peer.request("POST", "/", content=bytes(size))
    await peer.settle()

    await peer.answer(1, b"enough")

    assert await (await task).aread() == b"enough"
    assert peer.resets() == [(1, ErrorCode.NO_ERROR)]
    assert peer.connection.streams() == []


async def test_content_that_is_on_its_way_is_sent_whole_after_an_early_response() -> None:
    peer = await Peer.connected()
    body = asyncio.Queue[bytes]()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        yield await body.get()

    task = peer.request("POST", "/", content=parts())
    await peer.settle()
    body.put_nowait(b"last")
    for _ in range(3):
        await asyncio.sleep(0)  # it is all queued, and not written yet

    await peer.answer(1, b"enough")

    assert await (await task).aread() == b"enough"
    assert (peer.body(1), peer.resets()) == (b"firstlast", [])
