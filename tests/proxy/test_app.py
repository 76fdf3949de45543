"""One request through the proxy, and every way in which its upstream can fail."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from headstart.config import ProxyOptions
from headstart.proxy import Proxy
from headstart.reasons import Gateway
from tests.proxy.asked import (
    Conversation,
    answering,
    ask,
    closing,
    raw_upstream,
    scope_of,
)

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n\r\nhello"


async def test_response_comes_back_with_its_fields_and_content() -> None:
    async with raw_upstream(answering(OK)) as upstream, closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy)

    assert (answered.status, answered.body, answered.whole) == (200, b"hello", True)
    assert (b"content-type", b"text/plain") in answered.fields
    assert b"date" in dict(answered.fields)


async def test_one_connection_serves_one_request_after_the_other() -> None:
    async with raw_upstream(answering(OK)) as upstream, closing(Proxy(upstream.url)) as proxy:
        answers = [await ask(proxy) for _ in range(5)]

    assert [answered.body for answered in answers] == [b"hello"] * 5
    assert upstream.connections == 1


async def test_wait_for_an_upstream_goes_through_four_coroutines() -> None:
    """The event loop goes through all of them twice for each request."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.head()
            asked.set()
            await may_answer.wait()
            await conversation.say(OK)

    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        request = asyncio.create_task(ask(proxy))
        await asked.wait()
        waits: list[str] = []
        coroutine: Any = request.get_coro()
        while coroutine is not None:
            waits.append(getattr(coroutine, "__qualname__", ""))
            coroutine = getattr(coroutine, "cr_await", None)
        may_answer.set()

        assert (await request).status == 200
    assert waits[waits.index("Proxy.__call__") :] == [
        "Proxy.__call__",
        "Attempt._run",
        "ForwardedRequest.run",
        "Http1Connection.next_head",
        "",  # the future
    ]


async def test_upstream_gets_the_clients_target_and_who_asked() -> None:
    heads: list[bytes] = []

    async def script(conversation: Conversation) -> None:
        heads.append(await conversation.head())
        await conversation.say(OK)

    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        await ask(proxy, scope_of("GET", "/a%20b?c=d"))

    lines = heads[0].split(b"\r\n")
    assert lines[0] == b"GET /a%20b?c=d HTTP/1.1"
    assert b"host: site.example" in lines
    assert b"x-forwarded-for: 192.0.2.7" in lines
    assert b"x-forwarded-proto: https" in lines
    assert b"via: 2.0 headstart" in lines


@pytest.mark.parametrize("length", [None, b"11"])
async def test_content_reaches_the_upstream_whole(length: bytes | None) -> None:
    got: list[bytes] = []

    async def script(conversation: Conversation) -> None:
        head = await conversation.head()
        if b"transfer-encoding: chunked" in head:
            got.append(await conversation.reader.readuntil(b"0\r\n\r\n"))
        else:
            got.append(await conversation.reader.readexactly(11))
        await conversation.say(OK)

    fields = [(b"content-length", length)] if length else []
    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy, scope_of("POST", "/", *fields), b"hello ", b"world")

    assert answered.status == 200
    assert got == [b"hello world" if length else b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"]


async def test_upstream_never_takes_half_an_upload_for_the_whole() -> None:
    rest: list[bytes] = []
    ended = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        rest.append(await conversation.reader.read())
        ended.set()

    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy, scope_of("POST"), b"half", ends=False)
        await asyncio.wait_for(ended.wait(), 90)

    assert answered.messages == []
    assert b"0\r\n\r\n" not in rest[0]


async def test_expect_is_answered_by_the_upstream() -> None:
    async def script(conversation: Conversation) -> None:
        assert b"expect: 100-continue" in await conversation.head()
        await conversation.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        await conversation.reader.readexactly(4)
        await conversation.say(OK)

    fields = [(b"expect", b"100-continue"), (b"content-length", b"4")]
    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy, scope_of("POST", "/", *fields), b"data")

    assert answered.body == b"hello"


async def test_early_answer_ends_an_upload_that_goes_on() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await conversation.reader.read()

    scope = scope_of("POST", "/", (b"content-length", b"1000"))
    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy, scope, b"some", stalls=True)

    assert (answered.status, answered.whole) == (413, True)


async def test_hints_of_the_upstream_go_out_before_the_response() -> None:
    link = b"</a.css>; rel=preload; as=style"
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: " + link + b"\r\n\r\n"
    async with (
        raw_upstream(answering(hints + OK)) as upstream,
        closing(Proxy(upstream.url)) as proxy,
    ):
        answered = await ask(proxy)
        plain = await ask(proxy, scope_of(extensions={}))

    assert answered.links == [link]
    assert [m["type"] for m in answered.messages[:2]] == [
        "http.response.early_hint",
        "http.response.start",
    ]
    assert (plain.links, plain.status) == ([], 200)


