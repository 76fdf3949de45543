"""Timeouts of HTTP/1.1 at seconds that the test names; with a connection: `test_http1`."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from headstart.config import ServerOptions, WireLimits
from headstart.reasons import Closing
from headstart.server.early import SILENCE
from headstart.server.http1_deadlines import Http1Deadlines
from headstart.server.http1_parser import RequestParser
from headstart.server.http1_state import State
from headstart.server.lingering import Lingering
from tests.clock import ClockLoop
from tests.fuzzing.memory import Socket

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
OPTIONS = ServerOptions(header_timeout=10, body_timeout=30, min_body_rate=1000, stall_timeout=60)


class Watch:
    """Looks every second, as the worker does.

    Attributes:
        state, asked, reads, writes, waits_for_100, lingering: As in `Http1Deadlines.look`.
        now: Seconds.
    """

    def __init__(self) -> None:
        self.parser = RequestParser(WireLimits(), offers_websockets=False)
        with closing(ClockLoop()) as loop:
            self.socket = Socket(asyncio.Protocol(), loop)
        self._deadlines = Http1Deadlines(OPTIONS, 5, self.parser, self.socket)
        self.state, self.asked = State.IDLE, 0
        self.reads, self.writes, self.waits_for_100 = True, False, False
        self.lingering: Lingering | None = None
        self.now = 100.0

    def after(self, most: int) -> tuple[int, Closing] | None:
        """Return in which of so many seconds there was a reason to end, and which."""
        for second in range(most):
            reason = self._deadlines.look(
                self.now,
                self.state,
                self.asked,
                self.reads,
                self.writes,
                self.waits_for_100,
                self.lingering,
            )
            self.now += 1
            if reason is not None:
                return second, reason
        return None


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_client_that_says_nothing_has_the_time_of_a_head(watch: Watch) -> None:
    assert watch.after(100) == (10, Closing.PREFACE_TIMEOUT)


def test_head_that_does_not_end_is_told_apart(watch: Watch) -> None:
    watch.parser.feed(GET[:-2])

    assert watch.after(100) == (10, Closing.HEADERS_TIMEOUT)


def test_connection_without_requests_is_idle_after_the_last(watch: Watch) -> None:
    watch.parser.feed(GET)
    watch.asked = 1
    assert watch.after(5) is None
    watch.parser.feed(GET)
    watch.asked = 2

    assert watch.after(100) == (5, Closing.IDLE)


@pytest.mark.parametrize("state", [State.CALLED, State.RESPONDING])
def test_connection_whose_request_is_answered_is_not_idle(watch: Watch, state: State) -> None:
    watch.parser.feed(GET)
    watch.state = state

    assert watch.after(100) is None


def test_body_that_stops_is_too_slow(watch: Watch) -> None:
    watch.parser.feed(POST + bytes(30_000))
    watch.state = State.CALLED
    assert watch.after(31) is None
    watch.parser.feed(bytes(30_000))
    assert watch.after(30) is None

    assert watch.after(100) == (29, Closing.BODY_TIMEOUT)


def test_burst_of_a_body_pays_for_two_more_periods_at_most(watch: Watch) -> None:
    watch.parser.feed(POST + bytes(600_000))
    watch.state = State.CALLED
    assert watch.after(31) is None

    assert watch.after(100) == (89, Closing.BODY_TIMEOUT)


def test_burst_of_a_body_pays_for_the_time_after_a_pause_of_the_application(watch: Watch) -> None:
    watch.parser.feed(POST + bytes(60_000))
    watch.state, watch.reads = State.CALLED, False
    assert watch.after(5) is None

    watch.reads = True

    assert watch.after(100) == (89, Closing.BODY_TIMEOUT)


def test_body_that_nobody_waits_for_is_not_too_slow(watch: Watch) -> None:
    watch.parser.feed(POST)
    watch.state, watch.waits_for_100 = State.CALLED, True
    assert watch.after(100) is None
    watch.state, watch.waits_for_100 = State.RESPONDING, False
    assert watch.after(100) is None


def test_time_in_which_nothing_is_read_is_not_the_clients(watch: Watch) -> None:
    watch.parser.feed(POST)
    watch.state, watch.reads = State.CALLED, False
    assert watch.after(100) is None
    watch.reads = True

    assert watch.after(100) == (29, Closing.BODY_TIMEOUT)


def test_refused_client_has_a_while_to_read_why(watch: Watch) -> None:
    watch.state, watch.reads = State.LINGERING, False
    watch.lingering = Lingering(watch.socket, OPTIONS, watch.now)

    assert watch.after(100) == (SILENCE, Closing.CLOSED)


def test_client_that_reads_nothing_has_stalled(watch: Watch) -> None:
    watch.socket.write(b"response")
    watch.parser.feed(GET)
    watch.state = State.RESPONDING
    assert watch.after(50) is None
    watch.socket.read(1)

    assert watch.after(100) == (60, Closing.STALLED)
