"""What a peer can send: frames with their structure, and frames with something wrong in them.

A `Move` is data that hypothesis draws and shrinks; an `Author` turns moves into the bytes of one
direction, with an HPACK encoder of its own and an idea of which streams there are. Header blocks
are written with hpack; frame headers by hand, since hyperframe refuses to write what is forbidden.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from hpack import Encoder
from hypothesis import strategies as st

from headstart.wire.events import Fields

T = TypeVar("T")

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)

_END_STREAM = _ACK = 0x1
_END_HEADERS = 0x4
_PADDED = 0x8
_PRIORITY = 0x20

NEW, CONNECTION, FOREIGN, FAR = 0, -1, -2, -3
"""Instead of "the nth stream from the last": a new one, stream 0, one of the other side's parity,
one that is far from open."""


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """One frame, as it stands on the wire (RFC 9113, 4.1)."""
    length = struct.pack(">I", len(payload))[1:]
    return length + struct.pack(">BBI", kind, flags, stream_id & 0xFFFFFFFF) + payload


@dataclass(slots=True)
class Author:
    """One direction of a connection.

    Attributes:
        next_stream: The stream that a HEADERS or PUSH_PROMISE opens next.
        streams: Those that are or were open.
    """

    next_stream: int
    streams: list[int] = field(default_factory=list)
    encoder: Encoder = field(default_factory=Encoder)

    def open(self) -> int:
        """A new stream."""
        self.streams.append(self.next_stream)
        self.next_stream += 2
        return self.streams[-1]

    def stream(self, ref: int) -> int:
        """The stream that a move means."""
        if ref == NEW:
            return self.open()
        if ref == CONNECTION:
            return 0
        if ref == FOREIGN:
            return self.next_stream + 1
        if ref == FAR or not self.streams:
            return self.next_stream + 1000
        return self.streams[-(ref % len(self.streams)) - 1]

    def block(self, fields: Fields) -> bytes:
        """A header block."""
        # Huffman's code in Python takes a millisecond for what is long.
        short = sum(len(value) for _, value in fields) < 1000
        block: bytes = self.encoder.encode(fields, huffman=short)
        return block


class Section(tuple[tuple[bytes, bytes], ...]):
    """A field section that is shown in few words."""

    __slots__ = ()

    def __repr__(self) -> str:
        name, value = self[-1] if self else (b"", b"")
        return f"<{len(self)} fields, the last {name!r}: {value[:20]!r}>"


@dataclass(frozen=True, slots=True)
class Headers:
    """HEADERS and as many CONTINUATION frames; on stream NEW it opens one."""

    on: int
    fields: Section
    end_stream: bool = True
    padding: int = 0
    depends_on: int | None = None
    cuts: int = 0

    def write(self, author: Author) -> bytes:
        stream_id = author.stream(self.on)
        flags = _END_STREAM if self.end_stream else 0
        first, last = b"", b""
        if self.padding:
            flags, first, last = flags | _PADDED, bytes([self.padding]), bytes(self.padding)
        if self.depends_on is not None:
            flags |= _PRIORITY
            first += struct.pack(">IB", self.depends_on, 15)
        parts = _cut(author.block(list(self.fields)), self.cuts)
        if len(parts) == 1:
            flags |= _END_HEADERS
        out = frame(HEADERS, flags, stream_id, first + parts[0] + last)
        return out + _continued(stream_id, parts)


@dataclass(frozen=True, slots=True)
class Promise:
    """PUSH_PROMISE of a new stream on another."""

    on: int
    fields: Section
    promised: int = NEW
    cuts: int = 0

    def write(self, author: Author) -> bytes:
        parent = author.stream(self.on)
        promised = struct.pack(">I", author.stream(self.promised) & 0xFFFFFFFF)
        parts = _cut(author.block(list(self.fields)), self.cuts)
        flags = _END_HEADERS if len(parts) == 1 else 0
        return frame(PUSH_PROMISE, flags, parent, promised + parts[0]) + _continued(parent, parts)


def _cut(block: bytes, cuts: int) -> list[bytes]:
    size = len(block) // (cuts + 1) + 1
    return [block[at : at + size] for at in range(0, len(block), size)] or [b""]


def _continued(stream_id: int, parts: list[bytes]) -> bytes:
    out = b""
    for number, part in enumerate(parts[1:], 2):
        flags = _END_HEADERS if number == len(parts) else 0
        out += frame(CONTINUATION, flags, stream_id, part)
    return out


@dataclass(frozen=True, slots=True)
class Data:
    """DATA of zeros; with padding."""

    on: int
    size: int
    end_stream: bool = False
    padding: int = 0

    def write(self, author: Author) -> bytes:
        flags, payload = int(self.end_stream), bytes(self.size)
        if self.padding:
            flags |= _PADDED
            payload = bytes([self.padding]) + payload + bytes(self.padding)
        return frame(DATA, flags, author.stream(self.on), payload)


@dataclass(frozen=True, slots=True)
class Settings:
    """SETTINGS, or its acknowledgement."""

    values: tuple[tuple[int, int], ...] = ()
    ack: bool = False

    def write(self, author: Author) -> bytes:
        payload = b"".join(struct.pack(">HI", code, value) for code, value in self.values)
        return frame(SETTINGS, int(self.ack), 0, payload)


@dataclass(frozen=True, slots=True)
class Control:
    """A frame with a payload of fixed form, or any frame at all."""

    kind: int
    on: int
    payload: bytes
    flags: int = 0

    def write(self, author: Author) -> bytes:
        return frame(self.kind, self.flags, author.stream(self.on), self.payload)


@dataclass(frozen=True, slots=True)
class Spoiled:
    """Another move, one octet of it changed, left out or put in."""

    move: Move
    at: int
    value: int
    how: str

    def write(self, author: Author) -> bytes:
        out = bytearray(self.move.write(author))
        at = self.at % len(out)
        match self.how:
            case "change":
                out[at] ^= self.value or 1
            case "drop":
                del out[at]
            case "insert":
                out.insert(at, self.value)
            case _:
                del out[at:]
        return bytes(out)


Move: TypeAlias = Headers | Promise | Data | Settings | Control | Spoiled


# What is drawn. Small sets of telling values: what matters is their order.

_REQUEST = Section(
    (
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"example.test"),
        (b":path", b"/"),
    )
)


def request_fields(
    path: bytes = b"/", method: bytes = b"GET", *more: tuple[bytes, bytes]
) -> Section:
    """A request's header section."""
    return Section(((b":method", method), *_REQUEST[1:3], (b":path", path), *more))


