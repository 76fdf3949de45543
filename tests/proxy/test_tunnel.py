"""WebSockets to upstreams over HTTP/2, between real servers and real clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from headstart.config import ProxyOptions, ServerOptions, WireLimits
from headstart.proxy import Proxy
from headstart.server import http2
from tests.server.live import Gate, LiveServer, certificate, running, until
from tests.server.raw import RawClient
from tests.server.test_websocket import websockets
from tests.server.websockets import connect as ask_for_websocket
from tests.server.websockets import library_client


class Site:
    """A site of WebSockets.

    Attributes:
        gate: What /slow waits for before it reads.
        ends: The codes with which clients left.
    """

    def __init__(self) -> None:
        self.gate = Gate()
        self.ends: list[int] = []
        self.app = Starlette(
            routes=[
                WebSocketRoute("/echo", self.echo),
                WebSocketRoute("/slow", self.echo),
                WebSocketRoute("/refuse", self.refuse),
                WebSocketRoute("/deny", self.deny),
                WebSocketRoute("/redirect", self.redirect),
                WebSocketRoute("/hang", self.hang),
            ]
        )

    async def echo(self, socket: WebSocket) -> None:
        """Tell the version of HTTP, then repeat each message; `end` closes."""
        offered = socket.scope["subprotocols"]
        await socket.accept(subprotocol=offered[0] if offered else None)
        await socket.send_text(f"{socket.scope['http_version']} {socket.headers['host']}")
        if socket.url.path == "/slow":
            await self.gate.passed()
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    self.ends.append(message["code"])
                    return
                if message.get("text") == "end":
                    await socket.close(4001, "the end")
                    return
                await socket.send({**message, "type": "websocket.send"})
        except WebSocketDisconnect as left:
            self.ends.append(left.code)

    async def refuse(self, socket: WebSocket) -> None:
        """Refuse the handshake."""
        await socket.close()

    async def deny(self, socket: WebSocket) -> None:
        """Refuse it with a response."""
        await socket.send_denial_response(PlainTextResponse("log in" * 20_000, 401))

    async def redirect(self, socket: WebSocket) -> None:
        """Refuse it with a redirect to where it would be accepted."""
        url = f"ws://{socket.headers['host']}/echo"
        await socket.send_denial_response(RedirectResponse(url, 307))

    async def hang(self, socket: WebSocket) -> None:
        """Leave the handshake without an answer."""
        await asyncio.Event().wait()


@pytest.fixture
def site() -> Site:
    return Site()


@contextmanager
def proxied(
    site: Site, kind: str, options: ServerOptions | None = None, timeout: float = 90.0
) -> Iterator[tuple[LiveServer, LiveServer]]:
    """The upstream, and a proxy that asks it by a URL of this kind."""
    given = ProxyOptions(
        upstream_cacert=str(certificate().ca_certfile), upstream_connect_timeout=timeout
    )
    with running(site.app, options, tls=kind == "https") as upstream:
        url = f"{kind}://localhost:{upstream.port}"
        with running(Proxy(url, options=given)) as proxy:
            yield upstream, proxy


def url_of(proxy: LiveServer, path: str) -> str:
    return f"ws://127.0.0.1:{proxy.port}{path}"


@pytest.mark.parametrize("kind", ["http", "h2c", "https"])
def test_upstream_is_asked_over_its_own_version(kind: str, site: Site) -> None:
    message = bytes(range(256)) * 4000
    with (
        proxied(site, kind) as (_, proxy),
        library_client(url_of(proxy, "/echo?a=1"), subprotocols=[Subprotocol("chat")]) as client,
    ):
        told = client.recv()
        client.send("text")
        client.send(message)
        got = [client.recv(), client.recv()]
        client.send("end")
        with pytest.raises(ConnectionClosedError) as raised:
            client.recv()

    assert told == f"{'1.1' if kind == 'http' else '2'} 127.0.0.1:{proxy.port}"
    assert (got, client.subprotocol) == (["text", message], "chat")
    assert raised.value.rcvd is not None
    assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (4001, "the end")


@pytest.mark.parametrize("kind", ["http", "h2c"])
@pytest.mark.parametrize(
    ("path", "status", "length"), [("/refuse", 403, 0), ("/deny", 401, 120_000)]
)
def test_refusal_reaches_the_client(
    kind: str, path: str, status: int, length: int, site: Site
) -> None:
    with proxied(site, kind) as (_, proxy), RawClient(proxy.port) as raw:
        refused = raw.response(ask_for_websocket(raw, path.encode()))

    assert (refused.status, len(refused.body)) == (status, length)


@pytest.mark.parametrize("kind", ["http", "h2c"])
def test_redirect_reaches_the_client_and_is_not_followed(kind: str, site: Site) -> None:
    with proxied(site, kind) as (_, proxy), RawClient(proxy.port) as raw:
        refused = raw.response(ask_for_websocket(raw, b"/redirect"))

    assert refused.status == 307
    assert refused.header(b"location") == b"ws://localhost/echo"


def test_upstream_without_websockets_over_http2_is_asked_over_http1(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "offers_websockets", lambda config: False)
    with proxied(site, "https") as (_, proxy):
        told = []
        for _ in range(2):
            with library_client(url_of(proxy, "/echo")) as client:
                told.append(str(client.recv()).split()[0])

    assert told == ["1.1", "1.1"]


def test_upstream_without_websockets_by_prior_knowledge_is_502(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with proxied(site, "h2c") as (_, proxy):
        monkeypatch.setattr(http2, "offers_websockets", lambda config: False)
        for _ in range(2):
            with pytest.raises(InvalidStatus) as raised:
                library_client(url_of(proxy, "/echo"))
            assert raised.value.response.status_code == 502

    assert "does not offer WebSockets over HTTP/2" in caplog.text


@pytest.mark.parametrize("kind", ["http", "h2c"])
def test_handshake_that_the_upstream_does_not_answer_in_time_is_502(kind: str, site: Site) -> None:
    with proxied(site, kind, timeout=0.3) as (upstream, proxy):
        with pytest.raises(InvalidStatus) as raised:
            library_client(url_of(proxy, "/hang"))
        until(lambda: not websockets(upstream), "the end of the handshake at the upstream")

    assert raised.value.response.status_code == 502


def test_client_that_leaves_is_told_to_the_upstream_and_its_connection_closed(site: Site) -> None:
    with proxied(site, "h2c") as (upstream, proxy):
        with (
            library_client(url_of(proxy, "/echo")) as client,
            library_client(url_of(proxy, "/echo")) as other,
        ):
            client.recv()
            other.recv()
            open_ = len(upstream.server.server_state.connections)
        until(lambda: site.ends == [1000, 1000], "the ends")
        until(lambda: not upstream.server.server_state.connections, "the connection's end")

    assert open_ == 3  # two WebSockets on one connection


def test_websockets_above_what_a_connection_takes_get_another_one(site: Site) -> None:
    options = ServerOptions(limits=WireLimits(max_concurrent_streams=2))
    with proxied(site, "h2c", options) as (upstream, proxy), RawClient(proxy.port) as raw:
        streams = [ask_for_websocket(raw, b"/echo") for _ in range(5)]
        raw.until(lambda: all(one in raw.responses for one in streams))
        raw.until(lambda: all(raw.responses[one].status == 200 for one in streams))

        assert len(websockets(upstream)) == 5
        assert len(upstream.server.server_state.connections) == 5 + 3


def test_upstream_that_does_not_read_holds_the_client_back(site: Site) -> None:
    part = b"x" * 100_000
    with proxied(site, "h2c") as (upstream, proxy), RawClient(proxy.port) as raw:
        stream_id = ask_for_websocket(raw, b"/slow")
        raw.until(lambda: stream_id in raw.responses and raw.responses[stream_id].status)
        header = b"\x82\xff" + len(part).to_bytes(8, "big") + bytes(4)
        raw.send_data(stream_id, (header + part) * 100)
        raw.settle()
        (held,) = websockets(upstream)
        waiting = raw.engine.queued_body_size(stream_id)
        most = held.held()
        site.gate.open()
        raw.until(lambda: raw.responses[stream_id].received > 10_000_000)

    assert waiting > 3_000_000
    assert most < 1_000_000


def test_upstream_that_is_lost_ends_the_websocket(site: Site) -> None:
    with (
        proxied(site, "h2c") as (upstream, proxy),
        library_client(url_of(proxy, "/echo")) as client,
    ):
        client.recv()

        def cut() -> None:
            connections: list[Any] = list(upstream.server.server_state.connections)
            for connection in connections:
                if isinstance(connection, http2.Http2ServerConnection):
                    connection.abort()

        upstream.call(cut)
        with pytest.raises(ConnectionClosed) as raised:
            client.recv()

    assert raised.value.rcvd is not None
    assert raised.value.rcvd.code == 1001
