"""Spans of requests and pushes, taken by OpenTelemetry's own SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context, set_value
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    DEFAULT_ON,
    ParentBasedTraceIdRatio,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanKind, StatusCode

from headstart.config import ServerOptions
from headstart.observe import Observer, TracePassing, Tracing
from headstart.observe import spans as module
from headstart.observe.exchange import Exchange
from headstart.observe.spans import Spans
from headstart.observe.trace import current_trace
from tests.observe.recorded import (
    PARENT,
    TRACE,
    TRACEPARENT,
    UNSAMPLED,
    Recording,
    attributes,
    curl,
    echo,
    global_recording,
    scope_of,
)
from tests.observe.test_sampling import ByPath
from tests.server.apps import Receive, Scope, Send, pushing
from tests.server.live import running
from tests.server.raw import RawClient

TRACED = ServerOptions(tracing=True)


@pytest.fixture(autouse=True)
def _no_spans() -> Iterator[None]:
    global_recording().clear()
    yield
    global_recording().clear()


def spans(number: int) -> list[ReadableSpan]:
    """The spans, once there are so many."""
    return global_recording().spans(number)


# Real servers


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
    assert attributes(request) == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": "/a%20b",
        "url.query": "x=1",
        "network.protocol.version": version,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "user_agent.original": "agent/1",
        "client.address": "127.0.0.1",
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


# Whether a request is recorded


class Asked:
    """A request that was answered behind an observer.

    Attributes:
        traceparent: In the headers that the application saw; "" for none.
        current: The place in the trace that OpenTelemetry told the application.
        upstream: The headers that an upstream would get.
        context: Of OpenTelemetry.
    """

    def __init__(self, recording: Recording, scope: Scope) -> None:
        self._recording = recording
        self._observer = Observer(TracePassing(self._answer), tracing=Tracing(recording.provider))
        copy_context().run(self._run, scope)

    def _run(self, scope: Scope) -> None:
        call = self._observer(scope, _nothing, _nothing)
        with pytest.raises(StopIteration):
            next(iter(call.__await__()))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = trace.get_current_span()
        self.traceparent = dict(scope["headers"]).get(b"traceparent", b"").decode()
        self.current = place.get_span_context()
        self.again = place.get_span_context()
        self.baggage = baggage.get_all()
        passed = current_trace.get()
        self.upstream = scope["headers"] if passed is None else passed.fields
        with self._recording.provider.get_tracer("app").start_as_current_span("inside"):
            pass
        await send({"type": "http.response.start", "status": 200})


async def _nothing(*arguments: Any) -> Any:
    return None


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBasedTraceIdRatio(0.0)])
def test_request_that_is_not_sampled_has_a_place_in_the_trace_and_no_span(sampler: Sampler) -> None:
    recording = Recording(sampler)

    asked = Asked(recording, scope_of("/"))

    assert asked.current.is_valid
    assert not asked.current.trace_flags.sampled
    assert asked.current == asked.again
    assert asked.traceparent == ""
    ((name, value),) = asked.upstream
    ids = asked.current.trace_id, asked.current.span_id
    assert (name, value.decode()) == (b"traceparent", "00-{:032x}-{:016x}-02".format(*ids))
    assert recording.ended == []


@pytest.mark.parametrize("more", [{}, {"tracestate": "vendor=1"}])
@pytest.mark.parametrize("sampler", [DEFAULT_ON, ParentBasedTraceIdRatio(1.0)])
def test_request_whose_parent_is_not_sampled_passes_as_it_came(
    sampler: Sampler, more: dict[str, str]
) -> None:
    recording = Recording(sampler)
    scope = scope_of("/", {"traceparent": UNSAMPLED} | more)
    before = scope["headers"]

    asked = Asked(recording, scope)

    assert f"{asked.current.span_id:016x}" == PARENT
    assert asked.current.is_remote
    assert dict(asked.current.trace_state) == ({"vendor": "1"} if more else {})
    assert scope["headers"] is before
    assert recording.ended == []


@pytest.mark.parametrize("flags", ["01", "03"])
@pytest.mark.parametrize("sampler", [DEFAULT_ON, ParentBasedTraceIdRatio(0.0)])
def test_request_whose_parent_is_sampled_is_recorded(sampler: Sampler, flags: str) -> None:
    recording = Recording(sampler)

    asked = Asked(recording, scope_of("/", {"traceparent": UNSAMPLED[:-2] + flags}))
    inside, request = recording.ended

    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    assert inside.parent is not None
    assert inside.parent.span_id == request.context.span_id == asked.current.span_id
    assert asked.traceparent == f"00-{TRACE}-{request.context.span_id:016x}-{flags}"


@pytest.mark.parametrize(
    "value",
    [
        "00-" + "0" * 32 + f"-{PARENT}-00",
        f"00-{TRACE}-" + "0" * 16 + "-00",
        f"ff-{TRACE}-{PARENT}-00",
        f"00-{TRACE.upper()}-{PARENT}-00",
        f"00-{TRACE}-{PARENT}",
        "00",
        "",
    ],
)
def test_malformed_parent_is_none(value: str) -> None:
    recording = Recording(DEFAULT_ON)

    asked = Asked(recording, scope_of("/", {"traceparent": value}))
    request = recording.ended[-1]

    assert request.parent is None
    assert asked.traceparent == f"00-{asked.current.trace_id:032x}-{asked.current.span_id:016x}-03"


def test_two_parents_are_none_and_two_parts_of_a_state_are_one() -> None:
    recording = Recording(DEFAULT_ON)
    twice = scope_of("/", {"traceparent": UNSAMPLED})
    twice["headers"] *= 2
    parts = scope_of("/", {"traceparent": TRACEPARENT, "tracestate": "a=1"})
    parts["headers"].append((b"tracestate", b"b=2"))

    Asked(recording, twice)
    Asked(recording, parts)
    first, second = recording.ended[1::2]

    assert first.parent is None
    assert dict(second.context.trace_state) == {"a": "1", "b": "2"}


def test_baggage_reaches_the_application_and_stays_in_its_headers() -> None:
    recording = Recording(DEFAULT_ON)
    scope = scope_of("/", {"baggage": "user=alice", "traceparent": TRACEPARENT})

    asked = Asked(recording, scope)

    assert (b"baggage", b"user=alice") in scope["headers"]
    assert asked.traceparent.startswith(f"00-{TRACE}-")
    assert asked.baggage == {"user": "alice"}


@pytest.mark.parametrize(("path", "number"), [("/wanted", 1), ("/other", 0)])
def test_sampler_that_looks_at_the_request_sees_its_attributes(path: str, number: int) -> None:
    recording = Recording(ByPath())

    asked = Asked(recording, scope_of(path, {"traceparent": TRACEPARENT}))

    assert [span.name for span in recording.ended] == ["GET"] * number
    # The parent was recorded, and the request may not be: whoever is next must know.
    assert asked.traceparent == f"00-{TRACE}-{asked.current.span_id:016x}-0{number}"


def test_share_of_the_requests_is_recorded() -> None:
    recording = Recording(TraceIdRatioBased(0.1))
    made = Spans(recording.provider.get_tracer("headstart"))

    begun = [copy_context().run(made.begin, scope_of("/")) for _ in range(5000)]

    # Ten standard deviations to each side.
    assert 288 < sum(span is not None for span in begun) < 712


def test_push_of_a_page_that_is_not_recorded_is_not_recorded() -> None:
    recording = Recording(DEFAULT_ON)

    Asked(recording, scope_of("/style.css", pushed=True))
    assert recording.ended == []

    Asked(recording, scope_of("/"))
    assert len(recording.ended) == 2


class Own(TextMapPropagator):
    """A format of somebody's own."""

    def extract(
        self,
        carrier: Any,
        context: Context | None = None,
        getter: Any = default_getter,
    ) -> Context:
        return set_value("own", getter.get(carrier, "x-own"), context)

    def inject(
        self,
        carrier: Any,
        context: Context | None = None,
        setter: Any = default_setter,
    ) -> None:
        setter.set(carrier, "X-Own", "me")

    @property
    def fields(self) -> set[str]:
        return {"x-own"}


def test_operators_own_propagator_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_global_textmap", Own)
    recording = Recording(DEFAULT_ON)
    scope = scope_of("/", {"x-own": "client", "a": "b"})

    Asked(recording, scope)

    assert scope["headers"] == [(b"a", b"b"), (b"x-own", b"me")]
    assert len(recording.ended) == 2


def test_without_a_propagator_the_headers_pass_as_they_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "get_global_textmap", lambda: CompositePropagator([]))
    recording = Recording(DEFAULT_ON)

    asked = Asked(recording, scope_of("/", {"traceparent": TRACEPARENT}))

    assert asked.traceparent == TRACEPARENT
    assert recording.ended[-1].parent is None


def test_promises_that_never_come_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_PROMISES", 2)
    made = Spans(Recording(DEFAULT_ON).provider.get_tracer("headstart"))
    scope = scope_of("/")
    span = copy_context().run(made.begin, scope)
    assert span is not None

    for number in range(10):
        message = {"type": "http.response.push", "path": f"/{number}"}
        made.sent(Exchange(scope), span, message)

    assert len(vars(made)["_promised"]) == 2
