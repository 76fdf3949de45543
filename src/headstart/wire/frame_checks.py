"""Check the frame headers of a peer ahead of the engine.

The engine ignores some frames that RFC 9113 treats as errors, and does not report many that cost
time. The checker reads the nine bytes before each frame, wherever segments are cut, and changes
nothing but its own state: it returns an `Violation`, or sets `due` when `wire.guard` should examine
its counts. `ClientFrameChecker`, for the frames of a client, is called by `wire.server` once per
segment, before the engine; `wire.server_frames` has the one for a server's frames.

Nearly all frames of a busy client are requests without a body on the next stream: those take one
comparison each, and one for their header block; everything else goes to `_check_frame`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Container
from dataclasses import dataclass
from struct import Struct
from typing import Final

from ngh2 import ErrorCode

from headstart.reasons import Closing
from headstart.wire.events import StreamSet
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
# So many streams with a body to come, and those that have gone are forgotten but for the latest:
# on a stream that we reset, what the client sent before it read the reset may still come.
_MANY: Final = 1000
_LATEST: Final = 500
# What is taken in one turn of the loop: payloads other than DATA, and so much for each frame. That
# is about 140 small requests or 250 DATA frames. Segments up to `LOOKED_AT` never have much more.
_TURN: Final = 8 * 1024
_A_FRAME: Final = 32
LOOKED_AT: Final = 4 * 1024
# RFC 9113, 6.9: what a WINDOW_UPDATE says is an octet string of this length.
_INCREMENT_SIZE: Final = 4
WINDOW_UPDATE_SIZE: Final = _HEADER_SIZE + _INCREMENT_SIZE
# Octets by which a client may open a stream's window without a look at whether it overflows.
_WIDE: Final = 1024 * 1024
# Ids that the client skipped are remembered that many times; see `_closed`.
_MAX_GAPS: Final = 100


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation that ends the connection.

    Attributes:
        error_code: For the GOAWAY.
        reason: For the log and the counters.
        detail: The broken rule; "" if `reason` says it.
    """

    error_code: ErrorCode
    reason: Closing
    detail: str = ""


CUT: Final = Violation(ErrorCode.NO_ERROR, Closing.CLOSED)
"""No offence: the frame's first bytes are not all there yet."""


