"""Which protocol a connection speaks: by ALPN over TLS, by its first bytes in cleartext."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import ngh2
import pytest
import websockets.sync.client

from headstart.config import ServerOptions
from headstart.server.protocol import PREFACE
from tests.server.apps import Receive, Scope, Send, hello, lifespan
from tests.server.live import PATIENCE, LiveServer, running
from tests.server.raw import RawClient, tls_socket

REQUEST = b"GET /1.1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def connected(server: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE)


def read_all(client: socket.socket) -> bytes:
    data = b""
    while part := client.recv(65536):
        data += part
    return data


def test_alpn_h2_is_http2() -> None:
    with running(hello, tls=True) as server, RawClient(server.port, tls=True) as client:
        response = client.get(b"/x")

        assert (response.status, response.body) == (200, b"/x over 2")


@pytest.mark.parametrize("offered", [("http/1.1",), ()], ids=["http/1.1", "no ALPN at all"])
def test_without_h2_in_alpn_it_is_http_1_1(offered: tuple[str, ...]) -> None:
    with running(hello, tls=True) as server, tls_socket(server.port, *offered) as client:
        client.sendall(REQUEST)

        assert b"/1.1 over 1.1" in read_all(client)


def test_both_protocols_share_a_cleartext_port() -> None:
    with running(hello) as server:
        with RawClient(server.port) as client:
            assert client.get(b"/x").body == b"/x over 2"
        with connected(server) as plain:
            plain.sendall(REQUEST)

            assert b"/1.1 over 1.1" in read_all(plain)


def test_websocket_works_on_the_port_of_http2() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"] * 2})
        await send({"type": "websocket.close"})
        return None

    with (
        running(echo) as server,
        websockets.sync.client.connect(f"ws://127.0.0.1:{server.port}/", proxy=None) as client,
    ):
        client.send("twice ")

        assert client.recv(timeout=PATIENCE) == "twice twice "


def test_preface_may_come_byte_by_byte() -> None:
    with running(hello) as server, connected(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in PREFACE:
            client.sendall(bytes([byte]))
        client.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # empty SETTINGS
        engine = ngh2.Connection(ngh2.Role.CLIENT)
        engine.initiate_connection({})
        engine.receive_data(client.recv(65536))

        assert any(isinstance(event, ngh2.SettingsReceived) for event in engine.events())


def test_request_line_that_begins_like_the_preface_is_http_1_1() -> None:
    with running(hello) as server, connected(server) as client:
        client.sendall(b"P")
        client.sendall(b"UT /1.1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

        assert b"/1.1 over 1.1" in read_all(client)


@pytest.mark.parametrize("said", [b"", PREFACE[:10]], ids=["nothing", "half a preface"])
def test_silent_client_is_disconnected_after_the_time_for_the_preface(said: bytes) -> None:
    options = ServerOptions(preface_timeout=0.2)
    with running(hello, options) as server, connected(server) as client:
        begun = time.monotonic()
        client.sendall(said)
        with suppress(ConnectionResetError):
            assert read_all(client) == b""

        assert time.monotonic() - begun < PATIENCE / 2


def test_client_that_leaves_before_it_spoke_leaves_nothing_behind() -> None:
    with running(hello) as server:
        connected(server).close()
        with RawClient(server.port) as client:
            assert client.get(b"/x").status == 200
        server.stop()

        assert not server.server.server_state.connections


def test_stop_does_not_wait_for_a_connection_that_never_spoke() -> None:
    with running(hello, timeout_graceful_shutdown=None) as server, connected(server) as client:
        with RawClient(server.port) as other:  # by then the first one was accepted
            assert other.get(b"/x").status == 200
        server.stop()

        assert client.recv(1) == b""
