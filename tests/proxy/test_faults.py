"""Upstreams that misbehave, over real sockets: a right status or a reset, no hang, no leak."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from headstart.config import ProxyOptions
from headstart.proxy import Proxy
from headstart.proxy.failures import UpstreamError
from headstart.proxy.http1 import Http1Connection
from headstart.proxy.pool import Pool
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway
from tests.ports import free_port
from tests.proxy.asked import (
    Answered,
    Conversation,
    answering,
    ask,
    closing,
    raw_upstream,
    scope_of,
)
from tests.server.live import PATIENCE, ServerProcess, running

WITH_LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
    b"6\r\nhello \r\n5;a=b\r\nworld\r\n0\r\nx-sum: 1\r\n\r\n"
)
CHUNKED_HEAD = CHUNKED[: CHUNKED.index(b"6\r\n")]
HINTED = b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n" + WITH_LENGTH
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve each connection in a thread; the URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=200)

    def run(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=run, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def read_head(connection: socket.socket) -> bytes:
    """Read a request without content."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            raise ConnectionResetError
        head += part
    return head


def reset(connection: socket.socket) -> None:
    """End the connection by RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize("by_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "response", [WITH_LENGTH, CHUNKED, HINTED], ids=["length", "chunked", "103"]
)
async def test_response_that_ends_at_any_octet_never_looks_whole(
    response: bytes, by_reset: bool
) -> None:
    lengths = iter(range(len(response)))

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(response[: next(lengths)])
        if by_reset:
            reset(connection)

    with listening(serve) as url:
        async with closing(Proxy(url)) as proxy:
            answers = [await asyncio.wait_for(ask(proxy), 90) for _ in response]

    final = response.index(b"HTTP/1.1 200")
    head = response.index(b"\r\n\r\n", final) + 4
    for length, answered in enumerate(answers):
        if length < head:
            assert (answered.status, answered.whole) == (502, True), length
        elif answered.status == 200:
            assert not answered.whole, length
        else:  # the reset overtook it, or the end came before any of the content
            assert (answered.status, answered.whole) == (502, True), length
            assert by_reset or length <= head + (len(b"6\r\n") if response == CHUNKED else 0)
    assert sum(proxy.failures.values()) == len(response)
    assert set(proxy.failures) == {Gateway.CLOSED}


@pytest.mark.parametrize(
    ("start", "more", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 200, Gateway.TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 1000, Gateway.TOO_LARGE),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", Gateway.TOO_LARGE),
        (
            b"",
            b"HTTP/1.1 103 Early Hints\r\n" + b"link: <a>\r\n" * 500 + b"\r\n",
            Gateway.TOO_LARGE,
        ),
        (b"", b"\r\n" * 1000, Gateway.TOO_LARGE),
        (CHUNKED_HEAD, b"1;" + b"a" * 1000, Gateway.TOO_LARGE),
        (CHUNKED_HEAD + b"0\r\n", b"x: y\r\n" * 200, Gateway.TOO_LARGE),
    ],
    ids=["fields", "field", "1xx", "large 1xx", "empty lines", "extension", "trailers"],
)
async def test_endless_head_or_framing_is_cut_off(
    start: bytes, more: bytes, reason: Gateway
) -> None:
    sent = 0

    def serve(connection: socket.socket) -> None:
        nonlocal sent
        read_head(connection)
        connection.sendall(start)
        while True:
            connection.sendall(more)
            sent += len(more)

    with listening(serve) as url:
        async with closing(Proxy(url)) as proxy:
            answered = await asyncio.wait_for(ask(proxy), 90)

    assert proxy.failures == {reason: 1}
    assert not (answered.status == 200 and answered.whole)
    assert sent < 16 * 1024 * 1024  # what the kernel takes, and no more


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("http2", [False, True])
def test_answer_before_the_end_of_an_upload_reaches_the_client(loop: str, http2: bool) -> None:
    """The upstream closes with the upload unread, so its response and a reset come together."""

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge")

    statuses: Counter[int] = Counter()
    with listening(serve) as url, running(Proxy(url), loop=loop) as proxy:
        for _ in range(8):
            with httpx.Client(http1=not http2, http2=http2, timeout=90) as client:
                statuses[client.post(f"{proxy.url}/", content=bytes(2_000_000)).status_code] += 1

    assert statuses == {413: 8}


async def test_content_that_stops_is_cut_off_after_its_time() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(WITH_LENGTH[:-3])
        await conversation.reader.read()

    options = ProxyOptions(upstream_read_timeout=0.01)
    async with (
        raw_upstream(script) as upstream,
        closing(Proxy(upstream.url, options=options)) as proxy,
    ):
        answered = await asyncio.wait_for(ask(proxy), 90)

    assert (answered.status, answered.whole) == (200, False)
    assert proxy.failures == {Gateway.RESPONSE_TIMEOUT: 1}


def test_malformed_response_is_502_on_the_wire_and_no_error_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    responses = [
        b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello",
        b"HTTP/1.1 200 OK\r\nx: a\rset-cookie: b\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx: a\x01b\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n: a\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: \xb2\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: \x0bchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 103 x\r\nlink: </a>; rel=preload\x01\r\n\r\n" + OK,
        b"HTTP/1.1 1000 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"ICY 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"<html>hello</html>",
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    ]
    number = 0

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(responses[number])

    app = None
    with listening(serve) as url, running(app := Proxy(url)) as proxy:
        for http2 in (False, True):
            with httpx.Client(http1=not http2, http2=http2, timeout=90) as client:
                for number in range(len(responses)):
                    response = client.get(f"{proxy.url}/%0aforged")
                    assert response.status_code == 502, responses[number]
                    assert "127.0.0.1" not in response.text

    assert app.failures == {Gateway.MALFORMED: 2 * len(responses)}
    assert "Exception in ASGI" not in caplog.text
    assert all("\n" not in record.getMessage() for record in caplog.records)


# Several upstreams.


async def test_request_whose_upstream_dies_without_a_word_goes_to_another_one() -> None:
    async def dies(conversation: Conversation) -> None:
        await conversation.head()

    async with (
        raw_upstream(dies) as one,
        raw_upstream(answering(OK)) as other,
        closing(Proxy(one.url, other.url)) as proxy,
    ):
        answers = [await ask(proxy) for _ in range(10)]
        posted = [await ask(proxy, scope_of("POST")) for _ in range(2)]

    assert [answered.status for answered in answers] == [200] * 10
    assert 3 <= one.connections <= 4  # it rests after three
    assert [answered.status for answered in posted] == [200] * 2


async def test_post_whose_upstream_dies_is_not_sent_to_another_one() -> None:
    async def dies(conversation: Conversation) -> None:
        await conversation.head()

    async with (
        raw_upstream(dies) as one,
        raw_upstream(answering(OK)) as other,
        closing(Proxy(one.url, other.url)) as proxy,
    ):
        answered = await ask(proxy, scope_of("POST"))

    assert (answered.status, other.connections) == (502, 0)


async def test_success_in_between_keeps_an_upstream_from_resting() -> None:
    async def serves(conversation: Conversation) -> None:
        while True:
            head = await conversation.head()
            await conversation.say(OK if head.startswith(b"GET /good") else b"nonsense\r\n\r\n")

    async with raw_upstream(serves) as one, raw_upstream(serves) as other:
        async with closing(Proxy(one.url, other.url)) as proxy:
            statuses = [
                (await ask(proxy, scope_of("GET", target))).status
                for target in ("/bad", "/good") * 5
            ]
        assert statuses == [502, 200] * 5
        assert other.connections == 0  # the first one never rested


# Connections that end at a bad moment.


async def test_request_on_a_connection_that_has_just_ended_fails_at_once() -> None:
    async with raw_upstream(answering(OK)) as upstream:
        pool = Pool(Upstream.parse(upstream.url), ProxyOptions(), None)
        connection = await pool.acquire()
        connection.connection_lost(None)

        connection.begin("GET", b"GET / HTTP/1.1\r\n\r\n", whole=True)
        with pytest.raises(UpstreamError) as raised:
            await asyncio.wait_for(connection.next_head(), 90)
        pool.close()
        connection.close()

    assert (raised.value.reason, raised.value.unanswered) == (Gateway.CLOSED, True)


async def test_connection_that_came_as_its_request_was_given_up_goes_to_the_next_one() -> None:
    options = ProxyOptions(max_upstream_connections=1)
    async with raw_upstream(answering(OK)) as upstream:
        pool = Pool(Upstream.parse(upstream.url), options, None)
        held = await pool.acquire()
        first, second = (asyncio.ensure_future(pool.acquire()) for _ in range(2))
        await asyncio.sleep(0)

        held.close()
        while held.closed and not pool_has_room(pool):
            await asyncio.sleep(0)
        first.cancel()
        given = await asyncio.wait_for(second, 90)
        pool.close()
        await asyncio.gather(first, return_exceptions=True)

    assert isinstance(given, Http1Connection)


def pool_has_room(pool: Pool) -> bool:
    """Whether a waiting request was told that it may connect."""
    return any(waiter.done() for waiter, _ in pool._waiters) or len(pool._waiters) < 2


async def test_connection_is_not_used_longer_than_the_upstream_says_it_keeps_it() -> None:
    kept = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nkeep-alive: timeout=%d\r\n\r\n"
    for seconds, connections in ((1, 3), (60, 1)):
        async with (
            raw_upstream(answering(kept % seconds)) as upstream,
            closing(Proxy(upstream.url)) as proxy,
        ):
            for _ in range(3):
                assert (await ask(proxy)).status == 200
            assert upstream.connections == connections


# Proxies in front of proxies.


@pytest.mark.parametrize("more", [[], ["--no-via"]])
def test_proxy_that_is_its_own_upstream_asks_itself_few_times(more: list[str]) -> None:
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    # Another way to write that address (inet_aton(3)), which the proxy's start does not recognise.
    server = ServerProcess("proxy", f"http://127.1:{port}", "--port", port, *more)
    try:
        server.wait_until_started()
        response = httpx.get(url, timeout=PATIENCE)
    finally:
        server.end()

    assert response.status_code == 508
    assert len(response.headers.get_list("cache-status")) == 4
    assert "loop: it came through 3 proxies" in server.log


async def test_proxy_at_the_end_of_a_long_chain_says_so() -> None:
    asked: list[Answered] = []

    with listening(lambda connection: None) as nobody:
        async with closing(Proxy(nobody)) as proxy:
            via = b", ".join([b"1.1 headstart"] * 10)
            asked.append(await ask(proxy, scope_of("GET", "/", (b"via", via))))

    assert (asked[0].status, proxy.failures) == (508, {Gateway.LOOP: 1})


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("TRACE", 405)])
async def test_request_that_may_go_no_further_is_answered_here(method: str, status: int) -> None:
    with listening(lambda connection: None) as nobody:
        async with closing(Proxy(nobody)) as proxy:
            answered = await ask(proxy, scope_of(method, "/", (b"max-forwards", b"0")))

    assert (answered.status, answered.whole) == (status, True)


async def test_repeated_failures_are_told_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"nonsense\r\n\r\n")

    with listening(serve) as one, caplog.at_level(logging.WARNING, "headstart.proxy"):
        async with closing(Proxy(one, one)) as proxy:
            for _ in range(6):
                await ask(proxy)

    assert caplog.text.count("rests") == 2