async def test_trailers_that_were_announced_reach_the_client() -> None:
    response = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
        b"5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n"
    )
    async with raw_upstream(answering(response)) as upstream, closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy)

    assert answered.body == b"hello"
    assert answered.messages[-1] == {
        "type": "http.response.trailers",
        "headers": [(b"x-sum", b"9")],
    }


async def test_framing_among_trailers_is_dropped_and_harms_no_response() -> None:
    """Bun has sent a Content-Length behind files (nginx/nginx#1115)."""
    response = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
        b"5\r\nhello\r\n0\r\nx-sum: 9\r\ncontent-length: 0\r\n"
        b"transfer-encoding: chunked\r\nhost: a\r\n\r\n"
    )
    async with (
        raw_upstream(answering(response)) as upstream,
        closing(Proxy(upstream.url)) as proxy,
    ):
        answers = [await ask(proxy) for _ in range(2)]

    assert [answered.body for answered in answers] == [b"hello", b"hello"]
    assert [answered.messages[-1]["headers"] for answered in answers] == [[(b"x-sum", b"9")]] * 2


@pytest.mark.parametrize(
    ("method", "response", "body"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        ("GET", b'HTTP/1.1 304 Not Modified\r\netag: "a"\r\n\r\n', b""),
    ],
)
async def test_response_without_content_leaves_the_connection_usable(
    method: str, response: bytes, body: bytes
) -> None:
    async with raw_upstream(answering(response)) as upstream, closing(Proxy(upstream.url)) as proxy:
        answers = [await ask(proxy, scope_of(method)) for _ in range(3)]

    assert all(answered.whole and answered.body == body for answered in answers)
    assert upstream.connections == 1


async def test_content_that_ends_with_the_connection_is_whole() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(b"HTTP/1.0 200 OK\r\n\r\nsome content")

    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy)

    assert (answered.body, answered.whole) == (b"some content", True)


# What fails.


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"", Gateway.CLOSED),
        (b"HTTP/1.1 200", Gateway.CLOSED),
        (b"nonsense\r\n\r\n", Gateway.MALFORMED),
        (b"HTTP/1.1 099 x\r\n\r\n", Gateway.MALFORMED),
        (b"HTTP/1.1 101 x\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", Gateway.MALFORMED),
        (b"HTTP/1.1 200 x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", Gateway.MALFORMED),
        (b"HTTP/1.1 200 x\r\ncontent-length: +1\r\n\r\na", Gateway.MALFORMED),
        (
            b"HTTP/1.1 200 x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            Gateway.MALFORMED,
        ),
        (b"HTTP/1.1 200 x\r\ntransfer-encoding: gzip, chunked\r\n\r\n", Gateway.MALFORMED),
        (b"HTTP/1.1 200 x\r\nbad name: 1\r\n\r\n", Gateway.MALFORMED),
        (b"HTTP/1.1 200 x\r\n" + b"a: " + b"b" * 70_000 + b"\r\n\r\n", Gateway.TOO_LARGE),
        (b"HTTP/1.1 103 x\r\n\r\n" * 40, Gateway.TOO_LARGE),
    ],
)
async def test_unusable_response_is_502_and_counted_with_its_reason(
    response: bytes, reason: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(response)

    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        with caplog.at_level(logging.ERROR, "headstart.proxy"):
            answered = await ask(proxy)

    assert (answered.status, answered.whole) == (502, True)
    assert proxy.failures == {reason: 1}
    assert str(reason) in caplog.text
    assert b"127.0.0.1" not in answered.body


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    ],
)
async def test_content_that_breaks_off_never_looks_whole(response: bytes) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(response)

    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy)

    assert answered.status in (200, 502)
    assert not (answered.status == 200 and answered.whole)


async def test_second_response_to_one_request_is_never_anybodys(
    caplog: pytest.LogCaptureFixture,
) -> None:
    evil = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    async with (
        raw_upstream(answering(OK + evil), answering(OK)) as upstream,
        closing(Proxy(upstream.url)) as proxy,
    ):
        answers = [await ask(proxy) for _ in range(3)]

    assert [answered.body for answered in answers] == [b"hello"] * 3
    assert upstream.connections >= 2


