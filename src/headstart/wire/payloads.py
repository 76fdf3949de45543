"""Read the payload of a frame, without state and without raising.

Pure: takes a frame's type, flags, stream and payload, returns a `Content`. Payloads are read with
hyperframe; it knows neither ORIGIN nor PRIORITY_UPDATE, which are read here. Called by
`wire.frames`; `visible` also by everything that shows a peer's bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import hyperframe.frame as hf
from hyperframe.exceptions import HyperframeError, InvalidDataError, InvalidFrameError

Pairs: TypeAlias = tuple[tuple[str, str], ...]
HeaderList: TypeAlias = tuple[tuple[bytes, bytes], ...]

EXCERPT = 24
"""Octets of what is not understood that are shown."""
_PADDED = 0x08
_PUSH_PROMISE = 0x05
_GOAWAY = 0x07
_WINDOW_UPDATE = 0x08
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
    0x09: "CONTINUATION",
    0x0A: "ALTSVC",
    _ORIGIN: "ORIGIN",
    _PRIORITY_UPDATE: "PRIORITY_UPDATE",
}
KINDS = (*_KINDS.values(), "PREFACE", "UPGRADE", "NOT_HTTP2", "INCOMPLETE")
"""Every `Frame.kind` that has a name; the others are `UNKNOWN_0x` and the type in hexadecimal."""

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


@dataclass(slots=True)
class Content:
    """The content of a payload.

    Attributes:
        details: Names and values in the payload's order; printable ASCII.
        data: The payload of DATA without padding; the whole payload of an unknown type.
        fragment: A part of a header block; None if the payload has none or is unreadable.
        problem: The error in it, or "".
        header_table_size: The largest SETTINGS_HEADER_TABLE_SIZE that it announces, or 0.
    """

    details: list[tuple[str, str]] = field(default_factory=list)
    data: bytes = b""
    fragment: bytes | None = None
    problem: str = ""
    header_table_size: int = 0

    def say(self, name: str, value: object) -> None:
        """Add a detail."""
        self.details.append((name, str(value)))


def read_payload(code: int, flag_byte: int, stream_id: int, payload: bytes) -> Content:
    """Read a payload as its type has it; a payload that cannot be read is a problem, and data."""
    content = Content(problem=_wrong_stream(code, stream_id))
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
        content.problem = joined(content.problem, str(error))
        content.data = payload
        _say_excerpt(content, payload)
    return content


def _say_excerpt(content: Content, payload: bytes) -> None:
    if payload:
        more = "..." if len(payload) > EXCERPT else ""
        content.say("payload", payload[:EXCERPT].hex() + more)


def _wrong_stream(code: int, stream_id: int) -> str:
    """Return the problem of a connection's frame on a stream, or the other way round."""
    association = hf.FRAMES[code].stream_association if code in hf.FRAMES else None
    if code in (_ORIGIN, _PRIORITY_UPDATE):
        association = "no-stream"
    if association == "has-stream" and stream_id == 0:
        return "belongs on a stream"
    if association == "no-stream" and stream_id != 0:
        return "belongs on stream 0"
    return ""


def _read_known(content: Content, code: int, flag_byte: int, payload: bytes) -> None:
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
        content.problem = joined(content.problem, str(error))
    _describe(content, frame, body)


def _without_padding(content: Content, body: memoryview) -> memoryview:
    """RFC 9113, 6.1. hyperframe refuses a HEADERS frame that holds padding alone, which is
    allowed and leaves the whole block to CONTINUATION frames."""
    if not body or body[0] >= len(body):
        raise InvalidFrameError("padding as long as the payload, or longer")
    content.say("padding", f"{body[0]} bytes")
    return body[1 : len(body) - body[0]]


def _describe(content: Content, frame: hf.Frame, body: memoryview) -> None:
    """Copy the content of a parsed frame."""
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


def _describe_headers(content: Content, frame: hf.HeadersFrame) -> None:
    content.fragment = frame.data
    if "PRIORITY" in frame.flags:
        _describe_priority(content, frame)


def _describe_priority(content: Content, frame: hf.Priority) -> None:
    content.say("depends on stream", frame.depends_on)
    # RFC 7540, 6.3: one is added to the octet.
    content.say("weight", frame.stream_weight + 1)
    content.say("exclusive", "yes" if frame.exclusive else "no")


def _describe_settings(content: Content, body: memoryview) -> None:
    """Each setting as sent: hyperframe keeps one value of a setting that comes twice."""
    whole = body[: len(body) - len(body) % 6]
    for code, value in struct.iter_unpack(">HL", whole):
        content.say(_SETTINGS.get(code, f"0x{code:04x}"), value)
        if code == _HEADER_TABLE_SIZE:
            content.header_table_size = max(content.header_table_size, value)


def _describe_goaway(content: Content, frame: hf.GoAwayFrame) -> None:
    content.say("last stream", frame.last_stream_id)
    content.say("error", _error_name(frame.error_code))
    if frame.additional_data:
        content.say("debug data", visible(frame.additional_data))


def _read_origins(content: Content, payload: bytes) -> None:
    """RFC 8336, 2.1: any number of origins, each behind its length in two octets."""
    offset = 0
    while offset < len(payload):
        begin = offset + 2
        offset = begin + int.from_bytes(payload[offset:begin], "big")
        if offset > len(payload):
            raise InvalidFrameError("an origin is longer than the frame")
        content.say("origin", visible(payload[begin:offset]))


def _read_priority_update(content: Content, payload: bytes) -> None:
    """RFC 9218, 7.1: a stream identifier behind a reserved bit, then the Priority field's value."""
    if len(payload) < 4:
        raise InvalidFrameError("no prioritized stream")
    content.say("prioritized stream", int.from_bytes(payload[:4], "big") & 0x7FFFFFFF)
    content.say("field value", visible(payload[4:]))


def kind_of(code: int) -> str:
    """Return the name of a frame type: one of `KINDS`, or for instance `UNKNOWN_0xbe`."""
    return _KINDS.get(code, f"UNKNOWN_0x{code:02x}")


def flags_of(code: int, flag_byte: int) -> tuple[tuple[str, bool], ...]:
    """Each flag that the type defines and whether it is set, then set bits that it does not."""
    defined = hf.FRAMES[code].defined_flags if code in hf.FRAMES else []
    flags = [(flag.name, bool(flag_byte & flag.bit)) for flag in defined]
    known = sum(flag.bit for flag in defined)
    bits = [1 << number for number in range(8)]
    return (*flags, *((f"0x{bit:02x}", True) for bit in bits if flag_byte & bit & ~known))


def _error_name(code: int) -> str:
    return _ERRORS[code] if code < len(_ERRORS) else f"0x{code:08x}"


def joined(*problems: str) -> str:
    """Several problems as one; those that are empty are none."""
    return "; ".join(filter(None, problems))


def visible(data: Iterable[int]) -> str:
    r"""Octets as printable ASCII, all others as `\xNN` and the backslash as `\\`.

    Nothing that a terminal obeys or turns around gets through: no C0 or C1 control, no DEL, no
    character beyond ASCII.
    """
    return "".join([_VISIBLE[octet] for octet in data])


_VISIBLE = [chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}" for octet in range(256)]
_VISIBLE[0x5C] = "\\\\"
