"""Bounds of one connection to an upstream; what it says is tested through the application."""

from __future__ import annotations

import asyncio
import socket

import pytest

from headstart.config import ProxyOptions
from headstart.proxy.failures import UpstreamError
from headstart.proxy.http1 import READ_SIZE, Http1Connection, Requests
from headstart.proxy.responses import PlainResponses
from headstart.reasons import Gateway
from tests.proxy.asked import Conversation, raw_upstream

MEGABYTE = 1024 * 1024


async def dialled(url: str) -> Http1Connection:
    loop = asyncio.get_running_loop()
    port = int(url.rpartition(":")[2])
    _, connection = await loop.create_connection(
        made,
        "127.0.0.1",
        port,
    )
    return connection


def made(options: ProxyOptions | None = None) -> Http1Connection:
    requests = Requests(asyncio.get_running_loop())
    responses = PlainResponses()
    return Http1Connection(
        options or ProxyOptions(), lambda _: None, bytearray(READ_SIZE), requests, responses
    )


async def test_upstream_waits_while_nobody_reads_its_content() -> None:
    sent = 0
    stopped = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        nonlocal sent
        await conversation.head()
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n")
        for _ in range(100):
            try:
                await asyncio.wait_for(conversation.say(bytes(MEGABYTE)), 1)
            except TimeoutError:
                break
            sent += 1
        stopped.set()

    async with raw_upstream(script) as upstream:
        connection = await dialled(upstream.url)
        connection.begin("GET", b"GET / HTTP/1.1\r\n\r\n", whole=True)
        await connection.next_head()
        await stopped.wait()
        waiting = len(connection.take())
        connection.close()

    assert sent < 20  # the rest is in the kernel's buffers
    assert waiting <= MEGABYTE


