"""The place of a request in its trace, as applications and upstreams are told of it.

`spans` sets `current_trace` in the context of a request; `TracePassing` and the proxy read it.
Needs no package of OpenTelemetry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from headstart.deliver.asgi import Application, Receive, Scope, Send

Fields: TypeAlias = list[tuple[bytes, bytes]]


class UpstreamSpan(Protocol):
    """The span of one attempt to ask an upstream.

    Attributes:
        fields: Tell the upstream of it.
    """

    fields: Fields

    def goes_to(self, url: str, host: str, port: int) -> None:
        """Say which server is asked.

        Args:
            url: The absolute URL that is asked for.
            host: Name, address, or path of a Unix socket.
            port: 0 for a Unix socket.
        """

    def end(self, status: int, error: str) -> None:
        """End the span.

        Args:
            status: Of the response, or 0 if there was none.
            error: The reason that the response is not whole, in one word; else "".
        """


Ask: TypeAlias = Callable[[str, int], UpstreamSpan]
"""Begin the span of a request to an upstream, of this method and after so many others like it."""


class Trace(Protocol):
    """The place of a request in its trace."""

    @property
    def received(self) -> Fields:
        """The headers of the request without those of its trace."""

    @property
    def fields(self) -> Fields:
        """The headers that take their place."""

    @property
    def told(self) -> bool:
        """True if the application finds them among the headers of its request."""

    @property
    def ask(self) -> Ask | None:
        """None if the request is not recorded: an upstream then gets `fields`."""


@dataclass(frozen=True, slots=True, eq=False)
class ToldTrace:
    """A `Trace` of which the application is told in the headers of its request."""

    received: Fields
    fields: Fields
    ask: Ask | None
    told: Final = True


current_trace: ContextVar[Trace | None] = ContextVar("headstart.trace", default=None)
"""Of the request that is answered; None if it passes on the trace of its client unchanged."""


class TracePassing:
    """Tell an application of the trace, in the headers of its requests.

    It is the innermost layer around the application: further out, requests that repeat
    those before them are known by their headers.

    Args:
        app: The application.
    """

    def __init__(self, app: Application) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[object]:
        """Serve one ASGI scope."""
        trace = current_trace.get()
        if trace is not None and trace.told:
            scope["headers"] = [*trace.received, *trace.fields]
        return self.app(scope, receive, send)
