"""What takes too long on one HTTP/2 connection, over a real socket.

Where something must end at last, times are short; where it must not, time is skipped, so that a
busy machine ends nothing either.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from headstart.config import ServerOptions, WireLimits
from headstart.reasons import Closing
from headstart.server.deadlines import Deadlines, seconds_between_looks
from headstart.wire.connection import ErrorCode
from headstart.wire.server import ServerConnection
from tests.server.apps import Held, Receive, Recorder, Scope, Send, answer, read_all
from tests.server.hostile import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Hostile,
    block,
    frame,
    get,
    number,
)
from tests.server.live import running

SHORT, LONG = 0.3, 30.0
SKIPPED = 100.0
"""Seconds of which none are waited for."""
POST = frame(HEADERS, END_HEADERS, 1, block(b"/", b"POST"))


def options(limits: WireLimits | None = None, **short: float) -> ServerOptions:
    """All times long but these."""
    times: dict[str, Any] = dict.fromkeys(
        ("preface_timeout", "header_timeout", "body_timeout", "stall_timeout", "idle_timeout"), LONG
    )
    return ServerOptions(limits=limits or WireLimits(), **(times | short))


async def read(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of the request's body."""
    await answer(send, b"%d" % len(await read_all(receive)))


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """A body that no first window holds."""
    await answer(send, bytes(300_000))


def test_times_are_looked_at_four_times_before_the_shortest_has_passed() -> None:
    assert seconds_between_looks(options(body_timeout=2.0)) == 0.5


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "TLS"])
def test_client_that_says_nothing_is_sent_away(tls: bool) -> None:
    with (
        running(Recorder(), options(preface_timeout=SHORT), tls=tls) as server,
        Hostile(server.port, greet=False, tls=tls) as client,
    ):
        client.send(PREFACE[:10])
        client.until_closed()


def test_client_that_sends_its_preface_alone_is_sent_away() -> None:
    with (
        running(Recorder(), options(preface_timeout=SHORT)) as server,
        Hostile(server.port, greet=False) as client,
    ):
        client.send(PREFACE)
        client.until_closed()

        assert client.goaways == [ErrorCode.NO_ERROR]


@pytest.mark.parametrize(
    "begun",
    [get(1)[:4], get(1)[:-1], frame(HEADERS, END_STREAM, 1, block()[:5])],
    ids=["a frame's header", "a frame", "a header section"],
)
def test_header_section_that_does_not_end_ends_the_connection(begun: bytes) -> None:
    with (
        running(Recorder(), options(header_timeout=SHORT)) as server,
        Hostile(server.port) as client,
    ):
        client.send(begun)
        client.until_closed()

        assert client.goaways == [ErrorCode.NO_ERROR]


def test_body_that_does_not_come_ends_its_stream_alone() -> None:
    recorder = Recorder(read)
    with (
        running(recorder, options(body_timeout=SHORT)) as server,
        Hostile(server.port) as client,
    ):
        client.send(POST + frame(DATA, 0, 1, b"x" * 100))
        client.until(RST_STREAM, 1)
        other = frame(HEADERS, END_HEADERS, 3, block(b"/", b"POST"))
        client.send(other + frame(DATA, END_STREAM, 3, b"x"))

        assert client.until(DATA, 3).payload == b"1"
        assert client.resets() == [ErrorCode.CANCEL]
        assert client.goaways == []


def test_body_that_comes_fast_enough_may_take_its_time() -> None:
    recorder = Recorder(read)
    wanted = 20
    times = options(body_timeout=SKIPPED, preface_timeout=SKIPPED, min_body_rate=10)
    with running(recorder, times, skipping=True) as server, Hostile(server.port) as client:
        client.send(POST)
        for _ in range(wanted):
            client.send(frame(DATA, 0, 1, bytes(512)))
            client.settle()
            server.skip(SKIPPED / 10, steps=1)
        client.send(frame(DATA, END_STREAM, 1))

        assert client.until(DATA, 1).payload == b"%d" % (512 * wanted)


def test_application_that_does_not_read_is_not_held_against_its_client() -> None:
    held = Held()
    with (
        running(held, options(body_timeout=SKIPPED), skipping=True) as server,
        Hostile(server.port) as client,
    ):
        client.send(POST + frame(DATA, 0, 1, bytes(1000)))
        client.settle()
        server.skip(3 * SKIPPED, steps=30)
        held.gate.open()

        assert client.until(HEADERS, 1).stream == 1


