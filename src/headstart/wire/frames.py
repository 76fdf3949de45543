"""Both directions of a connection decoded into frames, beside the connection.

Reads copies of the raw bytes, changes none of them, and never raises on what a peer sent: what is
malformed becomes a `Frame` whose `problem` says what is wrong, and decoding goes on behind it.
Frame payloads are read with hyperframe, header blocks with hpack. Called by whoever shows or
counts frames: the dump and the wiretap of `h2c`, and tests.

Memory is bounded by what HTTP/2 allows in one frame, 16 MiB (RFC 9113, 4.2), a direction: a frame
is decoded when all of it is there. Header blocks and HPACK tables have tighter bounds, below.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, unique
from typing import TypeAlias

import hyperframe.frame as hf
from hpack import Decoder, HPACKError, OversizedHeaderListError
from hyperframe.exceptions import HyperframeError, InvalidDataError, InvalidFrameError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The client's connection preface (RFC 9113, 3.4)."""

MAX_HEADER_BLOCK = 256 * 1024
"""Octets of one header block, encoded, that are kept; also its bound once decoded, as
SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113, 6.5.2). A block of a few KiB can name one entry of
the dynamic table thousands of times."""

MAX_CONTINUATIONS = 256
"""CONTINUATION frames of one header block that are kept; empty ones cost octets of nothing else."""

MAX_TABLE_SIZE = 1024 * 1024
"""Octets of HPACK dynamic table that are kept, whatever the peers agree on."""

Pairs: TypeAlias = tuple[tuple[str, str], ...]
HeaderList: TypeAlias = tuple[tuple[bytes, bytes], ...]

_HEADER_SIZE = 9
_EXCERPT = 24
_PADDED = 0x08
_END_HEADERS = 0x04
_PUSH_PROMISE = 0x05
_GOAWAY = 0x07
_WINDOW_UPDATE = 0x08
_CONTINUATION = 0x09
_ORIGIN = 0x0C
_PRIORITY_UPDATE = 0x10

_KINDS = {
    0x00: "DATA",
    0x01: "HEADERS",
    0x02: "PRIORITY",
    0x03: "RST_STREAM",
    0x04: "SETTINGS",
    _PUSH_PROMISE: "PUSH_PROMISE",
    0x06: "PING",
    _GOAWAY: "GOAWAY",
    _WINDOW_UPDATE: "WINDOW_UPDATE",
    _CONTINUATION: "CONTINUATION",
    0x0A: "ALTSVC",
    _ORIGIN: "ORIGIN",
    _PRIORITY_UPDATE: "PRIORITY_UPDATE",
}
KINDS = (*_KINDS.values(), "PREFACE", "NOT_HTTP2", "INCOMPLETE")
"""Every `Frame.kind` that has a name; the others are `UNKNOWN_0x` and the type in hexadecimal."""

_CARRY_HEADERS = frozenset({0x01, _PUSH_PROMISE, _CONTINUATION})
_CAN_BE_PADDED = frozenset({0x00, 0x01, _PUSH_PROMISE})
# These begin with a reserved bit that a receiver ignores (RFC 9113, 6.6, 6.8, 6.9); hyperframe
# takes it for a part of the number.
_BEGIN_WITH_RESERVED_BIT = frozenset({_PUSH_PROMISE, _GOAWAY, _WINDOW_UPDATE})

# RFC 9113, 7.
_ERRORS = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)
_HEADER_TABLE_SIZE = 0x01
# RFC 9113, 6.5.2; RFC 8441, 3; RFC 9218, 2.1.
_SETTINGS = {
    _HEADER_TABLE_SIZE: "HEADER_TABLE_SIZE",
    0x02: "ENABLE_PUSH",
    0x03: "MAX_CONCURRENT_STREAMS",
    0x04: "INITIAL_WINDOW_SIZE",
    0x05: "MAX_FRAME_SIZE",
    0x06: "MAX_HEADER_LIST_SIZE",
    0x08: "ENABLE_CONNECT_PROTOCOL",
    0x09: "NO_RFC7540_PRIORITIES",
}


