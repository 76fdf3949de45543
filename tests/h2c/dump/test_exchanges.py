"""Frames put together to exchanges."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.h2c.dump.exchanges import Bounds, Exchange, Exchanges
from headstart.h2c.dump.text import Source
from headstart.wire.frames import Direction, Frame, FrameDecoder
from tests.h2c.transcript import (
    RECEIVED,
    SENT,
    data,
    fields,
    headers,
    promise,
    request,
    reset,
    response,
)

ONE = Source(1, 1000.0)
TWO = Source(2, 1000.0)


def made(bounds: Bounds | None = None) -> Exchanges:
    return Exchanges(lambda frame, source: f"{frame.kind}({frame.stream_id})".encode(), bounds)


def run(exchanges: Exchanges, *frames: Frame, source: Source = ONE) -> list[Exchange]:
    return [done for frame in frames for done in exchanges.take(frame, source)]


def test_an_exchange_is_finished_when_both_sides_have_ended_it() -> None:
    exchanges = made()

    assert run(exchanges, request(1.0, 1), response(1.5, 1, 200)) == []
    (done,) = run(exchanges, data(2.0, RECEIVED, 1, b"body", end=True))

    assert (done.status, bytes(done.response.body), done.response.size) == (200, b"body", 4)
    assert (done.began, done.request.ended, done.response.began) == (1.0, 1.0, 1.5)
    assert (done.response.ended, done.last) == (2.0, 2.0)
    assert (done.unfinished, done.error, done.parent) == (False, "", 0)
    assert done.response.transferred == (10 + 9) + (4 + 9)
    assert exchanges.close() == []


def test_an_answer_before_the_end_of_the_upload_waits_for_that() -> None:
    exchanges = made()
    upload = [request(1.0, 1, method="POST"), data(1.1, SENT, 1, b"abc")]

    assert run(exchanges, *upload, response(1.2, 1, 413, end=True)) == []
    (done,) = run(exchanges, data(1.3, SENT, 1, b"def", end=True))

    assert (bytes(done.request.body), done.status) == (b"abcdef", 413)


def test_a_103_and_trailers_are_kept_apart_from_the_final_response() -> None:
    (done,) = run(
        made(),
        request(1.0, 1, method="POST"),
        headers(1.1, SENT, 1, ("sum", "1"), end=True),
        response(1.2, 1, 103, ("link", "</a>")),
        response(1.3, 1, 200, ("a", "b")),
        headers(1.4, RECEIVED, 1, ("checksum", "2"), end=True),
    )

    (hint,) = done.informational
    assert (hint.at, hint.status) == (1.2, 103)
    assert hint.headers == fields((":status", "103"), ("link", "</a>"))
    assert done.response.headers == fields((":status", "200"), ("a", "b"))
    assert done.response.trailers == fields(("checksum", "2"))
    assert done.request.trailers == fields(("sum", "1"))


def test_a_push_begins_with_its_promise_and_knows_its_parent() -> None:
    done = run(
        made(),
        request(1.0, 1),
        promise(1.1, 1, 2, "/style.css"),
        response(1.2, 1, 200, end=True),
        response(1.3, 2, 200),
        data(1.4, RECEIVED, 2, b"css", end=True),
    )

    page, pushed = done
    assert (page.stream_id, pushed.stream_id, pushed.parent) == (1, 2, 1)
    assert (pushed.began, pushed.request.value(b":path")) == (1.1, b"/style.css")
    assert page.frames == [b"HEADERS(1)", b"PUSH_PROMISE(1)", b"HEADERS(1)"]
    assert pushed.frames == [b"PUSH_PROMISE(1)", b"HEADERS(2)", b"DATA(2)"]


def test_an_upgrade_is_the_request_of_stream_1() -> None:
    asked = fields((":method", "GET"), (":scheme", "http"), (":path", "/x"), ("upgrade", "h2c"))

    (done,) = run(
        made(),
        Frame(1.0, SENT, "UPGRADE", stream_id=1, headers=asked),
        Frame(1.1, RECEIVED, "UPGRADE", stream_id=1, headers=fields((":status", "101"))),
        Frame(1.2, RECEIVED, "SETTINGS", 4),
        response(1.3, 1, 200, end=True),
    )

    assert (done.request.value(b":path"), done.request.ended, done.status) == (b"/x", 1.0, 200)
    assert [hint.status for hint in done.informational] == [101]


@pytest.mark.parametrize("direction", [SENT, RECEIVED])
def test_a_reset_finishes_an_exchange_and_says_whose_it_was(direction: Direction) -> None:
    (done,) = run(made(), request(1.0, 1), reset(1.5, direction, 1, "REFUSED_STREAM"))

    assert (done.error, done.reset_by, done.unfinished) == ("REFUSED_STREAM", direction, False)
    assert done.status == 0


def test_the_end_of_a_connection_gives_what_is_open_in_it_only() -> None:
    exchanges = made()
    run(exchanges, request(1.0, 1), request(1.0, 3))
    run(exchanges, request(1.0, 1), source=TWO)

    left = exchanges.end(ONE)

    assert [(e.source, e.stream_id, e.unfinished) for e in left] == [
        (ONE, 1, True),
        (ONE, 3, True),
    ]
    assert [(e.source, e.unfinished) for e in exchanges.close()] == [(TWO, True)]


def test_frames_of_no_exchange_are_strays_and_the_latest_are_kept() -> None:
    exchanges = made(Bounds(strays=20))

    run(
        exchanges,
        Frame(0.0, SENT, "SETTINGS", 4),
        Frame(0.1, RECEIVED, "PING", 6),
        response(0.2, 7, 200),
        headers(0.3, SENT, 9),
    )

    assert list(exchanges.strays) == [b"HEADERS(7)", b"HEADERS(9)"]


def test_a_frame_without_text_is_listed_nowhere() -> None:
    exchanges = Exchanges(lambda frame, source: b"")

    (done,) = run(
        exchanges, Frame(0.0, SENT, "PING", 6), request(1.0, 1), response(1.1, 1, 204, end=True)
    )

    assert (done.frames, done.frames_omitted, list(exchanges.strays)) == ([], 0, [])


def test_of_a_long_body_only_the_beginning_is_kept() -> None:
    pieces = [data(2.0, RECEIVED, 1, b"x" * 6) for _ in range(3)]

    (done,) = run(
        made(Bounds(body=10)),
        request(1.0, 1),
        response(1.5, 1, 200),
        *pieces,
        data(2.5, RECEIVED, 1, b"", end=True),
    )

    assert (len(done.response.body), done.response.size) == (10, 18)
    assert done.response.truncated
    assert not done.request.truncated


@pytest.mark.parametrize("bounds", [Bounds(frames=3), Bounds(frame_text=28)])
def test_of_many_frames_the_first_are_listed_and_the_others_counted(bounds: Bounds) -> None:
    pieces = [data(2.0, RECEIVED, 1, b"x") for _ in range(5)]

    (done,) = run(
        made(bounds), request(1.0, 1), response(1.5, 1, 200), *pieces, reset(3.0, SENT, 1)
    )

    assert done.frames == [b"HEADERS(1)", b"HEADERS(1)", b"DATA(1)"]
    assert done.frames_omitted == 5
    assert done.response.size == 5


@pytest.mark.parametrize("bounds", [Bounds(open_exchanges=2), Bounds(total=400)])
def test_where_too_much_is_open_the_oldest_is_given_up(bounds: Bounds) -> None:
    exchanges = made(bounds)

    given_up = run(exchanges, request(1.0, 1), request(1.1, 3), request(1.2, 5))

    assert [(e.stream_id, e.unfinished) for e in given_up] == [(1, True)]
    assert run(exchanges, response(1.3, 1, 200, end=True)) == []
    assert [e.stream_id for e in exchanges.close()] == [3, 5]


def test_what_is_finished_takes_no_room_any_more() -> None:
    exchanges = made(Bounds(total=2000))

    for stream in range(1, 401, 2):
        done = run(exchanges, request(1.0, stream), response(1.1, stream, 200, end=True))
        assert [(e.stream_id, e.unfinished) for e in done] == [(stream, False)]


def test_a_status_that_is_no_number_is_none() -> None:
    (done,) = run(made(), request(1.0, 1), headers(1.1, RECEIVED, 1, (":status", "1x3"), end=True))

    assert done.status == 0


def test_a_promise_of_a_stream_that_is_open_changes_nothing() -> None:
    exchanges = made()
    run(exchanges, request(1.0, 1), promise(1.1, 1, 2, "/a"), promise(1.2, 1, 2, "/b"))

    paths = [e.request.value(b":path") for e in exchanges.close()]

    assert paths == [b"/", b"/a"]


_KINDS = st.sampled_from([0, 1, 3, 5, 9, 0xBE])
_BLOCKS = st.sampled_from([b"\x82\x84\x86\x88", b"\x88", b"\x82", b"\x00\x00\x00\x02\x82", b""])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([SENT, RECEIVED]),
            _KINDS,
            st.sampled_from([0, 1, 4, 5, 8, 12]),
            st.integers(0, 4),
            _BLOCKS | st.binary(max_size=12),
        ),
        max_size=30,
    )
)
def test_no_frames_raise_and_what_is_kept_stays_within_bounds(
    sent: list[tuple[Direction, int, int, int, bytes]],
) -> None:
    bounds = Bounds(body=8, frames=3, open_exchanges=2, total=300, strays=50)
    exchanges = made(bounds)
    decoders = {way: FrameDecoder(way, preface=False) for way in Direction}
    sources = {Direction.SENT: ONE, Direction.RECEIVED: replace(ONE)}
    done: list[Exchange] = []

    for way, kind, flags, stream, payload in sent:
        raw = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
        for frame in decoders[way].feed(raw + payload, 1.0):
            done += exchanges.take(frame, sources[way])
    done += exchanges.close()

    assert all(len(e.response.body) <= 8 and len(e.frames) <= 3 for e in done)
    assert sum(map(len, exchanges.strays)) <= 50
