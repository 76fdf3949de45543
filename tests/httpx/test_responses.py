"""A response as httpx reads it: its body, its extensions, and the trace of both."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from headstart.client.background import Background
from headstart.client.errors import RequestError
from headstart.client.response import AsyncResponse
from headstart.httpx.responses import (
    AsyncBody,
    AsyncNetworkStream,
    Body,
    NetworkStream,
    as_response,
)
from headstart.httpx.tracing import Trace
from headstart.wire.connection import ErrorCode
from tests.client.peer import Peer


def request(trace: Any = None) -> httpx.Request:
    extensions = {} if trace is None else {"trace": trace}
    return httpx.Request("GET", "https://a.test/", extensions=extensions)


async def answered(peer: Peer, *, end: bool = True) -> AsyncResponse:
    asking = asyncio.ensure_future(peer.connection.request("GET", "/"))
    await peer.settle()
    await peer.answer(1, b"page", headers=[(b"x-seen", b"yes")], end=end)
    return await asking


def body_of(response: AsyncResponse, trace: Any = None) -> AsyncBody:
    asked = request(trace)
    return AsyncBody(response, asked, Trace(asked))


async def test_response_has_its_status_its_headers_and_the_extensions_of_httpx() -> None:
    response = await answered(await Peer.connected())

    made = as_response(response, body_of(response), AsyncNetworkStream)

    assert (made.status_code, made.headers["x-seen"]) == (200, "yes")
    assert (made.http_version, made.extensions["stream_id"]) == ("HTTP/2", 1)
    assert made.extensions["from_push"] is False
    assert isinstance(made.extensions["network_stream"], AsyncNetworkStream)
    assert await made.aread() == b"page"


@pytest.mark.parametrize("kind", [AsyncNetworkStream, NetworkStream])
async def test_network_stream_tells_what_is_known_of_the_connection_and_nothing_else(
    kind: type[AsyncNetworkStream | NetworkStream], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"peername": ("192.0.2.1", 443), "sockname": ("192.0.2.2", 1), "socket": 3}
    monkeypatch.setattr(AsyncResponse, "extra_info", lambda _, name: known.get(name))
    stream = kind(await answered(await Peer.connected()))

    assert stream.get_extra_info("server_addr") == ("192.0.2.1", 443)
    assert stream.get_extra_info("client_addr") == ("192.0.2.2", 1)
    assert stream.get_extra_info("socket") == 3
    assert stream.get_extra_info("ssl_object") is None
    assert stream.get_extra_info("peername") is None


async def test_body_tells_a_trace_when_it_begins_has_ended_and_is_closed() -> None:
    events: list[str] = []
    body = body_of(
        await answered(await Peer.connected()), lambda name, details: events.append(name)
    )

    parts = [bytes(part) async for part in body]
    await body.aclose()

    assert parts == [b"page"]
    assert events == [
        "http2.receive_response_body.started",
        "http2.receive_response_body.complete",
        "http2.response_closed.started",
        "http2.response_closed.complete",
    ]


async def test_body_that_breaks_off_fails_with_an_error_of_httpx() -> None:
    peer = await Peer.connected()
    body = body_of(await answered(peer, end=False))
    peer.connection.abort()

    with pytest.raises(httpx.TransportError) as failed:
        _ = [part async for part in body]

    assert isinstance(failed.value.__cause__, RequestError)


async def test_closing_a_body_resets_a_stream_that_is_open() -> None:
    peer = await Peer.connected()
    response = await answered(peer, end=False)

    await body_of(response).aclose()
    await peer.settle()

    assert peer.resets() == [(1, ErrorCode.CANCEL)]


def test_synchronous_body_is_read_and_closed_on_the_thread_of_its_connection() -> None:
    async def nothing() -> None:
        """Nothing to close at the end."""

    background = Background(nothing)

    async def begin() -> AsyncResponse:
        return await answered(await Peer.connected())

    response = background.run(begin())
    body = Body(body_of(response), background)

    assert b"".join(body) == b"page"
    body.close()
    assert response.is_complete
    background.stop()
