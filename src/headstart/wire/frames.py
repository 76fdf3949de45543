"""Decode both directions of a connection into frames, in parallel to the connection.

Reads copies of the raw bytes, changes none of them, and never raises for a peer's bytes: malformed
ones become a `Frame` whose `problem` names the error, and decoding continues after it. Frame
payloads are read by `wire.payloads`, header blocks with hpack. Called by everything that shows or
counts frames: the dump and the wiretap of `h2c`, and tests.

Memory is bounded by the size that HTTP/2 allows for one frame, 16 MiB (RFC 9113, 4.2), per
direction: a frame is decoded when it is complete. Header blocks and HPACK tables have tighter
bounds, below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum, unique

from hpack import Decoder, HPACKError, OversizedHeaderListError

from headstart.wire.payloads import (
    EXCERPT,
    HeaderList,
    Pairs,
    flags_of,
    joined,
    kind_of,
    read_payload,
    visible,
)
from headstart.wire.upgrades import MAX_HEAD, read_answer, read_request

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

# What a head must begin with for us to wait for its end.
_REQUEST = re.compile(rb"[A-Z]{1,20} ")
_SWITCHING = re.compile(rb"HTTP/1\.1 101 ")

_HEADER_SIZE = 9
_END_HEADERS = 0x04
_PUSH_PROMISE = 0x05
_CONTINUATION = 0x09
_CARRY_HEADERS = frozenset({0x01, _PUSH_PROMISE, _CONTINUATION})


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
    """One frame, or a record of bytes that are not a frame.

    Attributes:
        at: When its last byte came, in seconds since the connection was made.
        direction: Sent or received.
        kind: One of `payloads.KINDS`, or for instance `UNKNOWN_0xbe`.
        type_code: The type on the wire; None if `kind` is not a frame: `PREFACE`, `UPGRADE` (the
            HTTP/1.1 request for HTTP/2 or its response; the request is that of stream 1),
            `NOT_HTTP2` (nothing further in this direction is decoded) and `INCOMPLETE` (the
            connection ended within it).
        stream_id: 0 for the connection.
        length: Bytes of the payload, padding included, without the nine of the header.
        flags: Each flag that the type defines and whether it is set, then the set bits that it
            does not define, for instance `0x40`.
        headers: The whole field section, on the HEADERS or PUSH_PROMISE frame that began it; the
            CONTINUATION frames that completed it follow without.
        details: The payload's other data, in its order; printable ASCII.
        data: The payload of DATA without padding; the whole payload of an unknown type.
        problem: The error in it, or "".
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
        """Return true if it is an informational response, such as a 103 (RFC 9113, 8.1)."""
        status = self.status
        return status is not None and 100 <= status < 200

    @property
    def trailers(self) -> bool:
        """Return true if it is a trailer section, without pseudo-header fields (RFC 9113, 8.1)."""
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
        "_upgrading",
        "announced",
    )

    def __init__(self, direction: Direction, preface: bool) -> None:
        self._direction = direction
        self._preface = preface
        self._started = False
        self._stopped = False
        self._upgrading = False
        """HTTP/2 was asked for; its preface comes if the server grants it."""
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
        """End the direction; return the incomplete rest."""
        left = self._blocks.abandon("the connection ended within the header block")
        if self._buffer and not self._upgrading:
            left.append(self._record("INCOMPLETE", at, "the connection ended within it"))
            self._buffer.clear()
        self._stopped = True
        return left

    def peer_settings(self, header_table_size: int) -> None:
        """Handle that the other direction announced SETTINGS_HEADER_TABLE_SIZE, which this one's
        encoder may use (RFC 9113, 6.5.2). A smaller one needs no call: the encoder signals when it
        follows, and until then its old size stands (RFC 7541, 4.2).
        """
        self._blocks.allow_table(header_table_size)

    def _start(self, at: float) -> list[Frame]:
        """Look at the first bytes: a preface, frames, or another protocol."""
        if self._upgrading:
            return self._find_preface(at)
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
            return self._start_in_http1(at)
        self._started = True
        return self._find_preface(at) if self._preface else []

    def _start_in_http1(self, at: float) -> list[Frame]:
        """Look at the head of an HTTP/1.1 message: an upgrade, or nothing for us."""
        begins = _REQUEST if self._preface else _SWITCHING
        if not begins.match(self._buffer):
            return self._stop(at)
        size = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD) + 4
        if size < 4:
            return [] if len(self._buffer) < MAX_HEAD else self._stop(at)
        head = bytes(self._buffer[:size])
        upgrade = read_request(head) if self._preface else read_answer(head)
        if upgrade is None:
            return self._stop(at)
        del self._buffer[:size]
        self._upgrading = self._preface
        self._started = not self._preface
        settings = upgrade.settings
        self.announced = max(self.announced, settings.header_table_size)
        record = Frame(
            at,
            self._direction,
            "UPGRADE",
            stream_id=1,
            length=size,
            headers=upgrade.headers,
            details=tuple(settings.details),
            problem=settings.problem,
        )
        return [record, *(self._find_preface(at) if self._upgrading else [])]

    def _find_preface(self, at: float) -> list[Frame]:
        """Find the preface, which may follow content after an upgrade."""
        begin = self._buffer.find(PREFACE)
        if begin < 0:
            del self._buffer[: 1 - len(PREFACE)]
            return []
        del self._buffer[: begin + len(PREFACE)]
        self._started = True
        self._upgrading = False
        return [Frame(at, self._direction, "PREFACE", length=len(PREFACE))]

    def _stop(self, at: float) -> list[Frame]:
        self._stopped = True
        record = self._record("NOT_HTTP2", at, "no HTTP/2: nothing behind it is decoded")
        self._buffer.clear()
        return [record]

    def _record(self, kind: str, at: float, problem: str) -> Frame:
        excerpt = bytes(self._buffer[:EXCERPT])
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
        content = read_payload(code, flag_byte, stream_id, payload)
        self.announced = max(self.announced, content.header_table_size)
        frame = Frame(
            at,
            self._direction,
            kind_of(code),
            code,
            stream_id,
            len(payload),
            flags_of(code, flag_byte),
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
        """Set the table size that one direction announced; called from outside only for the
        HTTP2-Settings field of an upgrade (RFC 7540, 3.2.1), which is not in a frame.
        """
        self._decoders[direction.opposite].peer_settings(header_table_size)

    def end(self, at: float) -> list[Frame]:
        """End the connection; return the incomplete rest of both directions."""
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


def _with_problem(frame: Frame, problem: str) -> Frame:
    return replace(frame, problem=joined(frame.problem, problem))
