"""The streams of one HTTP/2 connection: which calls begin, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
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
    start,
)
from tests.server.live import Gate, running, until
from tests.server.raw import RawClient

NO_ERROR, PROTOCOL_ERROR = "NO_ERROR", "PROTOCOL_ERROR"


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


def test_trailers_that_turn_out_to_be_none_end_the_response_without_a_section() -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**start(200), "trailers": True})
        await send(body(b"page"))
        await send({"type": "http.response.trailers", "headers": []})

    with running(Recorder(act)) as server, RawClient(server.port) as client:
        response = client.get()

        assert response.body == b"page"
        assert len(client.received("HEADERS")) == 1


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

        scheduler = connection.streams.scheduler
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


def test_connections_make_the_section_of_equal_responses_once() -> None:
    with (
        running(hello) as server,
        RawClient(server.port) as one,
        RawClient(server.port) as other,
    ):
        assert one.get(b"/").status == other.get(b"/").status == 200

        connections: set[Any] = {*server.server.server_state.connections}
        first, second = connections
        assert first.streams.heads is second.streams.heads