_ODD_REQUESTS = (
    _REQUEST[1:],
    (*_REQUEST, (b"Upper", b"case")),
    (*_REQUEST, (b":late", b"pseudo")),
    (*_REQUEST, (b"connection", b"close")),
    (*_REQUEST, (b"te", b"gzip")),
    (*_REQUEST, (b"value", b"line\r\nfeed")),
    (*_REQUEST, *[(b"n%d" % n, b"v") for n in range(110)]),
    (*_REQUEST, *[(b"n%d" % n, b"v") for n in range(200)]),
    (*_REQUEST, (b"large", b"v" * 17_000)),
    (*_REQUEST, (b"larger", b"v" * 40_000)),
    ((b":method", b"CONNECT"), (b":authority", b"example.test:443")),
    request_fields(b"/" + b"p" * 9_000),
    request_fields(b"/#fragment"),
    request_fields(b"no-slash"),
    request_fields(b"/\xff"),
    request_fields(b"/", b"get"),
    request_fields(b"/", b"POST", (b"content-length", b"3")),
    request_fields(b"/", b"POST", (b"content-length", b"x")),
    request_fields(b"/", b"GET", (b"host", b"other.test")),
    request_fields(b"/", b"GET", (b"expect", b"100-continue"), (b"te", b"trailers")),
)
_ODD_RESPONSES = (
    (),
    ((b":status", b"99"),),
    ((b":status", b"abc"),),
    ((b":status", b"101"),),
    ((b":status", b"200"), (b":status", b"200")),
    ((b":status", b"200"), (b"Upper", b"case")),
    ((b":status", b"200"), (b"content-length", b"5")),
    ((b":status", b"200"), (b"content-length", b"-1")),
    ((b":status", b"200"), *[(b"n%d" % n, b"v") for n in range(300)]),
    ((b":status", b"200"), (b"large", b"v" * 70_000)),
    ((b":status", b"200"), (b"connection", b"close")),
    ((b":status", b"204"), (b"content-length", b"7")),
    ((b":status", b"304"),),
    ((b"only", b"trailers"),),
)
_RESPONSES = (
    ((b":status", b"200"),),
    ((b":status", b"200"), (b"cache-control", b"max-age=60"), (b"vary", b"accept")),
    ((b":status", b"103"), (b"link", b"</style.css>; rel=preload; as=style")),
    ((b":status", b"100"),),
)
_PROMISES = [request_fields(b"/pushed"), request_fields(b"/other")]
_ODD_PROMISES = [
    request_fields(b"/pushed", b"POST"),
    request_fields(b"/pushed", b"HEAD"),
    request_fields(b"/pushed", b"GET", (b"if-none-match", b'"x"')),
    request_fields(b"/pushed", b"GET", (b"content-length", b"4")),
    ((b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"evil.test"), (b":path", b"/")),
    request_fields(b"pushed"),
    _REQUEST[2:],
]