@unique
class Direction(Enum):
    """Which way bytes go, as the side that keeps the record sees it."""

    SENT = "sent"
    RECEIVED = "received"

    @property
    def opposite(self) -> Direction:
        """The other one."""
        return Direction.RECEIVED if self is Direction.SENT else Direction.SENT


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, or a record of bytes that are none.

    Attributes:
        at: When its last byte came, in seconds since the connection was made.
        direction: Which way it went.
        kind: One of `KINDS`, or for instance `UNKNOWN_0xbe`.
        type_code: The type on the wire; None where `kind` is no frame's: `PREFACE`, `NOT_HTTP2`
            (nothing further in this direction is decoded) and `INCOMPLETE` (the connection ended
            within it).
        stream_id: 0 for the connection.
        length: Octets of the payload, padding included, without the nine of the header.
        flags: Each flag that the type defines and whether it is set, then the set bits that it
            does not define, for instance `0x40`.
        headers: The whole field section, on the HEADERS or PUSH_PROMISE frame that began it; the
            CONTINUATION frames that completed it follow without.
        details: What else the payload says, in its order; printable ASCII.
        data: The payload of DATA without padding; the whole payload of a type that is not known.
        problem: What is wrong with it, or "".
    """

    at: float
    direction: Direction
    kind: str
    type_code: int | None = None
    stream_id: int = 0
    length: int = 0
    flags: tuple[tuple[str, bool], ...] = ()
    headers: HeaderList = ()
    details: Pairs = ()
    data: bytes = b""
    problem: str = ""

    @property
    def status(self) -> int | None:
        """The status code of a response's HEADERS; None for requests, trailers, other frames."""
        for name, value in self.headers:
            if name == b":status" and len(value) == 3 and value.isdigit():
                return int(value)
        return None

    @property
    def informational(self) -> bool:
        """Whether it is an informational response, such as a 103 (RFC 9113, 8.1)."""
        status = self.status
        return status is not None and 100 <= status < 200

    @property
    def trailers(self) -> bool:
        """Whether it is a trailer section: fields, but no pseudo-header field (RFC 9113, 8.1)."""
        names = [name for name, _ in self.headers]
        return self.kind == "HEADERS" and bool(names) and not any(n[:1] == b":" for n in names)


class FrameDecoder:
    """One direction of a connection, decoded.

    Args:
        direction: Written into each frame.
        preface: The client's direction: it begins with the connection preface.
    """

    __slots__ = (
        "_blocks",
        "_buffer",
        "_direction",
        "_preface",
        "_started",
        "_stopped",
        "announced",
    )

    def __init__(self, direction: Direction, preface: bool) -> None:
        self._direction = direction
        self._preface = preface
        self._started = False
        self._stopped = False
        self._buffer = bytearray()
        self._blocks = _HeaderBlocks()
        self.announced = 0
        """The largest SETTINGS_HEADER_TABLE_SIZE seen in this direction, 0 for none: it allows
        the other direction's encoder that much."""

    def feed(self, data: bytes, at: float) -> list[Frame]:
        """Take the next bytes of this direction; give the frames that they completed.

        Args:
            data: In any portions; the frames do not depend on them.
            at: Seconds since the connection was made.
        """
        if self._stopped:
            return []
        self._buffer += data
        frames = [] if self._started else self._start(at)
        if self._started:
            frames += self._complete_frames(at)
        return frames

    def end(self, at: float) -> list[Frame]:
        """Say that no more bytes come; give what is left, with what it lacks."""
        left = self._blocks.abandon("the connection ended within the header block")
        if self._buffer:
            left.append(self._record("INCOMPLETE", at, "the connection ended within it"))
            self._buffer.clear()
        self._stopped = True
        return left

    def peer_settings(self, header_table_size: int) -> None:
        """The other direction announced SETTINGS_HEADER_TABLE_SIZE, which this one's encoder may
        use (RFC 9113, 6.5.2). A smaller one needs no call: the encoder says itself when it
        follows, and until then its old size stands (RFC 7541, 4.2)."""
        self._blocks.allow_table(header_table_size)

    def _start(self, at: float) -> list[Frame]:
        """Look at the first bytes: a preface, frames, or another protocol."""
        start = bytes(self._buffer[: len(PREFACE)])
        if self._preface:
            expected = start == PREFACE
            undecided = len(start) < len(PREFACE)
        else:
            # A server that speaks only HTTP/1.1 says so in the clear; read as a frame header,
            # its words would announce a frame of 4.7 MB.
            expected = len(start) >= _HEADER_SIZE and not start.startswith(b"HTTP/")
            undecided = len(start) < (len(PREFACE) if start[:5] == b"HTTP/" else _HEADER_SIZE)
        if undecided:
            return []
        if not expected:
            self._stopped = True
            record = self._record("NOT_HTTP2", at, "no HTTP/2: nothing behind it is decoded")
            self._buffer.clear()
            return [record]
        self._started = True
        if not self._preface:
            return []
        del self._buffer[: len(PREFACE)]
        return [Frame(at, self._direction, "PREFACE", length=len(PREFACE))]

    def _record(self, kind: str, at: float, problem: str) -> Frame:
        excerpt = bytes(self._buffer[:_EXCERPT])
        # How much more has come by now is chance where decoding stops.
        length = len(excerpt) if kind == "NOT_HTTP2" else len(self._buffer)
        details = (("begins with", visible(excerpt)),)
        return Frame(at, self._direction, kind, length=length, details=details, problem=problem)

    def _complete_frames(self, at: float) -> list[Frame]:
        buffer, offset, frames = self._buffer, 0, list[Frame]()
        while len(buffer) - offset >= _HEADER_SIZE:
            body = offset + _HEADER_SIZE
            end = body + int.from_bytes(buffer[offset : offset + 3], "big")
            if len(buffer) < end:
                break
            frames += self._frame(bytes(buffer[offset:body]), bytes(buffer[body:end]), at)
            offset = end
        del buffer[:offset]
        return frames

    def _frame(self, header: bytes, payload: bytes, at: float) -> list[Frame]:
        code, flag_byte = header[3], header[4]
        stream_id = int.from_bytes(header[5:], "big") & 0x7FFFFFFF
        content = _read_payload(code, flag_byte, stream_id, payload)
        self.announced = max(self.announced, content.header_table_size)
        frame = Frame(
            at,
            self._direction,
            _KINDS.get(code, f"UNKNOWN_0x{code:02x}"),
            code,
            stream_id,
            len(payload),
            _flags(code, flag_byte),
            details=tuple(content.details),
            data=content.data,
            problem=content.problem,
        )
        return self._blocks.take(frame, content.fragment, bool(flag_byte & _END_HEADERS))


