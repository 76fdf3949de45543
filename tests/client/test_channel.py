"""Bytes between a socket and the engine."""

from __future__ import annotations

import asyncio

import pytest

from headstart.client.connect import connect
from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import NotHttp2Error
from headstart.client.origin import Origin
from headstart.wire.frames import Direction
from tests.client.peer import FakeSocket, Peer
from tests.servers.conftest import Servers


async def test_bytes_are_read_into_one_buffer_again_and_again() -> None:
    peer = await Peer.connected()
    task, stream_id = await peer.asked()
    peer.server.respond(stream_id, [(b":status", b"200")], end_stream=False)
    peer.server.send_data(stream_id, b"first", False)
    first = peer.server.output()
    peer.server.send_data(stream_id, b"other", True)
    second = peer.server.output()

    buffers = []
    for data in (first, second):
        buffer = peer.connection.get_buffer(-1)
        buffer[: len(data)] = data
        peer.connection.buffer_updated(len(data))
        buffers.append(buffer)
    response = await task

    assert buffers[0].obj is buffers[1].obj
    assert await response.aread() == b"firstother"


async def test_tap_is_told_of_bytes_and_of_the_end() -> None:
    peer = await Peer.connected()
    before = len(peer.tapped)

    peer.connection.connection_lost(ConnectionResetError("gone"))

    assert peer.tapped[before:] == [Direction.RECEIVED]
    assert "gone" in peer.connection.closed_reason


async def test_tls_without_h2_ends_before_a_byte_is_written() -> None:
    connection = Http2ClientConnection(Origin("https", "a.test", 443))
    socket = FakeSocket(connection)

    connection.connection_made(socket)

    with pytest.raises(NotHttp2Error, match="ALPN"):
        await connection.ready()
    assert (socket.written, socket.closed) == ([], True)


async def test_connection_knows_its_ends(servers: Servers) -> None:
    server = servers("nghttpd")
    clear, tls = Origin.parse(server.clear), Origin.parse(server.tls)
    connections = [await connect(clear), await connect(tls, cafile=server.cafile)]

    facts = [(one.alpn, one.tls_version, one.peername[1]) for one in connections]
    for one in connections:
        await one.aclose()

    assert facts == [(None, None, clear.port), ("h2", "TLSv1.3", tls.port)]


async def test_connection_that_was_never_made_has_no_ends() -> None:
    connection = Http2ClientConnection(Origin("http", "a.test", 80))

    assert (connection.peername, connection.alpn) == (("", 0), None)
    await asyncio.wait_for(connection.aclose(), 90)
