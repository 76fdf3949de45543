"""A walk over the frame headers of what a peer sends, ahead of the engine.

The engine ignores some frames that RFC 9113 wants answered with an error, and says nothing of many
that cost time. The walker reads the nine bytes before each frame, wherever segments are cut, and
changes nothing but its own state: it answers with an `Offence`, or sets `due` where `wire.guard`
should look at what it counted. `RequestWalker`, for what a client sends, is called by `wire.server`
once a segment, before the engine; `wire.answers` has the one for what a server sends.

Nearly all frames of a busy client are requests without a body whose stream is the next one: those
take one comparison each, and one of their header blocks; everything else goes to `_look`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container
from dataclasses import dataclass
from struct import Struct
from typing import Final

from ngh2 import ErrorCode

from headstart.reasons import Closing
from headstart.wire.repeats import Repeats

# RFC 9113, 4.1: length (24 bits, here as 16 and 8), type and flags (as one number), stream.
_HEADER: Final = Struct(">HBHL")
_HEADER_SIZE: Final = 9
# HEADERS with END_STREAM and END_HEADERS: a whole request.
_WHOLE_REQUEST: Final = 0x0105
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)
END_STREAM: Final = 0x01
ACK: Final = 0x01
_END_HEADERS: Final = 0x04
_PADDED: Final = 0x08
_WITH_PRIORITY: Final = 0x20
STREAM_BITS: Final = 0x7FFF_FFFF
_PREFACE_SIZE: Final = 24
# What the engine allows too, but without a word to the client.
_MAX_CONTINUATIONS: Final = 8
# Over so many DATA frames their size is averaged.
DATA_SAMPLE: Final = 1000
# Ids that the client skipped are remembered that many times; see `_closed`.
_MAX_GAPS: Final = 100


@dataclass(frozen=True, slots=True)
class Offence:
    """What ends the connection.

    Attributes:
        error_code: For the GOAWAY.
        reason: For the log and the counters.
        detail: Which rule was broken; "" where `reason` says it.
    """

    error_code: ErrorCode
    reason: Closing
    detail: str = ""


CUT: Final = Offence(ErrorCode.NO_ERROR, Closing.CLOSED)
"""No offence: the frame's first bytes are not all there yet."""


