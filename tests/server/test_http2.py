"""One HTTP/2 connection: what is written at once, what is too much, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from contextlib import suppress
from functools import partial
from typing import Any, cast

import pytest
from ngh2 import ErrorCode, Setting

from headstart.config import ServerOptions, WireLimits
from headstart.deliver.outcome import Push
from headstart.reasons import Refusal
from headstart.server.http2 import Http2ServerConnection
from headstart.wire.server import ServerConnection
from tests.server.apps import (
    STYLE,
    Held,
    Receive,
    Recorder,
    Scope,
    Send,
    answer,
    body,
    hello,
    lifespan,
    pushing,
    read_all,
    start,
)
from tests.server.live import Gate, running, until
from tests.server.raw import RawClient

NO_ERROR, PROTOCOL_ERROR = "NO_ERROR", "PROTOCOL_ERROR"


# Writing.


class _CountingTransport:
    """Passes everything on and notes how much was written at once."""

    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(bytes(data))
        self._transport.write(data)

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
        assert taken - unread <= 2 * WireLimits().max_queued_stream
        assert client.response(stream_id).received == 40_000_000


# Limits.


class Obstinate:
    """An application that does not end when it is cancelled; only `/answered` is answered."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.begun = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["path"] == "/answered":
            return await answer(send, b"page")
        self.begun += 1
        passed = asyncio.ensure_future(self.gate.passed())
        while not passed.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(passed)
        return None


def test_calls_that_do_not_end_when_they_are_cancelled_are_bounded() -> None:
    app = Obstinate()
    options = ServerOptions(limits=WireLimits(max_concurrent_streams=5), max_abandoned_calls=3)
    with running(app, options) as server, RawClient(server.port) as client:
        client.settle()
        for _ in range(8):
            stream_id = client.request()
            client.settle()
            client.reset(stream_id)
        client.settle()

        refused = client.response(client.request(b"/answered"))
        app.gate.open()
        until(lambda: client.response(client.request(b"/answered")).body == b"page", "the end")

        assert refused.reset == ErrorCode.REFUSED_STREAM
        assert app.begun == 8


def test_calls_that_are_left_behind_hold_no_place_of_the_clients() -> None:
    """Ten people behind a proxy give up search after search, of an application that is slow."""
    held = Held()
    options = ServerOptions(limits=WireLimits(max_concurrent_streams=5))
    with running(held, options) as server, RawClient(server.port) as client:
        client.settle()
        waiting = client.request()
        until(lambda: held.waiting == 1, "the first call")
        for _ in range(50):
            given_up = client.request()
            client.settle()
            client.reset(given_up)
        held.gate.open()

        assert client.response(waiting).status == 200
        assert held.waiting == 51


def test_what_goes_on_behind_a_whole_answer_holds_no_place() -> None:
    """Background tasks, as Starlette has them."""
    gate, begun = Gate(), 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal begun
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await answer(send, b"page")
        begun += 1
        return await gate.passed()

    options = ServerOptions(limits=WireLimits(max_concurrent_streams=5))
    with running(app, options) as server, RawClient(server.port) as client:
        bodies = [client.response(client.request()).body for _ in range(50)]
        assert begun == 50
        gate.open()

    assert bodies == [b"page"] * 50