def test_response_that_waits_for_a_window_for_too_long_ends_the_connection() -> None:
    with (
        running(Recorder(large), options(stall_timeout=SHORT)) as server,
        Hostile(server.port, {4: 0}) as client,
    ):
        client.send(get(1))
        client.until(HEADERS, 1)
        client.until_closed()

        assert client.goaways == [ErrorCode.NO_ERROR]
        assert client.frames(DATA) == []


@pytest.mark.parametrize(
    ("step", "ends"), [(3000, False), (2000, True)], ids=["as slow as may be", "too slow"]
)
def test_window_that_opens_now_and_then_is_progress_if_it_opens_far_enough(
    step: int, ends: bool
) -> None:
    """However many PINGs are answered meanwhile."""
    with (
        running(Recorder(large), options(stall_timeout=SKIPPED), skipping=True) as server,
        Hostile(server.port, {4: 0}) as client,
    ):
        client.send(get(1))
        client.until(HEADERS, 1)
        with suppress(AssertionError):  # `until`: it was closed
            for turn in range(20):
                client.send(frame(WINDOW_UPDATE, 0, 1, number(step)) + frame(PING, 0, 0, bytes(8)))
                client.until(DATA, 1, turn + 1)
                server.skip(SKIPPED / 10, steps=1)
        client.listen()

        assert bool(client.goaways) is ends


def test_idle_connection_ends_though_it_sends_pings() -> None:
    with (
        running(Recorder(), options(idle_timeout=SKIPPED), skipping=True) as server,
        Hostile(server.port) as client,
    ):
        client.send(get(1))
        client.until(DATA, 1)
        for _ in range(9):
            client.settle()
            server.skip(SKIPPED / 10, steps=1)
        client.settle()
        server.skip(SKIPPED, steps=2)
        client.until_closed()

        assert client.goaways == [ErrorCode.NO_ERROR]


def test_connection_that_is_asked_now_and_then_is_not_idle() -> None:
    with (
        running(Recorder(), options(idle_timeout=SKIPPED), skipping=True) as server,
        Hostile(server.port) as client,
    ):
        for turn in range(5):
            client.send(get(2 * turn + 1))
            client.until(DATA, 2 * turn + 1)
            server.skip(SKIPPED * 0.6, steps=6)

        client.settle()
        assert client.goaways == []


def greeted() -> ServerConnection:
    """A server's side whose client has said hello."""
    wire = ServerConnection(WireLimits(), 0.0)
    wire.output()
    wire.receive(PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0), 0.0)
    wire.output()
    return wire


def test_full_transport_of_which_the_client_takes_a_little_is_progress() -> None:
    deadlines = Deadlines(options(stall_timeout=10), greeted(), 0.0)

    looks = [deadlines.look(now, {}, 100_000 - now) for now in range(5, 60, 5)]

    assert looks == [None] * len(looks)


def test_full_transport_that_was_filled_again_is_progress() -> None:
    wire = greeted()
    deadlines = Deadlines(options(stall_timeout=10), wire, 0.0)

    for now in range(5, 60, 5):
        wire.ping(b"8 octets")
        assert wire.output()
        assert deadlines.look(now, {}, 100_000) is None


def test_full_transport_of_which_the_client_takes_nothing_ends_the_connection() -> None:
    deadlines = Deadlines(options(stall_timeout=10), greeted(), 0.0)

    looks = [deadlines.look(now, {}, 100_000) for now in (5, 10, 14, 15)]

    assert looks == [None, None, None, Closing.STALLED]


def test_idle_connection_ends_though_its_first_settings_came() -> None:
    with (
        running(Recorder(), options(idle_timeout=SHORT)) as server,
        Hostile(server.port) as client,
    ):
        client.until(SETTINGS)
        client.until_closed()

        assert client.goaways == [ErrorCode.NO_ERROR]


def test_stream_that_outlasts_the_drain_is_cut_off() -> None:
    held = Held()
    limits = WireLimits(max_requests=1)
    with (
        running(held, ServerOptions(limits=limits, drain_timeout=SHORT)) as server,
        Hostile(server.port) as client,
    ):
        client.send(get(1))
        client.until_closed()

        assert client.goaways[0] is ErrorCode.NO_ERROR
        assert int.from_bytes(client.frames(GOAWAY)[-1].payload[:4], "big") == 1
