"""What the checker makes of frame headers, however the segments are cut."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import ngh2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from headstart.config import WireLimits
from headstart.errors import StreamGoneError
from headstart.reasons import Closing
from headstart.wire.connection import ErrorCode
from headstart.wire.fields import response_fields
from headstart.wire.frame_checks import ClientFrameChecker, Violation
from tests.wire.pair import Pair

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, _, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(
    10
)
PRIORITY_UPDATE, UNKNOWN = 0x10, 0xBE
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 1, 4, 8, 0x20
WHOLE = END_STREAM | END_HEADERS


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113, 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def checker(live: Iterable[int] = ()) -> ClientFrameChecker:
    """A checker that has seen the preface, beside an engine with these streams."""
    made = ClientFrameChecker(set(live), 100)
    assert made.walk(PREFACE) is None
    return made


def error(offence: Violation | None) -> ErrorCode | None:
    """What the GOAWAY says."""
    return None if offence is None else offence.error_code


def test_requests_in_order_are_no_offence_and_need_no_look() -> None:
    seen = checker()

    offence = seen.walk(b"".join(frame(HEADERS, WHOLE, 2 * n + 1, b"block") for n in range(10)))

    assert offence is None
    assert (seen.last, seen.due) == (19, False)


def test_streams_that_the_client_leaves_out_are_not_opened() -> None:
    seen = checker()

    for number in (5, 7, 1001):
        seen.walk(frame(HEADERS, WHOLE, number, b"block"))

    assert (seen.last, seen.opened) == (1001, 3)


BODY = frame(HEADERS, END_HEADERS, 1)
RESET = frame(RST_STREAM, 0, 1, bytes(4))


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        # h2spec 5.1/8 and 9; RFC 9113, 5.1: closed by the client's RST_STREAM.
        ([BODY, RESET, frame(DATA, END_STREAM, 1, b"x")], ErrorCode.STREAM_CLOSED),
        ([BODY + RESET + frame(DATA, END_STREAM, 1, b"x")], ErrorCode.STREAM_CLOSED),
        ([BODY + RESET + frame(HEADERS, WHOLE, 1)], ErrorCode.STREAM_CLOSED),
        # h2spec 5.1/11 and 12: closed by END_STREAM on both sides.
        ([frame(HEADERS, WHOLE, 1), frame(DATA, END_STREAM, 1, b"x")], ErrorCode.STREAM_CLOSED),
        ([frame(HEADERS, WHOLE, 1), frame(HEADERS, WHOLE, 1)], ErrorCode.STREAM_CLOSED),
        # h2spec 5.1.1/2; RFC 9113, 5.1.1.
        ([frame(HEADERS, WHOLE, 5) + frame(HEADERS, WHOLE, 3)], ErrorCode.PROTOCOL_ERROR),
        ([frame(HEADERS, WHOLE, 5), frame(HEADERS, WHOLE, 1)], ErrorCode.PROTOCOL_ERROR),
        # h2spec 6.3/1; RFC 9113, 6.3.
        ([frame(PRIORITY, 0, 0, bytes(5))], ErrorCode.PROTOCOL_ERROR),
        # h2spec 5.3.1/1 and 2; RFC 7540, 5.3.1.
        ([frame(PRIORITY, 0, 1, b"\0\0\0\x01\x10")], ErrorCode.PROTOCOL_ERROR),
        (
            [frame(HEADERS, WHOLE | WITH_PRIORITY, 1, b"\x80\0\0\x01\x10block")],
            ErrorCode.PROTOCOL_ERROR,
        ),
        (
            [frame(HEADERS, WHOLE | WITH_PRIORITY | PADDED, 1, b"\0\0\0\0\x01\x10block")],
            ErrorCode.PROTOCOL_ERROR,
        ),
    ],
)
def test_what_the_engine_ignores_is_an_offence(segments: list[bytes], expected: ErrorCode) -> None:
    seen = checker()

    offences = [seen.walk(segment) for segment in segments]

    assert offences[:-1] == [None] * (len(segments) - 1)
    assert error(offences[-1]) is expected
    assert offences[-1] is not None
    assert offences[-1].reason is Closing.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "frames",
    [
        [frame(DATA, 0, 0, b"x")],
        [frame(DATA, END_STREAM, 2, b"x")],
        [frame(DATA, END_STREAM, 3, b"x")],
        [frame(HEADERS, WHOLE, 1), frame(DATA, END_STREAM, 1, b"x")],
        [frame(HEADERS, WHOLE, 1), frame(HEADERS, WHOLE, 1)],
        [frame(PRIORITY, 0, 1, bytes(4))],
        [frame(HEADERS, WHOLE | WITH_PRIORITY, 1, bytes(4))],
    ],
    ids=["stream 0", "even", "idle", "half-closed", "half-closed again", "size", "no priority"],
)
def test_what_the_engine_answers_is_left_to_it(frames: list[bytes]) -> None:
    assert checker().walk(b"".join(frames)) is None


def test_stream_that_is_half_closed_is_the_engines() -> None:
    seen = checker(live=[1])
    seen.walk(frame(HEADERS, WHOLE, 1))

    assert seen.walk(frame(DATA, END_STREAM, 1, b"x")) is None


def test_body_may_come_after_we_have_reset_its_stream() -> None:
    seen = checker()
    seen.walk(BODY)

    assert seen.walk(frame(DATA, 0, 1, b"x")) is None
    assert seen.walk(frame(HEADERS, END_HEADERS, 1, b"trailers")) is None
    assert seen.walk(frame(DATA, 0, 1, b"x")) is None
    assert seen.walk(frame(HEADERS, WHOLE, 1, b"trailers")) is None
    assert error(seen.walk(frame(DATA, END_STREAM, 1, b"x"))) is ErrorCode.STREAM_CLOSED


def test_streams_that_nobody_ended_are_not_remembered_without_end() -> None:
    seen = checker(live=[1])

    for number in range(2000):
        assert seen.walk(frame(HEADERS, END_HEADERS, 2 * number + 1)) is None

    assert seen.walk(frame(DATA, END_STREAM, 1)) is None
    assert error(seen.walk(frame(DATA, END_STREAM, 3))) is ErrorCode.STREAM_CLOSED


def test_header_section_in_too_many_frames_is_an_offence() -> None:
    seen = checker()
    seen.walk(frame(HEADERS, END_STREAM, 1))

    answers = [seen.walk(frame(CONTINUATION, 0, 1)) for _ in range(9)]

    assert answers == [None] * 8 + [
        Violation(ErrorCode.ENHANCE_YOUR_CALM, Closing.CONTINUATION_FLOOD)
    ]


@pytest.mark.parametrize(
    "useless",
    [
        frame(PRIORITY, 0, 1, bytes(5)),
        frame(PRIORITY_UPDATE, 0, 0, bytes(4)),
        frame(UNKNOWN, 0, 1, b"x"),
        frame(GOAWAY, 0, 0, bytes(8)),
        frame(PING, END_STREAM, 0, bytes(8)),
        frame(RST_STREAM, 0, 1, bytes(4)),
        frame(HEADERS, END_HEADERS, 3) + frame(DATA, 0, 3),
    ],
    ids=["PRIORITY", "PRIORITY_UPDATE", "unknown", "GOAWAY", "PING ACK", "RST_STREAM", "DATA"],
)
def test_frames_that_ask_for_nothing_are_counted(useless: bytes) -> None:
    seen = checker()
    seen.walk(frame(HEADERS, WHOLE, 1))

    assert seen.walk(useless) is None

    assert (seen.useless, seen.due) == (1, True)


@pytest.mark.parametrize(
    "honest",
    [
        frame(SETTINGS, 0, 0),
        frame(PING, 0, 0, bytes(8)),
        frame(WINDOW_UPDATE, 0, 0, bytes(4)),
        frame(RST_STREAM, 0, 1, bytes(4)),
    ],
)
def test_frames_that_the_engine_tells_of_are_not_counted_twice(honest: bytes) -> None:
    seen = checker(live=[1])
    seen.walk(frame(HEADERS, WHOLE, 1))

    seen.walk(honest)

    assert (seen.useless, seen.due) == (0, False)


def test_window_updates_over_the_allowance_want_a_look() -> None:
    seen = checker()
    update = frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")

    seen.walk(update * 100)
    before = seen.due
    seen.walk(update)

    assert (before, seen.due, seen.window_updates) == (False, True, 101)


@pytest.mark.parametrize(
    ("one", "count"),
    [
        (frame(DATA, 0, 1, b"x"), 256),
        (frame(DATA, 0, 1, bytes(16_384)), 256),
        (frame(HEADERS, WHOLE, 1, bytes(100)), 63),
        (frame(HEADERS, WHOLE, 1, bytes(16_000)), 1),
        (frame(WINDOW_UPDATE, 0, 1, bytes(4)), 228),
    ],
    ids=["small DATA", "large DATA", "requests", "large requests", "other frames"],
)
@pytest.mark.parametrize("ahead", [0, 1, 5, 9, 12], ids=lambda size: f"{size} bytes before")
def test_what_is_walked_in_one_turn_is_bounded_by_what_it_brings_about(
    one: bytes, count: int, ahead: int
) -> None:
    seen = checker()
    segment = BODY + one * 1000
    seen.walk(segment[: len(BODY) + ahead])
    rest = segment[len(BODY) + ahead :]

    size = seen.first_part(rest)

    begun = (len(one) - ahead) % len(one)  # of a frame that the segment before began
    assert size == begun + count * len(one)


@given(data=st.binary(max_size=40_000), cuts=st.lists(st.integers(1, 20_000), max_size=4))
def test_parts_are_the_whole_and_none_is_empty(data: bytes, cuts: list[int]) -> None:
    seen = checker(live=range(1, 100))
    segment = BODY + data
    for cut in [*cuts, len(segment)]:
        part, segment = segment[:cut], segment[cut:]
        while part:
            size = seen.first_part(part)
            assert 0 < size <= len(part)
            if seen.walk(part[:size]) is not None:
                return
            part = part[size:]


def test_unfinished_tells_one_beginning_from_another() -> None:
    seen = checker()
    request = frame(HEADERS, WHOLE, 1, b"block")
    nothing = seen.unfinished

    seen.walk(request[:4])
    first = seen.unfinished
    seen.walk(request[4:7])
    still = seen.unfinished
    seen.walk(request[7:] + frame(HEADERS, WHOLE, 3, b"block")[:4])
    second = seen.unfinished

    assert nothing is None
    assert first == still != second


def test_header_section_is_unfinished_until_its_last_frame() -> None:
    seen = checker()
    seen.walk(frame(SETTINGS, 0, 0))

    seen.walk(frame(HEADERS, END_STREAM, 1, b"block"))
    begun = seen.unfinished
    seen.walk(frame(CONTINUATION, 0, 1, b"more"))
    going_on = seen.unfinished
    seen.walk(frame(CONTINUATION, END_HEADERS, 1, b"more"))

    assert begun == going_on is not None
    assert seen.unfinished is None


def test_frame_without_its_payload_is_unfinished_but_for_data() -> None:
    seen = checker()

    seen.walk(frame(HEADERS, WHOLE, 1, b"block")[:-2])
    headers = seen.unfinished
    seen.walk(b"ck" + BODY.replace(b"\x01", b"\x03") + frame(DATA, 0, 3, b"body")[:-2])

    assert headers is not None
    assert seen.unfinished is None


FRAMES = st.lists(
    st.builds(
        frame,
        # Without RST_STREAM: whether its stream still lives is the engine's to say.
        st.sampled_from(sorted({*range(11), PRIORITY_UPDATE, UNKNOWN} - {RST_STREAM})),
        st.sampled_from([0, END_STREAM, WHOLE, WHOLE | WITH_PRIORITY, WITH_PRIORITY | PADDED]),
        st.integers(0, 9),
        st.one_of(st.binary(max_size=12), st.just(bytes(20)), st.just(b"\0\0\0\x01\x10")),
    ),
    max_size=30,
).map(b"".join)


@given(data=FRAMES, cuts=st.lists(st.integers(0, 400), max_size=20))
def test_cutting_segments_elsewhere_changes_nothing(data: bytes, cuts: list[int]) -> None:
    live = range(1, 100)  # what is half-closed depends on the segments, but nobody else does
    whole, cut = checker(live), checker(live)
    ends = sorted(min(at, len(data)) for at in cuts)

    expected = whole.walk(data)
    answers = [
        cut.walk(data[start:end]) for start, end in zip([0, *ends], [*ends, len(data)], strict=True)
    ]

    first = next((answer for answer in answers if answer is not None), None)
    assert first == expected
    if expected is None:
        assert (cut.last, cut.useless, cut.window_updates, cut.unfinished) == (
            whole.last,
            whole.useless,
            whole.window_updates,
            whole.unfinished,
        )


@given(data=st.binary(max_size=400))
def test_anything_at_all_can_be_walked(data: bytes) -> None:
    checker().walk(data)


class Honest(RuleBasedStateMachine):
    """A real engine as the client, which does as it likes; both sides reset and answer."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(limits=WireLimits(max_resets=10_000, max_control_rate=10_000))
        self.client_side: list[int] = []
        self.server_side: list[int] = []
        self.on_the_way = b""

    @rule(end_stream=st.booleans())
    def ask(self, end_stream: bool) -> None:
        stream = self.pair.client.send_request(
            [
                (b":method", b"POST"),
                (b":scheme", b"https"),
                (b":authority", b"example.test"),
                (b":path", b"/"),
            ],
            end_stream=end_stream,
        )
        self.server_side.append(stream)
        if not end_stream:
            self.client_side.append(stream)

    @rule(data=st.data(), end_stream=st.booleans(), size=st.integers(0, 3000))
    def send(self, data: st.DataObject, end_stream: bool, size: int) -> None:
        if stream := self._some(data, self.client_side):
            with suppress(ngh2.NGH2Error):
                self.pair.client.send_data(stream, bytes(size), end_stream=end_stream)
            if end_stream:
                self.client_side.remove(stream)

    @rule(data=st.data())
    def trail(self, data: st.DataObject) -> None:
        if stream := self._some(data, self.client_side):
            with suppress(ngh2.NGH2Error):
                self.pair.client.send_trailers(stream, [(b"a", b"b")])
            self.client_side.remove(stream)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if stream := self._some(data, self.server_side):
            with suppress(ngh2.NGH2Error):
                self.pair.client.reset_stream(stream, ErrorCode.CANCEL)

    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        if stream := self._some(data, self.server_side):
            self.pair.server.reset(stream, ErrorCode.REFUSED_STREAM)
            self.write()  # and the client goes on until it hears it

    @rule(data=st.data(), size=st.integers(0, 3000))
    def answer(self, data: st.DataObject, size: int) -> None:
        if stream := self._some(data, self.server_side):
            with suppress(StreamGoneError):
                self.pair.server.respond(stream, response_fields(200, []), end_stream=False)
                self.pair.server.send_data(stream, bytes(size), True)

    @rule()
    def write(self) -> None:
        self.on_the_way += self.pair.server.output()
        self.pair.server.after_output(0.0)

    @rule()
    def hear(self) -> None:
        self.pair.client.receive_data(self.on_the_way)
        self.pair.client.events()
        self.on_the_way = b""

    @rule(cut=st.integers(1, 60))
    def arrive(self, cut: int) -> None:
        written = self.pair.client.data_to_send()
        self.pair.feed(written[:cut])
        if written[cut:]:
            self.pair.feed(written[cut:])

    @invariant()
    def goes_on(self) -> None:
        assert self.pair.server.ended is None

    def _some(self, data: st.DataObject, streams: list[int]) -> int:
        return data.draw(st.sampled_from(streams[-3:])) if streams else 0


TestHonest = Honest.TestCase
TestHonest.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
