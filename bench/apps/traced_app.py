"""The application of `starlette_app` with OpenTelemetry's SDK set up, whose spans go nowhere.

The sampler comes from OTEL_TRACES_SAMPLER.
"""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from bench.apps.starlette_app import app

__all__ = ["app"]

trace.set_tracer_provider(TracerProvider())