async def test_late_bytes_on_an_idle_connection_close_it() -> None:
    spoken = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK)
        await conversation.say(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await conversation.reader.read()
        spoken.set()

    async with (
        raw_upstream(script, answering(OK)) as upstream,
        closing(Proxy(upstream.url)) as proxy,
    ):
        first = await ask(proxy)
        await asyncio.wait_for(spoken.wait(), 90)
        second = await ask(proxy)

    assert (first.status, second.status, upstream.connections) == (200, 200, 2)


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("PUT", 200), ("POST", 408)])
async def test_timeout_of_an_idle_connection_that_crosses_a_request_is_no_response_to_it(
    method: str, status: int
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK)
        await conversation.head()
        await conversation.say(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")

    async with (
        raw_upstream(script, answering(OK)) as upstream,
        closing(Proxy(upstream.url)) as proxy,
    ):
        await ask(proxy)
        crossing = await ask(proxy, scope_of(method))

    assert (crossing.status, proxy.failures) == (status, {})


@pytest.mark.parametrize(
    ("options", "location"),
    [
        (ProxyOptions(upstream_host="inner.example"), b"/login"),
        (ProxyOptions(), b"http://inner.example/login"),
    ],
)
async def test_redirect_to_the_host_that_was_set_for_the_upstream_leads_to_the_clients(
    options: ProxyOptions, location: bytes
) -> None:
    redirect = (
        b"HTTP/1.1 302 Found\r\nlocation: http://inner.example/login\r\ncontent-length: 0\r\n\r\n"
    )

    async with (
        raw_upstream(answering(redirect)) as upstream,
        closing(Proxy(upstream.url, options=options)) as proxy,
    ):
        answered = await ask(proxy)

    assert dict(answered.fields)[b"location"] == location


@pytest.mark.parametrize(
    ("scheme", "location"), [("http", b"https://inner.example/a?b"), ("https", b"/a?b")]
)
async def test_redirect_of_the_upstream_to_tls_leads_a_client_without_tls_there(
    scheme: str, location: bytes
) -> None:
    redirect = (
        b"HTTP/1.1 301 Moved\r\nlocation: https://inner.example/a?b\r\ncontent-length: 0\r\n\r\n"
    )
    options = ProxyOptions(upstream_host="inner.example")

    async with (
        raw_upstream(answering(redirect)) as upstream,
        closing(Proxy(upstream.url, options=options)) as proxy,
    ):
        answered = await ask(proxy, scope_of("GET", "/a?b", scheme=scheme))

    assert dict(answered.fields)[b"location"] == location


async def test_timeout_on_a_new_connection_is_the_response() -> None:
    answer = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"

    async with raw_upstream(answering(answer)) as upstream, closing(Proxy(upstream.url)) as proxy:
        answered = await ask(proxy)

    assert (answered.status, upstream.connections) == (408, 1)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_last_chunk_behind_a_response_without_content_is_no_part_of_the_next_one(
    status: bytes,
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(b"HTTP/1.1 %b\r\ntransfer-encoding: chunked\r\n\r\n" % status)
        if await conversation.reader.read(1):  # the proxy asks again on this connection
            await conversation.say(b"0\r\n\r\n" + OK)

    async with (
        raw_upstream(script, answering(OK)) as upstream,
        closing(Proxy(upstream.url)) as proxy,
    ):
        first = await ask(proxy)
        second = await ask(proxy)

    assert (first.status, second.status) == (int(status[:3]), 200)
    assert upstream.connections == 2


async def test_idempotent_request_on_a_closed_connection_is_sent_once_more() -> None:
    async def once(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK)
        await conversation.head()  # takes the second request, and closes without a word

    async with raw_upstream(once, answering(OK)) as upstream, closing(Proxy(upstream.url)) as proxy:
        await ask(proxy)
        again = await ask(proxy)

    assert (again.status, upstream.connections) == (200, 2)


async def test_post_on_a_closed_connection_is_not_sent_twice() -> None:
    async def once(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK)
        await conversation.head()

    async with raw_upstream(once, answering(OK)) as upstream, closing(Proxy(upstream.url)) as proxy:
        await ask(proxy)
        again = await ask(proxy, scope_of("POST"))

    assert (again.status, upstream.connections) == (502, 1)


async def test_silent_upstream_is_504() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.read()

    options = ProxyOptions(upstream_response_timeout=0.01)
    async with (
        raw_upstream(script) as upstream,
        closing(Proxy(upstream.url, options=options)) as proxy,
    ):
        answered = await ask(proxy)

    assert answered.status == 504
    assert proxy.failures == {Gateway.RESPONSE_TIMEOUT: 1}


async def test_nobody_listening_is_502_and_the_next_upstream_is_asked() -> None:
    async with raw_upstream(answering(OK)) as gone:
        nobody = gone.url
    async with (
        raw_upstream(answering(OK)) as upstream,
        closing(Proxy(nobody, upstream.url)) as both,
        closing(Proxy(nobody)) as alone,
    ):
        served = [await ask(both) for _ in range(3)]
        failed = await ask(alone)

    assert [answered.status for answered in served] == [200] * 3
    assert (failed.status, alone.failures) == (502, {Gateway.CONNECT_FAILED: 1})


async def test_client_that_leaves_while_nothing_comes_ends_the_upstreams_work() -> None:
    left = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.read()  # until the proxy hangs up
        left.set()

    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        scope = scope_of("GET", "/", http_version="1.1")
        answered = await asyncio.wait_for(ask(proxy, scope, ends=False), 90)
        await asyncio.wait_for(left.wait(), 90)

    assert answered.messages == []
    assert not proxy.failures