class FrameWalker(ABC):
    """Frame headers of one peer, across segments.

    Attributes:
        last: The highest stream that the peer opened with a request; far below all where it is
            not the one that asks.
        repeats: Which streams began like the one before.
        due: Something was counted that `Guard.judge` should look at.
        useless: Frames that ask for nothing, since the guard last looked.
        window_updates: WINDOW_UPDATE frames so far.
        window_allowance: How many of them need no look.
    """

    __slots__ = (
        "_at",
        "_before",
        "_block_at",
        "_continuations",
        "_rest",
        "_total",
        "_what",
        "due",
        "last",
        "repeats",
        "useless",
        "window_allowance",
        "window_updates",
    )

    def __init__(self, begins_at: int, last: int, window_allowance: int) -> None:
        self._at = begins_at
        """Bytes until the next frame header."""
        self._rest = b""
        """A frame header, or a little more, that the last segment cut."""
        self._total = 0
        """Bytes walked so far."""
        self._what = DATA
        """Type and flags of the last frame."""
        self._before = last
        """`last` at the start of the segment."""
        self._block_at = -1
        """Where a header section began that has not ended; -1 without one."""
        self._continuations = 0
        self.last = last
        self.repeats = Repeats()
        self.due = False
        self.useless = 0
        self.window_updates = 0
        self.window_allowance = window_allowance

    @property
    @abstractmethod
    def requests(self) -> int:
        """How many requests there were on the connection."""

    def walk(self, data: bytes | memoryview) -> Offence | None:
        """Look at the frames that begin in a segment; what ends the connection, or None."""
        self._total += len(data)
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, size, what = self._at, len(data), self._what
        last = self._before = self.last
        unpack = _HEADER.unpack_from
        final = size - _HEADER_SIZE
        repeats = self.repeats
        while at <= final:
            high, low, what, stream = unpack(data, at)
            if what == _WHOLE_REQUEST and stream == last + 2:
                last = stream
                start = at + _HEADER_SIZE
                at = start + (high << 8) + low
                if at > size:
                    repeats.forget()
                elif (block := data[start:at]) != repeats.last:
                    repeats.look(block, stream)
                continue
            self.last = last
            offence = self._look(what, stream & STREAM_BITS, (high << 8) + low, data, at)
            if offence is not None:
                if offence is CUT:
                    break
                return offence
            last = self.last
            at += _HEADER_SIZE + (high << 8) + low
        self.last, self._what = last, what
        if at < size:
            self._rest = bytes(data[at:])
            self._at = 0
        else:
            self._at = at - size
        return None

    @property
    def unfinished(self) -> int | None:
        """A number for what was begun and not ended, another one for another; None for nothing.

        That is a frame, or a header section. A part of a body is another matter.
        """
        if self._block_at >= 0:
            return self._block_at
        if self._rest:
            return self._total - len(self._rest)
        if self._at and self._what >> 8 != DATA:
            return self._total + self._at
        return None

    @abstractmethod
    def _look(
        self, what: int, stream: int, size: int, data: bytes | memoryview, at: int
    ) -> Offence | None:
        """Look at one frame.

        Args:
            what: Its type and its flags.
            size: Of its payload.
            data, at: Where its header begins; the payload may not all be there.
        """

    def _begin_block(self, flags: int, data: bytes | memoryview, at: int) -> None:
        """A header section begins; without END_HEADERS, CONTINUATION frames follow."""
        if not flags & _END_HEADERS:
            self._block_at = self._total - len(data) + at
            self._continuations = 0

    def _continuation(self, flags: int) -> Offence | None:
        self.repeats.forget()
        if flags & _END_HEADERS:
            self._block_at = -1
        self._continuations += 1
        if self._continuations > _MAX_CONTINUATIONS:
            return Offence(ErrorCode.ENHANCE_YOUR_CALM, Closing.CONTINUATION_FLOOD)
        return None

    def _priority(
        self, stream: int, size: int, data: bytes | memoryview, at: int
    ) -> Offence | None:
        if not stream:
            return broken_rule("PRIORITY on 0 (RFC 9113, 6.3)")
        offence = _depends_on_itself(stream, size, data, at, 0)
        if offence is None:
            self._count_useless()
        return offence

    def _count_window_update(self) -> None:
        self.window_updates += 1
        if self.window_updates > self.window_allowance:
            self.due = True

    def _count_useless(self) -> None:
        self.useless += 1
        self.due = True