class ConnectionFrames:
    """Both directions of a connection, decoded, each with the table size the other allows it.

    Feed bytes when they come or go, before the peer can answer them.

    Args:
        client: The direction of the client's bytes; it begins with the connection preface.
    """

    __slots__ = ("_decoders",)

    def __init__(self, client: Direction = Direction.SENT) -> None:
        self._decoders = {way: FrameDecoder(way, preface=way is client) for way in Direction}

    def feed(self, direction: Direction, data: bytes, at: float) -> list[Frame]:
        """Take the next bytes of one direction; see `FrameDecoder.feed`."""
        decoder = self._decoders[direction]
        frames = decoder.feed(data, at)
        self.announce(direction, decoder.announced)
        return frames

    def announce(self, direction: Direction, header_table_size: int) -> None:
        """One direction announced this table size; called from outside only for what no frame
        said, the HTTP2-Settings field of an upgrade (RFC 7540, 3.2.1)."""
        self._decoders[direction.opposite].peer_settings(header_table_size)

    def end(self, at: float) -> list[Frame]:
        """The connection is over; give what is left of both directions."""
        return [frame for decoder in self._decoders.values() for frame in decoder.end(at)]


class _HeaderBlocks:
    """Puts header blocks of one direction together and decodes them, in order.

    HPACK keeps state from block to block (RFC 9113, 4.3), so after one block that could not be
    decoded, none of this direction can be.
    """

    __slots__ = ("_block", "_decoder", "_lost", "_pending")

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=MAX_HEADER_BLOCK)
        self._lost = False
        self._block = bytearray()
        self._pending: list[Frame] = []
        """The frames of the block that is not complete yet."""

    def allow_table(self, size: int) -> None:
        allowed = max(self._decoder.max_allowed_table_size, min(size, MAX_TABLE_SIZE))
        self._decoder.max_allowed_table_size = allowed

    def take(self, frame: Frame, fragment: bytes | None, ends: bool) -> list[Frame]:
        """Take the next frame; give the frames that need not wait any longer.

        Args:
            fragment: Its part of a header block, None where it has none or it is unreadable.
            ends: END_HEADERS is set, if the frame has that flag.
        """
        continues = frame.type_code == _CONTINUATION and fragment is not None
        ready = []
        if self._pending and not (continues and frame.stream_id == self._pending[0].stream_id):
            # RFC 9113, 6.10: nothing may come between the frames of a header block.
            ready = self.abandon("another frame came within the header block")
        if frame.type_code not in _CARRY_HEADERS:
            return [*ready, frame]
        if fragment is None or (continues and not self._pending):
            self._lost = True
            stray = "continues no header block" if continues else "header block not readable"
            return [*ready, _with_problem(frame, stray)]
        self._pending.append(frame)
        self._block += fragment
        if ends:
            return ready + self._complete()
        if len(self._block) > MAX_HEADER_BLOCK or len(self._pending) > MAX_CONTINUATIONS:
            return ready + self.abandon("header block too long to keep")
        return ready

    def abandon(self, problem: str) -> list[Frame]:
        """Give up the block that is not complete; its frames, the first with the problem."""
        if not self._pending:
            return []
        self._lost = True
        return self._release((), problem)

    def _complete(self) -> list[Frame]:
        if self._lost:
            return self._release((), "header block not decoded: an earlier one was lost")
        if len(self._block) > MAX_HEADER_BLOCK:
            return self.abandon("header block too long to keep")
        try:
            fields = self._decoder.decode(bytes(self._block), raw=True)
        except OversizedHeaderListError:
            return self.abandon(f"header block of more than {MAX_HEADER_BLOCK} bytes when decoded")
        except HPACKError as error:
            # Not the error's text: it can hold addresses of memory.
            return self.abandon(f"header block not decoded: {type(error).__name__}")
        return self._release(tuple((bytes(name), bytes(value)) for name, value in fields), "")

    def _release(self, headers: HeaderList, problem: str) -> list[Frame]:
        first, *others = self._pending
        self._pending = []
        self._block.clear()
        return [_with_problem(replace(first, headers=headers), problem), *others]


