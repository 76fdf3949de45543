"""Requests by URL, over as many connections as there are origins.

`Client` makes connections when they are needed (`client.connect`), uses them again, and sends again
what a server has not processed. It is `headstart.Client`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from headstart.client.connect import connect
from headstart.client.connection import H2Connection
from headstart.client.errors import (
    RequestFailed,
)
from headstart.client.origin import Origin, split_url
from headstart.client.response import Response
from headstart.client.uploads import Content
from headstart.errors import ConfigurationError
from headstart.wire.events import Fields

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]

# A server may close a connection at any moment, so the first retry is common, a third is a fault.
_ATTEMPTS = 3
# RFC 9110, 9.2.2: those may be repeated where nobody knows whether the first one arrived.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class Client:
    """Requests by URL; use it as an async context manager.

    One connection an origin, made when it is first needed and made anew when it was lost. A
    request that a server has surely not processed is sent again on a new connection (RFC 9113,
    8.7), and so is an idempotent one whose connection was lost.

    Args:
        base_url: Put before URLs that are paths; may end in a path of its own.
        push: Let servers push, and answer requests from what they pushed.
        cafile: PEM file to trust instead of the system's roots.
        insecure: Do not verify certificates.
        timeout: Seconds to connect, and without any progress in a request.

    Raises:
        ConfigurationError: `base_url` is no URL.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        push: bool = False,
        cafile: Path | str | None = None,
        insecure: bool = False,
        timeout: float = 10.0,
    ) -> None:
        self._base, self._base_path = _base(base_url)
        self._push = push
        self._cafile = None if cafile is None else Path(cafile)
        self._insecure = insecure
        self._timeout = timeout
        self._connections: dict[Origin, H2Connection] = {}
        self._leaving: list[H2Connection] = []
        """Connections that take no new requests, on which some are still under way."""
        self._locks: defaultdict[Origin, asyncio.Lock] = defaultdict(asyncio.Lock)

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
        """Close all connections; requests under way fail."""
        connections = [*self._connections.values(), *self._leaving]
        self._connections.clear()
        self._leaving.clear()
        await asyncio.gather(*(connection.aclose() for connection in connections))

    async def get(self, url: str, *, headers: Headers = ()) -> Response:
        """GET; see `request`."""
        return await self.request("GET", url, headers=headers)

    async def head(self, url: str, *, headers: Headers = ()) -> Response:
        """HEAD; see `request`."""
        return await self.request("HEAD", url, headers=headers)

    async def post(self, url: str, content: Content = b"", *, headers: Headers = ()) -> Response:
        """POST; see `request`."""
        return await self.request("POST", url, headers=headers, content=content)

    async def put(self, url: str, content: Content = b"", *, headers: Headers = ()) -> Response:
        """PUT; see `request`."""
        return await self.request("PUT", url, headers=headers, content=content)

    async def delete(self, url: str, *, headers: Headers = ()) -> Response:
        """DELETE; see `request`."""
        return await self.request("DELETE", url, headers=headers)

    async def request(
        self, method: str, url: str, *, headers: Headers = (), content: Content = None
    ) -> Response:
        """Ask, and read the whole response: its body is in `content`.

        Args:
            url: A whole URL, or a path that `base_url` completes.
            headers: A mapping, or pairs; text is encoded as Latin-1.
            content: Bytes, or parts as they become available; parts cannot be sent a second time.

        Raises:
            ClientError: See `client.errors`.
            ConfigurationError: The URL cannot be used.
            LocalProtocolError: HTTP forbids something in the request.
        """
        origin, target = self._resolve(url)
        fields = _fields(headers)
        attempt = 1
        use_pushes = True
        while True:
            connection = await self._connection(origin)
            response = None
            try:
                response = await connection.request(
                    method, target, fields, content, timeout=self._timeout, use_pushes=use_pushes
                )
                await response.read()
            except RequestFailed as error:
                if response is not None and response.from_push:
                    use_pushes = False  # nothing was asked for yet
                    continue
                if attempt == _ATTEMPTS or not _may_repeat(error, method, content, connection):
                    raise
                attempt += not _left_out(error, connection)
            else:
                return response

    def _resolve(self, url: str) -> tuple[Origin, str]:
        origin, target = split_url(url)
        if origin is not None:
            return origin, target
        if self._base is None:
            raise ConfigurationError(
                f"{url!r} names no host", hint="Give a whole URL, or the client a base_url."
            )
        return self._base, self._base_path + target

    async def _connection(self, origin: Origin) -> H2Connection:
        async with self._locks[origin]:
            connection = self._connections.get(origin)
            if connection is not None and connection.available:
                return connection
            self._leaving = [leaving for leaving in self._leaving if not leaving.closed]
            if connection is not None:
                self._leaving.append(self._connections.pop(origin))
            connection = await connect(
                origin,
                cafile=self._cafile,
                insecure=self._insecure,
                push=self._push,
                timeout=self._timeout,
            )
            self._connections[origin] = connection
            return connection


def _base(url: str) -> tuple[Origin | None, str]:
    if not url:
        return None, ""
    origin, path = split_url(url)
    if origin is None:
        raise ConfigurationError(f"{url!r} is no URL", hint="For instance https://localhost:8443")
    return origin, path.rstrip("/")


def _may_repeat(
    error: RequestFailed, method: str, content: Content, connection: H2Connection
) -> bool:
    if not (content is None or isinstance(content, bytes)):
        return False
    return not error.processed or (connection.closed and method in _IDEMPOTENT)


def _left_out(error: RequestFailed, connection: H2Connection) -> bool:
    """Whether a GOAWAY left the request out for others that the server took before it.

    That is no failure, however often it happens: each connection takes some of them.
    """
    return not error.processed and bool(connection.last_stream_id)


def _fields(headers: Headers) -> Fields:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(_octets(name).lower(), _octets(value)) for name, value in pairs]


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
