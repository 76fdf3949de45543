"""The scheme of a request that a trusted proxy names, in all of its spellings.

uvicorn's middleware takes `https` and `http` alone. Proxies also write `HTTPS`, and behind another
proxy a list, `https, http`; then a page would be called insecure, and an application that redirects
to https would do so for ever. Put around the application by `run.Config`.
"""

from __future__ import annotations

from typing import Final

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})


class ProxyHeaders(ProxyHeadersMiddleware):
    """uvicorn's middleware, which also reads other spellings of X-Forwarded-Proto."""

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "lifespan":
            client = scope.get("client")
            scheme = forwarded_scheme(list(scope["headers"]))
            # uvicorn then looks at the client and at plain spellings again, to the same end.
            if scheme and (client[0] if client else None) in self.trusted_hosts:
                is_websocket = scope["type"] == "websocket"
                scope["scheme"] = scheme.replace("http", "ws") if is_websocket else scheme
        await super().__call__(scope, receive, send)


def forwarded_scheme(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the scheme that the client used, "" if no valid one is named.

    Of a list it is the first, as with X-Forwarded-For; of several fields the last one counts, as
    with uvicorn.
    """
    value = next((value for name, value in reversed(headers) if name == b"x-forwarded-proto"), b"")
    scheme = value.partition(b",")[0].strip().lower().decode("latin-1")
    return scheme if scheme in _SCHEMES else ""
