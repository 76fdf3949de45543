"""What takes too long on one HTTP/2 connection, over a real socket.

Where something must end at last, times are short; where it must not, time is skipped, so that a
busy machine ends nothing either.
"""

from __future__ import annotations

import math
import signal
import time
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from headstart.config import ServerOptions, WireLimits
from headstart.reasons import Closing
from headstart.server.deadlines import Deadlines, seconds_between_looks, standstill
from headstart.server.reachable import unacknowledged_for
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
from tests.server.live import Gate, running, serving, until
from tests.server.test_reachable import Connected, cut, mend

SHORT, LONG = 0.3, 30.0
SKIPPED = 100.0
"""Seconds of which none are waited for."""
POST = frame(HEADERS, END_HEADERS, 1, block(b"/", b"POST"))


def options(limits: WireLimits | None = None, **short: float) -> ServerOptions:
    """All times long but these."""
    times: dict[str, Any] = dict.fromkeys(
        ("preface_timeout", "header_timeout", "body_timeout", "stall_timeout", "idle_timeout"), LONG
    )
    times["ping_interval"] = math.inf
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


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "reads nothing meanwhile"])
def test_upload_that_pauses_for_25_seconds_goes_on(reads: bool) -> None:
    """With the limits as they are by default: a phone in a tunnel, a radio handover."""
    with (
        running(Recorder(read), skipping=True) as server,
        Hostile(server.port, ack=reads) as client,
    ):
        client.send(POST + frame(DATA, 0, 1, bytes(16_000)))
        client.settle()
        server.skip(25, steps=25)
        client.send(frame(DATA, END_STREAM, 1, bytes(16_000)))

        assert client.until(DATA, 1).payload == b"32000"
        assert client.goaways == []


