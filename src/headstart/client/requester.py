"""Send requests over the connections of a pool, and repeat those that were not processed.

The core of `client.client` and of `headstart.httpx`: both prepare requests, and a `Requester` sends
them.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from headstart.client.attempts import Attempts
from headstart.client.connect import Step, connect
from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import RequestError
from headstart.client.pool import Pool
from headstart.client.prepared import PreparedRequest
from headstart.client.proxies import HttpProxy, proxy_of_environment
from headstart.client.response import AsyncResponse
from headstart.client.upgrade import FirstRequest
from headstart.config import ClientLimits
from headstart.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Connecting:
    """How connections are made; see `client.connect`.

    Raises:
        ConfigurationError: There is an `ssl_context`, and options that it stands for.
    """

    push: bool = False
    cafile: Path | None = None
    insecure: bool = False
    certfile: Path | None = None
    keyfile: Path | None = None
    ssl_context: ssl.SSLContext | None = None
    upgrade: bool = False
    proxy: HttpProxy | None = None
    trust_env: bool = False
    timeout: float | None = 10.0
    limits: ClientLimits

    def __post_init__(self) -> None:
        files = self.cafile, self.certfile, self.keyfile
        if self.ssl_context is not None and (self.insecure or any(files)):
            raise ConfigurationError(
                "ssl_context excludes cafile, insecure, certfile and keyfile",
                hint="Set up the context itself with what they stand for.",
            )

    async def connect(
        self, prepared: PreparedRequest, server_name: str | None = None, step: Step | None = None
    ) -> Http2ClientConnection:
        """Make the connection that a request needs."""
        first = None
        if prepared.content is None and not prepared.trailers:
            first = FirstRequest(prepared.method, prepared.target, prepared.headers)
        given = prepared.connect_timeout
        proxy = self.proxy
        if proxy is None and self.trust_env:
            proxy = proxy_of_environment(prepared.origin)
        return await connect(
            prepared.origin,
            cafile=self.cafile,
            insecure=self.insecure,
            certfile=self.certfile,
            keyfile=self.keyfile,
            ssl_context=self.ssl_context,
            proxy=proxy,
            push=self.push,
            limits=self.limits,
            timeout=self.timeout if given is None else given,
            upgrade=self.upgrade and prepared.origin.scheme == "http",
            first=first,
            server_name=server_name,
            step=step,
        )


Connect: TypeAlias = Callable[[PreparedRequest], Awaitable[Http2ClientConnection]]


class Requester:
    """Requests and their connections.

    Attributes:
        connections: The open ones, by origin.
    """

    def __init__(
        self,
        connect: Connect,
        idle_timeout: float | None,
        max_idle: int,
        max_connections: float = math.inf,
    ) -> None:
        self.connections = Pool(connect, idle_timeout, max_idle, max_connections)

    async def ask(self, prepared: PreparedRequest, *, read: bool) -> AsyncResponse:
        """Send a request, and return the response once its header section is here.

        Args:
            read: Read the body, too.

        Raises:
            ClientError: See `client.errors`.
        """
        attempts: Attempts | None = None
        use_pushes = True
        while True:
            connection = await self.connections.connection(prepared)
            response = None
            try:
                response = await connection.request(
                    prepared.method,
                    prepared.target,
                    prepared.headers,
                    prepared.content,
                    trailers=prepared.send_trailers if prepared.trailers else None,
                    timeout=prepared.timeout,
                    slot_timeout=prepared.slot_timeout,
                    use_pushes=use_pushes,
                    informed=prepared.informed,
                )
                if read:
                    await response.aread()
            except RequestError as error:
                if response is not None and response.from_push:
                    use_pushes = False  # nothing was asked for yet
                    continue
                if attempts is None:  # as few requests fail
                    attempts = Attempts(prepared.method, prepared.content)
                if self.connections.is_closed or not attempts.another(error, connection):
                    raise
            else:
                return response
