"""An SDK of OpenTelemetry as an operator sets it up, whose spans a test can read."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from functools import cache
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from tests.peers import peer
from tests.server.apps import Receive, Scope, Send, answer, lifespan
from tests.server.live import until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
UNSAMPLED = f"00-{TRACE}-{PARENT}-00"


class Recording:
    """A provider, and the spans that ended."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def clear(self) -> None:
        """Forget the spans."""
        self._exporter.clear()

    @property
    def ended(self) -> list[ReadableSpan]:
        """The spans that ended so far."""
        return list(self._exporter.get_finished_spans())

    def spans(self, number: int) -> list[ReadableSpan]:
        """The spans, once there are so many."""
        until(lambda: len(self.ended) >= number, f"{number} spans")
        return self.ended


@cache
def global_recording() -> Recording:
    """The one of this process: a provider can be set once."""
    recording = Recording()
    trace.set_tracer_provider(recording.provider)
    return recording


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def scope_of(
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    pushed: bool = False,
) -> dict[str, Any]:
    """A request over HTTP/2."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        "scheme": "http",
        "http_version": "2",
        "client": None,
        "extensions": {"headstart": {"connection": 1, "pushed": pushed}},
    }


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