async def test_no_more_than_one_short_read_goes_beyond_what_may_wait() -> None:
    near, far = socket.socketpair()
    with far:
        far.setblocking(False)
        _, connection = await asyncio.get_running_loop().create_connection(made, sock=near)
        connection.begin("GET", b"GET / HTTP/1.1\r\n\r\n", whole=True)

        sent = far.send(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n" + bytes(MEGABYTE))
        await connection.next_head()
        waiting = len(connection.take())
        connection.close()

    assert sent > 2 * READ_SIZE
    assert waiting <= READ_SIZE


async def test_request_waits_while_the_upstream_reads_none_of_it() -> None:
    go_on = asyncio.Event()
    got: list[int] = []

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await go_on.wait()
        got.append(len(await conversation.reader.readexactly(50 * MEGABYTE)))
        await conversation.say(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with raw_upstream(script) as upstream:
        connection = await dialled(upstream.url)
        head = b"POST / HTTP/1.1\r\ncontent-length: 52428800\r\n\r\n"
        connection.begin("POST", head, whole=False)
        written = 0
        while written < 50:
            writing = asyncio.ensure_future(connection.write(bytes(MEGABYTE), last=written == 49))
            if not go_on.is_set():
                done, _ = await asyncio.wait([writing], timeout=0.5)
                if not done:
                    assert written < 30
                    go_on.set()
            await writing
            written += 1
        deadline = connection.deadline
        head_of_response = await connection.next_head()
        reusable_before = connection.reusable
        connection.close()

    assert deadline is None  # nothing was waited for between the two
    assert head_of_response.status == 200
    assert reusable_before
    assert got == [50 * MEGABYTE]


async def read_in_parts(
    response: bytes, size: int, method: str = "GET", options: ProxyOptions | None = None
) -> tuple[object, ...]:
    """What is made of a response that comes in parts of a size: in one it may be read at once."""
    near, far = socket.socketpair()
    with far:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: made(options), sock=near
        )
        connection.begin(method, b"GET / HTTP/1.1\r\n\r\n", whole=True)
        for at in range(0, len(response), size):
            part = response[at : at + size]
            connection.get_buffer(-1)[: len(part)] = part
            connection.buffer_updated(len(part))
        try:
            head = await connection.next_head()
            content = b""
            while connection.ended is False or (chunk := connection.take()):
                content += chunk if connection.ended else await connection.next_chunk() or b""
            return (
                head.status, head.fields, content, connection.trailers, connection.reusable,
                connection.idle_timeout,
            )  # fmt: skip
        except UpstreamError as error:
            return (error.reason, connection.reusable)
        finally:
            connection.close()


@pytest.mark.parametrize(
    ("head", "content"),
    [
        ("HTTP/1.1 200 OK|Content-Length: 5", "hello"),
        ("HTTP/1.1 200|content-length: 0", ""),
        ("HTTP/1.1 200 x: y|content-length:5 |X-A: \t b c\t", "hello"),
        ("HTTP/1.1 404 Not Found|Content-Length: 5|Set-Cookie: a|Set-Cookie: b", "hello"),
        ("HTTP/1.1 200 OK|Content-Length: 5|Connection: close", "hello"),
        ("HTTP/1.1 200 OK|Content-Length: 5|Connection: close|Connection: keep-alive", "hello"),
        ("HTTP/1.1 200 OK|Content-Length: 5|Connection: Keep-Alive|Keep-Alive: timeout=9", "hello"),
        ("HTTP/1.1 200 OK|Content-Length: 5|Content-Length: 5", "hello"),
        ("HTTP/1.1 200 OK|Content-Length: 5|Content-Length: 4", "hello"),
        ("HTTP/1.1 200 OK|Content-Length: 5, 5|Content-Length: 5", "hello"),
        ("HTTP/1.1 200 OK|Content-Length: 5|Content-Length: 5|Transfer-Encoding: chunked", "hello"),
        ("HTTP/1.1 103 Early Hints|link: </a>||HTTP/1.1 200 OK|Content-Length: 0, 0", ""),
        ("HTTP/1.1 200 OK|Content-Length: +5", "hello"),
        ("HTTP/1.1 200 OK|Content-Length: 5|Transfer-Encoding: chunked", "hello"),
        ("HTTP/1.1 200 OK|Transfer-Encoding: chunked", "5|hello|0|x: y||"),
        ("HTTP/1.1 304 Not Modified|Content-Length: 5", ""),
        ("HTTP/1.1 204 No Content|Content-Length: 0", ""),
        ("HTTP/1.0 200 OK|Content-Length: 5", "hello"),
        ("HTTP/1.1 103 Early Hints|link: </a>||HTTP/1.1 200 OK|Content-Length: 0", ""),
        ("HTTP/1.1 200 OK|X-A: b| c|Content-Length: 5", "hello"),
        ("HTTP/1.1 200 OK|X-A : b|Content-Length: 5", "hello"),
        ("HTTP/1.1 200 OK|X-A: a\x01b|Content-Length: 5", "hello"),
        ("HTTP/1.1 200 OK|X-A: caf\xe9|Content-Length: 5", "hello"),
        ("HTTP/1.1 600 OK|Content-Length: 5", "hello"),
        ("HTTP/1.1 999 Request denied|Content-Length: 5", "hello"),
        ("HTTP/1.1 099 OK|Content-Length: 5", "hello"),
        ("HTTP/1.1 200 OK|Transfer-Encoding: chunked", "5  |hello|0 ||"),
        ("HTTP/1.1 200 OK\nContent-Length: 5\n", "hello"),
    ],
)
async def test_response_is_the_same_in_one_piece_and_octet_by_octet(
    head: str, content: str
) -> None:
    response = f"{head}||{content}".replace("|", "\r\n").encode("latin-1")

    at_once = await read_in_parts(response, len(response))
    no_content = await read_in_parts(response, len(response), "HEAD")

    assert at_once == await read_in_parts(response, 1)
    assert no_content[:3] == (await read_in_parts(response, 1, "HEAD"))[:3]


async def test_response_with_more_behind_it_leaves_a_connection_that_is_closed() -> None:
    response = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n"

    assert (await read_in_parts(response, len(response)))[2:5] == (b"hello", [], False)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100 + b"\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: " + b"a" * 100 + b"\r\n\r\n",
    ],
)
async def test_fields_over_the_limit_are_refused_in_whatever_parts_they_come(
    response: bytes, size: int
) -> None:
    small = ProxyOptions(max_upstream_header_size=90)

    assert await read_in_parts(response, size, options=small) == (Gateway.TOO_LARGE, False)


