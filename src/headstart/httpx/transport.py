"""AsyncTransport: requests of httpx over HTTP/2, or over HTTP/1.1 if a server has no HTTP/2."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Final

import httpx

from headstart.config import ClientLimits
from headstart.httpx.http2 import Http2
from headstart.httpx.responses import AsyncBody, AsyncNetworkStream, as_response
from headstart.httpx.tracing import Trace

_LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20)
_CLIENT_LIMITS: Final = ClientLimits()


class AsyncTransport(httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient` that uses this package's HTTP/2 client.

    A server without HTTP/2 is asked over HTTP/1.1, by httpx's own transport. Over `http://` that is
    the rule, as in httpx; with `http1=False` such servers are asked by prior knowledge.

    Args:
        verify: Verify certificates: True, False, or a context of your own.
        http1: Ask servers without HTTP/2 over HTTP/1.1.
        limits: Bounds on connections; HTTP/2 needs one for each origin.
        push: Let servers push. A pushed response then answers the next request for it, and has
            `extensions["from_push"]`.
        client_limits: Windows, bounds on header sections, and on stored pushes.
    """

    def __init__(
        self,
        *,
        verify: ssl.SSLContext | bool = True,
        http1: bool = True,
        limits: httpx.Limits = _LIMITS,
        push: bool = False,
        client_limits: ClientLimits = _CLIENT_LIMITS,
    ) -> None:
        self._http2 = Http2(
            verify=verify, http1=http1, limits=limits, push=push, client_limits=client_limits
        )
        # trust_env: httpx leaves the environment alone where a transport is given.
        self._http1 = httpx.AsyncHTTPTransport(verify=verify, limits=limits, trust_env=False)

    async def __aenter__(self) -> AsyncTransport:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. Requests under way fail."""
        await self._http2.aclose()
        await self._http1.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of httpx.

        Raises:
            httpx.TransportError: It failed.
        """
        trace = Trace(request)
        response = await self._http2.ask(request, trace)
        if response is None:
            return await self._http1.handle_async_request(request)
        if response.is_complete and not trace:
            # Most responses are here as a whole: httpx then reads them without a task's turn.
            stream: httpx.AsyncByteStream = httpx.ByteStream(await response.aread())
        else:
            stream = AsyncBody(response, request, trace)
        return as_response(response, stream, AsyncNetworkStream)
