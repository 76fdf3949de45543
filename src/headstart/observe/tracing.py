"""OpenTelemetry: a span of each request, and one of each pushed request below its page's.

The names are those of the semantic conventions for HTTP servers, 1.23 and later
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/). The package opentelemetry-api is
imported when tracing is switched on; the operator's SDK takes the spans. Called by `observer`.

The request's own `traceparent` (W3C Trace Context) is the parent. Then the span takes its place in
the scope, so that an application, or the upstream of a proxy, goes on from there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from headstart.deliver.asgi import Message
from headstart.errors import ConfigurationError
from headstart.observe.delivered import delivered
from headstart.observe.exchange import Exchange

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, TracerProvider

_PROPAGATED: Final = (b"traceparent", b"tracestate")
# Promises whose requests have not come to the application: that is a turn of the loop later.
_MOST_PROMISES: Final = 10_000
# RFC 9110, 9 and RFC 5789; others are one name, or each client could make many.
_METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PORT_DIGITS: Final = 5


def check_tracing() -> None:
    """Check that spans can be made.

    Raises:
        ConfigurationError: The package is not installed.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        raise ConfigurationError(
            "--tracing needs the package opentelemetry-api",
            hint="install it: pip install 'headstart[tracing]'",
        )


@dataclass(frozen=True, slots=True)
class RequestSpan:
    """The span of one request.

    Attributes:
        span: OpenTelemetry's.
    """

    span: Span

    def current(self) -> AbstractContextManager[Span]:
        """Return a block in which the application's own spans are children of this one."""
        from opentelemetry.trace import use_span

        return use_span(self.span, record_exception=False, set_status_on_exception=False)


class Tracing:
    """Make spans.

    Args:
        provider: Of the tracer; by default the one that the operator set.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        from opentelemetry.trace import get_tracer

        self._tracer = get_tracer("headstart", tracer_provider=provider)
        self._promised: OrderedDict[tuple[int, str], SpanContext] = OrderedDict()
        """Connection and target of pushed requests -> the spans of their pages."""

    def begin(self, exchange: Exchange) -> RequestSpan:
        """Begin the span of a request, and pass it on in the scope's `traceparent`."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, set_span_in_context

        scope = exchange.scope
        # A span's name must be one of few: anybody can make up methods.
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        span = self._tracer.start_span(
            "HTTP" if method == "_OTHER" else method,
            context=self._page_of(exchange) or extract(dict(_propagated(exchange))),
            kind=SpanKind.SERVER,
            attributes=_attributes(exchange, method),
        )
        # Without an SDK there is no span of ours, and the client's goes on as it came.
        if span.get_span_context().is_valid:
            _pass_on(exchange, set_span_in_context(span))
        return RequestSpan(span)

    def _page_of(self, exchange: Exchange) -> Context | None:
        """Return the page's span as the parent of a pushed request's."""
        if not exchange.pushed:
            return None
        from opentelemetry.trace import NonRecordingSpan, set_span_in_context

        connection = exchange.scope["extensions"]["headstart"]["connection"]
        page = self._promised.pop((connection, unquote(exchange.target)), None)
        return None if page is None else set_span_in_context(NonRecordingSpan(page))

    def sent(self, exchange: Exchange, span: RequestSpan, message: Message) -> None:
        """Remember whose page a promised request belongs to."""
        if message["type"] != "http.response.push":
            return
        push = message.get("headstart")
        ours = (exchange.scope.get("extensions") or {}).get("headstart")
        if ours is None or (push is not None and not push):
            return
        # The request for it comes percent-encoded, and without a fragment.
        target = unquote(message["path"].partition("#")[0])
        self._promised[ours["connection"], target] = span.span.get_span_context()
        if len(self._promised) > _MOST_PROMISES:
            self._promised.popitem(last=False)

    def end(self, exchange: Exchange, span: RequestSpan, status: int) -> None:
        """End the span of a request that was answered with this status."""
        from opentelemetry.trace import Status, StatusCode

        made, error = span.span, exchange.error
        made.set_attribute("http.response.status_code", status)
        made.set_attribute("http.response.body.size", exchange.size)
        if status >= 500:
            kind = type(error).__qualname__ if error is not None else str(status)
            made.set_attribute("error.type", kind)
            made.set_status(Status(StatusCode.ERROR))
            if error is not None:
                made.record_exception(error)
        page = delivered(exchange.scope)
        if page is not None:
            made.set_attribute("headstart.way", page.way)
            made.set_attribute("headstart.sent", page.sent)
            made.set_attribute("headstart.refused", [*page.refused])
        made.end()


def _propagated(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Yield the request's headers for a propagator."""
    for name, value in exchange.scope["headers"]:
        yield name.decode("latin-1"), value.decode("latin-1")


def _pass_on(exchange: Exchange, context: Context) -> None:
    """Put the span in the place of the client's in the headers that the application sees."""
    from opentelemetry.propagate import inject

    carrier: dict[str, str] = {}
    inject(carrier, context)
    mine = [(name.lower().encode(), value.encode("latin-1")) for name, value in carrier.items()]
    replaced = {name for name, _ in mine} | set(_PROPAGATED if mine else ())
    kept = [pair for pair in exchange.scope["headers"] if pair[0] not in replaced]
    exchange.scope["headers"] = [*kept, *mine]


def _attributes(exchange: Exchange, method: str) -> dict[str, Any]:
    scope = exchange.scope
    path, _, query = exchange.target.partition("?")
    found: dict[str, Any] = {
        "http.request.method": method,
        "url.scheme": scope["scheme"],
        "url.path": path,
        "network.protocol.name": "http",
        "network.protocol.version": scope["http_version"],
    }
    if method == "_OTHER":
        found["http.request.method_original"] = scope["method"]
    if query:
        found["url.query"] = query
    if (host := exchange.header(b"host")) is not None:
        name, colon, port = host.decode("latin-1").rpartition(":")
        # Host may have a port of thousands of digits, which int() refuses.
        known = colon and port.isdecimal() and len(port) <= _PORT_DIGITS
        found["server.address"] = name if known else host.decode("latin-1")
        found["server.port"] = int(port) if known else _DEFAULT_PORTS.get(scope["scheme"], 80)
    if (agent := exchange.header(b"user-agent")) is not None:
        found["user_agent.original"] = agent.decode("latin-1")
    if scope.get("client") is not None:
        found["client.address"], found["network.peer.port"] = scope["client"]
    if exchange.pushed:
        found["headstart.pushed"] = True
    return found
