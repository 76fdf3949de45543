"""Requests of httpx over HTTP/2, and those that have to go over HTTP/1.1."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from headstart.client.connect import Step
from headstart.client.connection import Http2ClientConnection
from headstart.client.prepared import PreparedRequest
from headstart.client.response import AsyncResponse
from headstart.httpx.http2 import Http2
from headstart.httpx.tracing import Trace
from tests.httpx.served import Site, plain_site, site, trusting


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    with site() as made:
        yield made


@asynccontextmanager
async def asking(**options: Any) -> AsyncIterator[Http2]:
    http2 = Http2(**{"verify": trusting(), **options})
    try:
        yield http2
    finally:
        await http2.aclose()


async def ask(http2: Http2, place: str, trace: Any = None) -> AsyncResponse | None:
    extensions = {} if trace is None else {"trace": trace}
    request = httpx.Request("GET", f"{place}/echo", extensions=extensions)
    response = await http2.ask(request, Trace(request))
    if response is not None:
        await response.aread()
    return response


async def test_requests_to_one_origin_share_a_connection(served: Site) -> None:
    async with asking() as http2:
        responses = [await ask(http2, served.url) for _ in range(2)]

    assert [one and (one.status_code, one.stream_id) for one in responses] == [(200, 1), (200, 3)]


async def test_cleartext_is_left_to_http_1_1_unless_that_is_off() -> None:
    with site(tls=False) as plain:
        async with asking() as http2:
            assert await ask(http2, plain.url) is None
        async with asking(http1=False) as http2:
            response = await ask(http2, plain.url)

    assert response is not None
    assert response.status_code == 200


async def test_server_without_http2_is_left_to_http_1_1_and_not_asked_again() -> None:
    with plain_site(tls=True) as plain:
        async with asking() as http2:
            connects: list[None] = []
            connect = http2._connect

            async def counted(
                prepared: PreparedRequest, server_name: str | None = None, step: Step | None = None
            ) -> Http2ClientConnection:
                connects.append(None)
                return await connect(prepared, server_name, step)

            http2._connect = counted
            assert [await ask(http2, plain.url) for _ in range(2)] == [None, None]
            assert len(connects) == 1

        async with asking(http1=False) as http2:
            with pytest.raises(httpx.TransportError):
                await ask(http2, plain.url)


async def test_certificate_that_is_not_trusted_is_an_error_of_httpx(served: Site) -> None:
    async with asking(verify=ssl.create_default_context()) as http2:
        with pytest.raises(httpx.ConnectError):
            await ask(http2, served.url)
    async with asking(verify=False) as http2:
        assert await ask(http2, served.url) is not None


async def test_trace_is_told_of_the_connection_the_request_and_the_response(served: Site) -> None:
    names: list[str] = []
    details: dict[str, Any] = {}

    async def tell(name: str, told: dict[str, Any]) -> None:
        names.append(name)
        details[name] = told

    async with asking() as http2:
        await ask(http2, served.url, tell)
        first = list(names)
        names.clear()
        await ask(http2, served.url, tell)

    steps = (
        "http2.send_request_headers",
        "http2.send_request_body",
        "http2.receive_response_headers",
    )
    of_request = [f"{step}.{end}" for step in steps for end in ("started", "complete")]
    connecting = ("connection.connect_tcp", "connection.start_tls", "http2.send_connection_init")
    of_connection = [f"{step}.{end}" for step in connecting for end in ("started", "complete")]
    assert (first, names) == ([*of_connection, *of_request], of_request)
    assert details["connection.connect_tcp.started"]["port"] == served.live.port
    status, _ = details["http2.receive_response_headers.complete"]["return_value"]
    assert status == 200


async def test_bounds_on_connections_are_those_of_httpx_and_none_is_no_bound(served: Site) -> None:
    async with asking(limits=httpx.Limits()) as http2:
        assert http2._requester.connections._max_connections == 1_000_000
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    async with asking(limits=limits) as http2:
        responses = await asyncio.gather(*(ask(http2, served.url) for _ in range(3)))

    assert [one and one.status_code for one in responses] == [200] * 3