@dataclass(slots=True)
class _Content:
    """What a payload says."""

    details: list[tuple[str, str]] = field(default_factory=list)
    data: bytes = b""
    fragment: bytes | None = None
    problem: str = ""
    header_table_size: int = 0

    def say(self, name: str, value: object) -> None:
        self.details.append((name, str(value)))


def _read_payload(code: int, flag_byte: int, stream_id: int, payload: bytes) -> _Content:
    """Read a payload as its type has it; a payload that cannot be read is a problem, and data."""
    content = _Content(problem=_wrong_stream(code, stream_id))
    try:
        # hyperframe knows neither ORIGIN (RFC 8336) nor PRIORITY_UPDATE (RFC 9218, 7.1).
        if code == _ORIGIN:
            _read_origins(content, payload)
        elif code == _PRIORITY_UPDATE:
            _read_priority_update(content, payload)
        elif code in hf.FRAMES:
            _read_known(content, code, flag_byte, payload)
        else:
            content.data = payload
            _say_excerpt(content, payload)
    except HyperframeError as error:
        content.problem = _joined(content.problem, str(error))
        content.data = payload
        _say_excerpt(content, payload)
    return content


def _say_excerpt(content: _Content, payload: bytes) -> None:
    if payload:
        more = "..." if len(payload) > _EXCERPT else ""
        content.say("payload", payload[:_EXCERPT].hex() + more)


def _wrong_stream(code: int, stream_id: int) -> str:
    """The problem of a frame that is on a stream but belongs to the connection, or vice versa."""
    association = hf.FRAMES[code].stream_association if code in hf.FRAMES else None
    if code in (_ORIGIN, _PRIORITY_UPDATE):
        association = "no-stream"
    if association == "has-stream" and stream_id == 0:
        return "belongs on a stream"
    if association == "no-stream" and stream_id != 0:
        return "belongs on stream 0"
    return ""


def _read_known(content: _Content, code: int, flag_byte: int, payload: bytes) -> None:
    """Read a payload with hyperframe.

    Raises:
        HyperframeError: It is laid out wrongly.
    """
    body = memoryview(payload)
    if code in _CAN_BE_PADDED and flag_byte & _PADDED:
        body = _without_padding(content, body)
    if code in _BEGIN_WITH_RESERVED_BIT and body:
        body = memoryview(bytes([body[0] & 0x7F]) + body[1:])
    kind = hf.FRAMES[code]
    # A stream that suits the type: the right one is known, and refused here would hide the rest.
    frame = kind(1 if kind.stream_association == "has-stream" else 0)
    frame.parse_flags(flag_byte & ~_PADDED if code in _CAN_BE_PADDED else flag_byte)
    try:
        frame.parse_body(body)
    except InvalidDataError as error:
        # Readable, with a value that is not allowed; hyperframe has taken it by then.
        content.problem = _joined(content.problem, str(error))
    _describe(content, frame, body)


def _without_padding(content: _Content, body: memoryview) -> memoryview:
    """RFC 9113, 6.1. hyperframe refuses a HEADERS frame that holds padding alone, which is
    allowed and leaves the whole block to CONTINUATION frames."""
    if not body or body[0] >= len(body):
        raise InvalidFrameError("padding as long as the payload, or longer")
    content.say("padding", f"{body[0]} bytes")
    return body[1 : len(body) - body[0]]


