"""OpenTelemetry's spans: of requests, of pushed requests below their pages', and of upstreams.

Imported by `tracing` when there is somebody who takes spans; called by `observer`, and by the proxy
through `trace.current_trace`.

A request that is not recorded has no more than its place in the trace, mostly without a call of
the SDK (see `sampling`). The tasks of requests have contexts of their own, so nothing that is set
there is reset.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from opentelemetry.context import Context, attach
from opentelemetry.propagate import get_global_textmap
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from headstart.deliver.asgi import Message, Scope, headstart_extension
from headstart.observe.attributes import (
    method_attributes,
    name_of,
    request_attributes,
    response_attributes,
    without_secrets,
)
from headstart.observe.exchange import Exchange
from headstart.observe.trace import Fields, ToldTrace, current_trace

if TYPE_CHECKING:
    from headstart.observe.sampling import KnownSampler

_EMPTY: Final = Context()
# Where OpenTelemetry keeps the span in a context.
(_SPAN,) = set_span_in_context(INVALID_SPAN, _EMPTY)
_NONE: Final[dict[str, Any]] = {}
# Promises whose requests have not come to the application: that is a turn of the loop later.
_MOST_PROMISES: Final = 10_000
_W3C: Final = frozenset(("traceparent", "tracestate", "baggage"))
_PLACE: Final = {b"traceparent", b"tracestate"}
# W3C Trace Context, 3.2: a parent that is not sampled, as an even number of flags says.
_NOT_SAMPLED: Final = re.compile(
    rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][02468ace]"
)
_LAST_64_BITS: Final = (1 << 64) - 1


class _Unrecorded(NonRecordingSpan):
    """The span of a request that is not recorded, and its place in the trace (see `trace.Trace`).

    Most are asked nothing, so it says nothing that it is not asked for: the application finds the
    trace in OpenTelemetry's context, and an upstream in its headers.
    """

    told: Final = False
    ask: Final = None
    _place: SpanContext | None = None

    def __init__(self, received: Fields, trace_id: int, known: KnownSampler) -> None:
        self.received = received
        self._trace_id = trace_id
        self._known = known

    def get_span_context(self) -> SpanContext:
        """Return the place in the trace."""
        if self._place is None:
            span_id, flags = self._known.ids.generate_span_id(), TraceFlags(self._known.flags)
            self._place = SpanContext(self._trace_id, span_id, False, flags)
        return self._place

    @property
    def fields(self) -> Fields:
        """The headers that tell of it."""
        return _traceparent(self.get_span_context())


class _RemoteUnrecorded(NonRecordingSpan):
    """The span of a client that is not recorded, for a request that is not recorded either."""

    def __init__(self, spans: Spans, carried: Fields) -> None:
        self._spans = spans
        self._carried = carried

    def get_span_context(self) -> SpanContext:
        """Return the place in the trace."""
        return get_current_span(self._spans.context_of(self._carried)).get_span_context()


class Spans:
    """Make spans.

    Args:
        tracer: Makes them.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._propagator = get_global_textmap()
        names = self._propagator.fields
        self._names = frozenset(name.lower().encode("latin-1") for name in names)
        self._is_w3c = "traceparent" in names and names <= _W3C
        self._known = self._known_sampler(tracer) if self._is_w3c else None
        self._tracer = tracer if self._known is None else self._known.tracer
        self._promised: OrderedDict[tuple[int, str], SpanContext] = OrderedDict()
        """Connection and target of pushed requests -> the spans of their pages."""

    @staticmethod
    def _known_sampler(tracer: Tracer) -> KnownSampler | None:
        if find_spec("opentelemetry.sdk") is None:
            return None
        from headstart.observe.sampling import known_sampler

        return known_sampler(tracer)

    # One request.

    def begin(self, scope: Scope) -> Span | None:
        """Put a request in its trace. Return its span if it is recorded."""
        carried = [pair for pair in scope["headers"] if pair[0] in self._names]
        ours = (scope.get("extensions") or _NONE).get("headstart") or _NONE
        page = self._page_of(scope, ours) if ours.get("pushed") else None
        known = self._known
        if known is not None and page is None:
            if not carried:
                trace_id = known.new_trace_id()
                # A page that is not recorded promised this, if it was promised.
                if trace_id & _LAST_64_BITS >= known.bound or ours.get("pushed"):
                    unrecorded = _Unrecorded(scope["headers"], trace_id, known)
                    attach(Context({_SPAN: unrecorded}))
                    current_trace.set(unrecorded)
                    return None
                known.ids.given = trace_id
            elif known.heeds_parent and _is_not_sampled(carried):
                # Its headers go on as they came.
                attach(set_span_in_context(_RemoteUnrecorded(self, carried), _EMPTY))
                return None
        return self._start(Exchange(scope), carried, page)

    def _page_of(self, scope: Scope, ours: dict[str, Any]) -> Context | None:
        """Return the page's span as the parent of a pushed request's."""
        target = unquote(Exchange(scope).target)
        page = self._promised.pop((ours["connection"], target), None)
        return None if page is None else set_span_in_context(NonRecordingSpan(page), _EMPTY)

    def _start(self, exchange: Exchange, carried: Fields, page: Context | None) -> Span | None:
        """Start a span, unless the sampler says no."""
        scope = exchange.scope
        context = self.context_of(carried) if page is None else page
        span = self._tracer.start_span(
            name_of(scope["method"]),
            context=context,
            kind=SpanKind.SERVER,
            attributes=request_attributes(exchange),
        )
        context = set_span_in_context(span, context)
        attach(context)
        fields = self.fields_of(span, context)
        replaced = {name for name, _ in fields} | (_PLACE if fields else set())
        received = [pair for pair in scope["headers"] if pair[0] not in replaced]
        recorded = span.is_recording()
        ask = partial(_Asked, self, self._tracer, context) if recorded else None
        current_trace.set(ToldTrace(received, fields, ask))
        return span if recorded else None

    def context_of(self, carried: Fields) -> Context:
        """Return the context that the headers of a request tell."""
        if not carried:
            return _EMPTY
        carrier: dict[str, str] = {}
        for name, value in _as_text(carried):
            # Parts of a list; two traceparents are none.
            carrier[name] = f"{carrier[name]},{value}" if name in carrier else value
        return self._propagator.extract(carrier, _EMPTY)

    def fields_of(self, span: Span, context: Context) -> Fields:
        """Return the headers that tell of a span."""
        place = span.get_span_context()
        if self._is_w3c and not place.trace_state:
            return _traceparent(place)
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, context)
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in carrier.items()]

    def sent(self, exchange: Exchange, span: Span, message: Message) -> None:
        """Remember whose page a promised request belongs to."""
        push = message.get("headstart")
        ours = headstart_extension(exchange.scope)
        if ours is None or (push is not None and not push):
            return
        # The request for it comes percent-encoded, and without a fragment.
        target = unquote(message["path"].partition("#")[0])
        self._promised[ours["connection"], target] = span.get_span_context()
        if len(self._promised) > _MOST_PROMISES:
            self._promised.popitem(last=False)

    @staticmethod
    def end(exchange: Exchange, span: Span, status: int) -> None:
        """End the span of a request that was answered with this status."""
        span.set_attributes(response_attributes(exchange, status))
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
            if exchange.error is not None:
                span.record_exception(exchange.error)
        span.end()