class Endless:
    """An application that never asks whether its client is there; only `/answered` is answered."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.begun = 0
        self.ends: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        if scope["path"] == "/answered":
            await answer(send, b"page")
        self.begun += 1
        try:
            await self.gate.passed()
            self.ends.append("returned")
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise
        return None


@pytest.mark.parametrize("leave", ["reset", "close"])
def test_call_whose_client_left_is_cancelled_after_its_grace(leave: str) -> None:
    app = Endless()
    with running(app, ServerOptions(call_grace=0.05)) as server, RawClient(server.port) as client:
        stream_id = client.request()
        until(lambda: app.begun == 1, "the call")
        if leave == "reset":
            client.reset(stream_id)
        else:
            client.socket.close()
        until(lambda: app.ends, "the end of the call")

    assert app.ends == ["cancelled"]


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("leave", ["reset", "close"])
def test_call_with_its_whole_request_comes_to_its_end_without_its_client(
    leave: str, method: bytes
) -> None:
    """A payment, for instance, that is debited and not yet credited."""
    app = Endless()
    with running(app, skipping=True) as server, RawClient(server.port) as client:
        stream_id = client.request(b"/read", method=method)
        until(lambda: app.begun == 1, "the call")
        if leave == "reset":
            client.reset(stream_id)
            client.settle()
        else:
            client.socket.close()
        server.skip(3600)
        assert app.ends == []
        app.gate.open()
        until(lambda: app.ends, "the end of the call")

    assert app.ends == ["returned"]


def test_call_whose_request_never_came_whole_is_cancelled() -> None:
    app = Endless()
    with running(app, skipping=True) as server, RawClient(server.port) as client:
        upload = client.request(method=b"POST", end_stream=False)
        until(lambda: app.begun == 1, "the call")
        client.reset(upload)
        client.settle()
        server.skip(10)
        until(lambda: app.ends, "the end of the call")

    assert app.ends == ["cancelled"]


def has_begun(app: Endless, calls: int) -> bool:
    return app.begun == calls


def test_work_behind_a_whole_answer_goes_on_without_its_client() -> None:
    app = Endless()
    with running(app, ServerOptions(call_grace=0.05)) as server:
        for begun, path in enumerate((b"/answered", b"/silent")):
            with RawClient(server.port) as client:
                client.request(path, method=b"POST", end_stream=False)
                until(partial(has_begun, app, begun + 1), "the call")
        until(lambda: app.ends, "the end of the call that was not answered")
        app.gate.open()
        until(lambda: len(app.ends) == 2, "the end of the other")

    assert app.ends == ["cancelled", "returned"]


def test_uvicorns_concurrency_limit_holds() -> None:
    with running(hello, limit_concurrency=1) as server, RawClient(server.port) as client:
        assert client.get().status == 503


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


def test_requests_are_logged_as_uvicorn_logs_them(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, "uvicorn.access"),
        running(pushing) as server,
        RawClient(server.port) as client,
    ):
        client.get(b"/page?x=1")
        client.response(2)
        port = client.socket.getsockname()[1]

    lines = [r.getMessage() for r in caplog.records if r.name == "uvicorn.access"]
    assert lines == [
        f'127.0.0.1:{port} - "GET /page?x=1 HTTP/2" 200',
        f'127.0.0.1:{port} - "GET /style.css HTTP/2 pushed" 200',
    ]


# The end.


def test_idle_connection_ends_with_a_goaway() -> None:
    with running(hello, skipping=True) as server, RawClient(server.port) as client:
        assert client.get().status == 200
        server.skip(2 * ServerOptions().idle_timeout)
        client.until_closed()

        assert [error for _, error in client.goaways] == [NO_ERROR]


def test_connection_with_a_request_under_way_is_not_idle() -> None:
    held = Held()
    with running(held, skipping=True) as server, RawClient(server.port) as client:
        stream_id = client.request(b"/held")
        client.settle()
        for _ in range(20):
            server.skip(ServerOptions().idle_timeout / 4)
            client.settle()
        held.gate.open()

        assert client.response(stream_id).body == b"/held"
        assert client.goaways == []


def test_connection_that_made_all_its_requests_ends_gracefully() -> None:
    options = ServerOptions(limits=WireLimits(max_requests=3))
    with running(Recorder(), options) as server, RawClient(server.port) as client:
        bodies = [client.get().body for _ in range(3)]
        client.until_closed()

        assert bodies == [b"page"] * 3
        assert client.goaways == [(2**31 - 1, "NO_ERROR"), (5, "NO_ERROR")]


def test_stop_lets_streams_in_flight_finish_and_says_goaway_twice() -> None:
    held = Held()
    with (
        running(held, timeout_graceful_shutdown=20) as server,
        RawClient(server.port) as client,
    ):
        streams = [client.request(b"/%d" % n) for n in range(20)]
        until(lambda: held.waiting == 20, "the requests")
        server.begin_to_stop()
        client.until(lambda: len(client.goaways) == 2)
        assert server.alive
        held.gate.open()
        bodies = [client.response(stream_id).body for stream_id in streams]
        client.until_closed()

        assert bodies == [b"/%d" % n for n in range(20)]
        assert [last for last, _ in client.goaways] == [2**31 - 1, streams[-1]]
        server.stop()


def test_stop_takes_the_request_that_crossed_the_first_goaway() -> None:
    held = Held()
    with (
        running(held, timeout_graceful_shutdown=20) as server,
        RawClient(server.port) as client,
    ):
        first = client.request(b"/first")
        until(lambda: held.waiting == 1, "the request")
        server.begin_to_stop()
        until(lambda: not server.server.servers[0].is_serving(), "the end of listening")
        crossed = client.request(b"/crossed")
        until(lambda: held.waiting == 2, "the second request")
        held.gate.open()

        assert client.response(crossed).body == b"/crossed"
        assert client.response(first).body == b"/first"
        client.until_closed()


def test_stop_does_not_wait_for_ever_for_the_answer_to_its_ping() -> None:
    with running(hello) as server, RawClient(server.port) as client:
        client.settle()
        server.begin_to_stop()
        received = b""
        while part := client.socket.recv(65536):  # nothing is answered
            received += part

        assert received.count(bytes([7, 0, 0, 0, 0, 0])) == 2  # GOAWAY on stream 0


def test_stop_closes_an_idle_connection_at_once() -> None:
    with running(hello, timeout_graceful_shutdown=20) as server, RawClient(server.port) as client:
        client.get()
        server.begin_to_stop()
        client.until_closed()

        assert [error for _, error in client.goaways] == [NO_ERROR] * 2
        server.stop()


def test_stop_pushes_nothing_new() -> None:
    push, gate, waiting = Push("/style.css"), Gate(), threading.Event()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        waiting.set()
        await gate.passed()
        await send({**STYLE, "headstart": push})
        await answer(send, b"page")

    with (
        running(Recorder(act), timeout_graceful_shutdown=20) as server,
        RawClient(server.port) as client,
    ):
        stream_id = client.request()
        assert waiting.wait(90)
        server.begin_to_stop()
        client.until(lambda: client.goaways)
        gate.open()

        assert client.response(stream_id).body == b"page"
        assert push.refusal is Refusal.CONNECTION_CLOSING
        assert client.promises == {}


def test_stop_gives_up_after_the_time_for_it(caplog: pytest.LogCaptureFixture) -> None:
    held = Held()
    with (
        running(held, timeout_graceful_shutdown=1) as server,
        RawClient(server.port) as client,
    ):
        stream_id = client.request()
        until(lambda: held.waiting, "the request")
        server.begin_to_stop()
        client.until(lambda: client.responses[stream_id].ended or client.closed)
        until(lambda: not server.alive, "the end")

    assert "timeout graceful shutdown exceeded" in caplog.text


def test_client_that_says_goaway_gets_its_answers_and_no_pushes() -> None:
    push, gate = Push("/style.css"), Gate()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.passed()
        await send({**STYLE, "headstart": push})
        await answer(send, b"page")

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        stream_id = client.request()
        client.engine.send_goaway()
        client.settle()
        gate.open()

        assert client.response(stream_id).body == b"page"
        assert push.refusal is Refusal.CONNECTION_CLOSING
        assert client.goaways == []


def test_trailers_that_are_too_large_to_be_sent_are_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    large = [(b"x-large", b"a" * 110_000)]

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**start(200), "trailers": True})
        await send(body(b"page"))
        await send({"type": "http.response.trailers", "headers": large})

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        assert client.get().reset == ErrorCode.INTERNAL_ERROR

    assert "The response could not be sent: outbound header block exceeds" in caplog.text


def test_stream_has_its_part_of_the_room_however_much_others_have_queued() -> None:
    closed: dict[int, int] = {Setting.INITIAL_WINDOW_SIZE: 0}
    with running(Recorder(_megabyte)) as server, RawClient(server.port, closed) as client:
        waiting = [client.request() for _ in range(9)]
        client.until(lambda: all(client.responses[number].status for number in waiting))
        client.settle()
        last = client.request()
        client.until(lambda: client.responses[last].status)
        client.settle()
        (protocol,) = server.server.server_state.connections
        connection = cast(Http2ServerConnection, protocol)

        scheduler = connection.scheduler
        assert scheduler.own_room > 0
        assert scheduler.room(last + 2) == scheduler.own_room
        assert scheduler.room(waiting[0]) <= 0


def test_streams_that_wait_for_room_are_asked_only_when_there_may_be_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else each PING of a client with a hundred such streams costs eight times as much."""
    asked = 0
    queued_on = ServerConnection.queued_on

    def counted(wire: ServerConnection, stream_id: int) -> int:
        nonlocal asked
        asked += 1
        return queued_on(wire, stream_id)

    monkeypatch.setattr(ServerConnection, "queued_on", counted)
    with (
        running(Recorder(_megabyte)) as server,
        RawClient(server.port, {Setting.INITIAL_WINDOW_SIZE: 0}) as client,
    ):
        streams = [client.request() for _ in range(50)]
        client.until(lambda: all(client.responses[number].status for number in streams))
        client.settle()
        before = asked
        for _ in range(50):
            client.settle()

        assert asked - before <= 50
        client.update_settings({Setting.INITIAL_WINDOW_SIZE: 1 << 20})
        assert [len(client.response(number).body) for number in streams] == [1_000_000] * 50


async def _megabyte(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, bytes(1_000_000))
