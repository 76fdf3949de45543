"""ASGI types for pushes and hints, and the extensions that a request offers.

Read by `push`, `hint` and `request`, and by the middleware. `leave_send`, which the server calls,
changes the context that a request runs in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from sys import modules
from typing import Any, Final, Protocol, TypeAlias, TypedDict

from headstart.errors import LocalProtocolError

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[object]]

OURS: Final = "headstart"
"""The name of `HeadstartExtension` among a scope's extensions."""
EMPTY_QUERY: Final = "headstart.empty_query"
"""In a scope if the target has a `?` and nothing behind it, which ASGI itself cannot say."""


class HeadstartExtension(TypedDict):
    """The extension of a scope by which our own server tells more than ASGI does.

    Plain data only, so that an application can copy, pickle or log its scope.

    Attributes:
        connection: A number that identifies the connection.
        push_enabled: The client accepts pushes, and this request may push.
        pushed: The request was promised in a push.
        pushes: For each push of this request its path, its state so far, and the reason if it was
            refused.
        counters: A number that stands for the worker's counters.
    """

    connection: int
    push_enabled: bool
    pushed: bool
    pushes: Sequence[Mapping[str, str | None]]
    counters: int


current_send: ContextVar[Send | None] = ContextVar("headstart.send", default=None)
"""The `send` of the request that is being answered, for frameworks that keep theirs to themselves.

Django and Quart do. Set by `leave_send` and by the middleware; copied into the threads of views by
asgiref, as every context variable is.
"""


def leave_send(send: Send) -> None:
    """Leave `send` in the context if a framework is loaded that keeps its own to itself.

    For all others that would be a hundredth of what a request costs.
    """
    if "quart" in modules or "django" in modules:
        current_send.set(send)


class RequestLike(Protocol):
    """A request of Starlette, FastAPI, Litestar or Quart, or of Django under ASGI."""

    @property
    def scope(self) -> Mapping[str, Any]:
        """The ASGI scope."""


def send_channel(request: RequestLike) -> Send:
    """Return the `send` that the request was made with.

    Litestar has it in a public attribute. Starlette keeps it under a private name and has no public
    one; its own `Request.send_push_promise` reads it there too. For others it is the one that the
    server or the middleware left in the context.

    Raises:
        LocalProtocolError: The request has none.
    """
    send: Send | None = getattr(request, "_send", None) or getattr(request, "send", None)
    send = send or current_send.get()
    if send is None:
        raise LocalProtocolError(
            "this request has no send channel",
            hint="wrap the application in HeadstartMiddleware, make the request as "
            "Request(scope, receive, send), or use PushBuilder.",
        )
    return send


def query_part(scope: Mapping[str, Any]) -> bytes:
    """Return the part of a request's target behind its path, with the `?`; b"" if there is none."""
    query: bytes = scope.get("query_string", b"")
    if query:
        return b"?" + query
    return b"?" if EMPTY_QUERY in scope else b""


def headstart_extension(scope: Mapping[str, Any]) -> HeadstartExtension | None:
    """Return our server's extension of a scope; None in another server, and over HTTP/1.1."""
    extension: HeadstartExtension | None = (scope.get("extensions") or {}).get(OURS)
    return extension


def offers(scope: Mapping[str, Any], extension: str) -> bool:
    """Return true if the server offers the extension for this request."""
    return extension in (scope.get("extensions") or {})


def header(scope: Mapping[str, Any], name: bytes) -> bytes | None:
    """Return the first value of a request header."""
    return next((value for key, value in scope["headers"] if key == name), None)
