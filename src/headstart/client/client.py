"""Requests by URL, over as many connections as there are origins.

`Client` makes connections when they are needed (`client.connect`), uses them again, and sends again
what a server has not processed; `client.order` is what it is asked. It is `headstart.Client`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack

from headstart.client.connect import connect
from headstart.client.connection import H2Connection
from headstart.client.errors import RequestFailed, TimedOut
from headstart.client.order import Headers, Options, Order, Orders
from headstart.client.origin import Origin
from headstart.client.response import Response
from headstart.client.upgrade import FirstRequest
from headstart.client.uploads import Content
from headstart.config import ClientLimits
from headstart.errors import LocalProtocolError

# A server may close a connection at any moment, so the first retry is common, a third is a fault.
_ATTEMPTS = 3
# A server that takes a few requests a connection leaves the others out, which is no fault; but one
# that never takes ours must not be asked for ever.
_SMALLEST_STEP = 1 / 128
_LIMITS = ClientLimits()


class Client:
    """Requests by URL; use it as an async context manager.

    One connection an origin, made when it is first needed and made anew when it was lost or the
    server said GOAWAY; all requests to the origin share it. A request that a server has surely not
    processed is sent again (RFC 9113, 8.7), and so is an idempotent one whose connection was lost;
    content that comes in parts cannot be sent a second time.

    Args:
        base_url: Put before URLs that are paths; may end in a path of its own.
        push: Let servers push, and answer requests from what they pushed.
        headers: Sent with every request that does not name them itself.
        cafile: PEM file to trust instead of the system's roots.
        insecure: Do not verify certificates.
        certfile: PEM file with a certificate of our own, for servers that ask for one.
        keyfile: Its key, where that is not in `certfile`.
        upgrade: Over cleartext, begin with HTTP/1.1 and `Upgrade: h2c` instead of prior knowledge.
        timeout: Seconds without any progress in a request that names none, None for no end.
        connect_timeout: Seconds for connecting, TLS and the server's SETTINGS.
        total_timeout: Seconds for a request and all of its response, with `stream()` until the
            response begins; None for no end.
        limits: Windows, bounds on header sections, and on what is kept of what servers push.

    Raises:
        ConfigurationError: `base_url` is no URL.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        push: bool = False,
        headers: Headers = (),
        cafile: Path | str | None = None,
        insecure: bool = False,
        certfile: Path | str | None = None,
        keyfile: Path | str | None = None,
        upgrade: bool = False,
        timeout: float | None = 10.0,
        connect_timeout: float | None = 10.0,
        total_timeout: float | None = None,
        limits: ClientLimits = _LIMITS,
    ) -> None:
        self._orders = Orders(base_url, headers, timeout)
        self._push = push
        self._cafile = _path(cafile)
        self._insecure = insecure
        self._certfile = _path(certfile)
        self._keyfile = _path(keyfile)
        self._upgrade = upgrade
        self._connect_timeout = connect_timeout
        self._total_timeout = total_timeout
        self._limits = limits
        self._connections: dict[Origin, H2Connection] = {}
        self._leaving: list[H2Connection] = []
        """Connections that take no new requests, on which some are still under way."""
        self._refused_promises: Counter[str] = Counter()
        """Of connections that are gone."""
        self._locks: defaultdict[Origin, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._is_closed = False

    @property
    def refused_promises(self) -> dict[str, int]:
        """Promises that broke a rule (RFC 9113, 8.4) or were too many: why, and how often."""
        counts = Counter(self._refused_promises)
        for connection in (*self._connections.values(), *self._leaving):
            counts.update(connection.refused_promises)
        return dict(counts)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; requests under way fail, and there are no new ones."""
        self._is_closed = True
        connections = [*self._connections.values(), *self._leaving]
        self._connections.clear()
        self._leaving.clear()
        await asyncio.gather(*(connection.aclose() for connection in connections))

    async def get(self, url: str, **options: Unpack[Options]) -> Response:
        """GET; see `request`."""
        return await self.request("GET", url, **options)

    async def head(self, url: str, **options: Unpack[Options]) -> Response:
        """HEAD; see `request`."""
        return await self.request("HEAD", url, **options)

    async def options(self, url: str, **options: Unpack[Options]) -> Response:
        """OPTIONS; see `request`."""
        return await self.request("OPTIONS", url, **options)

    async def delete(self, url: str, **options: Unpack[Options]) -> Response:
        """DELETE; see `request`."""
        return await self.request("DELETE", url, **options)

    async def post(self, url: str, content: Content = b"", **options: Unpack[Options]) -> Response:
        """POST; see `request`."""
        return await self.request("POST", url, content, **options)

    async def put(self, url: str, content: Content = b"", **options: Unpack[Options]) -> Response:
        """PUT; see `request`."""
        return await self.request("PUT", url, content, **options)

    async def patch(self, url: str, content: Content = b"", **options: Unpack[Options]) -> Response:
        """PATCH; see `request`."""
        return await self.request("PATCH", url, content, **options)

    async def request(
        self, method: str, url: str, content: Content = None, **options: Unpack[Options]
    ) -> Response:
        """Ask, and read the whole response: its body is in `content`.

        Args:
            url: A whole URL, or a path that `base_url` completes.
            content: Bytes (a bytearray or memoryview, too), or parts as they become available, from
                an iterable or an asynchronous one. They are sent while the server takes them.
            headers: A mapping, or pairs; text is encoded as Latin-1.
            trailers: Fields behind the content, or a function that is asked for them once the
                content is sent.
            informed: Told of each 1xx response, a 103 for instance, at the moment when it comes:
                its status and its fields.
            timeout: Seconds without any progress, None for no end; the client's where it is left
                out.

        Raises:
            ClientError: See `client.errors`.
            ConfigurationError: The URL cannot be used.
            LocalProtocolError: HTTP forbids something in the request.
        """
        order = self._orders.make(method, url, content, options)
        if self._total_timeout is None:
            return await self._ask(order, read=True)
        return await self._within(self._ask(order, read=True), order)

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, content: Content = None, **options: Unpack[Options]
    ) -> AsyncIterator[Response]:
        """Ask, and read the response as it comes: `Response.iter_bytes()`.

        At the end of the block the response is closed: what was not read of it is refused, with
        RST_STREAM and CANCEL.

        Args and errors: As for `request`.
        """
        order = self._orders.make(method, url, content, options)
        response = await self._within(self._ask(order, read=False), order)
        try:
            yield response
        finally:
            await response.aclose()

    async def _within(self, asking: Coroutine[Any, Any, Response], order: Order) -> Response:
        try:
            async with asyncio.timeout(self._total_timeout):
                return await asking
        except TimeoutError:
            raise TimedOut(
                f"{order.method} {order.target} took more than {self._total_timeout:g} s",
                hint="Give the client a larger total_timeout.",
            ) from None

    async def _ask(self, order: Order, read: bool) -> Response:
        attempt = 1.0
        use_pushes = True
        while True:
            connection = await self._connection(order)
            response = None
            try:
                response = await connection.request(
                    order.method,
                    order.target,
                    order.headers,
                    order.content,
                    trailers=order.send_trailers if order.trailers else None,
                    timeout=order.timeout,
                    use_pushes=use_pushes,
                    informed=order.informed,
                )
                if read:
                    await response.read()
            except RequestFailed as error:
                if response is not None and response.from_push:
                    use_pushes = False  # nothing was asked for yet
                    continue
                if self._is_closed or attempt >= _ATTEMPTS:
                    raise
                if not order.may_repeat(error, connection.closed):
                    raise
                attempt += _SMALLEST_STEP if _left_out(error, connection) else 1
            else:
                return response

    async def _connection(self, order: Order) -> H2Connection:
        self._require_open()
        connection = self._connections.get(order.origin)
        if connection is not None and connection.available:
            return connection
        async with self._locks[order.origin]:
            connection = self._connections.get(order.origin)
            if connection is not None:
                if connection.available:
                    return connection
                self._leaving.append(self._connections.pop(order.origin))
            self._forget_closed()
            for one in self._leaving:
                if order.content is None and one.has_pushed(
                    order.method, order.target, order.headers
                ):
                    return one
            connection = await self._connect(order)
            if self._is_closed:  # meanwhile; nobody else would close it
                connection.abort()
                self._require_open()
            self._connections[order.origin] = connection
            return connection

    def _require_open(self) -> None:
        if self._is_closed:
            raise LocalProtocolError("the client is closed", hint="Make another one.")

    def _forget_closed(self) -> None:
        """Those that have ended, and hold no pushed response any more."""
        for one in self._leaving:
            if one.closed and not one.pushes:
                self._refused_promises.update(one.refused_promises)
        self._leaving = [one for one in self._leaving if not one.closed or one.pushes]

    async def _connect(self, order: Order) -> H2Connection:
        first = None
        if order.content is None and not order.trailers:
            first = FirstRequest(order.method, order.target, order.headers)
        return await connect(
            order.origin,
            cafile=self._cafile,
            insecure=self._insecure,
            certfile=self._certfile,
            keyfile=self._keyfile,
            push=self._push,
            limits=self._limits,
            timeout=self._connect_timeout,
            upgrade=self._upgrade and order.origin.scheme == "http",
            first=first,
        )


def _left_out(error: RequestFailed, connection: H2Connection) -> bool:
    """Whether a GOAWAY left the request out for others that the server took before it.

    That is no failure, however often it happens: each connection takes some of them.
    """
    return not error.processed and bool(connection.last_stream_id) and connection.was_asked


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)
