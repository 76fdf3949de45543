"""A response of `headstart.client` as httpx reads it.

Made by `transport` and `sync`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpcore
import httpx

from headstart.client.background import Background, each
from headstart.client.response import AsyncResponse
from headstart.httpx.failures import as_httpx
from headstart.httpx.tracing import Trace

# httpcore's names for what asyncio's transports know.
_INFO = {
    "client_addr": "sockname",
    "server_addr": "peername",
    "socket": "socket",
    "ssl_object": "ssl_object",
}


class AsyncNetworkStream(httpcore.AsyncNetworkStream):
    """`extensions["network_stream"]`: information on the connection.

    Its bytes are those of all streams together, so nobody else can read or write them.
    """

    def __init__(self, response: AsyncResponse) -> None:
        self._response = response

    def get_extra_info(self, info: str) -> Any:
        """Return `client_addr`, `server_addr`, `socket` or `ssl_object`; None for others."""
        name = _INFO.get(info)
        return None if name is None else self._response.extra_info(name)


class NetworkStream(httpcore.NetworkStream):
    """See `AsyncNetworkStream`."""

    def __init__(self, response: AsyncResponse) -> None:
        self._stream = AsyncNetworkStream(response)

    def get_extra_info(self, info: str) -> Any:
        """See `AsyncNetworkStream.get_extra_info`."""
        return self._stream.get_extra_info(info)


class AsyncBody(httpx.AsyncByteStream):
    """The body of a response, as it arrives."""

    def __init__(self, response: AsyncResponse, request: httpx.Request, trace: Trace) -> None:
        self._response = response
        self._request = request
        self._trace = trace

    # A generator around a generator is costly, and nearly no request has a trace.
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._traced() if self._trace else self._parts()

    async def _parts(self) -> AsyncIterator[bytes]:
        with as_httpx(self._request):
            async for part in self._response.aiter_bytes():
                yield part

    async def _traced(self) -> AsyncIterator[bytes]:
        async with self._trace.event("http2.receive_response_body", request=self._request):
            async for part in self._parts():
                yield part

    async def aclose(self) -> None:
        """Let go of the response: a stream that is still open is reset with CANCEL."""
        async with self._trace.event("http2.response_closed"):
            await self._response.aclose()


class Body(httpx.SyncByteStream):
    """See `AsyncBody`; the parts come from the background thread."""

    def __init__(self, body: AsyncBody, background: Background) -> None:
        self._body = body
        self._background = background

    def __iter__(self) -> Iterator[bytes]:
        yield from each(aiter(self._body), self._background)

    def close(self) -> None:
        """See `AsyncBody.aclose`."""
        self._background.run(self._body.aclose())


def as_response(
    response: AsyncResponse,
    stream: httpx.AsyncByteStream | httpx.SyncByteStream,
    network_stream: Callable[[AsyncResponse], object],
) -> httpx.Response:
    """Return the response with its stream and the extensions that httpx documents."""
    return httpx.Response(
        response.status_code,
        headers=response.headers.raw,
        stream=stream,
        extensions={
            "http_version": b"HTTP/2",
            "stream_id": response.stream_id,
            "network_stream": network_stream(response),
            "from_push": response.from_push,
        },
    )