def weighted(*choices: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    """One of them, as often as its number says; `one_of` takes each but once."""
    spread = [strategy for weight, strategy in choices for _ in range(weight)]
    # A lambda, since hypothesis writes out what a strategy is made of.
    return st.integers(0, len(spread) - 1).flatmap(lambda n: spread[n])


def stories(step: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """Long enough that something happens; hypothesis alone makes lists of five."""
    return weighted((1, st.lists(step, max_size=8)), (3, st.lists(step, min_size=15, max_size=40)))


def _sections(
    sections: Iterable[tuple[tuple[bytes, bytes], ...]],
) -> st.SearchStrategy[Section]:
    return st.sampled_from([Section(section) for section in sections])


_OPEN = st.integers(1, 4)
_ODD_STREAM = st.sampled_from([NEW, CONNECTION, FOREIGN, FAR])
_ANY_STREAM = weighted((12, _OPEN), (1, _ODD_STREAM))
_SIZES = st.sampled_from([0, 1, 1, 5, 5, 255, 256, 1000, 1000, 16_384])
_ERRORS = st.sampled_from([0, 1, 2, 7, 8, 11, 0xFFFFFFFF])
_INCREMENTS = st.sampled_from([1, 1, 100, 100, 65_535, 1 << 20, 0, (1 << 31) - 1, 1 << 31])
_SETTINGS_VALUES = st.lists(
    st.sampled_from(
        [
            *[(1, n) for n in (0, 100, 4096, 1 << 20)],
            *[(2, n) for n in (0, 1, 0, 1, 2)],
            *[(3, n) for n in (0, 1, 100, 0xFFFFFFFF)],
            *[(4, n) for n in (0, 1, 65_535, 65_535, (1 << 31) - 1, 1 << 31)],
            *[(5, n) for n in (16_384, 65_536, 16_777_215, 0)],
            *[(6, n) for n in (0, 100, 65_536)],
            (8, 1),
            (9, 1),
            (0xABCD, 7),
        ]
    ),
    max_size=3,
).map(tuple)
_NUMBER = struct.Struct(">I").pack

_BODY = st.builds(Data, _ANY_STREAM, _SIZES, st.booleans(), st.sampled_from([0, 0, 7, 255]))
_RESET = st.builds(Control, st.just(RST_STREAM), _ANY_STREAM, _ERRORS.map(_NUMBER))
_WINDOW = st.builds(
    Control,
    st.just(WINDOW_UPDATE),
    weighted((2, _ANY_STREAM), (1, st.just(CONNECTION))),
    _INCREMENTS.map(_NUMBER),
)
_PINGS = st.builds(
    Control, st.just(PING), st.just(CONNECTION), st.just(b"fuzzing!"), st.sampled_from([0, 1])
)
_PRIORITIES = st.builds(Control, st.just(PRIORITY), _ANY_STREAM, st.just(_NUMBER(0) + b"\x09"))
_GOAWAYS = st.builds(
    lambda last, code: Control(GOAWAY, CONNECTION, _NUMBER(last) + _NUMBER(code) + b"bye"),
    st.sampled_from([0, 1, 3, (1 << 31) - 1]),
    _ERRORS,
)
_ANYTHING = st.builds(
    Control,
    st.integers(0, 20),
    _ANY_STREAM,
    st.binary(max_size=12),
    st.sampled_from([0, 1, 4, 5, 8, 0xFF]),
)
_COMMON: tuple[tuple[int, st.SearchStrategy[Move]], ...] = (
    (4, _BODY),
    (2, st.builds(Settings, _SETTINGS_VALUES)),
    (1, st.just(Settings(ack=True))),
    (3, _RESET),
    (4, _WINDOW),
    (1, _PINGS),
    (1, _PRIORITIES),
    (1, _GOAWAYS),
    (1, _ANYTHING),
)


def _spoiled(moves: st.SearchStrategy[Move]) -> st.SearchStrategy[Move]:
    how = st.sampled_from(["change", "drop", "insert", "cut"])
    spoiled = st.builds(Spoiled, moves, st.integers(0, 40), st.integers(0, 255), how)
    # Most frames are whole: after the first that is not, little follows.
    return weighted((30, moves), (1, spoiled))


def client_moves(paths: list[bytes]) -> st.SearchStrategy[Move]:
    """What a client can send; its requests are for one of these paths."""
    requests = st.builds(
        Headers,
        st.just(NEW),
        st.builds(request_fields, st.sampled_from(paths), st.sampled_from([b"GET", b"POST"])),
        st.booleans(),
        st.sampled_from([0, 0, 0, 9]),
        st.sampled_from([None, None, 0, 1000]),
        st.sampled_from([0] * 12 + [1, 1, 3, 3, 12]),
    )
    odd = st.builds(Headers, st.just(NEW), _sections(_ODD_REQUESTS), st.booleans())
    trailers = st.builds(
        Headers, _ANY_STREAM, st.just(Section([(b"x", b"trailer")])), st.just(True)
    )
    astray = st.builds(Headers, _ANY_STREAM, st.just(_REQUEST), st.booleans())
    promise = st.builds(Promise, _OPEN, st.just(_REQUEST))
    return _spoiled(
        weighted((14, requests), (3, odd), (2, trailers), (1, astray), (1, promise), *_COMMON)
    )


def greeting(author: Author) -> bytes:
    """What a client begins with: preface, SETTINGS, a page asked for and an upload begun."""
    asked = Headers(NEW, request_fields(b"/")).write(author)
    begun = Headers(NEW, request_fields(b"/echo", b"POST"), end_stream=False).write(author)
    return PREFACE + Settings().write(author) + asked + begun


def server_moves() -> st.SearchStrategy[Move]:
    """What a server can send."""
    responses = st.builds(
        Headers,
        _OPEN,
        _sections(_RESPONSES),
        weighted((3, st.just(False)), (1, st.just(True))),
        cuts=st.sampled_from([0] * 12 + [2, 2, 12]),
    )
    odd = st.builds(Headers, _ANY_STREAM, _sections(_ODD_RESPONSES), st.booleans())
    promises = st.builds(
        Promise,
        _OPEN,
        _sections(_PROMISES * 3 + _ODD_PROMISES),
        st.just(NEW),
        st.sampled_from([0, 0, 1]),
    )
    astray = st.builds(Promise, _ANY_STREAM, st.just(_REQUEST), _ANY_STREAM)
    body = st.builds(Data, _OPEN, _SIZES, st.booleans())
    return _spoiled(
        weighted((12, responses), (4, body), (2, odd), (8, promises), (1, astray), *_COMMON)
    )


segments = st.sampled_from([1, 7, 9, 10, 33, 1000, 1 << 20])
"""In what sizes bytes arrive."""


def segmented(data: bytes, size: int) -> list[bytes]:
    """The bytes as they arrive: long ones in no more than some hundred segments."""
    size = max(size, len(data) // 200)
    return [data[at : at + size] for at in range(0, len(data), size)]
