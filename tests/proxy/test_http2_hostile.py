"""Upstreams of HTTP/2 that break its rules, as raw frames: the client gets a right end, and soon.

The rows are those of the client's own tests. What matters here is what goes on to the client, that
other requests go on, and that nothing is left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headstart.config import ProxyOptions
from headstart.proxy import Proxy
from headstart.reasons import Gateway
from tests.client.hostile import (
    GOAWAY,
    HEADERS,
    RST_STREAM,
    SETTINGS,
    data,
    frame,
    headers,
    hostile,
    number,
)
from tests.client.test_hostile import ENDS_THE_CONNECTION, RESETS_THE_STREAM
from tests.proxy.asked import (
    Answered,
    Conversation,
    RawUpstream,
    Script,
    ask,
    closing,
    raw_upstream,
    scope_of,
)

pytestmark = pytest.mark.timeout(300)

PREFACE = 24
PAGE = headers(1, (":status", "200"), ("content-length", "4"), ("x-a", "b")) + data(
    1, b"page", end=True
)
OK = headers(1) + data(1, b"again", end=True)
INITIAL_WINDOW_SIZE = b"\0\4"


def over_http2(url: str) -> str:
    return url.replace("http:", "h2c:").rstrip("/")


def saying(said: bytes, *, settings: bytes = b"", hangs_up: bool = False) -> Script:
    """Say bytes behind the first request's HEADERS, then read, or hang up."""

    async def script(conversation: Conversation) -> None:
        await say_behind_request(conversation, said, settings)
        if hangs_up:
            conversation.hang_up()
        await conversation.reader.read()

    return script


async def say_behind_request(
    conversation: Conversation, said: bytes, settings: bytes = b""
) -> None:
    await conversation.reader.readexactly(PREFACE)
    await conversation.say(frame(SETTINGS, 0, 0, settings))
    while (await next_frame(conversation))[0] != HEADERS:
        pass
    await conversation.say(said)


async def next_frame(conversation: Conversation) -> tuple[int, int, bytes]:
    """Type, stream and payload of the next frame that comes."""
    head = await conversation.reader.readexactly(9)
    payload = await conversation.reader.readexactly(int.from_bytes(head[:3], "big"))
    return head[3], int.from_bytes(head[5:], "big"), payload


@asynccontextmanager
async def proxied(*scripts: Script, **options: Any) -> AsyncIterator[tuple[Proxy, RawUpstream]]:
    """A proxy for such an upstream; behind it no task is left."""
    before = asyncio.all_tasks()
    async with raw_upstream(*scripts) as upstream:
        given = ProxyOptions(**options)
        async with closing(Proxy(over_http2(upstream.url), options=given)) as proxy:
            yield proxy, upstream
    await nothing_left(before)


async def nothing_left(before: set[asyncio.Task[Any]]) -> None:
    """Wait until there are no tasks but those of before."""
    while asyncio.all_tasks() - before - {asyncio.current_task()}:
        await asyncio.sleep(0.005)


def is_no_whole_page(answered: Answered) -> bool:
    """Whether the client was told that it has no response, or not all of one."""
    return answered.status == 502 or not answered.whole


@pytest.mark.parametrize("name", ENDS_THE_CONNECTION)
async def test_upstream_that_breaks_the_connections_rules_ends_its_requests(name: str) -> None:
    _, segments = ENDS_THE_CONNECTION[name]
    answered_before = segments[0][:9] == headers(1, end=True)[:9] or len(segments) > 1
    before = asyncio.all_tasks()

    async with hostile(*segments) as (url, _), closing(Proxy(over_http2(url))) as proxy:
        answered = await asyncio.wait_for(ask(proxy), 90)

    assert is_no_whole_page(answered) or answered_before
    await nothing_left(before)


@pytest.mark.parametrize("name", RESETS_THE_STREAM)
async def test_malformed_response_costs_its_own_request_only(name: str) -> None:
    before = asyncio.all_tasks()
    async with (
        hostile(*RESETS_THE_STREAM[name]) as (url, heard),
        closing(Proxy(over_http2(url))) as proxy,
    ):
        answered = await asyncio.wait_for(ask(proxy), 90)
        later = await ask(proxy)

    assert is_no_whole_page(answered)
    assert (later.status, later.body, later.whole) == (200, b"later", True)
    assert len(heard.resets) == 1
    assert proxy.failures == {Gateway.MALFORMED: 1}
    await nothing_left(before)


@pytest.mark.parametrize("end", range(len(PAGE)))
async def test_response_that_ends_at_any_octet_never_looks_whole(end: int) -> None:
    async with proxied(saying(PAGE[:end], hangs_up=True)) as (proxy, _):
        answered = await asyncio.wait_for(ask(proxy, scope_of("POST")), 90)

    assert is_no_whole_page(answered)
    assert proxy.failures == {Gateway.CLOSED: 1}


@pytest.mark.parametrize("where", ["before", "head", "content"])
@pytest.mark.parametrize("code", [0, 2, 7, 8])
async def test_reset_ends_the_response_where_it_comes(where: str, code: int) -> None:
    head = headers(1, (":status", "200"), ("content-length", "10"))
    said = {"before": b"", "head": head, "content": head + data(1, b"page")}[where]
    async with proxied(saying(said + frame(RST_STREAM, 0, 1, number(code)))) as (proxy, _):
        answered = await asyncio.wait_for(ask(proxy, scope_of("POST")), 90)

    assert is_no_whole_page(answered)
    assert answered.status == (200 if where == "content" else 502)


