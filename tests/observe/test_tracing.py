"""Spans of requests and pushes, taken by OpenTelemetry's own SDK from real servers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from headstart.config import ServerOptions
from headstart.errors import ConfigurationError
from headstart.observe import tracing
from headstart.observe.exchange import Exchange
from headstart.observe.tracing import check_tracing
from headstart.proxy import Proxy
from tests.peers import peer
from tests.server.apps import Receive, Scope, Send, answer, lifespan, pushing
from tests.server.live import running, serving, until
from tests.server.raw import RawClient

TRACED = ServerOptions(tracing=True)
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"

_exporter = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def _sdk() -> None:
    """What an operator's set-up does, once in a process."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_exporter))
    trace.set_tracer_provider(provider)


@pytest.fixture(autouse=True)
def _no_spans() -> Iterator[None]:
    _exporter.clear()
    yield
    _exporter.clear()


def spans(number: int) -> list[ReadableSpan]:
    """The spans, once there are so many."""
    until(lambda: len(_exporter.get_finished_spans()) >= number, f"{number} spans")
    return list(_exporter.get_finished_spans())


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the traceparent that came; make a span of its own; fail at /fails."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["path"] == "/fails":
        raise LookupError("broken")
    with trace.get_tracer("app").start_as_current_span("inside"):
        found = [value for name, value in scope["headers"] if name == b"traceparent"]
    return await answer(send, b",".join(found))


def curl(port: int, path: str, *more: str) -> str:
    command = [peer("curl"), "-s", "-m", "90", *more, f"http://127.0.0.1:{port}{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("flag", "version"), [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")]
)
def test_span_of_a_request_has_the_attributes_of_the_conventions(flag: str, version: str) -> None:
    with running(echo, TRACED) as server:
        passed_on = curl(
            *(server.port, "/a%20b?x=1", flag, "-A", "agent/1", "-H", f"traceparent: {TRACEPARENT}")
        )
        inside, request = spans(2)

    assert (request.name, request.kind) == ("GET", SpanKind.SERVER)
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    assert f"{request.context.trace_id:032x}" == TRACE
    assert attributes(request) | {"network.peer.port": 0} == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": "/a%20b",
        "url.query": "x=1",
        "network.protocol.name": "http",
        "network.protocol.version": version,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "user_agent.original": "agent/1",
        "client.address": "127.0.0.1",
        "network.peer.port": 0,
        "http.response.status_code": 200,
        "http.response.body.size": len(passed_on),
    }
    assert request.status.status_code is StatusCode.UNSET
    assert passed_on == f"00-{TRACE}-{request.context.span_id:016x}-01"
    assert inside.parent is not None
    assert inside.parent.span_id == request.context.span_id


def test_request_without_a_trace_begins_one() -> None:
    with running(echo, TRACED) as server:
        passed_on = curl(server.port, "/")
        _, request = spans(2)

    assert request.parent is None
    context = request.context
    flags = int(context.trace_flags)
    assert passed_on == f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"


def test_error_of_the_application_is_the_spans() -> None:
    with running(echo, TRACED) as server:
        curl(server.port, "/fails", "-X", "BREW", "--http2-prior-knowledge")
        (request,) = spans(1)

    assert request.name == "HTTP"
    found = attributes(request)
    assert found["http.request.method"] == "_OTHER"
    assert found["http.request.method_original"] == "BREW"
    assert found["http.response.status_code"] == 500
    assert found["error.type"] == "LookupError"
    assert request.status.status_code is StatusCode.ERROR
    assert request.events[0].name == "exception"


def test_pushed_request_is_a_child_of_its_pages() -> None:
    with running(pushing, TRACED) as server, RawClient(server.port) as client:
        client.get(b"/page", [(b"traceparent", TRACEPARENT.encode())])
        client.settle()
        made = {attributes(span)["url.path"]: span for span in spans(2)}

    page, pushed = made["/page"], made["/style.css"]
    assert pushed.parent is not None
    assert pushed.parent.span_id == page.context.span_id
    assert pushed.context.trace_id == page.context.trace_id
    assert attributes(pushed)["headstart.pushed"] is True
    assert attributes(page)["headstart.way"] == "push"
    assert attributes(page)["headstart.sent"] == ("/style.css",)
    assert b"traceparent" not in {name for fields in client.promises.values() for name, _ in fields}


def test_without_an_sdk_the_clients_trace_is_passed_on_as_it_is() -> None:
    with serving("tests.observe.test_tracing:echo", "--tracing", "--no-learn") as server:
        arrived = curl(server.port, "/", "-H", f"traceparent: {TRACEPARENT}")

    assert arrived == TRACEPARENT


@pytest.mark.parametrize("traced", [True, False])
def test_proxy_passes_the_trace_on_to_its_upstream(traced: bool) -> None:
    with running(echo) as upstream:
        proxy = Proxy(f"http://127.0.0.1:{upstream.port}")
        with running(proxy, ServerOptions(tracing=traced)) as server:
            arrived = curl(
                *(server.port, "/", "-H", f"traceparent: {TRACEPARENT}", "-H", "tracestate: a=b")
            )
            made = spans(1 + traced)
            server.stop()

    if traced:
        (request,) = [span for span in made if span.kind is SpanKind.SERVER]
        assert arrived == f"00-{TRACE}-{request.context.span_id:016x}-01"
        assert request.context.trace_state.get("a") == "b"
    else:
        assert arrived == TRACEPARENT


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tracing, "find_spec", lambda name: None if "opentelemetry" in name else find_spec(name)
    )

    with pytest.raises(ConfigurationError, match="needs the package opentelemetry-api"):
        check_tracing()


def test_promises_that_never_come_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_MOST_PROMISES", 2)
    made = tracing.Tracing()
    exchange = Exchange(
        {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [],
            "scheme": "http",
            "http_version": "2",
            "client": None,
            "extensions": {"headstart": {"connection": 1, "pushed": False}},
        }
    )
    span = made.begin(exchange)

    for number in range(10):
        made.sent(exchange, span, {"type": "http.response.push", "path": f"/{number}"})

    assert len(vars(made)["_promised"]) == 2
    made.end(exchange, span, 200)


@pytest.mark.parametrize("flag", ["--http1.1", "--http2-prior-knowledge"])
def test_port_that_is_no_number_of_a_port_is_a_part_of_the_name(flag: str) -> None:
    host = "shop.example:" + "9" * 5000
    with running(echo, TRACED) as server:
        passed_on = curl(server.port, "/", flag, "-H", f"Host: {host}")
        request = spans(2)[-1]

    assert passed_on.startswith("00-")
    assert attributes(request)["server.address"] == host
    assert attributes(request)["server.port"] == 80
