"""What servers do that RFC 9113 forbids, as raw frames over a socket: each gives an error of ours.

The rows were derived from the RFC, section by section, with the cases of h2spec's client side.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from headstart.client import AsyncClient, RequestError
from headstart.client.connect import connect
from headstart.client.connection import Http2ClientConnection
from headstart.client.origin import split_url
from headstart.config import ClientLimits
from headstart.wire.connection import ErrorCode
from tests.client.hostile import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Heard,
    block,
    data,
    frame,
    headers,
    hostile,
    number,
    promise,
)
from tests.h2c.frame_server import frame_server

pytestmark = pytest.mark.timeout(300)

PROTOCOL, FLOW, CLOSED, SIZE, CALM, COMPRESSION = (
    ErrorCode.PROTOCOL_ERROR,
    ErrorCode.FLOW_CONTROL_ERROR,
    ErrorCode.STREAM_CLOSED,
    ErrorCode.FRAME_SIZE_ERROR,
    ErrorCode.ENHANCE_YOUR_CALM,
    ErrorCode.COMPRESSION_ERROR,
)
FIELDS = {"host": "example.test"}
DONE = headers(1) + data(1, b"page", end=True)
BEGUN = headers(1)
OK = (":status", "200")
CANCEL = number(int(ErrorCode.CANCEL))
SELF = number(1) + b"\x0f"


def continued(count: int) -> bytes:
    return b"".join(frame(CONTINUATION, 0, 1) for _ in range(count))


ENDS_THE_CONNECTION = {
    # 4.1 and 4.2: sizes.
    "DATA above SETTINGS_MAX_FRAME_SIZE": (SIZE, [BEGUN + data(1, bytes(16_385))]),
    "HEADERS above SETTINGS_MAX_FRAME_SIZE": (SIZE, [frame(HEADERS, END_HEADERS, 1, bytes(16385))]),
    "PRIORITY of four octets": (SIZE, [frame(PRIORITY, 0, 1, bytes(4))]),
    "RST_STREAM of three octets": (SIZE, [frame(RST_STREAM, 0, 1, bytes(3))]),
    "SETTINGS of five octets": (SIZE, [frame(SETTINGS, 0, 0, bytes(5))]),
    "SETTINGS that acknowledges with a payload": (SIZE, [frame(SETTINGS, ACK, 0, bytes(6))]),
    "PING of six octets": (SIZE, [frame(PING, 0, 0, bytes(6))]),
    "GOAWAY of seven octets": (SIZE, [frame(GOAWAY, 0, 0, bytes(7))]),
    "WINDOW_UPDATE of three octets": (SIZE, [frame(WINDOW_UPDATE, 0, 1, bytes(3))]),
    "PUSH_PROMISE of two octets": (SIZE, [frame(PUSH_PROMISE, END_HEADERS, 1, bytes(2))]),
    # 4.3: compression.
    "a header block that is none": (COMPRESSION, [frame(HEADERS, END_HEADERS, 1, b"\xff" * 6)]),
    "a promise's block that is none": (
        COMPRESSION,
        [frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + b"\xff" * 6)],
    ),
    # 5.1: idle streams.
    "DATA on an idle stream": (PROTOCOL, [data(9, b"x")]),
    "DATA on an idle stream of its own": (PROTOCOL, [data(2, b"x")]),
    "HEADERS on an idle stream": (PROTOCOL, [headers(9)]),
    "HEADERS on an idle stream of its own": (PROTOCOL, [headers(2)]),
    "RST_STREAM on an idle stream": (PROTOCOL, [frame(RST_STREAM, 0, 9, CANCEL)]),
    "WINDOW_UPDATE on an idle stream": (PROTOCOL, [frame(WINDOW_UPDATE, 0, 9, number(1))]),
    "CONTINUATION on an idle stream": (PROTOCOL, [frame(CONTINUATION, END_HEADERS, 9, block(OK))]),
    # 5.1: closed streams.
    "DATA behind END_STREAM": (CLOSED, [DONE, data(1, b"x", end=True)]),
    "HEADERS behind END_STREAM": (CLOSED, [DONE, headers(1, end=True)]),
    "DATA behind END_STREAM at once": (CLOSED, [headers(1, end=True) + data(1, b"x", end=True)]),
    "CONTINUATION behind END_STREAM": (PROTOCOL, [DONE, frame(CONTINUATION, END_HEADERS, 1)]),
    "DATA behind its RST_STREAM": (CLOSED, [frame(RST_STREAM, 0, 1, CANCEL) + data(1, b"x")]),
    "HEADERS behind its RST_STREAM": (CLOSED, [frame(RST_STREAM, 0, 1, CANCEL), headers(1)]),
    "PUSH_PROMISE behind END_STREAM": (PROTOCOL, [DONE, promise(1, 2)]),
    "PUSH_PROMISE behind its RST_STREAM": (
        PROTOCOL,
        [frame(RST_STREAM, 0, 1, CANCEL), promise(1, 2)],
    ),
    "DATA on a pushed stream that ended": (
        CLOSED,
        [promise(1, 2) + headers(2, end=True), data(2, b"x")],
    ),
    "HEADERS on a stream that was left out": (CLOSED, [promise(1, 4) + headers(2)]),
    "DATA on a promised stream without HEADERS": (PROTOCOL, [promise(1, 2) + data(2, b"x")]),
    "WINDOW_UPDATE on a promised stream": (
        PROTOCOL,
        [promise(1, 2) + frame(WINDOW_UPDATE, 0, 2, number(1))],
    ),
    # 5.3, 6.3: priorities.
    "PRIORITY on stream 0": (PROTOCOL, [frame(PRIORITY, 0, 0, number(1) + b"\0")]),
    "PRIORITY on itself": (PROTOCOL, [frame(PRIORITY, 0, 1, SELF)]),
    "HEADERS that depend on themselves": (
        PROTOCOL,
        [frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, SELF + block(OK))],
    ),
    # 6.1, 6.2, 6.6: stream 0 and padding.
    "DATA on stream 0": (PROTOCOL, [data(0, b"x")]),
    "HEADERS on stream 0": (PROTOCOL, [headers(0)]),
    "RST_STREAM on stream 0": (PROTOCOL, [frame(RST_STREAM, 0, 0, CANCEL)]),
    "PUSH_PROMISE on stream 0": (PROTOCOL, [promise(0, 2)]),
    "DATA with more padding than payload": (PROTOCOL, [BEGUN + frame(DATA, PADDED, 1, b"\5abc")]),
    "HEADERS with more padding than payload": (
        PROTOCOL,
        [frame(HEADERS, PADDED | END_HEADERS, 1, b"\xff" + block(OK))],
    ),
    "DATA before HEADERS": (PROTOCOL, [data(1, b"x")]),
    # 6.5: SETTINGS.
    "SETTINGS on a stream": (PROTOCOL, [frame(SETTINGS, 0, 1)]),
    "SETTINGS that let us push": (PROTOCOL, [frame(SETTINGS, 0, 0, b"\0\2" + number(1))]),
    "SETTINGS with too large a window": (FLOW, [frame(SETTINGS, 0, 0, b"\0\4" + number(1 << 31))]),
    "SETTINGS with too small frames": (PROTOCOL, [frame(SETTINGS, 0, 0, b"\0\5" + number(100))]),
    "SETTINGS with too large frames": (
        PROTOCOL,
        [frame(SETTINGS, 0, 0, b"\0\5" + number(1 << 24))],
    ),
    "SETTINGS acknowledged that were not sent": (PROTOCOL, [frame(SETTINGS, ACK, 0) * 3]),
    # 6.6, 8.4: promises.
    "PUSH_PROMISE on an idle stream": (PROTOCOL, [promise(9, 2)]),
    "PUSH_PROMISE on a pushed stream": (PROTOCOL, [promise(1, 2) + promise(2, 4)]),
    "a promise of a stream of ours": (PROTOCOL, [promise(1, 3)]),
    "a promise of stream 0": (PROTOCOL, [promise(1, 0)]),
    "a promise of a lower stream": (PROTOCOL, [promise(1, 4) + promise(1, 2)]),
    "the same promise twice": (PROTOCOL, [promise(1, 2) + promise(1, 2)]),
    # 6.7, 6.8, 6.9.
    "PING on a stream": (PROTOCOL, [frame(PING, 0, 1, bytes(8))]),
    "GOAWAY on a stream": (PROTOCOL, [frame(GOAWAY, 0, 1, bytes(8))]),
    "GOAWAY with a stream above the last": (
        PROTOCOL,
        [frame(GOAWAY, 0, 0, number(1, 0)) + frame(GOAWAY, 0, 0, number(3, 0))],
    ),
    "WINDOW_UPDATE by nothing": (PROTOCOL, [frame(WINDOW_UPDATE, 0, 0, number(0))]),
    "WINDOW_UPDATE of a stream by nothing": (PROTOCOL, [frame(WINDOW_UPDATE, 0, 1, number(0))]),
    "a connection's window that overflows": (
        FLOW,
        [frame(WINDOW_UPDATE, 0, 0, number(0x7FFFFFFF))],
    ),
    "a stream's window that overflows": (FLOW, [frame(WINDOW_UPDATE, 0, 1, number(0x7FFFFFFF))]),
    "SETTINGS that make a window overflow": (
        FLOW,
        [
            frame(WINDOW_UPDATE, 0, 1, number(0x7FFFFFFF - 65_535))
            + frame(SETTINGS, 0, 0, b"\0\4" + number(70_000))
        ],
    ),
    "more DATA than the window": (FLOW, [BEGUN + data(1, bytes(16_384)) * 65]),
    # 6.10: CONTINUATION.
    "CONTINUATION without HEADERS": (PROTOCOL, [frame(CONTINUATION, END_HEADERS, 1, block(OK))]),
    "HEADERS that PRIORITY interrupts": (
        PROTOCOL,
        [frame(HEADERS, 0, 1, block(OK)) + frame(PRIORITY, 0, 1, number(0) + b"\0")],
    ),
    "HEADERS that an unknown frame interrupts": (
        PROTOCOL,
        [frame(HEADERS, 0, 1, block(OK)) + frame(0xBE, 0, 1)],
    ),
    "HEADERS that go on on another stream": (
        PROTOCOL,
        [frame(HEADERS, 0, 1, block(OK)) + frame(CONTINUATION, END_HEADERS, 3)],
    ),
    # Floods (docs/client.md).
    "CONTINUATION frames without end": (CALM, [frame(HEADERS, 0, 1, block(OK)) + continued(9)]),
    "a promise in CONTINUATION frames without end": (
        CALM,
        [frame(PUSH_PROMISE, 0, 1, number(2)) + continued(9)],
    ),
    "300 PING frames": (CALM, [frame(PING, 0, 0, bytes(8)) * 300]),
    "300 SETTINGS frames": (CALM, [frame(SETTINGS, 0, 0) * 300]),
    "300 answers to no PING": (CALM, [frame(PING, ACK, 0, bytes(8)) * 300]),
    "300 PRIORITY frames": (CALM, [frame(PRIORITY, 0, 1, number(0) + b"\0") * 300]),
    "300 frames of an unknown type": (CALM, [frame(0xBE, 0, 0) * 300]),
    "300 GOAWAY frames": (CALM, [frame(GOAWAY, 0, 0, number(0x7FFFFFFF, 0)) * 300]),
    "300 RST_STREAM frames for one stream": (CALM, [frame(RST_STREAM, 0, 1, CANCEL) * 300]),
    "300 empty DATA frames": (CALM, [BEGUN + data(1) * 300]),
    "1,000 WINDOW_UPDATE frames": (CALM, [frame(WINDOW_UPDATE, 0, 0, number(1)) * 1000]),
}


@pytest.mark.parametrize("name", ENDS_THE_CONNECTION)
async def test_what_breaks_the_connections_rules_ends_it_with_the_code_of_the_rfc(
    name: str,
) -> None:
    code, segments = ENDS_THE_CONNECTION[name]

    heard, connection, outcome = await told(segments)

    assert heard.goaways == [code]
    assert connection.closed
    assert isinstance(outcome, RequestError) or outcome == 200
    assert connection.closed_reason.startswith("the server ")


async def told(
    segments: Sequence[bytes],
) -> tuple[Heard, Http2ClientConnection, int | RequestError]:
    """Ask such a server; what it heard, and what became of the request."""
    async with hostile(*segments) as (url, heard):
        connection = await connect(split_url(url)[0] or pytest.fail("no origin"), push=True)
        outcome: int | RequestError
        try:
            response = await connection.request("GET", "/", [(b"host", b"example.test")])
            await response.aread()
            outcome = response.status_code
        except RequestError as error:
            outcome = error
        # The frames behind the answer may still be on their way; the server ends it, or we do.
        await asyncio.wait_for(heard.ended.wait(), 10)
        await connection.aclose()
    return heard, connection, outcome


RESETS_THE_STREAM = {
    # 8.1: the order of frames.
    "DATA behind a 103": [headers(1, (":status", "103")) + data(1, b"x")],
    "a 103 with END_STREAM": [headers(1, (":status", "103"), end=True)],
    "101": [headers(1, (":status", "101"))],
    "a 103 behind the response": [BEGUN + headers(1, (":status", "103"))],
    "trailers without END_STREAM": [BEGUN + headers(1, ("x", "y"))],
    "trailers with a pseudo-header field": [BEGUN + headers(1, OK, end=True)],
    "a second response": [BEGUN + headers(1)],
    # 8.1.1: content-length.
    "fewer octets than content-length": [
        headers(1, OK, ("content-length", "5")) + data(1, b"x", end=True)
    ],
    "more octets than content-length": [
        headers(1, OK, ("content-length", "5")) + data(1, b"123456")
    ],
    "content-length and no octets": [headers(1, OK, ("content-length", "5"), end=True)],
    "content-length that ends in trailers": [
        headers(1, OK, ("content-length", "5")) + data(1, b"x") + headers(1, ("x", "y"), end=True)
    ],
    "two content-lengths": [headers(1, OK, ("content-length", "5"), ("content-length", "6"))],
    "content-length that is no number": [headers(1, OK, ("content-length", "5x"))],
    "204 with content": [headers(1, (":status", "204")) + data(1, b"x", end=True)],
    "304 with content": [headers(1, (":status", "304")) + data(1, b"x", end=True)],
    # 8.2: fields.
    "a name with a capital": [headers(1, OK, ("Server", "x"))],
    "a name with a space": [headers(1, OK, ("a b", "x"))],
    "an empty name": [headers(1, OK, ("", "x"))],
    "a value with a line feed": [headers(1, OK, ("a", "x\ny"))],
    "connection": [headers(1, OK, ("connection", "close"))],
    "keep-alive": [headers(1, OK, ("keep-alive", "5"))],
    "transfer-encoding": [headers(1, OK, ("transfer-encoding", "chunked"))],
    "a connection's field in trailers": [BEGUN + headers(1, ("keep-alive", "5"), end=True)],
    # 8.3: pseudo-header fields.
    "no status": [headers(1, ("x", "y"))],
    "two statuses": [headers(1, OK, OK)],
    "a status behind a field": [headers(1, ("x", "y"), OK)],
    "a status of two digits": [headers(1, (":status", "20"))],
    "a status below 100": [headers(1, (":status", "099"))],
    "a status that is no number": [headers(1, (":status", "abc"))],
    "a pseudo-header field of requests": [headers(1, OK, (":path", "/"))],
    "a pseudo-header field that nobody knows": [headers(1, OK, (":version", "2"))],
}


@pytest.mark.parametrize("name", RESETS_THE_STREAM)
async def test_malformed_response_is_a_stream_error_and_the_next_request_is_answered(
    name: str,
) -> None:
    async with hostile(*RESETS_THE_STREAM[name]) as (url, heard), AsyncClient(url) as client:
        with pytest.raises(RequestError) as failed:
            await client.get("/")
        later = await client.get("/later")

    assert later.content == b"later"
    assert later.stream_id == 3
    assert (heard.resets, heard.goaways) == ([(1, PROTOCOL)], [ErrorCode.NO_ERROR])
    assert failed.value.processed


@pytest.mark.parametrize("status", [600, 999])
async def test_status_above_those_of_http_is_an_error_that_the_site_answered(status: int) -> None:
    answer = headers(1, (":status", str(status)), ("content-length", "0"), end=True)

    async with hostile(answer) as (url, heard), AsyncClient(url) as client:
        response = await client.get("/")

    assert (response.status_code, response.is_error, response.is_success) == (status, True, False)
    assert heard.resets == []


async def test_informational_responses_without_end_cost_their_own_stream_only() -> None:
    early = headers(1, (":status", "103"), ("link", "</a>"))

    async with hostile(early * 33) as (url, heard), AsyncClient(url) as client:
        with pytest.raises(RequestError, match="too many informational"):
            await client.get("/")
        later = await client.get("/later")

    assert (later.content, heard.resets) == (b"later", [(1, ErrorCode.CANCEL)])


@pytest.mark.parametrize(
    ("fields", "told_why"),
    [
        ([("x", "y" * 100)] * 12, "fields of more than 1000 bytes"),
        ([("x", "y")] * 12, "more than 10 fields"),
    ],
)
async def test_header_list_over_our_limits_costs_its_own_stream_only(
    fields: list[tuple[str, str]], told_why: str
) -> None:
    limits = ClientLimits(
        max_header_count=10 if "10 fields" in told_why else 50, max_header_size=1000
    )
    large = headers(1, OK, *fields) + data(1, b"page", end=True)

    async with hostile(large) as (url, heard), AsyncClient(url, limits=limits) as client:
        with pytest.raises(RequestError, match=told_why):
            await client.get("/")
        later = await client.get("/later")

    assert (later.content, heard.goaways) == (b"later", [ErrorCode.NO_ERROR])


@pytest.mark.parametrize(
    "promised",
    [
        promise(1, 2, method="POST"),
        promise(1, 2, ("content-length", "4")),
        promise(1, 2, ("Cookie", "x")),
        frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + block((":method", "GET"))),
        frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + block(OK)),
    ],
    ids=["unsafe", "with content", "a capital", "half a request", "a response"],
)
async def test_malformed_promise_costs_the_promised_stream_only(promised: bytes) -> None:
    async with hostile(promised + DONE) as (url, heard), AsyncClient(url, push=True) as client:
        page = await client.get("/", headers=FIELDS)
        later = await client.get("/later", headers=FIELDS)

    assert (page.content, later.content) == (b"page", b"later")
    assert (heard.resets, heard.goaways) == ([(2, PROTOCOL)], [ErrorCode.NO_ERROR])


async def test_promise_where_push_is_off_ends_the_connection() -> None:
    async with hostile(promise(1, 2) + DONE) as (url, heard), AsyncClient(url) as client:
        with pytest.raises(RequestError, match="PUSH_PROMISE where push is off"):
            await client.post("/", headers=FIELDS)

    assert heard.goaways == [PROTOCOL]


async def test_frames_that_cross_our_reset_on_their_way_are_no_mistake() -> None:
    crossing = promise(1, 2) + data(1, b"more") + headers(1, ("x", "trailer"), end=True)

    # The second segment goes out once the first was read, in which a malformed response came.
    async with (
        hostile(headers(1, ("x", "y")), crossing) as (url, heard),
        AsyncClient(url, push=True) as client,
    ):
        with pytest.raises(RequestError):
            await client.get("/", headers=FIELDS)
        later = await client.get("/later", headers=FIELDS)

    assert (later.content, heard.goaways) == (b"later", [ErrorCode.NO_ERROR])


async def test_reading_what_a_server_may_send_is_no_flood() -> None:
    """Some PINGs, an ALTSVC and an ORIGIN, PRIORITY and windows for each stream, a late reset."""
    honest = (
        frame(PING, 0, 0, bytes(8)) * 20
        + frame(0xA, 0, 0, b"\0\1xh3=")
        + frame(0xC, 0, 0)
        + frame(PRIORITY, 0, 1, number(0) + b"\0")
        + frame(WINDOW_UPDATE, 0, 0, number(1000)) * 50
        + frame(GOAWAY, 0, 0, number(0x7FFFFFFF, 0))
        + DONE
        + frame(RST_STREAM, 0, 1, number(0))
    )

    async with hostile(honest) as (url, heard), AsyncClient(url) as client:
        page = await client.get("/")

    assert (page.content, heard.goaways) == (b"page", [])


async def parts(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"m" * 20
        await asyncio.sleep(0)


async def test_server_may_ping_with_each_data_frame_as_those_of_grpc_do() -> None:
    with frame_server() as server:
        server.on_data = lambda connection, _: connection.probe()
        server.on_request = lambda connection, stream_id, _: connection.answer(stream_id, b"ok")

        async with AsyncClient(server.origin) as client:
            unary = [await client.post("/", b"m") for _ in range(600)]
            streaming = await client.post("/", parts(1000))

        (connection,) = server.connections
    assert {answer.content for answer in [*unary, streaming]} == {b"ok"}
    assert connection.pings > 400
