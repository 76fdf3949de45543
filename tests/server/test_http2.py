"""One HTTP/2 connection: the bytes that are written at once, and how far."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import pytest
from ngh2 import Setting

from headstart.config import WireLimits
from headstart.server.http2 import Http2ServerConnection
from headstart.server.tls import TlsTransport
from tests.server.apps import (
    Receive,
    Recorder,
    Scope,
    Send,
    answer,
    body,
    hello,
    read_all,
    start,
)
from tests.server.live import running, until
from tests.server.raw import RawClient

NO_ERROR, PROTOCOL_ERROR = "NO_ERROR", "PROTOCOL_ERROR"


class _CountingTransport:
    """Passes everything on and notes how much was written at once."""

    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(bytes(data))
        self._transport.write(data)

    def writelines(self, lines: list[bytes]) -> None:
        self._writes.append(b"".join(lines))
        self._transport.writelines(lines)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every write of every HTTP/2 connection of this process."""
    written: list[bytes] = []
    made = Http2ServerConnection.connection_made

    def counting(self: Http2ServerConnection, transport: Any) -> None:
        made(self, cast(asyncio.Transport, _CountingTransport(transport, written)))

    monkeypatch.setattr(Http2ServerConnection, "connection_made", counting)
    return written


def test_response_of_three_messages_is_one_write(writes: list[bytes]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"one", True))
        await send(body(b"two"))

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        client.settle()
        writes.clear()

        assert client.get().body == b"onetwo"
        assert len(writes) == 1


def test_answers_to_requests_that_came_together_are_one_write(writes: list[bytes]) -> None:
    with running(hello) as server, RawClient(server.port) as client:
        client.settle()
        writes.clear()
        pseudo = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"localhost")]
        ids = [
            client.engine.send_request([*pseudo, (b":path", b"/x")], end_stream=True)
            for _ in range(20)
        ]
        client.flush()
        for stream_id in ids:
            assert client.response(stream_id).status == 200

        assert len(writes) == 1


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no eager tasks")
def test_call_of_the_application_begins_at_once() -> None:
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asyncio.get_running_loop().call_soon(order.append, "next turn")
        order.append(scope["path"])
        await answer(send)

    with running(app, lifespan="off") as server, RawClient(server.port) as client:
        pseudo = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"localhost")]
        for path in (b"/1", b"/2"):
            client.engine.send_request([*pseudo, (b":path", path)], end_stream=True)
        client.flush()
        client.response(3)

    assert order[:2] == ["/1", "/2"]


def test_large_response_is_written_by_two_calls(writes: list[bytes]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(bytes(200_000)))

    settings: dict[int, int] = {Setting.INITIAL_WINDOW_SIZE: 2**31 - 1}
    with running(app, lifespan="off") as server, RawClient(server.port, settings) as client:
        client.engine.set_local_window_size(2**31 - 1)
        client.settle()
        writes.clear()

        assert client.get().body == bytes(200_000)
        assert len([data for data in writes if len(data) > 1000]) == 2


def test_large_response_over_tls_is_given_to_tcp_by_one_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[bytes] = []
    made = TlsTransport.__init__

    def counting(self: TlsTransport, raw: asyncio.Transport, *others: Any) -> None:
        made(self, cast(asyncio.Transport, _CountingTransport(raw, written)), *others)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(bytes(200_000)))

    monkeypatch.setattr(TlsTransport, "__init__", counting)
    settings: dict[int, int] = {Setting.INITIAL_WINDOW_SIZE: 2**31 - 1}
    with (
        running(app, lifespan="off", tls=True) as server,
        RawClient(server.port, settings, tls=True) as client,
    ):
        client.engine.set_local_window_size(2**31 - 1)
        client.settle()
        written.clear()

        assert client.get().body == bytes(200_000)
        assert len([data for data in written if len(data) > 1000]) == 1


def test_reader_that_stops_stops_the_application_at_a_bound(writes: list[bytes]) -> None:
    sent, full = 0, False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent, full
        await send(start())
        for _ in range(400):
            try:
                await asyncio.wait_for(
                    asyncio.shield(part := asyncio.ensure_future(send(body(bytes(100_000), True)))),
                    0.3,
                )
            except TimeoutError:
                full = True
                await part
            sent += 100_000
        await send(body())

    # Windows wide open: what stops the server is the socket alone.
    settings: dict[int, int] = {Setting.INITIAL_WINDOW_SIZE: 2**31 - 1}
    with running(app, lifespan="off") as server, RawClient(server.port, settings) as client:
        client.engine.set_local_window_size(2**31 - 1)
        client.flush()
        stream_id = client.request()
        until(lambda: full, "the socket's end")
        # In this order: should there be still room in the socket, a part may be written meanwhile.
        taken, unread = sent, sum(map(len, writes))

        assert taken < 40_000_000
        assert max(map(len, writes)) <= 256 * 1024
        assert taken - unread <= 2 * WireLimits().max_queued_stream
        assert client.response(stream_id).received == 40_000_000


def test_client_that_breaks_the_protocol_is_told_and_the_application_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(receive)
        recorder.note((await receive())["type"])

    recorder.act = act
    with running(recorder) as server, RawClient(server.port) as client:
        client.request()
        recorder.next()
        client.socket.sendall(bytes([0, 0, 1, 0, 0, 0, 0, 0, 0, 0]))  # DATA on stream 0
        client.until_closed()

        assert [error for _, error in client.goaways] == [PROTOCOL_ERROR]
        assert recorder.next() == "http.disconnect"
        assert "PROTOCOL_ERROR" in caplog.text
