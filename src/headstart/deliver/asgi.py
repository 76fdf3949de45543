"""ASGI types for pushes and hints, and the extensions that a request offers.

Changes nothing. Read by `push`, `hint` and `request`, and by the middleware.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol, TypeAlias

from headstart.errors import LocalProtocolError

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[object]]


class RequestLike(Protocol):
    """A `Request` of Starlette or FastAPI, or an object with the same attributes."""

    @property
    def scope(self) -> MutableMapping[str, Any]:
        """The ASGI scope."""


def send_channel(request: RequestLike) -> Send:
    """Return the `send` that the request was made with.

    Starlette keeps it under a private name and has no public one; its own
    `Request.send_push_promise` reads it there too.

    Raises:
        LocalProtocolError: The request has none.
    """
    send: Send | None = getattr(request, "_send", None)
    if send is None:
        raise LocalProtocolError(
            "this request has no send channel",
            hint="make it as Request(scope, receive, send), or use PushBuilder.",
        )
    return send


def offers(scope: Mapping[str, Any], extension: str) -> bool:
    """Return true if the server offers the extension for this request."""
    return extension in (scope.get("extensions") or {})


def header(scope: Mapping[str, Any], name: bytes) -> bytes | None:
    """Return the first value of a request header."""
    return next((value for key, value in scope["headers"] if key == name), None)