class FrameChecker(ABC):
    """Frame headers of one peer, across segments.

    Attributes:
        ahead: Bytes of the next segment that belong to the frame before.
        rest: A frame header, or a little more, that the last segment cut.
        last: The highest stream that the peer opened with a request; far below all where it is
            not the one that asks.
        repeats: Which streams began like the one before.
        looked: Other frames than requests without a body began in the segment that was walked last.
        due: Something was counted that `Guard.judge` should look at; only where `looked` is true.
        useless: Frames that ask for nothing, since the guard last looked.
        window_updates: WINDOW_UPDATE frames so far.
        window_allowance: How many of them need no look.
    """

    __slots__ = (
        "_before",
        "_block_at",
        "_continuations",
        "_total",
        "_what",
        "ahead",
        "due",
        "last",
        "looked",
        "repeats",
        "rest",
        "useless",
        "window_allowance",
        "window_updates",
    )

    def __init__(self, begins_at: int, last: int, window_allowance: int) -> None:
        self.ahead = begins_at
        self.rest = b""
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
        self.looked = self.due = False
        self.useless = 0
        self.window_updates = 0
        self.window_allowance = window_allowance

    @property
    @abstractmethod
    def requests(self) -> int:
        """How many requests there were on the connection."""

    def walk(self, data: bytes | memoryview) -> Violation | None:
        """Check the frames that begin in a segment; return the violation that ends the connection,
        or None.
        """
        self._total += len(data)
        if self.rest:
            data = self.rest + data
            self.rest = b""
        at, size, what = self.ahead, len(data), self._what
        last = self._before = self.last
        final = size - _HEADER_SIZE
        repeats = self.repeats
        looked = False
        while at <= final:
            high, low, what, stream = _HEADER.unpack_from(data, at)
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
            self.looked = looked = True
            offence = self._check_frame(what, stream & STREAM_BITS, (high << 8) + low, data, at)
            if offence is not None:
                if offence is CUT:
                    break
                return offence
            last = self.last
            at += _HEADER_SIZE + (high << 8) + low
        self.last, self._what, self.looked = last, what, looked
        if at < size:
            self.rest = bytes(data[at:])
            self.ahead = 0
        else:
            self.ahead = at - size
        return None

    def first_part(self, data: bytes | memoryview) -> int:
        """Return how many bytes of a segment to walk in this turn of the loop; whole frames.

        The work that a segment causes is not bounded by its size: 64 KiB hold thousands of small
            frames or
        requests, and meanwhile all other connections wait.
        """
        size = len(data)
        if self.rest:
            head = self.rest + bytes(data[:_HEADER_SIZE])
            at = _HEADER_SIZE - len(self.rest) + int.from_bytes(head[:3], "big")
        else:
            at = self.ahead
        left, unpack = _TURN, _HEADER.unpack_from
        while left > 0 and at + _HEADER_SIZE <= size:
            high, low, what, _ = unpack(data, at)
            payload = (high << 8) + low
            left -= _A_FRAME if what >> 8 == DATA else _A_FRAME + payload
            at += _HEADER_SIZE + payload
        return size if left > 0 else min(at, size)

    @property
    def unfinished(self) -> int | None:
        """Return a number that identifies an unfinished frame or header section, or None.

        An unfinished body does not count.
        """
        if self._block_at >= 0:
            return self._block_at
        if self.rest:
            return self._total - len(self.rest)
        if self.ahead and self._what >> 8 != DATA:
            return self._total + self.ahead
        return None

    @abstractmethod
    def _check_frame(
        self, what: int, stream: int, size: int, data: bytes | memoryview, at: int
    ) -> Violation | None:
        """Check one frame.

        Args:
            what: Its type, shifted left by eight bits, and its flags.
            size: Of its payload.
            data, at: Where its header begins; the payload may be incomplete.
        """

    def _begin_block(self, flags: int, data: bytes | memoryview, at: int) -> None:
        """Begin a header section; without END_HEADERS, CONTINUATION frames follow."""
        if not flags & _END_HEADERS:
            self._block_at = self._total - len(data) + at
            self._continuations = 0

    def _continuation(self, flags: int) -> Violation | None:
        self.repeats.forget()
        if flags & _END_HEADERS:
            self._block_at = -1
        self._continuations += 1
        if self._continuations > _MAX_CONTINUATIONS:
            return Violation(ErrorCode.ENHANCE_YOUR_CALM, Closing.CONTINUATION_FLOOD)
        return None

    def _priority(
        self, stream: int, size: int, data: bytes | memoryview, at: int
    ) -> Violation | None:
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


@dataclass(frozen=True, slots=True)
class Widening:
    """A WINDOW_UPDATE that may open a stream's window too far.

    Attributes:
        at: Where the frame begins, in octets since the connection began.
        stream: Whose window it is.
        increment: Octets.
    """

    at: int
    stream: int
    increment: int


