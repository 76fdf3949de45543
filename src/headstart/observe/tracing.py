"""The switch of tracing: spans are made once somebody takes them.

Without an SDK of OpenTelemetry, requests pass as they came and cost nothing more. An SDK that the
operator sets up when the server already runs is found within a second. Called by `observer`.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from headstart.errors import ConfigurationError
from headstart.extras import install_command

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from headstart.observe.spans import Spans

_LOOK_SECONDS: Final = 1.0


def check_tracing() -> None:
    """Check that spans can be made.

    Raises:
        ConfigurationError: The package is not installed.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        raise ConfigurationError(
            "--tracing needs the package opentelemetry-api",
            hint=f"install it: {install_command('tracing')}",
        )


class Tracing:
    """Make spans if there is somebody to take them.

    Args:
        provider: Of the tracer; by default the one that the operator set.

    Attributes:
        spans: Makes them; None as long as nobody takes them.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._look_at = 0.0
        self.spans: Spans | None = None

    def look(self) -> Spans | None:
        """Return the maker of spans, if there is somebody who takes them by now."""
        now = time.monotonic()
        if now < self._look_at:
            return None
        self._look_at = now + _LOOK_SECONDS
        from opentelemetry.trace import NoOpTracer, ProxyTracer, get_tracer

        tracer = get_tracer("headstart", tracer_provider=self._provider)
        if not isinstance(tracer, NoOpTracer | ProxyTracer):
            from headstart.observe.spans import Spans

            self.spans = Spans(tracer)
        return self.spans
