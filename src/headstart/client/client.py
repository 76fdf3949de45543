"""Requests by URL, over as many connections as there are origins.

`AsyncClient` makes connections when they are needed (`client.connect`), reuses them, and repeats
requests that a server has not processed. `client.prepared` holds its requests. It is
`headstart.AsyncClient`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack

from headstart.client.contents import Content
from headstart.client.errors import ClientTimeoutError
from headstart.client.prepared import HeaderTypes, Options, PreparedRequest, RequestBuilder
from headstart.client.proxies import HttpProxy
from headstart.client.requester import Connecting, Requester
from headstart.client.response import AsyncResponse
from headstart.config import ClientLimits

_LIMITS = ClientLimits()


class AsyncClient:
    """Requests by URL; use it as an async context manager, in one event loop.

    It keeps one connection per origin, made when it is first needed and again after it was lost or
    the server sent GOAWAY. All requests to the origin share it. A request that the server has
    certainly not processed is repeated (RFC 9113, 8.7), and so is an idempotent request whose
    connection was lost. Content that comes in parts cannot be repeated.

    Args:
        base_url: Put before URLs that are paths; may end in a path of its own.
        push: Let servers push, and answer requests with pushed responses.
        headers: Sent with every request that does not name them itself.
        cafile: PEM file to trust instead of the system's roots.
        insecure: Do not verify certificates.
        certfile: PEM file with a client certificate, for servers that ask for one.
        keyfile: Its key, if it is not in `certfile`.
        ssl_context: A context of your own, instead of `cafile`, `insecure`, `certfile` and
            `keyfile`. The client sets its ALPN protocols.
        upgrade: Over cleartext, begin with HTTP/1.1 and `Upgrade: h2c` instead of prior knowledge.
        proxy: Connect through an HTTP proxy, `http://[USER:PASSWORD@]HOST[:PORT]`, by CONNECT.
        trust_env: Without `proxy`, heed HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.
        timeout: Seconds without any progress in a request that names none, None for no end.
        connect_timeout: Seconds for connecting, TLS and the server's SETTINGS.
        total_timeout: Seconds for a request and all of its response, with `stream()` until the
            response begins; None for no end.
        idle_timeout: Seconds until a connection without requests is closed, None for no end.
        max_idle: Connections without requests that are kept open.
        limits: Windows, bounds on header sections, and on stored pushes.

    Raises:
        ConfigurationError: `base_url` or `proxy` cannot be used, or `ssl_context` has options
            beside it.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        push: bool = False,
        headers: HeaderTypes = (),
        cafile: Path | str | None = None,
        insecure: bool = False,
        certfile: Path | str | None = None,
        keyfile: Path | str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        upgrade: bool = False,
        proxy: str | None = None,
        trust_env: bool = True,
        timeout: float | None = 10.0,
        connect_timeout: float | None = 10.0,
        total_timeout: float | None = None,
        idle_timeout: float | None = 60.0,
        max_idle: int = 100,
        limits: ClientLimits = _LIMITS,
    ) -> None:
        self._builder = RequestBuilder(base_url, headers, timeout)
        self._total_timeout = total_timeout
        self._requester = Requester(
            Connecting(
                push=push,
                cafile=_path(cafile),
                insecure=insecure,
                certfile=_path(certfile),
                keyfile=_path(keyfile),
                ssl_context=ssl_context,
                upgrade=upgrade,
                proxy=None if proxy is None else HttpProxy.parse(proxy),
                trust_env=trust_env,
                timeout=connect_timeout,
                limits=limits,
            ).connect,
            idle_timeout,
            max_idle,
        )

    @property
    def refused_promises(self) -> dict[str, int]:
        """Promises that broke a rule (RFC 9113, 8.4) or were too many: why, and how often."""
        return self._requester.connections.refused_promises

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections and open no more. Requests under way fail."""
        await self._requester.connections.aclose()

    async def get(self, url: str, **options: Unpack[Options]) -> AsyncResponse:
        """GET; see `request`."""
        return await self.request("GET", url, **options)

    async def head(self, url: str, **options: Unpack[Options]) -> AsyncResponse:
        """HEAD; see `request`."""
        return await self.request("HEAD", url, **options)

    async def options(self, url: str, **options: Unpack[Options]) -> AsyncResponse:
        """OPTIONS; see `request`."""
        return await self.request("OPTIONS", url, **options)

    async def delete(self, url: str, **options: Unpack[Options]) -> AsyncResponse:
        """DELETE; see `request`."""
        return await self.request("DELETE", url, **options)

    async def post(
        self, url: str, content: Content = b"", **options: Unpack[Options]
    ) -> AsyncResponse:
        """POST; see `request`."""
        return await self.request("POST", url, content, **options)

    async def put(
        self, url: str, content: Content = b"", **options: Unpack[Options]
    ) -> AsyncResponse:
        """PUT; see `request`."""
        return await self.request("PUT", url, content, **options)

    async def patch(
        self, url: str, content: Content = b"", **options: Unpack[Options]
    ) -> AsyncResponse:
        """PATCH; see `request`."""
        return await self.request("PATCH", url, content, **options)

    async def request(
        self, method: str, url: str, content: Content = None, **options: Unpack[Options]
    ) -> AsyncResponse:
        """Ask, and read the whole response: its body is in `content`.

        Args:
            url: A whole URL, or a path that `base_url` completes.
            content: Bytes (a bytearray or memoryview, too), or parts as they become available, from
                an iterable or an asynchronous one. They are sent while the server takes them.
            params: Parameters of the query: a mapping, pairs, or text that is encoded already. They
                replace parameters of the URL with the same name.
            data: A form (`application/x-www-form-urlencoded`), as a mapping or pairs.
            json: A value that is sent as JSON; None sends nothing.
            headers: A mapping, or pairs; text is encoded as Latin-1.
            trailers: Fields behind the content, or a function that is asked for them once the
                content is sent.
            informed: Told of each 1xx response, a 103 for instance, at the moment when it comes:
                its status and its headers.
            timeout: Seconds without any progress, None for no end; the client's where it is left
                out.

        Raises:
            ClientError: See `client.errors`.
            ConfigurationError: The URL cannot be used.
            LocalProtocolError: HTTP forbids something in the request.
            TypeError, ValueError: An argument has a wrong type, or cannot be encoded as JSON.
        """
        prepared = self._builder.make(method, url, content, options)
        if self._total_timeout is None:
            return await self._requester.ask(prepared, read=True)
        return await self._within(self._requester.ask(prepared, read=True), prepared)

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, content: Content = None, **options: Unpack[Options]
    ) -> AsyncIterator[AsyncResponse]:
        """Send a request, and read the response as it arrives: `AsyncResponse.aiter_bytes()`.

        At the end of the block the response is closed: an unread rest is refused, with
        RST_STREAM and CANCEL.

        Args and errors: As for `request`.
        """
        prepared = self._builder.make(method, url, content, options)
        response = await self._within(self._requester.ask(prepared, read=False), prepared)
        try:
            yield response
        finally:
            await response.aclose()

    async def _within(
        self, asking: Coroutine[Any, Any, AsyncResponse], prepared: PreparedRequest
    ) -> AsyncResponse:
        try:
            async with asyncio.timeout(self._total_timeout):
                return await asking
        except TimeoutError:
            raise ClientTimeoutError(
                f"{prepared.method} {prepared.target} took more than {self._total_timeout:g} s",
                hint="Give the client a larger total_timeout.",
            ) from None


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)
