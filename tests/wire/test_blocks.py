"""Field blocks that the engine would refuse, on their way through the client's side."""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack

import pytest
from hpack import Encoder, NeverIndexedHeaderTuple
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PushPromiseFrame,
    SettingsFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from headstart.config import ClientLimits, WireLimits
from headstart.reasons import Refusal
from headstart.wire.blocks import BlockRewriter
from headstart.wire.client import ClientConnection
from headstart.wire.events import (
    ClientEvent,
    DataReceived,
    Fields,
    PromiseReceived,
    PromiseRefused,
    RequestReceived,
    ResponseReceived,
    ServerEvent,
    StreamClosed,
    StreamReset,
    TrailersReceived,
)
from headstart.wire.server import ServerConnection
from tests.counting import calls_of

_OK = (b":status", b"200")
_LONG = b"q" * 66_000


class Server:
    """Writes what it is told, by hyperframe and hpack; the client gets it in pieces of any size."""

    def __init__(self, limits: ClientLimits | None = None, *, size: int = 1 << 20) -> None:
        self.client = ClientConnection(limits or ClientLimits(), True, 0.0)
        self.encoder = Encoder()
        self.events: list[ClientEvent] = []
        self.size = size
        self.say(SettingsFrame(0).serialize())

    def request(self) -> int:
        stream_id = self.client.request("GET", b"http", b"a.test", b"/", [], True)
        self.client.output()
        return stream_id

    def say(self, data: bytes) -> None:
        for at in range(0, len(data), self.size):
            self.events += self.client.receive(memoryview(data)[at : at + self.size], 0.0)

    def block(self, fields: Fields, *, huffman: bool) -> bytes:
        block: bytes = self.encoder.encode(fields, huffman=huffman)
        return block

    def answer(self, stream_id: int, fields: Fields, *, huffman: bool = True, cut: int = 0) -> None:
        """A whole response, with CONTINUATION frames of `cut` bytes where that is given."""
        block = self.block([_OK, *fields], huffman=huffman)
        parts = [block[at : at + cut] for at in range(0, len(block), cut)] if cut else [block]
        frames: list[HeadersFrame | ContinuationFrame] = [HeadersFrame(stream_id, parts[0])]
        frames += [ContinuationFrame(stream_id, part) for part in parts[1:]]
        frames[-1].flags.add("END_HEADERS")
        body = DataFrame(stream_id, b"page", flags=["END_STREAM"])
        self.say(b"".join(frame.serialize() for frame in frames) + body.serialize())

    def fields(self, stream_id: int) -> Fields:
        (response,) = [
            event
            for event in self.events
            if isinstance(event, ResponseReceived) and event.stream_id == stream_id
        ]
        assert any(isinstance(e, DataReceived) and e.stream_id == stream_id for e in self.events)
        assert self.client.ended is None
        return response.headers


