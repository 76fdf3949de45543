"""Open load: when requests are due, what counts as an answer, and a server that stalls."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from bench.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADER,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    frame,
    no_push,
    request_fields,
)
from bench.latency import Generator, Talk, arrivals, is_failure, percentile, summary
from bench.sample import LoadFailed

FIELDS = request_fields(b"127.0.0.1:80", b"/")
ANSWER = frame(HEADERS, END_HEADERS, 1, b"\x88") + frame(DATA, END_STREAM, 1, b"Hello")


def asked(*due: float) -> Talk:
    talk = Talk(FIELDS)
    for each in due:
        talk.ask(each)
    talk.take()
    return talk


def test_arrivals_have_the_rate_and_are_the_same_for_a_seed() -> None:
    due = arrivals(1000, 10.0, seed=1)

    assert due == arrivals(1000, 10.0, seed=1) == sorted(due)
    assert due != arrivals(1000, 10.0, seed=2)
    assert 9_500 < len(due) < 10_500
    assert due[-1] < 10.0


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, 0.0), ([7.0], 0.99, 7.0), ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0)],
)
def test_percentile_is_a_value_that_was_measured(
    values: list[float], share: float, expected: float
) -> None:
    assert percentile(values, share) == expected


def test_percentile_leaves_one_in_a_hundred_above() -> None:
    assert percentile([float(number) for number in range(1, 1001)], 0.99) == 990.0


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_answer_is_timed_from_when_its_request_was_due(size: int) -> None:
    talk = asked(10.0)

    for at in range(0, len(ANSWER), size):
        talk.feed(ANSWER[at : at + size], 12.5)

    assert talk.answered == [(10.0, 12.5)]
    assert (talk.open, talk.errors) == (0, 0)


def test_first_bytes_are_the_preface_without_push() -> None:
    talk = Talk(FIELDS)

    talk.ask(0.0)

    request = frame(HEADERS, END_HEADERS | END_STREAM, 1, FIELDS)
    assert talk.take() == PREFACE + no_push() + request
    assert talk.take() == b""


def test_bytes_that_were_not_sent_go_first() -> None:
    talk = asked()
    talk.ask(0.0)

    whole = talk.take()
    talk.put_back(whole[5:])
    talk.put_back(b"")

    assert talk.take() == whole[5:]


def test_request_beyond_the_streams_waits_while_its_time_runs() -> None:
    talk = asked(*range(101))

    talk.feed(ANSWER, 500.0)

    assert talk.open == 100
    assert talk.take() == frame(HEADERS, END_HEADERS | END_STREAM, 201, FIELDS)
    talk.feed(frame(HEADERS, END_HEADERS | END_STREAM, 201, b"\x88"), 600.0)
    assert talk.answered[-1] == (100, 600.0)


def test_reset_is_an_error_and_a_late_one_changes_nothing() -> None:
    talk = asked(1.0)

    talk.feed(frame(RST_STREAM, 0, 1, bytes(4)) * 2, 2.0)

    assert (talk.errors, talk.open) == (1, 0)


def test_settings_and_ping_are_acknowledged() -> None:
    talk = asked()

    talk.feed(frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0) + frame(PING, 0, 0, b"12345678"), 0)

    assert talk.take() == frame(SETTINGS, ACK, 0) + frame(PING, ACK, 0, b"12345678")


@pytest.mark.parametrize(
    ("section", "failed"),
    [
        (b"\x88", False),
        (b"\x8d", True),  # 404
        (b"\x48\x82\x10\x01", False),  # 200 in Huffman's code
        (b"\x08\x03200", False),
        (b"\x08\x03503", True),
        (b"\xbe", False),  # the dynamic table's
        (b"\x3f\xe1\x1f\x88", False),  # a table's size first
    ],
)
def test_status_is_told_by_the_first_bytes(section: bytes, failed: bool) -> None:
    talk = asked(1.0)

    talk.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, section), 2.0)

    assert talk.errors == failed == is_failure(section)


def test_goaway_gives_back_what_was_not_processed() -> None:
    talk = asked(1.0, 2.0)

    talk.feed(frame(GOAWAY, 0, 0, (1).to_bytes(4, "big") + bytes(4)), 3.0)

    assert talk.leaving
    assert talk.take_refused() == [2.0]
    assert talk.open == 1


def test_goaway_with_an_error_is_a_failure() -> None:
    with pytest.raises(LoadFailed, match="error 11"):
        asked().feed(frame(GOAWAY, 0, 0, bytes(4) + (11).to_bytes(4, "big")), 0)


def serve(serving: Callable[[socket.socket], None], connections: int) -> int:
    """The port of a server that treats so many connections like that, each in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with listener:
            for _ in range(connections):
                peer, _ = listener.accept()
                threading.Thread(target=serving, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def answering(stall_at: int, stall: threading.Event, goaway_at: int = -1) -> Callable[..., None]:
    """Answers one request after the other; from one on only when told, and ends with GOAWAY."""

    def run(peer: socket.socket) -> None:
        # A client that closes with an answer unread resets the connection.
        with peer, suppress(ConnectionError):
            answer(peer)

    def answer(peer: socket.socket) -> None:
        answered = 0
        peer.recv(len(PREFACE), socket.MSG_WAITALL)
        while head := peer.recv(9, socket.MSG_WAITALL):
            high, low, kind, _, stream_id = HEADER.unpack(head)
            peer.recv(high << 8 | low, socket.MSG_WAITALL)
            if kind != HEADERS:
                continue
            if answered == stall_at:
                stall.wait()
            peer.sendall(frame(HEADERS, END_HEADERS | END_STREAM, stream_id, b"\x88"))
            answered += 1
            if answered == goaway_at:
                peer.sendall(frame(GOAWAY, 0, 0, stream_id.to_bytes(4, "big") + bytes(4)))

    return run


class Clock:
    """The time, which tells a server to go on when it is late enough.

    Args:
        after: Seconds from the first look on.
    """

    def __init__(self, after: float, event: threading.Event) -> None:
        self._begin = 0.0
        self._after = after
        self._event = event

    def __call__(self) -> float:
        now = time.perf_counter()
        self._begin = self._begin or now
        if now > self._begin + self._after:
            self._event.set()
        return now


def generate(port: int, due: list[float], clock: Callable[[], float]) -> Generator:
    with selectors.DefaultSelector() as selector:
        generator = Generator(port, "/", False, selector)
        try:
            generator.connect(1)
            generator.run(due, clock)
        finally:
            generator.close()
    return generator


def test_requests_that_were_due_while_the_server_stalled_took_long() -> None:
    go_on = threading.Event()
    port = serve(answering(stall_at=1, stall=go_on), 1)

    generator = generate(port, [0.01, 0.1, 0.2, 0.3], Clock(0.5, go_on))

    sample = summary(generator, 4, since=0.0, seconds=1.0)
    times = sorted(now - due for due, now in generator.talks[0].answered)
    assert sample.done == 4
    assert times[1] >= 0.2  # due at 0.3, and nothing was answered before 0.5
    assert times[3] >= 0.4
    assert sample.p99 == times[3]


def test_connection_that_the_server_leaves_is_replaced() -> None:
    never = threading.Event()
    port = serve(answering(stall_at=-1, stall=never, goaway_at=1), 3)

    generator = generate(port, [0.01, 0.1, 0.2], time.perf_counter)

    assert len(generator.talks) >= 2
    assert sum(len(talk.answered) for talk in generator.talks) == 3


def test_server_that_hangs_up_on_a_request_is_told() -> None:
    def hang_up(peer: socket.socket) -> None:
        with peer, suppress(ConnectionError):
            peer.recv(65536)

    with pytest.raises((LoadFailed, OSError), match=r"hung up on|reset"):
        generate(serve(hang_up, 1), [0.0, 1.0], time.perf_counter)


def test_requests_that_are_never_answered_are_no_good_sample() -> None:
    generator = Generator(0, "/", False, selectors.DefaultSelector())

    with pytest.raises(LoadFailed, match="7 of 7 requests"):
        summary(generator, 7, 0.0, 1.0)


def test_requests_of_the_warm_up_do_not_count() -> None:
    generator = Generator(0, "/", False, selectors.DefaultSelector())
    generator.talks = [Talk(FIELDS, answered=[(0.0, 9.0), (1.0, 1.5), (2.0, 2.25)], errors=1)]
    generator.late = [0.25, 0.5]

    sample = summary(generator, 3, since=1.0, seconds=2.0)

    assert (sample.rate, sample.done, sample.errors) == (1.0, 3, 1)
    assert (sample.p50, sample.p99, sample.late) == (0.25, 0.5, 0.5)
