"""What the checker makes of a server's frame headers, however the segments are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.reasons import Closing
from headstart.wire.connection import ErrorCode
from headstart.wire.frame_checks import Violation
from headstart.wire.server_frames import ServerFrameChecker

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING = range(7)
WINDOW_UPDATE, CONTINUATION, UNKNOWN = 8, 9, 0xBE
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 1, 4, 8, 0x20
WHOLE = END_STREAM | END_HEADERS


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113, 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def promise(parent: int, promised: int, flags: int = END_HEADERS) -> bytes:
    padding = b"\0" if flags & PADDED else b""
    return frame(PUSH_PROMISE, flags, parent, padding + promised.to_bytes(4, "big") + b"block")


def checker(*asked: int, push: bool = True) -> ServerFrameChecker:
    """A checker beside an engine that holds all streams, with these requests."""
    made = ServerFrameChecker(push, lambda _: True, 100)
    for stream in asked:
        made.asked(stream)
    return made


def error(offence: Violation | None) -> ErrorCode | None:
    """What the GOAWAY says."""
    return None if offence is None else offence.error_code


def test_responses_and_their_ends_are_no_offence_and_need_no_look() -> None:
    seen = checker(1, 3)

    offence = seen.walk(
        frame(HEADERS, END_HEADERS, 1)
        + frame(HEADERS, WHOLE, 3)
        + frame(DATA, 0, 1, b"page")
        + frame(DATA, END_STREAM, 1)
    )

    assert offence is None
    assert (seen.requests, seen.due) == (2, False)


CLOSED, PROTOCOL = ErrorCode.STREAM_CLOSED, ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (frame(HEADERS, WHOLE, 1) + frame(DATA, END_STREAM, 1, b"x"), CLOSED),
        (frame(HEADERS, WHOLE, 1) + frame(HEADERS, WHOLE, 1), CLOSED),
        (frame(HEADERS, WHOLE, 1) + promise(1, 2), PROTOCOL),
        (frame(RST_STREAM, 0, 1, bytes(4)) + frame(DATA, 0, 1, b"x"), CLOSED),
        (promise(1, 2) + frame(HEADERS, WHOLE, 2) + frame(DATA, 0, 2), CLOSED),
        (promise(1, 2, END_HEADERS | PADDED) + frame(HEADERS, WHOLE, 2), None),
        (promise(1, 4) + frame(HEADERS, WHOLE, 2), CLOSED),
        (frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1) * 8, None),
        (frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1) * 9, ErrorCode.ENHANCE_YOUR_CALM),
        (promise(1, 2, 0) + frame(CONTINUATION, 0, 1) * 9, ErrorCode.ENHANCE_YOUR_CALM),
        (frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL),
        (frame(PRIORITY, 0, 1, b"\0\0\0\1\0"), PROTOCOL),
        (frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, b"\0\0\0\1\0"), PROTOCOL),
        # The engine's to answer: idle streams, stream 0, a size that is too small.
        (frame(DATA, 0, 9, b"x") + frame(HEADERS, WHOLE, 2) + frame(DATA, 0, 0), None),
        (promise(9, 2) + promise(0, 4) + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0"), None),
        (promise(1, 4) + promise(1, 2) + promise(1, 7), None),
    ],
)
@given(st.data())
def test_frame_behind_the_servers_last_word_is_an_offence_however_it_is_cut(
    frames: bytes, expected: ErrorCode | None, draw: st.DataObject
) -> None:
    seen = checker(1)
    cuts = sorted(draw.draw(st.sets(st.integers(0, len(frames)), max_size=4)))

    offences = [
        seen.walk(memoryview(frames[start:end]))
        for start, end in zip([0, *cuts], [*cuts, len(frames)], strict=True)
    ]

    found = [offence for offence in offences if offence is not None]
    assert [error(offence) for offence in found[:1]] == ([] if expected is None else [expected])


def test_promise_where_push_is_off_is_an_offence() -> None:
    assert error(checker(1, push=False).walk(promise(1, 2))) is PROTOCOL


def test_what_crosses_our_reset_is_no_offence_but_its_header_sections_count() -> None:
    seen = checker(1)
    seen.closed(1)

    offence = seen.walk(
        frame(DATA, 0, 1, b"x") + frame(HEADERS, END_HEADERS, 1) + promise(1, 2) + promise(1, 4)
    )
    pushed = seen.walk(frame(HEADERS, END_HEADERS, 2) + frame(DATA, END_STREAM, 2))

    assert (offence, pushed) == (None, None)
    assert (seen.due, seen.useless) == (True, 4)


def test_servers_answer_to_our_reset_is_its_last_word() -> None:
    seen = checker(1)
    seen.closed(1)

    first = seen.walk(frame(RST_STREAM, 0, 1, bytes(4)))
    counted = seen.useless
    second = seen.walk(frame(DATA, 0, 1, b"x"))

    assert (first, counted) == (None, 0)
    assert error(second) is CLOSED


def test_stream_that_closes_behind_the_servers_last_word_excuses_nothing() -> None:
    seen = checker(1)
    seen.walk(frame(HEADERS, WHOLE, 1))
    seen.closed(1)

    assert error(seen.walk(frame(DATA, 0, 1, b"x"))) is CLOSED


def test_of_many_resets_the_oldest_are_forgotten_and_nothing_below_is_an_offence() -> None:
    seen = checker()
    for stream in range(1, 4001, 2):
        seen.asked(stream)
        seen.closed(stream)

    offences = [seen.walk(frame(DATA, 0, stream, b"x")) for stream in range(1, 4001, 2)]

    assert not any(offences)


@pytest.mark.parametrize(("stream", "expected"), [(999, None), (1001, CLOSED)])
def test_servers_last_word_counts_for_the_oldest_reset_that_is_remembered(
    stream: int, expected: ErrorCode | None
) -> None:
    seen = checker()
    for number in range(1, 2003, 2):  # one more than a thousand, so the older half is forgotten
        seen.asked(number)
        seen.closed(number)

    seen.walk(frame(RST_STREAM, 0, stream, bytes(4)))

    assert error(seen.walk(frame(DATA, 0, stream, b"x"))) is expected


def test_promises_that_the_engine_refused_silently_are_not_kept() -> None:
    looked_at: list[int] = []

    def is_live(stream: int) -> bool:
        looked_at.append(stream)
        return stream == 1

    seen = ServerFrameChecker(True, is_live, 100)
    seen.asked(1)

    for promised in range(2, 9000, 2):
        assert seen.walk(promise(1, promised)) is None
    offence = seen.walk(frame(HEADERS, WHOLE, 2) + frame(HEADERS, WHOLE, 1))

    assert offence is None
    # Each of them once or twice, not each time with all that came before.
    assert 1000 < len(looked_at) < 9000


@pytest.mark.parametrize(
    ("useless", "count"),
    [
        (frame(PING, END_STREAM, 0, bytes(8)), 1),
        (frame(PING, 0, 0, bytes(8)), 0),
        (frame(SETTINGS, 0, 0), 0),
        (frame(UNKNOWN, 0, 0), 1),
        (frame(PRIORITY, 0, 1, bytes(5)), 1),
        (frame(DATA, 0, 1), 1),
        (frame(DATA, 0, 1, b"x"), 0),
        (frame(RST_STREAM, 0, 9, bytes(4)), 1),
        (frame(WINDOW_UPDATE, 0, 0, bytes(4)), 0),
    ],
)
def test_frames_that_say_nothing_are_counted(useless: bytes, count: int) -> None:
    seen = checker(1)

    seen.walk(useless * 3)

    assert (seen.useless, seen.due) == (3 * count, count > 0)


def test_answer_to_a_ping_of_ours_says_something() -> None:
    seen = checker()
    seen.pinged()

    seen.walk(frame(PING, END_STREAM, 0, bytes(8)))

    assert seen.useless == 0


def test_windows_beyond_the_allowance_are_to_be_looked_at() -> None:
    seen = checker()

    within = seen.walk(frame(WINDOW_UPDATE, 0, 0, bytes(4)) * 100)
    due_within = seen.due
    seen.walk(frame(WINDOW_UPDATE, 0, 0, bytes(4)))

    assert (within, due_within, seen.due) == (None, False, True)


def test_reason_of_an_offence_is_one_for_the_log() -> None:
    offence = checker(1).walk(frame(HEADERS, WHOLE, 1) + frame(HEADERS, WHOLE, 1))

    assert offence is not None
    assert (offence.reason, offence.detail) == (
        Closing.PROTOCOL_ERROR,
        "HEADERS on a stream that it had ended (RFC 9113, 5.1)",
    )