def stripped(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    return [(name, value.strip(b" \t")) for name, value in fields]


@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize(
    "value",
    [b"b ", b" b", b"\tb", b"b\t", b" \t b \t ", b" ", b"\t", b"  ", b"default-src 'self'; ", b""],
)
def test_blanks_at_the_ends_of_a_value_are_not_part_of_it(value: bytes, huffman: bool) -> None:
    server = Server()
    stream_id = server.request()

    server.answer(stream_id, [(b"x-a", value), (b"x-b", b"b c")], huffman=huffman)

    assert server.fields(stream_id) == [(b"x-a", value.strip(b" \t")), (b"x-b", b"b c")]


_VALUES = st.one_of(
    st.text("ab \t;,é~", max_size=12).map(lambda text: text.encode()),
    st.text("ab \t;,é~", max_size=12).map(lambda text: text.encode("latin-1")),
    st.sampled_from([b" " * 300, b"v" * 200 + b" ", b"\t" + b"w" * 5000]),
)
_SECTIONS = st.lists(
    st.lists(
        st.tuples(st.sampled_from([b"x-a", b"x-b", b"server", b"etag"]), _VALUES, st.booleans()),
        max_size=6,
    ),
    min_size=1,
    max_size=8,
)


@given(_SECTIONS, st.booleans(), st.sampled_from([1, 7, 100, 1 << 20]), st.sampled_from([0, 3, 50]))
def test_the_tables_of_both_sides_stay_the_same_whatever_is_rewritten(
    sections: list[list[tuple[bytes, bytes, bool]]], huffman: bool, size: int, cut: int
) -> None:
    server = Server(size=size)
    for section in sections:
        stream_id = server.request()
        fields: Fields = [
            NeverIndexedHeaderTuple(name, value) if never else (name, value)
            for name, value, never in section
        ]
        block_size = sum(len(name) + len(value) + 9 for name, value in fields)

        server.answer(stream_id, fields, huffman=huffman, cut=max(cut, block_size // 8 + 1))

        assert server.fields(stream_id) == stripped((name, value) for name, value, _ in section)


@pytest.mark.parametrize("huffman", [True, False])
def test_value_of_more_than_64_kib_costs_its_own_stream_only(huffman: bool) -> None:
    server = Server()
    first, second, third = server.request(), server.request(), server.request()

    server.answer(first, [(b"x-a", b"1"), (b"x-b", b"2")])
    server.answer(second, [(b"x-a", b"1"), (b"x-long", _LONG)], huffman=huffman, cut=16_000)
    server.answer(third, [(b"x-a", b"1"), (b"x-b", b"2")])

    assert "65536 bytes" in server.client.take_problem(second)
    assert server.fields(first) == server.fields(third) == [(b"x-a", b"1"), (b"x-b", b"2")]


@pytest.mark.parametrize("limits", [ClientLimits(), ClientLimits(max_header_size=1 << 20)])
@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize(
    "name", [b"q" * 65_537, b"Q" * 70_000, b"q\r\n" + b"0" * 70_000, b"0" * 120_000]
)
def test_name_of_more_than_64_kib_costs_its_own_stream_only(
    name: bytes, huffman: bool, limits: ClientLimits
) -> None:
    server = Server(limits)
    first, second, third = server.request(), server.request(), server.request()

    server.answer(first, [(b"x-a", b"1"), (b"x-b", b"2")])
    server.answer(second, [(b"x-a", b"1"), (name, b"v")], huffman=huffman, cut=16_000)
    server.answer(third, [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-c", b"3")])
    fourth = server.request()
    server.answer(fourth, [(b"x-c", b"3"), (b"x-b", b"2")])

    assert "name of more than 65536 bytes" in server.client.take_problem(second)
    assert server.fields(first) == [(b"x-a", b"1"), (b"x-b", b"2")]
    assert server.fields(third) == [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-c", b"3")]
    assert server.fields(fourth) == [(b"x-c", b"3"), (b"x-b", b"2")]


@pytest.mark.parametrize("huffman", [True, False])
def test_name_of_64_kib_is_read(huffman: bool) -> None:
    server = Server(ClientLimits(max_header_size=200_000))
    stream_id = server.request()

    server.answer(stream_id, [(b"q" * 65_536, b"v")], huffman=huffman, cut=16_000)

    assert server.fields(stream_id) == [(b"q" * 65_536, b"v")]


def test_long_name_is_left_out_of_trailers_and_refuses_a_promise() -> None:
    server = Server()
    stream_id = server.request()
    promise = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a.test")]
    promise += [(b":path", b"/a.css"), (b"q" * 70_000, b"v")]
    block = server.block(promise, huffman=False)
    parts = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
    promising = PushPromiseFrame(stream_id, promised_stream_id=2, data=parts[0]).serialize()
    rest = [ContinuationFrame(stream_id, part) for part in parts[1:]]
    rest[-1].flags.add("END_HEADERS")
    server.say(promising + b"".join(frame.serialize() for frame in rest))
    head = HeadersFrame(stream_id, server.block([_OK], huffman=True), flags=["END_HEADERS"])
    server.say(head.serialize())
    block = server.block([(b"q" * 70_000, b"v"), (b"x-t", b"1")], huffman=False)
    parts = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
    trailers = HeadersFrame(stream_id, parts[0], flags=["END_STREAM"]).serialize()
    rest = [ContinuationFrame(stream_id, part) for part in parts[1:]]
    rest[-1].flags.add("END_HEADERS")
    server.say(trailers + b"".join(frame.serialize() for frame in rest))

    refused = [event for event in server.events if isinstance(event, PromiseRefused)]
    assert [event.refusal for event in refused] == [Refusal.FORBIDDEN_FIELD]
    (trailers_seen,) = [e for e in server.events if isinstance(e, TrailersReceived)]
    assert trailers_seen.headers == ((b"x-t", b"1"),)
    assert server.client.ended is None


@pytest.mark.parametrize("huffman", [True, False])
def test_value_of_more_than_64_kib_comes_where_the_limits_allow_it(huffman: bool) -> None:
    server = Server(ClientLimits(max_header_size=200_000))
    stream_id = server.request()
    fields = [(b"x-a", _LONG), (b"x-b", _LONG[::-1] + b" "), (b"x-c", b"c")]

    server.answer(stream_id, fields[:1], huffman=huffman, cut=16_384)
    again = server.request()
    server.answer(again, fields[1:], huffman=huffman, cut=16_384)

    assert server.fields(stream_id) == fields[:1]
    assert server.fields(again) == stripped(fields[1:])


def test_block_that_is_larger_than_a_frame_is_rewritten_in_several() -> None:
    server = Server()
    stream_id = server.request()
    fields = [(b"x-a", b"a" * 20_000 + b" "), (b"x-b", b"b" * 20_000 + b" ")]

    server.answer(stream_id, fields, huffman=False, cut=16_384)

    assert server.fields(stream_id) == stripped(fields)


@pytest.mark.parametrize("huffman", [True, False])
def test_offer_to_upgrade_is_dropped(huffman: bool) -> None:
    server = Server()
    first, second = server.request(), server.request()
    fields = [(b"x-a", b"1"), (b"upgrade", b"h2,h2c "), (b"x-b", b"2")]

    server.answer(first, fields, huffman=huffman)
    server.answer(second, fields, huffman=huffman)  # refers to the table

    assert server.fields(first) == server.fields(second) == [(b"x-a", b"1"), (b"x-b", b"2")]


def test_trailers_and_promises_are_read_alike() -> None:
    server = Server()
    page = server.request()
    promised = server.block(
        [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":authority", b"a.test"),
            (b":path", b"/x"),
            (b"accept", b"text/css "),
        ],
        huffman=True,
    )
    head = len(promised) + 4
    server.say(pack(">HBBBL", head >> 8, head & 0xFF, 5, 4, page) + pack(">L", 2) + promised)
    begin = server.block([_OK], huffman=True)
    server.say(HeadersFrame(page, begin, flags=["END_HEADERS"]).serialize())
    trailers = server.block([(b"x-t", b" t")], huffman=True)

    server.say(HeadersFrame(page, trailers, flags=["END_HEADERS", "END_STREAM"]).serialize())

    (promise,) = [event for event in server.events if isinstance(event, PromiseReceived)]
    assert promise.headers == [(b"accept", b"text/css")]
    (trailing,) = [event for event in server.events if isinstance(event, TrailersReceived)]
    assert trailing.headers == ((b"x-t", b"t"),)


def test_padding_and_priority_of_a_rewritten_block_do_no_harm() -> None:
    server = Server()
    page = server.request()
    block = server.block([_OK, (b"x-a", b"1 ")], huffman=True)

    server.say(
        HeadersFrame(
            page, block, pad_length=9, flags=["PADDED", "PRIORITY", "END_HEADERS", "END_STREAM"]
        ).serialize()
    )

    (response,) = [event for event in server.events if isinstance(event, ResponseReceived)]
    assert response.headers == [(b"x-a", b"1")]
    assert response.end_stream


def test_length_with_a_blank_is_a_length() -> None:
    server = Server()
    right, wrong = server.request(), server.request()

    server.answer(right, [(b"content-length", b" 4")])
    server.answer(wrong, [(b"content-length", b"5 ")])

    assert server.fields(right) == [(b"content-length", b"4")]
    assert server.client.output()
    closed = [event for event in server.client.after_output(0.0) if isinstance(event, StreamClosed)]
    assert [event.stream_id for event in closed] == [wrong]
    assert server.client.ended is None


@pytest.mark.parametrize(
    "frames",
    [
        ContinuationFrame(1, b"\x88", flags=["END_HEADERS"]).serialize(),
        HeadersFrame(1, b"\x88").serialize() + DataFrame(1, b"x").serialize(),
        HeadersFrame(1, b"\x88").serialize()
        + ContinuationFrame(3, b"\x88", flags=["END_HEADERS"]).serialize(),
        HeadersFrame(1, b"\x88").serialize()
        + HeadersFrame(1, b"\x88", flags=["END_HEADERS"]).serialize(),
        b"\xff\xff\xff\x01\x04\0\0\0\x01" + bytes(100),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_what_is_no_block_is_left_to_the_engine(frames: bytes) -> None:
    rewriter = BlockRewriter()

    assert b"".join(rewriter.rewrite(frames[at : at + 1]) for at in range(len(frames))) == frames
    assert rewriter.rewrite(b"more") == b"more"


@pytest.mark.parametrize(
    "block",
    [
        b"\x0f",
        b"\x00\x7f\xff\xff\xff\xff\xff\xff\x01",
        b"\x00\x01x\x05a ",
        b"\x00\x01x\x82\x14\x00",
        b"\x3f\xff\xff\xff\xff\xff\xff\xff",
        b"\xff",
    ],
)
def test_malformed_block_is_left_to_the_engine(block: bytes) -> None:
    frame = HeadersFrame(1, block, flags=["END_HEADERS"]).serialize()

    assert BlockRewriter().rewrite(frame) == frame


@given(st.binary(max_size=60), st.integers(0, 255), st.integers(1, 9))
def test_no_block_raises_and_none_is_lost(block: bytes, flags: int, size: int) -> None:
    frame = len(block).to_bytes(3, "big") + bytes([1, flags | 4]) + b"\0\0\0\x01" + block
    rewriter = BlockRewriter()

    out = b"".join(rewriter.rewrite(frame[at : at + size]) for at in range(0, len(frame), size))

    assert bool(out)
    assert BlockRewriter().rewrite(out) == out


def test_frames_that_hold_no_block_pass_as_they_are() -> None:
    data = memoryview(DataFrame(1, b"x" * 16_384).serialize())
    rewriter = BlockRewriter()

    assert rewriter.rewrite(data[:5000]) is not None
    assert rewriter.rewrite(data[5000:]) == data[5000:]
    assert rewriter.rewrite(data) is data


def test_block_of_more_fields_than_the_engine_takes_is_not_looked_at() -> None:
    blank = b"\x00\x01a\x02b "

    def rewritten(count: int) -> bool:
        frame = HeadersFrame(1, blank * count, flags=["END_HEADERS"]).serialize()
        return BlockRewriter(500).rewrite(frame) != frame

    assert rewritten(500)
    assert not rewritten(501)


def test_block_that_could_stay_is_examined_once_and_others_behind_it_are() -> None:
    fine = HeadersFrame(1, b"\x88\x00\x01a\x01b", flags=["END_HEADERS"]).serialize()
    blank = HeadersFrame(1, b"\x88\x00\x01a\x02b ", flags=["END_HEADERS"]).serialize()
    rewriter = BlockRewriter()

    first = calls_of(lambda: rewriter.rewrite(fine))
    again = calls_of(lambda: rewriter.rewrite(fine))
    given = [bytes(rewriter.rewrite(frames)) for frames in (blank, blank, fine, blank, fine)]

    assert again < first
    assert given == [fine, fine, fine, fine, fine]


# Requests.

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Client:
    """Asks by hyperframe and hpack; the server gets it in pieces of any size."""

    def __init__(self, size: int = 1 << 20) -> None:
        self.server = ServerConnection(WireLimits(), 0.0)
        self.server.output()
        self.encoder = Encoder()
        self.events: list[ServerEvent] = []
        self.size = size
        self.say(_PREFACE + SettingsFrame(0).serialize())

    def say(self, data: bytes) -> None:
        for at in range(0, len(data), self.size):
            self.events += self.server.receive(memoryview(data)[at : at + self.size], 0.0)

    def frames(
        self, number: int, fields: Fields, *, huffman: bool = True, path: bytes = b"/", cut: int = 0
    ) -> bytes:
        """A whole request, with CONTINUATION frames of `cut` bytes where that is given."""
        pseudo = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a.test")]
        block = self.encoder.encode([*pseudo, (b":path", path), *fields], huffman=huffman)
        parts = [block[at : at + cut] for at in range(0, len(block), cut)] if cut else [block]
        frames: list[HeadersFrame | ContinuationFrame] = [
            HeadersFrame(number, parts[0], flags=["END_STREAM"])
        ]
        frames += [ContinuationFrame(number, part) for part in parts[1:]]
        frames[-1].flags.add("END_HEADERS")
        return b"".join(frame.serialize() for frame in frames)

    def requests(self) -> list[Fields]:
        """The fields of each request that came, without Host."""
        assert self.server.ended is None
        found = [event for event in self.events if isinstance(event, RequestReceived)]
        return [[pair for pair in one.headers if pair[0] != b"host"] for one in found]


@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize(
    "value", [b"b ", b" b", b"\tb", b"b\t", b" \t b \t ", b" ", b"Mozilla/5.0 "]
)
def test_blanks_around_a_value_of_a_request_are_not_part_of_it(value: bytes, huffman: bool) -> None:
    client = Client()
    fields = [(b"user-agent", value), (b"x-b", b"b c")]

    for number in (1, 3, 5):  # the second and third refer to the table
        client.say(client.frames(number, fields, huffman=huffman))
    client.say(client.frames(7, [(b"x-c", b"c"), *fields], huffman=huffman))

    expected = [(b"user-agent", value.strip()), (b"x-b", b"b c")]
    assert client.requests() == [expected] * 3 + [[(b"x-c", b"c"), *expected]]


def test_blanks_of_requests_go_however_segments_are_cut() -> None:
    fields = [(b"user-agent", b"Mozilla/5.0 "), (b"x-b", b" b")]
    expected = [stripped(fields), [(b"x-c", b"c")], stripped(fields)]
    sizes = [*range(1, 40), 77, 100]
    for size in sizes:
        client = Client(size)
        client.say(client.frames(1, fields) + client.frames(3, [(b"x-c", b"c ")], cut=9))
        client.say(SettingsFrame(0).serialize() + client.frames(5, fields))

        assert (size, client.requests()) == (size, expected)


def test_blanks_of_a_request_behind_the_half_of_an_upload_go() -> None:
    client = Client()
    pseudo = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]
    head = HeadersFrame(1, client.encoder.encode(pseudo), flags=["END_HEADERS"]).serialize()
    part = DataFrame(1, b"x" * 1000).serialize()
    client.say(head + part[:500])

    client.say(part[500:] + client.frames(3, [(b"x-a", b"a ")]))

    assert client.requests()[1:] == [[(b"x-a", b"a")]]
    assert (
        sum(len(event.data) for event in client.events if isinstance(event, DataReceived)) == 1000
    )


def test_upload_whose_window_is_opened_too_far_is_reset_beside_a_request_with_blanks() -> None:
    client = Client()
    client.say(client.frames(1, []))
    update = pack(">HBBBLL", 0, 4, 8, 0, 1, 2**31 - 1)

    client.say(client.frames(3, [(b"x-a", b"a ")]) + update + client.frames(5, [(b"x-a", b" a")]))

    assert client.requests() == [[], [(b"x-a", b"a")], [(b"x-a", b"a")]]


@pytest.mark.parametrize(
    "fields",
    [
        [(b"x-%d" % n, b"a ") for n in range(9)],
        [(b"x-a", b"a" * 1100 + b" ")],
        [(b"upgrade", b"x")],
    ],
)
def test_more_blanks_than_anybody_sends_are_left_to_the_engine(fields: Fields) -> None:
    client = Client()

    client.say(client.frames(1, fields, huffman=False))
    client.say(client.frames(3, [(b"x", b"y ")]))

    assert client.requests() == [[(b"x", b"y")]]


def test_path_keeps_its_blanks_and_is_refused() -> None:
    client = Client()

    client.say(client.frames(1, [], path=b"/a "))

    assert client.requests() == []


def test_trailers_of_a_request_lose_their_blanks() -> None:
    client = Client()
    pseudo = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]
    head = HeadersFrame(1, client.encoder.encode(pseudo), flags=["END_HEADERS"]).serialize()
    trailers = client.encoder.encode([(b"x-t", b"t ")])
    end = HeadersFrame(1, trailers, flags=["END_HEADERS", "END_STREAM"]).serialize()

    client.say(head + DataFrame(1, b"x").serialize() + end)

    (found,) = [event for event in client.events if isinstance(event, TrailersReceived)]
    assert list(found.headers) == [(b"x-t", b"t")]
    assert not any(isinstance(event, StreamReset) for event in client.events)
