"""Frames decoded beside a connection: a real exchange, hand-made frames, and any bytes at all."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

import ngh2
import pytest
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.wire.frames import (
    MAX_CONTINUATIONS,
    MAX_HEADER_BLOCK,
    MAX_TABLE_SIZE,
    PREFACE,
    ConnectionFrames,
    Direction,
    Frame,
    FrameDecoder,
)
from headstart.wire.payloads import KINDS
from headstart.wire.upgrades import MAX_HEAD

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
REQUEST = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b":path", b"/"),
]


def raw(code: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """A frame, whatever it holds."""
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes([code, flags])
        + struct.pack(">I", stream)
        + (payload)
    )


def decoded(*chunks: bytes) -> list[Frame]:
    """The frames of a server's direction."""
    decoder = FrameDecoder(RECEIVED, preface=False)
    return [frame for chunk in chunks for frame in decoder.feed(chunk, 1.5)]


def one(code: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> Frame:
    """The one frame that one frame's bytes give."""
    (frame,) = decoded(raw(code, payload, flags=flags, stream=stream))
    return frame


class Exchange:
    """A client and a server in memory, and both directions of their bytes decoded."""

    def __init__(self, client_settings: dict[int, int] | None = None) -> None:
        self.client = ngh2.Connection(ngh2.Role.CLIENT)
        self.server = ngh2.Connection(ngh2.Role.SERVER)
        self.client.initiate_connection(client_settings or {})
        # Without it, neither side of the engine says PRIORITY_UPDATE (RFC 9218, 2.1.1).
        self.server.initiate_connection({ngh2.Setting.NO_RFC7540_PRIORITIES: 1})
        self.decoder = ConnectionFrames()
        self.frames: list[Frame] = []
        self.run()

    def run(self) -> list[Frame]:
        """Let both talk until neither has anything to say; the frames of that."""
        begin = len(self.frames)
        while (up := self.client.data_to_send()) or (down := self.server.data_to_send()):
            if up:
                self.frames += self.decoder.feed(SENT, up, 0.25)
                self.server.receive_data(up)
                continue
            self.frames += self.decoder.feed(RECEIVED, down, 0.5)
            self.client.receive_data(down)
        return self.frames[begin:]

    def request(self, headers: Iterable[tuple[bytes, bytes]] = ()) -> int:
        stream = self.client.send_request([*REQUEST, *headers], end_stream=True)
        self.run()
        return stream


def only(frames: Iterable[Frame], kind: str) -> list[Frame]:
    return [frame for frame in frames if frame.kind == kind]


# A real exchange.


def test_the_clients_preface_is_shown_before_its_settings() -> None:
    exchange = Exchange({ngh2.Setting.ENABLE_PUSH: 1})

    preface, frame = [frame for frame in exchange.frames if frame.direction is SENT][:2]

    assert (preface.kind, preface.type_code, preface.length) == ("PREFACE", None, 24)
    assert frame.kind == "SETTINGS"
    assert frame.flags == (("ACK", False),)
    assert ("ENABLE_PUSH", "1") in frame.details
    assert frame.at == 0.25


def test_a_push_is_decoded_from_its_promise_to_its_last_data() -> None:
    exchange = Exchange()
    page = exchange.request()

    pushed = exchange.server.send_push_promise(page, [*REQUEST[:3], (b":path", b"/data")])
    exchange.server.send_response(page, [(b":status", b"200")], end_stream=True)
    exchange.server.send_response(pushed, [(b":status", b"200")])
    exchange.server.send_data(pushed, b"hello world", end_stream=True)
    frames = exchange.run()

    (promise,) = only(frames, "PUSH_PROMISE")
    assert (promise.direction, promise.stream_id) == (RECEIVED, page)
    assert promise.headers[3] == (b":path", b"/data")
    assert ("promised stream", str(pushed)) in promise.details
    (data,) = only(frames, "DATA")
    assert (data.stream_id, data.data) == (pushed, b"hello world")
    assert ("END_STREAM", True) in data.flags
    assert ("PADDED", False) in data.flags


def test_a_103_is_told_apart_from_the_final_response_and_from_trailers() -> None:
    exchange = Exchange()
    stream = exchange.request()

    exchange.server.send_informational_response(
        stream, [(b":status", b"103"), (b"link", b"</a.css>; rel=preload; as=style")]
    )
    exchange.server.send_response(stream, [(b":status", b"200")])
    exchange.server.send_data(stream, b"x")
    exchange.server.send_trailers(stream, [(b"server-timing", b"db;dur=1")])
    hint, final, trailers = only(exchange.run(), "HEADERS")

    assert (hint.informational, hint.status, hint.trailers) == (True, 103, False)
    assert (final.informational, final.status, final.trailers) == (False, 200, False)
    assert (trailers.informational, trailers.status, trailers.trailers) == (False, None, True)
    assert trailers.headers == ((b"server-timing", b"db;dur=1"),)


def test_a_block_in_several_frames_is_whole_on_the_first_and_each_frame_is_shown() -> None:
    exchange = Exchange()
    long = (b"x-long", b"\x7e" * 20_000)  # "~" has a Huffman code longer than itself

    exchange.request([long])

    begin = [frame.kind for frame in exchange.frames].index("HEADERS")
    first, second = exchange.frames[begin : begin + 2]
    assert first.headers == (*REQUEST, long)
    assert ("END_HEADERS", False) in first.flags
    assert (second.kind, second.headers, second.problem) == ("CONTINUATION", (), "")
    assert second.flags == (("END_HEADERS", True),)
    assert first.length + second.length > 20_000


def test_a_goaway_tells_its_error_last_stream_and_debug_data() -> None:
    exchange = Exchange()
    stream = exchange.request()

    exchange.server.send_goaway(0x0B, last_stream_id=stream, debug_data=b"too\x1b[2J many\n")
    (goaway,) = only(exchange.run(), "GOAWAY")

    assert goaway.details == (
        ("last stream", "1"),
        ("error", "ENHANCE_YOUR_CALM"),
        ("debug data", "too\\x1b[2J many\\x0a"),
    )


def test_control_frames_of_the_engine_are_decoded() -> None:
    exchange = Exchange()
    stream = exchange.client.send_request(REQUEST)
    exchange.client.ping(b"01234567")
    exchange.client.send_priority_update(stream, b"u=1, i")
    exchange.run()
    exchange.server.send_origins([b"https://a.example", b"https://b.example"])
    exchange.server.send_alt_svc(b'h3=":443"', origin=b"https://a.example")
    exchange.client.reset_stream(stream, 0x08)
    exchange.run()

    ping, answer = only(exchange.frames, "PING")
    assert ping.details == answer.details == (("payload", "3031323334353637"),)
    assert (ping.flags, answer.flags) == ((("ACK", False),), (("ACK", True),))
    assert only(exchange.frames, "PRIORITY_UPDATE")[0].details == (
        ("prioritized stream", "1"),
        ("field value", "u=1, i"),
    )
    assert only(exchange.frames, "ORIGIN")[0].details == (
        ("origin", "https://a.example"),
        ("origin", "https://b.example"),
    )
    assert only(exchange.frames, "ALTSVC")[0].details == (
        ("origin", "https://a.example"),
        ("field value", 'h3=":443"'),
    )
    assert only(exchange.frames, "RST_STREAM")[0].details == (("error", "CANCEL"),)


def test_a_table_size_that_one_side_announces_is_allowed_to_the_other() -> None:
    exchange = Exchange({ngh2.Setting.HEADER_TABLE_SIZE: 65_536})
    grown = Encoder()
    grown.header_table_size = 65_536
    block = grown.encode([(b":status", b"200")])

    (frame,) = exchange.decoder.feed(RECEIVED, raw(1, block, flags=4, stream=1), 1.0)

    assert (frame.headers, frame.problem) == (((b":status", b"200"),), "")


def test_a_smaller_table_is_followed_when_the_encoder_says_so() -> None:
    exchange = Exchange({ngh2.Setting.HEADER_TABLE_SIZE: 0})
    for _ in range(2):
        stream = exchange.request()
        exchange.server.send_response(
            stream, [(b":status", b"200"), (b"x-a", b"b")], end_stream=True
        )
        (frame,) = only(exchange.run(), "HEADERS")
        assert frame.headers == ((b":status", b"200"), (b"x-a", b"b"))


def test_a_table_larger_than_is_kept_ends_the_decoding_of_headers() -> None:
    decoder = FrameDecoder(RECEIVED, preface=False)
    decoder.peer_settings(2**32 - 1)
    greedy = Encoder()
    greedy.header_table_size = MAX_TABLE_SIZE + 1
    block = greedy.encode([(b":status", b"200")])

    (frame,) = decoder.feed(raw(1, block, flags=4, stream=1), 0.0)

    assert frame.problem == "header block not decoded: InvalidTableSizeError"


def test_the_servers_side_sees_the_preface_in_what_it_received() -> None:
    decoder = ConnectionFrames(client=RECEIVED)

    (frame,) = decoder.feed(RECEIVED, PREFACE, 0.0)

    assert (frame.kind, frame.direction) == ("PREFACE", RECEIVED)
    assert decoder.feed(SENT, raw(4), 0.0)[0].kind == "SETTINGS"


# Hand-made frames: what is unknown.


def test_an_unknown_type_is_shown_by_number_with_its_payload_and_flags() -> None:
    frame = one(0xBE, b"\x00\xff", flags=0x41, stream=7)

    assert (frame.kind, frame.type_code, frame.stream_id) == ("UNKNOWN_0xbe", 0xBE, 7)
    assert frame.flags == (("0x01", True), ("0x40", True))
    assert frame.details == (("payload", "00ff"),)
    assert frame.data == b"\x00\xff"
    assert frame.problem == ""


# Hand-made frames: what the types say.


def test_headers_of_padding_alone_leave_the_block_to_the_continuation() -> None:
    block = Encoder().encode([(b":status", b"204")])

    first, second = decoded(
        raw(1, b"\x02\x00\x00", flags=0x08, stream=1), raw(9, block, flags=4, stream=1)
    )

    assert (first.headers, first.problem) == (((b":status", b"204"),), "")
    assert second.kind == "CONTINUATION"


def test_priority_is_shown_on_its_own_and_on_headers() -> None:
    fields = b"\x80\x00\x00\x03\x0f"
    expected = (("depends on stream", "3"), ("weight", "16"), ("exclusive", "yes"))
    block = Encoder().encode([(b":status", b"200")])

    assert one(0x02, fields, stream=5).details == expected
    frame = one(0x01, fields + block, flags=0x24, stream=5)
    assert (frame.details, frame.status) == (expected, 200)


def test_a_reserved_bit_is_no_part_of_the_number_behind_it() -> None:
    assert one(0x08, b"\x80\x00\x00\x01").details == (("increment", "1"),)
    assert one(0x07, b"\x80\x00\x00\x05" + bytes(4)).details[0] == ("last stream", "5")
    assert one(0xBE, stream=0x80000001).stream_id == 1


def test_a_status_that_is_no_number_is_none() -> None:
    block = Encoder().encode([(b":status", b"1x3")])

    frame = one(0x01, block, flags=4, stream=1)

    assert (frame.status, frame.informational) == (None, False)


# What is wrong.


@pytest.mark.parametrize(
    ("code", "payload", "flags", "stream", "problem"),
    [
        (0x00, b"x", 0, 0, "belongs on a stream"),
        (0x04, b"", 0, 1, "belongs on stream 0"),
        (0x0C, b"", 0, 1, "belongs on stream 0"),
        (0x04, b"12345", 0, 0, "Invalid SETTINGS body"),
        (0x04, bytes(6), 1, 0, "SETTINGS ack frame must not have payload: got 6 bytes"),
        (0x06, b"123", 0, 0, "PING frame must have 8 byte length: got 3"),
        (0x08, bytes(4), 0, 0, "WINDOW_UPDATE increment must be between 1 to 2^31-1"),
        (0x00, b"", 8, 1, "padding as long as the payload, or longer"),
        (0x00, b"\x01", 8, 1, "padding as long as the payload, or longer"),
        (0x0C, b"\x00\x05abc", 0, 0, "an origin is longer than the frame"),
        (0x10, b"abc", 0, 0, "no prioritized stream"),
        (0x01, b"123", 0x24, 1, "Invalid Priority data; header block not readable"),
        (0x09, b"\x88", 4, 1, "continues no header block"),
        (0x01, b"\xff\xff\xff\xff\xff\xff\xff", 4, 1, "not decoded: HPACKDecodingError"),
    ],
)
def test_a_malformed_frame_says_what_is_wrong_and_the_next_is_decoded(
    code: int, payload: bytes, flags: int, stream: int, problem: str
) -> None:
    bad, good = decoded(raw(code, payload, flags=flags, stream=stream), raw(6, bytes(8)))

    assert bad.problem.endswith(problem)
    assert bad.length == len(payload)
    assert (good.kind, good.problem) == ("PING", "")


def test_a_promise_of_an_odd_stream_is_a_problem_and_still_decoded() -> None:
    block = Encoder().encode(REQUEST)

    frame = one(0x05, b"\x00\x00\x00\x03" + block, flags=4, stream=1)

    assert frame.problem == "Invalid PUSH_PROMISE promised stream id: 3"
    assert frame.headers == tuple(REQUEST)


def test_after_a_block_that_was_lost_no_other_is_decoded() -> None:
    block = Encoder().encode([(b":status", b"200")])

    broken, second = decoded(raw(1, b"\xfe", flags=4, stream=1), raw(1, block, flags=4, stream=3))

    assert broken.problem == "header block not decoded: InvalidTableIndex"
    assert second.problem == "header block not decoded: an earlier one was lost"
    assert second.headers == ()


def test_a_frame_within_a_header_block_ends_it() -> None:
    block = Encoder().encode([(b":status", b"200")])

    first, ping, rest = decoded(
        raw(1, block, stream=1), raw(6, bytes(8)), raw(9, flags=4, stream=1)
    )

    assert first.problem == "another frame came within the header block"
    assert (ping.kind, ping.problem) == ("PING", "")
    assert rest.problem == "continues no header block"


def test_a_header_bomb_is_refused_within_the_bound() -> None:
    encoder = Encoder()
    value = b"v" * 3_900
    bomb = encoder.encode([(b"x", value)]) + b"\xbe" * 10_000  # 10,000 times the same entry

    frame = one(0x01, bomb, flags=4, stream=1)

    assert frame.problem == f"header block of more than {MAX_HEADER_BLOCK} bytes when decoded"


def test_a_flood_of_continuations_is_kept_only_up_to_the_bound() -> None:
    flood = raw(1, stream=1) + raw(9, stream=1) * (MAX_CONTINUATIONS + 5)

    frames = decoded(flood)

    assert len(frames) == MAX_CONTINUATIONS + 6
    assert frames[0].problem == "header block too long to keep"
    assert frames[-1].problem == "continues no header block"


@pytest.mark.parametrize("flags", [0, 4])
def test_a_block_too_long_is_not_decoded(flags: int) -> None:
    frame = one(0x01, bytes(MAX_HEADER_BLOCK + 1), flags=flags, stream=1)

    assert frame.problem == "header block too long to keep"


def test_a_client_that_speaks_something_else_is_said_so_once() -> None:
    decoder = FrameDecoder(SENT, preface=True)

    (frame,) = decoder.feed(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 0.0)

    assert (frame.kind, frame.length) == ("NOT_HTTP2", 24)
    assert frame.details == (("begins with", "GET / HTTP/1.1\\x0d\\x0aHost: lo"),)
    assert decoder.feed(b"more", 0.0) == decoder.end(1.0) == []


def test_a_server_that_speaks_http_1_is_said_so() -> None:
    (frame,) = decoded(b"HTTP/1.1 400", b" Bad Request\r\n\r\n")

    assert frame.kind == "NOT_HTTP2"
    assert frame.details == (("begins with", "HTTP/1.1 400 Bad Request"),)


def test_what_is_left_at_the_end_is_shown() -> None:
    connection = ConnectionFrames()
    connection.feed(SENT, PREFACE[:5], 0.0)
    connection.feed(RECEIVED, raw(1, b"\x88", stream=1) + raw(6)[:4], 0.0)

    preface, headers, rest = connection.end(2.0)

    assert (preface.kind, preface.direction, preface.length) == ("INCOMPLETE", SENT, 5)
    assert headers.problem == "the connection ended within the header block"
    assert (rest.kind, rest.length, rest.at) == ("INCOMPLETE", 4, 2.0)
    assert connection.end(3.0) == []


# Upgraded from HTTP/1.1.


ASKS = (
    b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAIAA\r\n\r\n"
)
GRANTS = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def fed(
    decoder: ConnectionFrames, *pieces: tuple[Direction, bytes]
) -> list[tuple[Direction, str, int]]:
    """Direction, kind and length of what comes out."""
    frames = [frame for way, data in pieces for frame in decoder.feed(way, data, 0.0)]
    return [(frame.direction, frame.kind, frame.length) for frame in frames]


def test_after_an_upgrade_both_directions_are_decoded() -> None:
    decoder = ConnectionFrames()

    shown = fed(
        decoder,
        (SENT, ASKS + b"content"),
        (RECEIVED, GRANTS + raw(4)),
        (SENT, PREFACE[:10]),
        (SENT, PREFACE[10:] + raw(4) + raw(6, bytes(8))),
    )

    assert shown == [
        (SENT, "UPGRADE", len(ASKS)),
        (RECEIVED, "UPGRADE", len(GRANTS)),
        (RECEIVED, "SETTINGS", 0),
        (SENT, "PREFACE", 24),
        (SENT, "SETTINGS", 0),
        (SENT, "PING", 8),
    ]
    assert decoder.end(1.0) == []


def test_the_request_of_an_upgrade_is_that_of_stream_1_with_its_settings() -> None:
    (asks,) = ConnectionFrames().feed(SENT, ASKS, 0.5)

    assert (asks.stream_id, asks.type_code, asks.problem) == (1, None, "")
    assert asks.headers[:2] == ((b":method", b"GET"), (b":scheme", b"http"))
    assert asks.details == (("HEADER_TABLE_SIZE", "32768"),)


def test_a_table_size_announced_with_an_upgrade_is_allowed_to_the_server() -> None:
    encoder = Encoder()
    encoder.header_table_size = 32768
    block = encoder.encode([(b":status", b"200")])
    decoder = ConnectionFrames()

    decoder.feed(SENT, ASKS, 0.0)
    *_, answer = decoder.feed(RECEIVED, GRANTS + raw(1, block, flags=4, stream=1), 0.0)

    assert (answer.status, answer.problem) == (200, "")


def test_an_upgrade_that_is_not_granted_is_http_1() -> None:
    decoder = ConnectionFrames()

    shown = fed(
        decoder,
        (SENT, ASKS),
        (RECEIVED, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (SENT, b"GET /y HTTP/1.1\r\nHost: a\r\n\r\n"),
    )

    assert [(way, kind) for way, kind, _ in shown] == [(SENT, "UPGRADE"), (RECEIVED, "NOT_HTTP2")]
    assert decoder.end(1.0) == []


@pytest.mark.parametrize(
    ("way", "head"),
    [
        (SENT, ASKS.replace(b"h2c", b"foo")),
        (RECEIVED, GRANTS.replace(b"h2c", b"foo")),
        (SENT, b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEAD),
        (RECEIVED, b"HTTP/1.1 101 Switching\r\nA: " + b"a" * MAX_HEAD),
    ],
)
def test_another_upgrade_and_a_head_without_end_are_no_http2(way: Direction, head: bytes) -> None:
    assert [kind for _, kind, _ in fed(ConnectionFrames(), (way, head))] == ["NOT_HTTP2"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=12))
def test_no_chunking_changes_an_upgrade(cuts: list[int]) -> None:
    sent = ASKS + b"content" + PREFACE + raw(4)
    received = GRANTS + raw(4)
    whole = fed(ConnectionFrames(), (SENT, sent), (RECEIVED, received))
    pieces = [
        (way, data[begin:end])
        for way, data in ((SENT, sent), (RECEIVED, received))
        for begin, end in pairwise([0, *sorted(cuts), 1000])
    ]

    assert fed(ConnectionFrames(), *pieces) == whole


# Any bytes at all.


def _frames() -> st.SearchStrategy[bytes]:
    """Frames of all types, mostly wrong, header blocks mostly right."""
    blocks = st.sampled_from([Encoder().encode(REQUEST), b"\x88", b"\xfe", b"\x3f\xe1\x1f"])
    payloads = st.one_of(st.binary(max_size=40), blocks)
    codes = st.one_of(st.sampled_from([0, 1, 4, 5, 9, 0xC, 0x10]), st.integers(0, 255))
    return st.builds(
        lambda code, payload, flags, stream: raw(code, payload, flags=flags, stream=stream),
        codes,
        payloads,
        st.one_of(st.sampled_from([0, 4, 8]), st.integers(0, 255)),
        st.integers(0, 3),
    )


def _streams() -> st.SearchStrategy[tuple[bool, bytes]]:
    return st.tuples(
        st.booleans(),
        st.builds(
            lambda start, frames, rest: start + b"".join(frames) + rest,
            st.sampled_from([b"", PREFACE, b"HTTP/1.1 200 OK"]),
            st.lists(_frames(), max_size=8),
            st.binary(max_size=30),
        ),
    )


@settings(max_examples=300, deadline=None)
@given(stream=_streams(), cuts=st.lists(st.integers(0, 500), max_size=20))
def test_no_bytes_raise_and_no_chunking_changes_the_frames(
    stream: tuple[bool, bytes], cuts: list[int]
) -> None:
    preface, data = stream
    whole, parts = FrameDecoder(SENT, preface), FrameDecoder(SENT, preface)
    edges = [0, *sorted(cuts), len(data)]

    frames = whole.feed(data, 0.0) + whole.end(1.0)
    chunks = [data[begin:end] for begin, end in pairwise(edges)]
    again = [frame for chunk in chunks for frame in parts.feed(chunk, 0.0)]
    again += parts.end(1.0)

    assert frames == again
    for frame in frames:
        assert frame.kind in KINDS or frame.kind.startswith("UNKNOWN_0x")
        assert all(part.isascii() and part.isprintable() for d in frame.details for part in d)
        assert frame.problem.isprintable()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=4))
def test_no_header_block_raises(blocks: list[bytes]) -> None:
    frames = decoded(*(raw(1, block, flags=4, stream=1) for block in blocks))

    assert len(frames) == len(blocks)