def _describe(content: _Content, frame: hf.Frame, body: memoryview) -> None:
    """Take from a parsed frame what it says."""
    match frame:
        case hf.DataFrame():
            content.data = frame.data
        case hf.HeadersFrame():
            _describe_headers(content, frame)
        case hf.PriorityFrame():
            _describe_priority(content, frame)
        case hf.RstStreamFrame():
            content.say("error", _error_name(frame.error_code))
        case hf.SettingsFrame():
            _describe_settings(content, body)
        case hf.PushPromiseFrame():
            content.fragment = frame.data
            content.say("promised stream", frame.promised_stream_id)
        case hf.PingFrame():
            content.say("payload", frame.opaque_data.hex())
        case hf.GoAwayFrame():
            _describe_goaway(content, frame)
        case hf.WindowUpdateFrame():
            content.say("increment", frame.window_increment)
        case hf.ContinuationFrame():
            content.fragment = frame.data
        case hf.AltSvcFrame():
            content.say("origin", visible(frame.origin))
            content.say("field value", visible(frame.field))
        case _:  # of a type that a later hyperframe may know
            content.data = bytes(body)


def _describe_headers(content: _Content, frame: hf.HeadersFrame) -> None:
    content.fragment = frame.data
    if "PRIORITY" in frame.flags:
        _describe_priority(content, frame)


def _describe_priority(content: _Content, frame: hf.Priority) -> None:
    content.say("depends on stream", frame.depends_on)
    # RFC 7540, 6.3: one is added to the octet.
    content.say("weight", frame.stream_weight + 1)
    content.say("exclusive", "yes" if frame.exclusive else "no")


def _describe_settings(content: _Content, body: memoryview) -> None:
    """Each setting as sent: hyperframe keeps one value of a setting that comes twice."""
    whole = body[: len(body) - len(body) % 6]
    for code, value in struct.iter_unpack(">HL", whole):
        content.say(_SETTINGS.get(code, f"0x{code:04x}"), value)
        if code == _HEADER_TABLE_SIZE:
            content.header_table_size = max(content.header_table_size, value)


def _describe_goaway(content: _Content, frame: hf.GoAwayFrame) -> None:
    content.say("last stream", frame.last_stream_id)
    content.say("error", _error_name(frame.error_code))
    if frame.additional_data:
        content.say("debug data", visible(frame.additional_data))


def _read_origins(content: _Content, payload: bytes) -> None:
    """RFC 8336, 2.1: any number of origins, each behind its length in two octets."""
    offset = 0
    while offset < len(payload):
        begin = offset + 2
        offset = begin + int.from_bytes(payload[offset:begin], "big")
        if offset > len(payload):
            raise InvalidFrameError("an origin is longer than the frame")
        content.say("origin", visible(payload[begin:offset]))


def _read_priority_update(content: _Content, payload: bytes) -> None:
    """RFC 9218, 7.1: a stream identifier behind a reserved bit, then the Priority field's value."""
    if len(payload) < 4:
        raise InvalidFrameError("no prioritized stream")
    content.say("prioritized stream", int.from_bytes(payload[:4], "big") & 0x7FFFFFFF)
    content.say("field value", visible(payload[4:]))


def _flags(code: int, flag_byte: int) -> tuple[tuple[str, bool], ...]:
    defined = hf.FRAMES[code].defined_flags if code in hf.FRAMES else []
    flags = [(flag.name, bool(flag_byte & flag.bit)) for flag in defined]
    known = sum(flag.bit for flag in defined)
    bits = [1 << number for number in range(8)]
    return (*flags, *((f"0x{bit:02x}", True) for bit in bits if flag_byte & bit & ~known))


def _error_name(code: int) -> str:
    return _ERRORS[code] if code < len(_ERRORS) else f"0x{code:08x}"


def _with_problem(frame: Frame, problem: str) -> Frame:
    return replace(frame, problem=_joined(frame.problem, problem))


def _joined(*problems: str) -> str:
    return "; ".join(filter(None, problems))


def visible(data: Iterable[int]) -> str:
    r"""Octets as printable ASCII, all others as `\xNN` and the backslash as `\\`.

    Nothing that a terminal obeys or turns around gets through: no C0 or C1 control, no DEL, no
    character beyond ASCII.
    """
    return "".join([_VISIBLE[octet] for octet in data])


_VISIBLE = [chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}" for octet in range(256)]
_VISIBLE[0x5C] = "\\\\"