class _Asked:
    """The span of one attempt to ask an upstream; see `trace.UpstreamSpan`."""

    def __init__(
        self, spans: Spans, tracer: Tracer, context: Context, method: str, repetition: int
    ) -> None:
        attributes = method_attributes(method)
        if repetition:
            attributes["http.request.resend_count"] = repetition
        self._span = tracer.start_span(
            name_of(method), context=context, kind=SpanKind.CLIENT, attributes=attributes
        )
        self.fields = spans.fields_of(self._span, set_span_in_context(self._span, context))

    def goes_to(self, url: str, host: str, port: int) -> None:
        found: dict[str, Any] = {"url.full": without_secrets(url), "server.address": host}
        if port:
            found["server.port"] = port
        self._span.set_attributes(found)

    def end(self, status: int, error: str) -> None:
        found: dict[str, Any] = {"http.response.status_code": status} if status else {}
        # To a client a status of 4xx is an error, too.
        if error or status >= 400:
            found["error.type"] = error or str(status)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.set_attributes(found)
        self._span.end()


def _traceparent(place: SpanContext) -> Fields:
    """Return a place in a trace as W3C Trace Context writes it."""
    ids = place.trace_id, place.span_id, place.trace_flags
    return [(b"traceparent", b"00-%032x-%016x-%02x" % ids)]


def _is_not_sampled(carried: Fields) -> bool:
    """Return whether headers tell of a parent that is not sampled, and of nothing more."""
    found = dict(carried)
    return (
        len(found) == len(carried)
        and b"baggage" not in found
        and _NOT_SAMPLED.fullmatch(found.get(b"traceparent", b"")) is not None
    )


def _as_text(fields: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    """Return headers as propagators read them."""
    return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
