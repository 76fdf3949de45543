"""Tests of headstart.server.reachable.

A link that is gone is made by a filter on the client's socket, which drops every segment before TCP
sees it. So nothing is acknowledged, and the kernel of the server's side behaves as it does when a
laptop is closed.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headstart.reasons import Closing
from headstart.server import http1_deadlines
from headstart.server.reachable import keep_alive, unacknowledged_for, undelivered
from headstart.server.worker import Worker
from tests.server.apps import Receive, Recorder, Scope, Send
from tests.server.live import LiveServer, running, until
from tests.server.raw import tls_socket

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
# Linux' numbers, and a program of one instruction: return 0 bytes of each segment.
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
DROP = struct.pack("=HBBI", 0x06, 0, 0, 0)


def cut(connection: socket.socket) -> None:
    """Let nothing that is sent to this socket arrive any more."""
    program = ctypes.create_string_buffer(DROP)
    attached = struct.pack("HL", 1, ctypes.addressof(program))
    try:
        connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, attached)
    except PermissionError:
        pytest.skip("this kernel lets root alone put a filter on a socket")


def mend(connection: socket.socket) -> None:
    """Let arrive again what is sent to this socket, after `cut`."""
    connection.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def closings(server: LiveServer) -> Counter[Closing]:
    """How many connections the server ended, by the reason."""
    live = server.server
    return Worker.of(live.server_state, live.config, live.loop).counters.connections


class Connected(asyncio.Transport):
    """A transport whose socket is this one."""

    def __init__(self, connection: socket.socket | None) -> None:
        super().__init__({"socket": connection})
        self.closing = False

    def is_closing(self) -> bool:
        """Whether the connection is over."""
        return self.closing


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a client a second to acknowledge anything, in place of two minutes and a half."""
    monkeypatch.setattr(http1_deadlines, "PATIENCE", 1.0)


class Ticking(Recorder):
    """Sends an event every tenth of a second, for as long as its client is there."""

    def __init__(self) -> None:
        super().__init__(self.tick)

    async def tick(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events."""
        gone = asyncio.ensure_future(self._gone(receive))
        head: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
        await send(head)
        while not gone.done():
            await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
            await asyncio.wait([gone], timeout=0.1)
        self.note(gone.result())

    async def _gone(self, receive: Receive) -> str:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        kind: str = message["type"]
        return kind


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("tls", [False, True])
def test_client_that_vanishes_while_events_are_sent_to_it_is_gone_for_the_application(
    tls: bool,
) -> None:
    ticking = Ticking()
    with running(ticking, tls=tls) as server, connected(server.port, tls=tls) as client:
        client.sendall(GET)
        assert client.recv(1)
        ticking.next()
        cut(client)

        assert ticking.next() == "http.disconnect"
        until(lambda: closings(server)[Closing.UNREACHABLE] == 1, "the end")


def connected(port: int, *, tls: bool) -> socket.socket:
    """A client of the server."""
    return tls_socket(port) if tls else socket.create_connection(("127.0.0.1", port), 90)


@pytest.mark.usefixtures("patience")
def test_client_that_gets_an_event_now_and_then_is_reachable() -> None:
    ticking = Ticking()
    with running(ticking) as server, connected(server.port, tls=False) as client:
        client.sendall(GET)
        came = b""
        while came.count(b"data") < 30:
            came += client.recv(65536)

        assert not closings(server)


def test_tcp_asks_whether_a_client_is_still_there() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as connection,
    ):
        keep_alive(Connected(connection))

        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


def test_nothing_is_asked_where_there_is_no_link_that_could_be_lost() -> None:
    here, there = socket.socketpair()
    with here, there:
        for connection in (here, None):
            keep_alive(Connected(connection))
            assert unacknowledged_for(Connected(connection)) == 0

        assert not here.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_client_that_does_not_read_still_acknowledges() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as here,
    ):
        here.setblocking(False)
        sent = fill(here)
        until(lambda: not unacknowledged_for(Connected(here)), "the closed window")

        assert sent > 0


def fill(connection: socket.socket) -> int:
    """Send until the client's window and the buffers are full; returns how much that was."""
    sent = 0
    while True:
        try:
            sent += connection.send(bytes(65536))
        except BlockingIOError:
            return sent


def test_time_without_an_acknowledgement_is_told_until_the_connection_closes() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as there,
        listener.accept()[0] as here,
    ):
        transport = Connected(here)
        assert unacknowledged_for(transport) == 0
        cut(there)
        here.sendall(b"lost")
        until(lambda: unacknowledged_for(transport) > 0.05, "a while without an acknowledgement")
        transport.closing = True

        assert unacknowledged_for(transport) == 0


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_bytes_that_the_clients_system_has_no_room_for_are_undelivered(
    family: socket.AddressFamily, tmp_path: Path
) -> None:
    with socket.socket(family) as listener, socket.socket(family) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "s"))
        listener.listen()
        client.connect(listener.getsockname())
        with listener.accept()[0] as here:
            transport = Connected(here)
            assert undelivered(transport) == 0
            here.sendall(bytes(50_000))
            assert undelivered(transport) > 10_000
            received = 0
            while received < 50_000:
                received += len(client.recv(50_000))

            until(lambda: undelivered(transport) == 0, "the acknowledgement")
            here.shutdown(socket.SHUT_WR)
            transport.closing = True
            assert undelivered(transport) == 0


def test_nothing_is_known_of_a_transport_without_a_socket() -> None:
    assert undelivered(Connected(None)) == 0
