"""Transport: requests of httpx over HTTP/2 without an event loop.

HTTP/2 runs on a background thread; the calling threads wait. Any number of threads may
share one transport.
"""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Final

import httpx

from headstart.client.background import Background
from headstart.config import ClientLimits
from headstart.httpx.http2 import Http2
from headstart.httpx.responses import AsyncBody, Body, NetworkStream, as_response
from headstart.httpx.tracing import Trace

_LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20)
_CLIENT_LIMITS: Final = ClientLimits()


class Transport(httpx.BaseTransport):
    """A transport for `httpx.Client`; see `AsyncTransport` for its arguments.

    Content in parts and `trace` run on the background thread, so they cannot use the same client.
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
        self._http1 = httpx.HTTPTransport(verify=verify, limits=limits, trust_env=False)
        self._background = Background(self._http2.aclose)

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Requests under way fail."""
        self._background.stop()
        self._http1.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of httpx.

        Raises:
            httpx.TransportError: It failed.
        """
        response = self._background.run(self._ask(request))
        return self._http1.handle_request(request) if response is None else response

    async def _ask(self, request: httpx.Request) -> httpx.Response | None:
        trace = Trace(request)
        response = await self._http2.ask(request, trace)
        if response is None:
            return None
        if response.is_complete and not trace:
            stream: httpx.SyncByteStream = httpx.ByteStream(await response.aread())
        else:
            stream = Body(AsyncBody(response, request, trace), self._background)
        return as_response(response, stream, NetworkStream)