def test_download_that_pauses_for_50_seconds_goes_on() -> None:
    with (
        running(Recorder(large), ServerOptions(ping_interval=math.inf), skipping=True) as server,
        Hostile(server.port, {4: 1000}) as client,
    ):
        client.send(get(1))
        client.until(DATA, 1)
        server.skip(50, steps=50)
        client.send(frame(WINDOW_UPDATE, 0, 1, number(1000)))

        assert len(client.until(DATA, 1, 2).payload) == 1000
        assert client.goaways == []


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "reads nothing meanwhile"])
def test_upload_that_comes_in_bursts_and_is_fast_enough_on_average_goes_on(reads: bool) -> None:
    """With the limits as they are by default: `curl --limit-rate 1500 -T -`."""
    burst, bursts = 65_000, 5
    with (
        running(Recorder(read), skipping=True) as server,
        Hostile(server.port, ack=reads) as client,
    ):
        client.send(POST)
        for _ in range(bursts):
            for _ in range(4):
                client.send(frame(DATA, 0, 1, bytes(burst // 4)))
            client.settle()
            server.skip(44, steps=44)
        client.send(frame(DATA, END_STREAM, 1))

        assert client.until(DATA, 1).payload == b"%d" % (burst * bursts)
        assert client.goaways == client.resets() == []


@pytest.mark.parametrize(
    ("reads", "size", "pause"),
    [(True, 30_000, 35), (False, 1000, 5)],
    ids=["a burst", "reads nothing meanwhile"],
)
def test_client_may_pause_while_the_application_works_on_the_first_part_and_for_a_while_after(
    reads: bool, size: int, pause: int
) -> None:
    """With the limits as they are by default."""
    gate = Gate()

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        length = len((await receive())["body"])
        await gate.passed()
        await answer(send, b"%d" % (length + len(await read_all(receive))))

    with (
        running(Recorder(work), skipping=True) as server,
        Hostile(server.port, ack=reads) as client,
    ):
        client.send(POST)
        for _ in range(2):
            client.send(b"".join(frame(DATA, 0, 1, bytes(size // 2)) for _ in range(2)))
            client.settle()
        server.skip(20, steps=20)
        gate.open()
        server.skip(pause, steps=pause)
        client.send(frame(DATA, END_STREAM, 1))

        assert client.until(DATA, 1).payload == b"%d" % (2 * size)
        assert client.goaways == client.resets() == []


def test_burst_of_an_upload_pays_for_two_more_periods_at_most() -> None:
    times = options(body_timeout=SKIPPED, idle_timeout=9 * SKIPPED, min_body_rate=10)
    with (
        running(Recorder(read), times, skipping=True) as server,
        Hostile(server.port) as client,
    ):
        client.send(POST + frame(DATA, 0, 1, bytes(15_000)))
        client.settle()
        server.skip(2.9 * SKIPPED, steps=29)
        client.settle()
        before = client.resets()
        server.skip(1.6 * SKIPPED, steps=16)
        client.settle()

        assert before == []
        assert client.resets() == [ErrorCode.CANCEL]


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

    looks = [deadlines.look(now, {}, 100_000 - now, 0.0) for now in range(5, 60, 5)]

    assert looks == [None] * len(looks)


def test_full_transport_that_was_filled_again_is_progress() -> None:
    wire = greeted()
    deadlines = Deadlines(options(stall_timeout=10), wire, 0.0)

    for now in range(5, 60, 5):
        wire.ping(b"8 octets")
        assert wire.output()
        assert deadlines.look(now, {}, 100_000, 0.0) is None


def test_full_transport_of_which_the_client_takes_nothing_ends_the_connection() -> None:
    deadlines = Deadlines(options(stall_timeout=10), greeted(), 0.0)

    looks = [deadlines.look(now, {}, 100_000, 0.0) for now in (5, 10, 14, 15)]

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
        kinds = [heard.kind for heard in client.heard if heard.kind in (GOAWAY, PING)]
        assert kinds == [GOAWAY, PING, GOAWAY]


# Clients that upload and read nothing.


def test_client_that_uploads_and_acknowledges_nothing_is_not_silent() -> None:
    """A phone that uploads 3 KB/s for minutes with a client that does not read meanwhile."""
    times = options(preface_timeout=10.0, body_timeout=10.0)
    with (
        running(Recorder(read), times, skipping=True) as server,
        Hostile(server.port, ack=False) as client,
    ):
        client.send(POST)
        for _ in range(20):
            client.send(frame(DATA, 0, 1, bytes(3000)))
            client.settle()
            server.skip(1.0)
        client.send(frame(DATA, END_STREAM, 1))

        assert client.until(DATA, 1).payload == b"60000"
        server.skip(20.0)
        client.until_closed()


def test_client_that_begins_an_upload_and_acknowledges_nothing_has_the_time_of_bodies() -> None:
    times = options(preface_timeout=10.0, body_timeout=30.0)
    with (
        running(Recorder(read), times, skipping=True) as server,
        Hostile(server.port, ack=False) as client,
    ):
        client.send(POST + frame(DATA, 0, 1, bytes(300)))
        client.settle()
        server.skip(25.0, steps=25)
        client.settle()
        before = client.goaways
        server.skip(15.0, steps=15)
        client.until_closed()

        assert before == []
        assert client.goaways == [ErrorCode.NO_ERROR]


def test_client_that_trickles_and_acknowledges_nothing_is_sent_away() -> None:
    times = options(preface_timeout=10.0)
    with (
        running(Held(), times, skipping=True) as server,
        Hostile(server.port, ack=False) as client,
    ):
        client.send(POST)
        with suppress(AssertionError):  # `settle`: it was closed
            for _ in range(40):
                client.send(frame(DATA, 0, 1, bytes(300)))
                client.settle()
                server.skip(1.0)
        client.listen()

        assert client.closed
        assert client.goaways == [ErrorCode.NO_ERROR]


# Clients whose link is gone.


def test_client_that_vanishes_while_it_waits_is_gone_for_the_application() -> None:
    recorder = Recorder()

    async def poll(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        recorder.note((await receive())["type"])

    recorder.act = poll
    with (
        running(recorder, options(ping_interval=1.0), skipping=True) as server,
        Hostile(server.port) as client,
    ):
        client.send(get(1))
        client.settle()
        recorder.next()
        cut(client.socket)

        def ended() -> bool:
            server.skip(2.0)  # TCP notices in its own time that nothing arrives
            return not recorder.empty

        until(ended, "the end")

        assert recorder.next() == "http.disconnect"


def test_client_that_answers_no_ping_is_not_gone_if_a_segment_must_be_repeated_just_now() -> None:
    held = Held()
    with (
        running(held, options(ping_interval=20.0), skipping=True) as server,
        Hostile(server.port) as client,
    ):
        client.send(get(1))
        client.settle()
        connections: set[Any] = {*server.server.server_state.connections}
        transport = Connected(connections.pop().get_extra_info("socket"))
        cut(client.socket)
        server.skip(30.0)
        until(lambda: unacknowledged_for(transport) > 0, "the PING, sent once more")
        server.skip(60.0)
        mend(client.socket)
        held.gate.open()

        assert client.status(1) == 200
        assert client.goaways == []


def test_client_that_reads_nothing_for_minutes_while_it_works_is_not_gone() -> None:
    """As httpx without an event loop, whose caller works on an event that came."""
    held = Held()
    with (
        running(held, options(ping_interval=20.0), skipping=True) as server,
        Hostile(server.port) as client,
    ):
        client.send(get(1))
        client.settle()
        server.skip(300.0, steps=30)
        held.gate.open()

        assert client.status(1) == 200
        assert [asked.flags for asked in client.frames(PING)][-1] == 0
        assert client.goaways == []


def test_client_that_answers_pings_may_wait_for_ever() -> None:
    held = Held()
    with (
        running(held, options(ping_interval=20.0), skipping=True) as server,
        Hostile(server.port) as client,
    ):
        client.send(get(1))
        client.settle()
        for turn in range(10):
            server.skip(25.0)
            asked = client.until(PING, 0, turn + 2)
            client.send(frame(PING, ACK, 0, asked.payload))
            client.listen()
        held.gate.open()

        assert client.status(1) == 200


def test_connection_without_requests_is_asked_nothing() -> None:
    with (
        running(Recorder(), options(ping_interval=5.0), skipping=True) as server,
        Hostile(server.port) as client,
    ):
        client.send(get(1))
        client.until(DATA, 1)
        server.skip(20.0)
        client.settle()

        assert [heard.flags for heard in client.frames(PING)] == [ACK]


# A process that stood still.


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_standstill_is_held_against_nobody_who_sent_in_time(loop: str) -> None:
    """The process is stopped for longer than all its times; a laptop's lid does the same."""
    times = [f"--{name}-timeout=5" for name in ("preface", "header", "body", "handshake", "stall")]
    greeting = PREFACE + frame(SETTINGS) + frame(SETTINGS, ACK)
    head = b"GET / HTTP/1.1\r\nHost: a\r\n"
    upload = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    over_http2 = [(b"", greeting + get(1)), (greeting + get(1)[:9], get(1)[9:])]
    over_http1 = [(b"", head + b"\r\n"), (head, b"\r\n"), (upload, b"hello")]
    with (
        serving("tests.server.attacked_app:app", "--loop", loop, "--no-learn", *times) as server,
        ExitStack() as stack,
    ):
        said = [*over_http2, *over_http1]
        clients = [stack.enter_context(Hostile(server.port, greet=False)) for _ in said]
        for client, (before, _) in zip(clients, said, strict=True):
            client.send(before)
        last = stack.enter_context(Hostile(server.port))
        last.send(get(1))
        last.until(DATA, 1)  # those before it were taken in
        server.process.send_signal(signal.SIGSTOP)
        for client, (_, after) in zip(clients, said, strict=True):
            client.send(after)
        time.sleep(7)
        server.process.send_signal(signal.SIGCONT)

        assert [client.status(1) for client in clients[:2]] == [200, 200]
        answers = [client.socket.recv(65536)[:12] for client in clients[2:]]
        assert answers == [b"HTTP/1.1 200"] * 3


@pytest.mark.parametrize(("late", "lost"), [(0.2, 0.0), (0.9, 0.0), (5.0, 5.0)])
def test_ordinary_delay_is_no_standstill(late: float, lost: float) -> None:
    assert standstill(100 + late, 100) == pytest.approx(lost)