def goaway(last: int, code: int = 0) -> bytes:
    return frame(GOAWAY, 0, 0, number(last, code))


async def test_request_that_a_goaway_leaves_out_is_sent_again() -> None:
    async with proxied(saying(goaway(0)), saying(OK)) as (proxy, upstream):
        answered = await asyncio.wait_for(ask(proxy), 90)

    assert (answered.status, answered.body) == (200, b"again")
    assert upstream.connections == 2


async def test_request_that_a_goaway_counts_in_is_answered_to_the_end() -> None:
    async with proxied(saying(goaway(1) + PAGE), saying(OK)) as (proxy, upstream):
        answered = await asyncio.wait_for(ask(proxy, scope_of("POST")), 90)
        later = await asyncio.wait_for(ask(proxy), 90)

    assert (answered.body, answered.whole, later.body) == (b"page", True, b"again")
    assert upstream.connections == 2


async def test_goaway_in_the_middle_of_a_response_and_nothing_behind_it() -> None:
    said = headers(1, (":status", "200")) + data(1, b"half") + goaway(1, 2)
    async with proxied(saying(said, hangs_up=True)) as (proxy, _):
        answered = await asyncio.wait_for(ask(proxy), 90)

    assert (answered.status, answered.body, answered.whole) == (200, b"half", False)


@pytest.mark.parametrize("answers", [False, True])
async def test_window_that_never_opens_is_waited_for_no_longer_than_a_response(
    answers: bool,
) -> None:
    closed = INITIAL_WINDOW_SIZE + number(0)
    said = headers(1, (":status", "413"), end=True) if answers else b""
    scripts = saying(said, settings=closed)
    async with proxied(scripts, upstream_response_timeout=30 if answers else 0.3) as (proxy, _):
        answered = await asyncio.wait_for(ask(proxy, scope_of("POST"), b"x" * 100_000), 90)

    assert answered.status == (413 if answers else 504)


@pytest.mark.parametrize("status", ["100", "102", "103"])
async def test_informational_responses_without_end_are_502(status: str) -> None:
    link = ("link", "</a.css>; rel=preload; as=style")
    async with proxied(saying(headers(1, (":status", status), link) * 200 + OK)) as (proxy, _):
        answered = await asyncio.wait_for(ask(proxy), 90)

    assert (answered.status, answered.whole) == (502, True)
    assert proxy.failures == {Gateway.TOO_LARGE: 1}


@pytest.mark.parametrize(("count", "length", "most"), [(60, 40, 4000), (300, 1, 64 * 1024)])
async def test_head_that_is_larger_than_may_be_is_502(count: int, length: int, most: int) -> None:
    fields = [(f"x-{index}", "a" * length) for index in range(count)]
    said = headers(1, (":status", "200"), *fields, end=True)
    async with proxied(saying(said), max_upstream_header_size=most) as (proxy, _):
        answered = await asyncio.wait_for(ask(proxy), 90)

    assert answered.status == 502
    assert proxy.failures == {Gateway.TOO_LARGE: 1}


@pytest.mark.parametrize("reads", [0.2, 30])
async def test_pause_in_a_response_has_its_own_time(reads: float) -> None:
    told = asyncio.Event()
    said = headers(1, (":status", "200")) + data(1, b"half")

    async def script(conversation: Conversation) -> None:
        await say_behind_request(conversation, said)
        await told.wait()
        await conversation.say(data(1, b"rest", end=True))
        await conversation.reader.read()

    options = {
        "upstream_response_timeout": 2 if reads > 1 else 30,
        "upstream_read_timeout": reads,
    }
    async with proxied(script, **options) as (proxy, _):
        asking = asyncio.create_task(ask(proxy))
        if reads > 1:
            await asyncio.sleep(2.5)  # more than the first byte may take
        else:
            await asyncio.wait([asking], timeout=90)
        told.set()
        answered = await asyncio.wait_for(asking, 90)

    assert answered.body == (b"halfrest" if reads > 1 else b"half")
    assert answered.whole == (reads > 1)


async def test_trailers_of_one_connection_do_not_pass() -> None:
    trailers = headers(1, ("x-sum", "9"), ("x-more", "1"), end=True)
    said = headers(1, (":status", "200"), ("trailer", "x-sum")) + data(1, b"page") + trailers
    async with proxied(saying(said)) as (proxy, _):
        answered = await asyncio.wait_for(ask(proxy), 90)

    assert answered.whole
    assert answered.messages[-1]["headers"] == [(b"x-sum", b"9"), (b"x-more", b"1")]


async def test_upstream_that_closes_behind_its_settings_is_502() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.reader.readexactly(PREFACE)
        await conversation.say(frame(SETTINGS, 0, 0))
        conversation.hang_up()

    async with proxied(script) as (proxy, _):
        answered = await asyncio.wait_for(ask(proxy), 90)

    assert answered.status == 502


async def test_client_that_leaves_a_stalled_response_ends_its_stream() -> None:
    resets: list[tuple[int, int]] = []

    async def script(conversation: Conversation) -> None:
        await say_behind_request(conversation, headers(1) + data(1, b"half"))
        while True:
            kind, stream, payload = await next_frame(conversation)
            if kind == RST_STREAM:
                resets.append((stream, int.from_bytes(payload, "big")))

    async with proxied(script) as (proxy, _):
        await asyncio.wait_for(ask(proxy, scope_of("GET"), ends=False), 90)
        while not resets:
            await asyncio.sleep(0.005)

    assert resets == [(1, 8)]
