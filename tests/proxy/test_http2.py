"""HTTP/2 to the upstream: by prior knowledge, by ALPN, and what a stream can end with."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headstart.config import ProxyOptions, ServerOptions, WireLimits
from headstart.proxy import Proxy
from headstart.proxy.failures import UpstreamError
from headstart.proxy.http2_pool import Http2Pool
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway
from tests.client.hostile import RST_STREAM, data, frame, headers, hostile, number
from tests.proxy.asked import Conversation, answering, ask, closing, raw_upstream, scope_of
from tests.server.apps import Receive, Scope, Send, answer, body, lifespan, read_all, start
from tests.server.live import Gate, LiveServer, certificate, running
from tests.servers.nghttpd import nghttpd
from tests.servers.site import PAGE

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n1.1"
LINK = b"</a.css>; rel=preload; as=style"


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers by path."""
    match scope["type"], scope.get("path"):
        case "lifespan", _:
            await lifespan(receive, send)
        case _, "/echo":
            await answer(send, await read_all(receive))
        case _, "/hinted":
            await send({"type": "http.response.early_hint", "links": [LINK]})
            await answer(send, b"hinted")
        case _, "/trailers":
            await send(start(200, [(b"trailer", b"x-sum")], trailers=True))
            await send(body(b"sum"))
            await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"9")]})
        case _, "/early":
            await answer(send, b"too large", 413)
        case _, "/nothing":
            await send(start(204))
            await send(body())
        case _, "/fields":
            await answer(send, repr(sorted(scope["headers"])).encode())
        case _:
            await answer(send, b"over " + scope["http_version"].encode())


@asynccontextmanager
async def served(
    app: Any, options: ServerOptions | None = None, *, tls: bool = False
) -> AsyncIterator[LiveServer]:
    """Serve in a thread; this thread's loop goes on while the server stops."""
    with running(app, options, tls=tls) as server:
        yield server
        await asyncio.to_thread(server.stop)


def h2c_url(upstream: LiveServer) -> str:
    return f"h2c://localhost:{upstream.port}"


@asynccontextmanager
async def proxied(tls: bool = False, **options: Any) -> AsyncIterator[Proxy]:
    """A proxy for the site, which speaks HTTP/2."""
    async with served(site, tls=tls) as upstream:
        scheme = "https" if tls else "h2c"
        given = ProxyOptions(upstream_cacert=str(certificate().ca_certfile), **options)
        async with closing(Proxy(f"{scheme}://localhost:{upstream.port}", options=given)) as proxy:
            yield proxy


@pytest.mark.parametrize("tls", [False, True])
async def test_upstream_is_asked_over_http2(tls: bool) -> None:
    async with proxied(tls) as proxy:
        answers = await asyncio.gather(*(ask(proxy) for _ in range(30)))

    assert {(one.status, one.body, one.whole) for one in answers} == {(200, b"over 2", True)}


async def test_upstream_that_chooses_http_1_1_by_alpn_is_asked_so() -> None:
    made = certificate()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certfile, made.keyfile)
    context.set_alpn_protocols(["http/1.1"])
    options = ProxyOptions(upstream_cacert=str(made.ca_certfile))

    async with (
        raw_upstream(answering(OK), ssl=context) as upstream,
        closing(Proxy(upstream.url.replace("127.0.0.1", "localhost"), options=options)) as proxy,
    ):
        answers = [await ask(proxy) for _ in range(3)]

    assert {(one.status, one.body) for one in answers} == {(200, b"1.1")}
    assert upstream.connections == 1


