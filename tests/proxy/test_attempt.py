"""Spans of the requests to upstreams, and what upstreams are told of the trace."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode

from headstart.config import ProxyOptions, ServerOptions
from headstart.observe import Observer, TracePassing, Tracing
from headstart.proxy import Proxy, heads
from tests.observe.recorded import (
    TRACE,
    TRACEPARENT,
    UNSAMPLED,
    Recording,
    attributes,
    curl,
    global_recording,
)
from tests.proxy.asked import Conversation, ask, closing, raw_upstream, scope_of
from tests.server.apps import Receive, Scope, Send, answer, lifespan
from tests.server.live import running

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
GONE = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


def traced(proxy: Proxy, recording: Recording) -> Any:
    """The proxy as `headstart proxy --tracing` has it."""
    return Observer(TracePassing(proxy), tracing=Tracing(recording.provider))


class Told:
    """An upstream that keeps the traceparent of each request."""

    def __init__(self, *responses: bytes) -> None:
        self.traceparents: list[str] = []
        self._responses = responses or (OK,)

    async def __call__(self, conversation: Conversation) -> None:
        while True:
            head = await conversation.head()
            lines = [line.partition(b": ") for line in head.split(b"\r\n")]
            found = [value.decode() for name, _, value in lines if name == b"traceparent"]
            number = len(self.traceparents)
            self.traceparents += found or [""]
            await conversation.say(self._responses[min(number, len(self._responses) - 1)])


def place(span: ReadableSpan) -> str:
    context = span.context
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


async def test_request_to_the_upstream_is_a_child_of_the_clients_request() -> None:
    recording, told = Recording(DEFAULT_ON), Told()
    parent = (b"traceparent", TRACEPARENT.encode())
    async with raw_upstream(told) as upstream, closing(Proxy(upstream.url)) as proxy:
        await ask(traced(proxy, recording), scope_of("GET", "/a?sig=x&b", parent))
    asked, request = recording.ended

    assert (asked.name, asked.kind, request.kind) == ("GET", SpanKind.CLIENT, SpanKind.SERVER)
    assert asked.parent is not None
    assert asked.parent.span_id == request.context.span_id
    assert f"{asked.context.trace_id:032x}" == TRACE
    assert told.traceparents == [place(asked)]
    port = int(upstream.url.rpartition(":")[2])
    assert attributes(asked) == {
        "http.request.method": "GET",
        "url.full": f"{upstream.url}/a?sig=REDACTED&b",
        "server.address": "127.0.0.1",
        "server.port": port,
        "http.response.status_code": 200,
    }
    assert asked.status.status_code is StatusCode.UNSET


async def test_error_of_the_upstream_is_the_spans() -> None:
    recording = Recording(DEFAULT_ON)
    async with raw_upstream(Told(GONE)) as upstream, closing(Proxy(upstream.url)) as proxy:
        await ask(traced(proxy, recording))
    asked, request = recording.ended

    assert attributes(asked)["error.type"] == "404"
    assert asked.status.status_code is StatusCode.ERROR
    # It is the client's own error, and the server's is none.
    assert request.status.status_code is StatusCode.UNSET


async def test_second_attempt_has_a_span_of_its_own() -> None:
    recording, told = Recording(DEFAULT_ON), Told()

    async def once(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK)
        await conversation.head()  # takes the second request, and closes without a word

    async with raw_upstream(once, told) as upstream, closing(Proxy(upstream.url)) as proxy:
        await ask(proxy)
        await ask(traced(proxy, recording))
    first, second, request = recording.ended

    assert attributes(first)["error.type"] == "closed"
    assert "http.response.status_code" not in attributes(first)
    assert "http.request.resend_count" not in attributes(first)
    assert attributes(second)["http.request.resend_count"] == 1
    assert attributes(second)["http.response.status_code"] == 200
    assert told.traceparents == [place(second)]
    for each in (first, second):
        assert each.parent is not None
        assert each.parent.span_id == request.context.span_id


async def test_upstream_that_cannot_be_connected_to_is_the_spans_error() -> None:
    recording = Recording(DEFAULT_ON)
    async with raw_upstream() as gone:
        nobody = gone.url
    async with closing(Proxy(nobody)) as proxy:
        answered = await ask(traced(proxy, recording))
    asked, request = recording.ended

    assert answered.status == 502
    assert attributes(asked)["error.type"] == "connect-failed"
    assert attributes(request)["error.type"] == "502"


async def test_client_that_leaves_ends_the_span() -> None:
    recording = Recording(DEFAULT_ON)

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.read()

    async with raw_upstream(script) as upstream, closing(Proxy(upstream.url)) as proxy:
        await ask(traced(proxy, recording), scope_of("POST"), b"x", ends=False)
    asked, _ = recording.ended

    assert attributes(asked)["error.type"] == "ClientLeft"


@pytest.mark.parametrize(("sampler", "sent"), [(ALWAYS_OFF, ""), (DEFAULT_ON, UNSAMPLED)])
async def test_upstream_of_a_request_that_is_not_recorded_knows_that_it_is_not(
    sampler: Sampler, sent: str
) -> None:
    recording, told = Recording(sampler), Told()
    fields = [(b"traceparent", sent.encode())] if sent else []
    async with raw_upstream(told) as upstream, closing(Proxy(upstream.url)) as proxy:
        for _ in range(2):
            await ask(traced(proxy, recording), scope_of("GET", "/", *fields))

    assert recording.ended == []
    first, second = told.traceparents
    assert first[-2:] in ("00", "02")
    assert [first, second] == [sent, sent] if sent else first != second


async def test_header_section_that_repeats_is_recognised_though_each_request_has_its_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []
    original = heads.request_head

    def request_head(scope: Any, options: ProxyOptions, identity: str) -> heads.RequestHead:
        made.append(scope)
        return original(scope, options, identity)

    monkeypatch.setattr(heads, "request_head", request_head)
    recording, told = Recording(DEFAULT_ON), Told()

    async with raw_upstream(told) as upstream, closing(Proxy(upstream.url)) as proxy:
        for target in ("/a", "/b", "/b"):
            await ask(traced(proxy, recording), scope_of("GET", target))

    assert len(made) == 1
    assert len(set(told.traceparents)) == 3


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the traceparent that came."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    return await answer(send, dict(scope["headers"]).get(b"traceparent", b"none"))


@pytest.mark.parametrize("scheme", ["http", "h2c"])
def test_upstreams_of_both_versions_are_told(scheme: str) -> None:
    recording = global_recording()
    recording.clear()
    with running(echo) as upstream:
        proxy = Proxy(f"{scheme}://127.0.0.1:{upstream.port}")
        with running(proxy, ServerOptions(tracing=True)) as server:
            arrived = curl(server.port, "/")
            asked, _ = recording.spans(2)
            server.stop()
    recording.clear()

    assert arrived == place(asked)


async def test_upstream_on_a_unix_socket_has_its_path_for_an_address(tmp_path: Path) -> None:
    recording = Recording(DEFAULT_ON)

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    path = f"{tmp_path}/sock"
    async with (
        await asyncio.start_unix_server(accepted, path),
        closing(Proxy(f"unix:{path}")) as proxy,
    ):
        await ask(traced(proxy, recording))
    (asked, _) = recording.ended

    assert attributes(asked)["server.address"] == path
    assert "server.port" not in attributes(asked)
    assert attributes(asked)["url.full"] == "http://localhost/"