class RequestWalker(FrameWalker):
    """What one client sends.

    Args:
        live: Streams of the client that the engine has not closed.

    Attributes:
        data_frames: DATA frames that do not end a body, since the guard last took the average.
        data_bytes: Their payloads, and for each body as much as two frames should have.
    """

    __slots__ = (
        "_gaps",
        "_live",
        "_min_data",
        "_reset",
        "_reset_in",
        "_sending",
        "_skipped",
        "data_bytes",
        "data_frames",
    )

    def __init__(self, live: Container[int], window_allowance: int, min_data: int) -> None:
        # The first request's stream is 1.
        super().__init__(_PREFACE_SIZE, -1, window_allowance)
        self._live = live
        self._min_data = min_data
        self._sending: set[int] = set()
        """Streams whose body the client has not ended."""
        self._reset: set[int] = set()
        """Streams that it reset in one segment: the engine does not know yet."""
        self._reset_in = 0
        """Which segment that is: where it ends."""
        self._gaps: list[tuple[int, int]] = []
        self._skipped = 0
        """Streams that the client left out, and so can open no more (RFC 9113, 5.1.1)."""
        self.data_frames = 0
        self.data_bytes = 0

    @property
    def requests(self) -> int:
        """How many there were, those that the client left out among them."""
        return (self.last + 1) // 2

    @property
    def opened(self) -> int:
        """How many streams the client opened, the one whose header section goes on among them."""
        return (self.last + 1) // 2 - self._skipped

    def _look(
        self, what: int, stream: int, size: int, data: bytes | memoryview, at: int
    ) -> Offence | None:
        kind, flags = what >> 8, what & 0xFF
        if kind == DATA:
            return self._data(stream, flags, size)
        if kind == HEADERS:
            return self._headers(stream, flags, size, data, at)
        if kind == PRIORITY:
            return self._priority(stream, size, data, at)
        return self._other(kind, flags, stream)

    def _data(self, stream: int, flags: int, size: int) -> Offence | None:
        if stream not in self._sending:
            return self._closed(stream) if stream <= self.last else None
        if flags & END_STREAM:
            self._sending.discard(stream)
            return None
        self.data_frames += 1
        self.data_bytes += size
        if not size:
            self._count_useless()
        if self.data_frames >= DATA_SAMPLE:
            self.due = True
        return None

    def _headers(
        self, stream: int, flags: int, size: int, data: bytes | memoryview, at: int
    ) -> Offence | None:
        self.repeats.forget()
        offence = depends_on_itself(stream, flags, size, data, at)
        if offence is not None:
            return offence
        if stream > self.last:
            self._opened(stream, flags)
        elif stream in self._sending:
            if flags & END_STREAM:
                self._sending.discard(stream)
        elif (offence := self._closed(stream)) is not None:
            return offence
        self._begin_block(flags, data, at)
        return None

    def _opened(self, stream: int, flags: int) -> None:
        if stream != self.last + 2:
            self._skipped += (stream - self.last) // 2 - 1
            if len(self._gaps) < _MAX_GAPS:
                self._gaps.append((self.last, stream))
        self.last = stream
        if not flags & END_STREAM:
            self._sending.add(stream)
            self.data_bytes += 2 * self._min_data
            if len(self._sending) >= DATA_SAMPLE:
                # Those that we reset ourselves: by now their last frames have come.
                self._sending = {number for number in self._sending if number in self._live}

    def _closed(self, stream: int) -> Offence | None:
        """DATA or HEADERS came for a stream that the client has ended, or never opened."""
        if not stream % 2:
            return None  # stream 0, or ours: the engine answers
        if any(low < stream < high for low, high in self._gaps):
            return broken_rule("a lower stream (RFC 9113, 5.1.1)")
        is_reset = self._reset_in == self._total and stream in self._reset
        if not is_reset and (stream in self._live or stream > self._before):
            return None  # half-closed (remote): a stream error, and the engine's
        return broken_rule("a closed stream (RFC 9113, 5.1)", ErrorCode.STREAM_CLOSED)

    def _note_reset(self, stream: int) -> None:
        if self._reset_in != self._total:
            self._reset_in = self._total
            self._reset.clear()
        self._reset.add(stream)

    def _other(self, kind: int, flags: int, stream: int) -> Offence | None:
        if kind == WINDOW_UPDATE:
            self._count_window_update()
        elif kind == RST_STREAM:
            self._sending.discard(stream)
            self._note_reset(stream)
            if stream not in self._live and stream <= self._before:
                self._count_useless()
        elif kind == CONTINUATION:
            return self._continuation(flags)
        elif kind not in (SETTINGS, PING) or (kind == PING and flags & ACK):
            self._count_useless()  # SETTINGS and PING are the engine's to tell, but for answers
        return None


def broken_rule(detail: str, error_code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> Offence:
    """A rule of RFC 9113 that ends the connection."""
    return Offence(error_code, Closing.PROTOCOL_ERROR, detail)


def depends_on_itself(
    stream: int, flags: int, size: int, data: bytes | memoryview, at: int
) -> Offence | None:
    """Whether the priority in a HEADERS frame names the stream itself (RFC 7540, 5.3.1)."""
    if not flags & _WITH_PRIORITY:
        return None
    return _depends_on_itself(stream, size, data, at, 1 if flags & _PADDED else 0)


def _depends_on_itself(
    stream: int, size: int, data: bytes | memoryview, at: int, padded: int
) -> Offence | None:
    """Whether a stream's priority names the stream itself (RFC 7540, 5.3.1)."""
    if size < 5 + padded:
        return None  # a wrong size, which the engine answers
    dependency = _number_at(data, at + _HEADER_SIZE + padded)
    if dependency is None:
        return CUT
    return (
        broken_rule("a stream that depends on itself (RFC 7540, 5.3.1)")
        if dependency == stream
        else None
    )


def promised_stream(flags: int, data: bytes | memoryview, at: int) -> int | None:
    """The stream that a PUSH_PROMISE promises (RFC 9113, 6.6); None where it is not all there."""
    return _number_at(data, at + _HEADER_SIZE + (1 if flags & _PADDED else 0))


def _number_at(data: bytes | memoryview, at: int) -> int | None:
    """The 31 bits of a stream's number; None where they are not all there."""
    octets = data[at : at + 4]
    return int.from_bytes(octets, "big") & STREAM_BITS if len(octets) == 4 else None