async def test_upstream_that_speaks_no_http2_by_prior_knowledge_is_502() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.say(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await conversation.reader.read()

    async with (
        raw_upstream(script) as upstream,
        closing(Proxy(upstream.url.replace("http:", "h2c:"))) as proxy,
    ):
        answered = await ask(proxy)

    assert answered.status == 502


async def test_fields_of_the_request_are_those_of_http_1_1() -> None:
    async with proxied() as proxy:
        answered = await ask(proxy, scope_of("GET", "/fields", (b"connection", b"close")))

    assert b"(b'host', b'site.example')" in answered.body
    assert b"(b'x-forwarded-for', b'192.0.2.7')" in answered.body
    assert b"(b'via', b'2.0 headstart')" in answered.body
    assert b"connection" not in answered.body


@pytest.mark.parametrize("length", [None, b"11"])
async def test_content_reaches_the_upstream(length: bytes | None) -> None:
    fields = [(b"content-length", length)] if length else []
    async with proxied() as proxy:
        answered = await ask(proxy, scope_of("POST", "/echo", *fields), b"hello ", b"world")
        empty = await ask(proxy, scope_of("POST", "/echo"))

    assert (answered.body, empty.body) == (b"hello world", b"")


async def test_large_content_passes_both_ways() -> None:
    async with proxied() as proxy:
        parts = [bytes([number]) * 100_000 for number in range(30)]
        answered = await ask(proxy, scope_of("POST", "/echo"), *parts)

    assert answered.body == b"".join(parts)


async def test_hints_trailers_and_responses_without_content_pass() -> None:
    async with proxied() as proxy:
        hinted = await ask(proxy, scope_of("GET", "/hinted", (b"accept", b"text/html")))
        trailed = await ask(proxy, scope_of("GET", "/trailers"))
        nothing = await ask(proxy, scope_of("GET", "/nothing"))
        head = await ask(proxy, scope_of("HEAD", "/"))

    assert (hinted.links, hinted.body) == ([LINK], b"hinted")
    assert trailed.messages[-1]["headers"] == [(b"x-sum", b"9")]
    assert (nothing.status, nothing.body, nothing.whole) == (204, b"", True)
    assert (head.status, head.body, head.whole) == (200, b"", True)


async def test_stream_that_is_reset_behind_a_head_that_went_out_is_cut_off() -> None:
    gate = Gate()

    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await send(start(200, [(b"content-length", b"100")]))
        await send(body(b"half", more_body=True))
        await gate.passed()
        raise RuntimeError("it breaks")

    def see(message: dict[str, Any]) -> None:
        if message.get("body") == b"half":
            gate.open()

    async with served(breaking) as upstream, closing(Proxy(h2c_url(upstream))) as proxy:
        answered = await ask(proxy, seen=see)

    assert (answered.status, answered.body, answered.whole) == (200, b"half", False)
    assert proxy.failures == {Gateway.CLOSED: 1}


HEAD = headers(1, (":status", "200"), ("content-length", "100"))
RESET = frame(RST_STREAM, 0, 1, number(2))


@pytest.mark.parametrize("content", [b"", b"half"])
async def test_head_and_reset_in_one_segment_are_a_response_that_is_cut_off(content: bytes) -> None:
    # As if they had come one by one: the client gets as much of the response as there is, and a
    # reset behind it; a 502 where there is no content yet. That the reset was there already is a
    # matter of the network.
    broken = HEAD + (data(1, content) if content else b"") + RESET

    async with hostile(broken) as (url, _), closing(Proxy(url.replace("http:", "h2c:"))) as proxy:
        answered = await ask(proxy)

    if content:
        assert (answered.status, answered.body, answered.whole) == (200, content, False)
    else:
        assert (answered.status, answered.whole) == (502, True)
    assert proxy.failures == {Gateway.CLOSED: 1}


async def test_stream_that_is_closed_before_its_content_is_known_to_be_broken() -> None:
    async with served(site) as upstream:
        pool = Http2Pool(Upstream.parse(h2c_url(upstream)), ProxyOptions(), None)
        stream = await pool.acquire()
        stream.check()
        stream.close()

        with pytest.raises(UpstreamError, match="the proxy closed the stream"):
            stream.check()
        pool.close()


async def test_reset_in_place_of_a_head_is_502() -> None:
    async with hostile(RESET) as (url, _), closing(Proxy(url.replace("http:", "h2c:"))) as proxy:
        answered = await ask(proxy)

    assert (answered.status, answered.whole) == (502, True)
    assert proxy.failures == {Gateway.CLOSED: 1}


async def test_answer_before_the_end_of_an_upload_reaches_the_client() -> None:
    async with proxied() as proxy:
        answered = await ask(proxy, scope_of("POST", "/early"), b"some", stalls=True)

    assert (answered.status, answered.body, answered.whole) == (413, b"too large", True)


async def test_silent_upstream_is_504_and_a_client_that_leaves_ends_its_stream() -> None:
    gate = Gate()
    left: list[str] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await receive()
        if (await receive())["type"] == "http.disconnect":
            left.append(scope["path"])
            gate.open()

    async with served(slow) as upstream:
        url = f"h2c://127.0.0.1:{upstream.port}"
        options = ProxyOptions(upstream_response_timeout=0.2)
        async with closing(Proxy(url, options=options)) as hasty, closing(Proxy(url)) as patient:
            late = await ask(hasty)
            await ask(patient, scope_of("GET", "/left", http_version="1.1"), ends=False)
            await asyncio.wait_for(gate.passed(), 90)

    assert (late.status, hasty.failures) == (504, {Gateway.RESPONSE_TIMEOUT: 1})
    assert left


async def test_connection_that_ends_gracefully_is_followed_by_another_one() -> None:
    options = ServerOptions(limits=WireLimits(max_requests=10))
    async with (
        served(site, options) as upstream,
        closing(Proxy(f"h2c://127.0.0.1:{upstream.port}")) as proxy,
    ):
        answers = [await ask(proxy) for _ in range(35)]

    assert {one.status for one in answers} == {200}


async def test_connection_that_is_old_is_followed_by_another_one_and_answers_what_it_has() -> None:
    gate = Gate()
    asked = threading.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and scope["path"] == "/slow":
            asked.set()
            await gate.passed()
        await site(scope, receive, send)

    options = ProxyOptions(upstream_max_age=0.05)
    async with (
        served(slow) as upstream,
        closing(Proxy(f"h2c://127.0.0.1:{upstream.port}", options=options)) as proxy,
    ):
        waiting = asyncio.create_task(ask(proxy, scope_of("GET", "/slow")))
        assert await asyncio.to_thread(asked.wait, 20)
        await asyncio.sleep(0.06)
        await ask(proxy)
        connections = len(upstream.server.server_state.connections)
        gate.open()
        answered = await asyncio.wait_for(waiting, 90)

    assert connections == 2
    assert (answered.body, answered.whole) == (b"over 2", True)


async def test_nobody_listening_is_502() -> None:
    async with served(site) as gone:
        port = gone.port
    async with closing(Proxy(f"h2c://127.0.0.1:{port}")) as proxy:
        answered = await ask(proxy)

    assert (answered.status, proxy.failures) == (502, {Gateway.CONNECT_FAILED: 1})


async def test_nghttpd_is_an_upstream() -> None:
    with nghttpd() as server:
        async with closing(Proxy(server.clear.replace("http:", "h2c:"))) as proxy:
            page = await ask(proxy, scope_of("GET", PAGE))
            echo = await ask(proxy, scope_of("POST", "/"), b"echo", b"ed")

    assert (page.status, page.whole) == (200, True)
    assert echo.body == b"echoed"