@pytest.mark.parametrize("size", [1, 1000])
async def test_status_above_those_of_http_passes(size: int) -> None:
    response = b"HTTP/1.1 999 Request denied\r\ncontent-length: 2\r\n\r\nno"

    assert (await read_in_parts(response, size))[:3:2] == (999, b"no")


@pytest.mark.parametrize("size", [1, 1000])
async def test_sizes_of_chunks_may_be_padded_with_blanks_and_with_nothing_else(size: int) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

    padded = await read_in_parts(head + b"5   \r\nhello\r\n0 \t\r\n\r\n", size)
    assert padded[2:5] == (b"hello", [], True)
    for size_line in (b"5 5", b"5 x", b" 5", b"5\x00"):
        refused = await read_in_parts(head + size_line + b"\r\nhello\r\n0\r\n\r\n", size)
        assert refused[0] == Gateway.MALFORMED


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("status", [104, 199])
@pytest.mark.parametrize(
    "framed",
    [
        b"content-length: 5\r\n\r\nhello",
        b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
    ids=["length", "chunked"],
)
async def test_content_of_an_informational_response_is_no_part_of_the_final_one(
    status: int, framed: bytes, size: int
) -> None:
    informational = b"HTTP/1.1 %d Odd\r\n" % status + framed
    final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    assert await read_in_parts(informational + final, size) == (Gateway.MALFORMED, False)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("status", [100, 102, 103, 104, 199])
async def test_informational_responses_without_content_pass(status: int, size: int) -> None:
    informational = b"HTTP/1.1 %d Odd\r\ncontent-length: 0\r\n\r\n" % status
    final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    read = await read_in_parts(informational + final, size)

    assert read[0] == status
    assert read[2:5] == (b"ok", [], True)


async def test_requests_of_a_turn_are_written_together_and_in_order() -> None:
    written: list[bytes] = []

    class Transport(asyncio.Transport):
        closing = False

        def write(self, data: object) -> None:
            assert isinstance(data, bytes)
            written.append(data)

        def is_closing(self) -> bool:
            return self.closing

    requests, open_, closing = Requests(asyncio.get_running_loop()), Transport(), Transport()
    closing.closing = True
    for transport, data in ((open_, b"first"), (closing, b"never"), (open_, b"second")):
        requests.add(transport, data)
    assert written == []

    await asyncio.sleep(0)

    assert written == [b"first", b"second"]


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "lengths",
    ["Content-Length: 5|content-length:5", "Content-Length: 5, 5", "Content-Length: 5 ,5|A: b"],
)
async def test_equal_lengths_are_one(lengths: str, size: int) -> None:
    response = f"HTTP/1.1 103 Hints||HTTP/1.1 200 OK|X: y|{lengths}||hello".replace("|", "\r\n")

    _, fields, content, _, reusable, _ = await read_in_parts(
        response.encode().partition(b"\r\n\r\n")[2], size
    )
    early, *_ = await read_in_parts(response.encode(), size)

    assert isinstance(fields, list)
    assert [value for name, value in fields if name == b"content-length"] == [b"5"]
    assert (b"x", b"y") in fields
    assert (content, reusable, early) == (b"hello", True, 103)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 5|Content-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: 5, 05",
        "Content-Length: 5,",
        "Content-Length: +5, +5",
        "Content-Length: 5|Content-Length: 5|Transfer-Encoding: chunked",
        "Content-Length: 5| 5|Content-Length: 5",
        "Content-Length: 5|A: b\nContent-Length: 5|Content-Length: 5",
        "Content-Length: 5\nContent-Length: 5\n\nContent-Length: 5",
    ],
)
async def test_other_lengths_are_refused(head: str, size: int) -> None:
    response = f"HTTP/1.1 200 OK|{head}||hello".replace("|", "\r\n").encode()

    assert await read_in_parts(response, size) == (Gateway.MALFORMED, False)
