"""What the original h2c got wrong, one by one, on one connection of ours."""

from __future__ import annotations

import asyncio

import pytest
from hpack import Encoder
from hyperframe.frame import (
    AltSvcFrame,
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PushPromiseFrame,
    SettingsFrame,
)
from ngh2 import Setting

from headstart.client import AsyncClient, RequestError
from headstart.config import WireLimits
from tests.client.peer import AUTHORITY, ORIGIN, Peer
from tests.servers.conftest import Servers

OCTETS = bytes(range(256)) * 300 + b"\r\n\x00\xff"


def told(peer: Peer, *frames: Frame) -> None:
    """The server says these frames, as they are."""
    for frame in frames:
        peer.connection.data_received(frame.serialize())


def block(*fields: tuple[str, str]) -> bytes:
    return Encoder().encode(fields)


def with_flags(frame: Frame, *flags: str) -> Frame:
    for flag in flags:
        frame.flags.add(flag)
    return frame


def response(stream_id: int, body: bytes) -> list[Frame]:
    return [
        with_flags(HeadersFrame(stream_id, data=block((":status", "200"))), "END_HEADERS"),
        with_flags(DataFrame(stream_id, data=body), "END_STREAM"),
    ]


async def test_setting_that_nobody_knows_is_ignored() -> None:
    peer = await Peer.connected()
    _, stream_id = await peer.asked()

    told(peer, SettingsFrame(0, settings={0xF00D: 7, 0x10: 1, 0xFFFF: 0xFFFFFFFF}))
    told(peer, *response(stream_id, b"page"))

    assert peer.connection.available
    assert peer.connection.streams(closed=True)[0].status == 200


async def test_103_and_200_are_two_responses() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()

    peer.server.inform(stream_id, 103, [(b"link", b"</a>; rel=preload"), (b"x", b"1")])
    await peer.answer(stream_id, headers=[(b"x", b"2")])
    answer = await task

    assert [(one.status_code, dict(one.headers)) for one in answer.informational] == [
        (103, {"link": "</a>; rel=preload", "x": "1"})
    ]
    assert answer.headers.get("x", "") == "2"
    assert not answer.headers.get("link", "")


@pytest.mark.parametrize("name", ["node", "nghttpd", "h2o"])
async def test_octets_are_exact_in_both_directions(servers: Servers, name: str) -> None:
    async with AsyncClient(servers(name).clear) as client:
        echo = await client.post("/echo", OCTETS)
        parts = await client.post("/echo", (OCTETS[n : n + 999] for n in range(0, 76_804, 999)))

    assert echo.content == OCTETS
    assert parts.content == OCTETS


async def test_header_section_may_go_on_in_continuation_frames() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    fields = block((":status", "200"), ("x", "y" * 100))

    told(
        peer,
        HeadersFrame(stream_id, data=fields[:10]),
        ContinuationFrame(stream_id, data=fields[10:20]),
        with_flags(ContinuationFrame(stream_id, data=fields[20:]), "END_HEADERS"),
        with_flags(DataFrame(stream_id, data=b"page"), "END_STREAM"),
    )
    answer = await task

    assert (answer.headers.get("x", ""), await answer.aread()) == ("y" * 100, b"page")


async def test_promise_may_go_on_in_continuation_frames() -> None:
    peer = await Peer.connected()
    _, stream_id = await peer.asked()
    fields = block(
        (":method", "GET"), (":scheme", "http"), (":authority", "example.test"), (":path", "/a")
    )

    told(
        peer,
        PushPromiseFrame(stream_id, promised_stream_id=2, data=fields[:3]),
        with_flags(ContinuationFrame(stream_id, data=fields[3:]), "END_HEADERS"),
    )

    (pushed,) = peer.connection.pushes.listing(0)
    assert (pushed.stream_id, pushed.target, pushed.authority) == (2, b"/a", AUTHORITY)


async def test_frames_of_extensions_change_nothing() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()

    told(
        peer,
        AltSvcFrame(0, origin=str(ORIGIN).encode(), field=b'h3=":443"'),
        AltSvcFrame(stream_id, field=b'h3=":443"'),
    )
    for kind, flags, stream in [(0x0C, 0, 0), (0xBE, 0xFF, stream_id), (0xFF, 1, 0), (0x21, 0, 8)]:
        body = b"\0\x12http://example.test"
        header = len(body).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4)
        peer.connection.data_received(header + body)
    await peer.answer(stream_id)

    assert await (await task).aread() == b"page"
    assert peer.connection.available


@pytest.mark.parametrize("size", [999, 1000])
async def test_frame_as_large_as_the_window_is_sent(size: int) -> None:
    peer = await Peer.connected(wire_limits=WireLimits(stream_window=1000))

    peer.request("POST", "/", content=bytes(size))
    await peer.settle()

    assert peer.body(1) == bytes(size)
    assert peer.connection.streams()[0].state == "half-closed (local)"


async def test_later_change_of_the_window_counts_for_open_streams() -> None:
    peer = await Peer.connected(wire_limits=WireLimits(stream_window=1000))

    async def window(size: int) -> int:
        peer.server._engine.update_settings({Setting.INITIAL_WINDOW_SIZE: size})
        await peer.settle()
        return len(peer.body(1))

    peer.request("POST", "/", content=bytes(5000))
    await peer.settle()
    sent = [len(peer.body(1)), await window(2500), await window(0), await window(2600)]
    rest = await window(5000)

    assert sent == [1000, 2500, 2500, 2600]
    assert rest == 5000


async def test_goaway_ends_the_streams_above_it_and_no_other() -> None:
    peer = await Peer.connected()
    first, _ = await peer.asked("/first")
    second, second_id = await peer.asked("/second")

    peer.server._engine.send_goaway(last_stream_id=1)
    await peer.settle()
    with pytest.raises(RequestError) as left_out:
        await second
    await peer.answer(1)

    assert second_id == 3
    assert not left_out.value.processed
    assert await (await first).aread() == b"page"


async def test_lost_connection_fails_its_requests_at_once() -> None:
    peer = await Peer.connected()
    tasks = [(await peer.asked(timeout=3600))[0] for _ in range(3)]

    peer.connection.connection_lost(None)

    async with asyncio.timeout(90):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [RequestError] * 3


async def test_path_gets_its_leading_slash(servers: Servers) -> None:
    async with AsyncClient(servers("nghttpd").clear) as client:
        answer = await client.get("small.txt")

    assert answer.status_code == 200