class ClientFrameChecker(FrameChecker):
    """Check the frames of one client.

    Args:
        live: Streams of the client that the engine has not closed.

    Attributes:
        widenings: The streams widened in the last segments, until they are taken.
        wide: The least increment of a widening.
    """

    __slots__ = (
        "_gaps",
        "_live",
        "_reset",
        "_reset_in",
        "_sending",
        "_skipped",
        "wide",
        "widenings",
    )

    def __init__(self, live: Container[int], window_allowance: int) -> None:
        # The first request's stream is 1.
        super().__init__(_PREFACE_SIZE, -1, window_allowance)
        self._live = live
        self._sending: StreamSet = {}
        """Streams whose body the client has not ended."""
        self._reset: StreamSet = {}
        """Streams that it reset in one segment: the engine does not know yet."""
        self._reset_in = 0
        """Which segment that is: where it ends."""
        self._gaps: list[tuple[int, int]] = []
        self._skipped = 0
        """Streams that the client left out, and so can open no more (RFC 9113, 5.1.1)."""
        self.widenings: list[Widening] = []
        self.wide = _WIDE

    @property
    def total(self) -> int:
        """Octets that were walked since the connection began."""
        return self._total

    @property
    def requests(self) -> int:
        """How many there were, those that the client left out among them."""
        return (self.last + 1) // 2

    @property
    def opened(self) -> int:
        """How many streams the client opened, the one whose header section goes on among them."""
        return (self.last + 1) // 2 - self._skipped

    def _check_frame(
        self, what: int, stream: int, size: int, data: bytes | memoryview, at: int
    ) -> Violation | None:
        kind, flags = what >> 8, what & 0xFF
        if kind == DATA:
            return self._data(stream, flags, size)
        if kind == HEADERS:
            return self._headers(stream, flags, size, data, at)
        if kind == PRIORITY:
            return self._priority(stream, size, data, at)
        if kind == WINDOW_UPDATE and stream and size == _INCREMENT_SIZE:
            self._note_widening(stream, data, at)
        return self._other(kind, flags, stream)

    def _note_widening(self, stream: int, data: bytes | memoryview, at: int) -> None:
        increment = _number_at(data, at + _HEADER_SIZE)
        if increment is not None and increment >= self.wide:
            begin = self._total - len(data) + at
            self.widenings.append(Widening(begin, stream, increment))

    def _data(self, stream: int, flags: int, size: int) -> Violation | None:
        if stream not in self._sending:
            return self._closed(stream) if stream <= self.last else None
        if flags & END_STREAM:
            self._sending.pop(stream, None)
            return None
        if not size:
            self._count_useless()
        return None

    def _headers(
        self, stream: int, flags: int, size: int, data: bytes | memoryview, at: int
    ) -> Violation | None:
        self.repeats.forget()
        offence = depends_on_itself(stream, flags, size, data, at)
        if offence is not None:
            return offence
        if stream > self.last:
            self._opened(stream, flags)
        elif stream in self._sending:
            if flags & END_STREAM:
                self._sending.pop(stream, None)
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
            self._sending[stream] = None
            if len(self._sending) >= _MANY:
                # By now the last frames have come of older ones: the client has no more streams
                # open at once.
                latest = self.last - 2 * _LATEST
                self._sending = {
                    number: None
                    for number in self._sending
                    if number > latest or number in self._live
                }

    def _closed(self, stream: int) -> Violation | None:
        """Check DATA or HEADERS on a stream that the client has ended, or never opened."""
        if not stream % 2:
            return None  # stream 0, or ours: the engine answers
        if any(low < stream < high for low, high in self._gaps):
            return broken_rule("a lower stream (RFC 9113, 5.1.1)")
        is_reset = self._reset_in == self._total and stream in self._reset
        if not is_reset and (stream in self._live or stream > self._before):
            return None  # half-closed (remote): a stream error, and the engine's
        return broken_rule("a closed stream (RFC 9113, 5.1)", ErrorCode.STREAM_CLOSED)

    @property
    def resets(self) -> Collection[int]:
        """Streams that the client reset in the segment that was walked last."""
        return self._reset if self._reset_in == self._total else ()

    def _note_reset(self, stream: int) -> None:
        if self._reset_in != self._total:
            self._reset_in = self._total
            self._reset.clear()
        self._reset[stream] = None

    def _other(self, kind: int, flags: int, stream: int) -> Violation | None:
        if kind == WINDOW_UPDATE:
            self._count_window_update()
        elif kind == RST_STREAM and stream:  # on 0 the engine ends the connection
            self._sending.pop(stream, None)
            self._note_reset(stream)
            if stream not in self._live and stream <= self._before:
                self._count_useless()
        elif kind == CONTINUATION:
            return self._continuation(flags)
        elif kind not in (SETTINGS, PING) or (kind == PING and flags & ACK):
            self._count_useless()  # SETTINGS and PING are the engine's to tell, but for answers
        return None


def broken_rule(detail: str, error_code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> Violation:
    """Return the violation of a rule of RFC 9113 that ends the connection."""
    return Violation(error_code, Closing.PROTOCOL_ERROR, detail)


def depends_on_itself(
    stream: int, flags: int, size: int, data: bytes | memoryview, at: int
) -> Violation | None:
    """Return true if the priority in a HEADERS frame names the stream itself (RFC 7540, 5.3.1)."""
    if not flags & _WITH_PRIORITY:
        return None
    return _depends_on_itself(stream, size, data, at, 1 if flags & _PADDED else 0)


def _depends_on_itself(
    stream: int, size: int, data: bytes | memoryview, at: int, padded: int
) -> Violation | None:
    """Return true if a stream's priority names the stream itself (RFC 7540, 5.3.1)."""
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
    """Return the stream that a PUSH_PROMISE promises (RFC 9113, 6.6); None if incomplete."""
    return _number_at(data, at + _HEADER_SIZE + (1 if flags & _PADDED else 0))


def _number_at(data: bytes | memoryview, at: int) -> int | None:
    """Return the 31 bits of a stream's number; None while they are incomplete."""
    octets = data[at : at + 4]
    return int.from_bytes(octets, "big") & STREAM_BITS if len(octets) == 4 else None
