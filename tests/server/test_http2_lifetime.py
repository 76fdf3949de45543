"""The end of one HTTP/2 connection: idle, used up, or stopped."""

from __future__ import annotations

import threading

import ngh2
import pytest

from headstart.config import ServerOptions, WireLimits
from headstart.deliver.outcome import Push
from headstart.reasons import Refusal
from headstart.server.drain import Drain
from headstart.wire.fields import response_fields
from tests.server.apps import (
    STYLE,
    Held,
    Receive,
    Recorder,
    Scope,
    Send,
    answer,
    hello,
)
from tests.server.live import Gate, running, until
from tests.server.raw import RawClient
from tests.wire.pair import Pair

NO_ERROR, PROTOCOL_ERROR = "NO_ERROR", "PROTOCOL_ERROR"


def test_idle_connection_ends_with_a_goaway() -> None:
    with running(hello, skipping=True) as server, RawClient(server.port) as client:
        assert client.get().status == 200
        server.skip(2 * ServerOptions().idle_timeout)
        client.until_closed()

        assert [error for _, error in client.goaways] == [NO_ERROR]


@pytest.mark.parametrize("waiting", [1, 500_000, 3_000_000])
def test_client_is_asked_whether_it_has_seen_the_notice_behind_the_notice(waiting: int) -> None:
    """One that is asked before it has seen the notice opens streams that are then refused."""
    pair = Pair({ngh2.Setting.INITIAL_WINDOW_SIZE: 4_000_000})
    pair.client.set_local_window_size(4_000_000)
    page = pair.request()
    pair.server.respond(page, response_fields(200, []), False, bytes(waiting))
    drain = Drain(pair.server)
    drain.begin()
    assert not drain.ask()

    while not drain.ask():
        assert pair.to_client()
    pair.exchange()

    at_the_end = [frame.kind for frame in pair.sent() if frame.kind in ("GOAWAY", "PING")]
    assert at_the_end == ["GOAWAY", "PING"]
    assert len(pair.body(page)) == waiting
    assert not drain.ask()


def test_client_that_keeps_reading_is_asked_before_all_is_read() -> None:
    pair = Pair({ngh2.Setting.INITIAL_WINDOW_SIZE: 4_000_000})
    pair.client.set_local_window_size(4_000_000)
    page = pair.request()
    pair.server.respond(page, response_fields(200, []), False, bytes(3_000_000))
    drain = Drain(pair.server)
    drain.begin()

    while not drain.ask():
        pair.to_client()

    assert len(pair.body(page)) < 2_000_000


def test_connection_that_has_ended_is_asked_nothing() -> None:
    pair = Pair()
    drain = Drain(pair.server)
    drain.begin()
    pair.server.close()

    assert not drain.ask()


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
