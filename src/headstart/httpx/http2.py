"""Requests of httpx over HTTP/2.

Uses the requester of `headstart.client`, so connections, retries and pushes are the client's. The
core of `transport` and `sync`.
"""

from __future__ import annotations

import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import httpx

from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import NotHttp2Error
from headstart.client.origin import Origin
from headstart.client.prepared import PreparedRequest
from headstart.client.requester import Connecting, Requester
from headstart.client.response import AsyncResponse
from headstart.config import ClientLimits
from headstart.httpx.failures import as_httpx
from headstart.httpx.requests import prepared
from headstart.httpx.tracing import Trace

_LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20)
_CLIENT_LIMITS: Final = ClientLimits()


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The extensions of a request that say how to connect, should it have to."""

    trace: Trace
    server_name: str | None


_wishes: ContextVar[_Wishes | None] = ContextVar("headstart_wishes", default=None)


class Http2:
    """The connections of a transport; see `AsyncTransport` for the arguments."""

    def __init__(
        self,
        *,
        verify: ssl.SSLContext | bool = True,
        http1: bool = True,
        limits: httpx.Limits = _LIMITS,
        push: bool = False,
        client_limits: ClientLimits = _CLIENT_LIMITS,
    ) -> None:
        connecting = Connecting(
            push=push,
            insecure=verify is False,
            ssl_context=verify if isinstance(verify, ssl.SSLContext) else None,
            limits=client_limits,
        )
        self._connect = connecting.connect
        self._requester = Requester(
            self._connect_as_wished,
            limits.keepalive_expiry,
            _or(limits.max_keepalive_connections, 1_000_000),
            _or(limits.max_connections, 1_000_000),
        )
        self._http1 = http1
        self._without_http2: set[Origin] = set()

    async def aclose(self) -> None:
        """Close all connections. Requests under way fail."""
        await self._requester.connections.aclose()

    async def ask(self, request: httpx.Request, trace: Trace) -> AsyncResponse | None:
        """Return the response, or None if the request has to go over HTTP/1.1.

        Raises:
            httpx.TransportError: The request failed.
        """
        with as_httpx(request):
            asked = prepared(request)
            if self._http1 and (
                asked.origin.scheme == "http" or asked.origin in self._without_http2
            ):
                return None
            try:
                if trace or "sni_hostname" in request.extensions:
                    return await self._as_wished(asked, request, trace)
                return await self._requester.ask(asked, read=False)
            except NotHttp2Error:
                if not self._http1:
                    raise
                # Nothing was sent, so its content is whole and can go over HTTP/1.1.
                self._without_http2.add(asked.origin)
                return None

    async def _as_wished(
        self, asked: PreparedRequest, request: httpx.Request, trace: Trace
    ) -> AsyncResponse:
        token = _wishes.set(_Wishes(trace, request.extensions.get("sni_hostname")))
        try:
            # As in httpcore, there is a connection before anything is sent.
            await self._requester.connections.connection(asked)
            # The client sends and receives by itself: the last of these events encloses its work.
            for sent in ("http2.send_request_headers", "http2.send_request_body"):
                async with trace.event(sent, request=request):
                    pass
            async with trace.event("http2.receive_response_headers", request=request) as done:
                response = await self._requester.ask(asked, read=False)
                done["return_value"] = (response.status_code, response.headers.raw)
            return response
        finally:
            _wishes.reset(token)

    async def _connect_as_wished(self, asked: PreparedRequest) -> Http2ClientConnection:
        # A pool connects for whichever request comes first; its task has the wishes.
        wishes = _wishes.get()
        if wishes is None:
            return await self._connect(asked)
        step = wishes.trace.event if wishes.trace else None
        return await self._connect(asked, wishes.server_name, step)


def _or(limit: int | None, unlimited: int) -> int:
    return unlimited if limit is None else limit
