"""Check the frame headers of a server ahead of the engine.

The engine ignores frames on closed streams, whoever closed them, and counts little. This module
knows which side closed a stream: frames after the server's own end are a connection error, frames
that cross our RST_STREAM on their way are not (RFC 9113, 5.1). Reads frame headers, and the
requests and closed streams that `wire.client` reports; changes only its own state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from headstart.wire.connection import ErrorCode
from headstart.wire.frame_checks import (
    ACK,
    CONTINUATION,
    CUT,
    DATA,
    END_STREAM,
    HEADERS,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    FrameChecker,
    Violation,
    broken_rule,
    depends_on_itself,
    promised_stream,
)

# A server opens no streams with requests.
_NO_STREAM: Final = -3
# Streams that we ended are remembered so many times: what crosses our RST_STREAM comes within a
# round trip. Below the oldest of them, nothing is an error any more.
_REMEMBERED: Final = 1000
# RFC 9113, 6.6: the number of the promised stream.
_SMALLEST_PROMISE: Final = 4


class ServerFrameChecker(FrameChecker):
    """Check the frames of one server.

    Args:
        push: It may promise.
        is_live: Returns true for a stream that has not closed, as far as the engine has reported.
    """

    __slots__ = (
        "_awaited",
        "_is_live",
        "_left",
        "_left_below",
        "_look_through_at",
        "_promised",
        "_push",
        "_requested",
        "_requests",
    )

    def __init__(self, push: bool, is_live: Callable[[int], bool], window_allowance: int) -> None:
        super().__init__(0, _NO_STREAM, window_allowance)
        self._push = push
        self._is_live = is_live
        self._awaited: set[int] = set()
        """Streams on which the server has not had its last word."""
        self._look_through_at = _REMEMBERED
        """With so many of them it is time to look for those that the engine refused silently."""
        self._left: set[int] = set()
        """Streams that this side ended before the server had its last word."""
        self._left_below = 0
        """Streams below may have been among them, too."""
        self._requests = 0
        self._requested = 0
        """The highest stream with a request."""
        self._promised = 0
        """The highest promised stream."""

    @property
    def requests(self) -> int:
        """How many were made."""
        return self._requests

    def asked(self, stream_id: int) -> None:
        """Record a request."""
        self._awaited.add(stream_id)
        self._requests += 1
        self._requested = stream_id

    def pinged(self) -> None:
        """Record a PING, whose acknowledgement is not useless."""
        self.useless -= 1

    def closed(self, stream_id: int) -> None:
        """Record a closed stream; if the server has not ended it, this side or the engine has."""
        if stream_id in self._awaited:
            self._awaited.discard(stream_id)
            self._leave(stream_id)

    def _leave(self, stream_id: int) -> None:
        self._left.add(stream_id)
        if len(self._left) > _REMEMBERED:
            numbers = sorted(self._left)
            self._left_below = numbers[_REMEMBERED // 2]
            self._left = set(numbers[_REMEMBERED // 2 :])

    def _check_frame(
        self, what: int, stream: int, size: int, data: bytes | memoryview, at: int
    ) -> Violation | None:
        kind, flags = what >> 8, what & 0xFF
        if kind == DATA:
            return self._data(stream, flags, size)
        if kind == HEADERS:
            return self._headers(stream, flags, size, data, at)
        if kind == PUSH_PROMISE:
            return self._promise(stream, flags, size, data, at)
        if kind == PRIORITY:
            return self._priority(stream, size, data, at)
        return self._other(kind, flags, stream)

    def _data(self, stream: int, flags: int, size: int) -> Violation | None:
        if stream not in self._awaited:
            return None if self._is_excused(stream) else _ended("DATA")
        if flags & END_STREAM:
            self._awaited.discard(stream)
        elif not size:
            self._count_useless()
        return None

    def _headers(
        self, stream: int, flags: int, size: int, data: bytes | memoryview, at: int
    ) -> Violation | None:
        offence = depends_on_itself(stream, flags, size, data, at)
        if offence is not None:
            return offence
        if stream in self._awaited:
            if flags & END_STREAM:
                self._awaited.discard(stream)
        elif self._is_excused(stream):
            self._count_useless()
        else:
            return _ended("HEADERS")
        self._begin_block(flags, data, at)
        return None

    def _is_excused(self, stream: int) -> bool:
        """Return true if the server may send the frame on a stream that nobody waits for.

        That is so if this side ended the stream. The engine itself responds on stream 0 and on
        streams that were never opened.
        """
        highest = self._requested if stream % 2 else self._promised
        return not 0 < stream <= highest or stream in self._left or stream < self._left_below

    def _promise(
        self, parent: int, flags: int, size: int, data: bytes | memoryview, at: int
    ) -> Violation | None:
        if not self._push:
            return broken_rule("PUSH_PROMISE where push is off (RFC 9113, 8.4)")
        promised = 0  # a wrong size, which the engine answers
        if size >= _SMALLEST_PROMISE:
            number = promised_stream(flags, data, at)
            if number is None:
                return CUT
            promised = number
        if parent in self._awaited:
            self._expect(promised)
        elif self._is_excused(parent):
            # The engine refuses it, and says so to the server only.
            self._count_useless()
            self._promised = max(self._promised, promised)
            self._leave(promised)
        else:
            return broken_rule("PUSH_PROMISE on a stream that it had ended (RFC 9113, 6.6)")
        self._begin_block(flags, data, at)
        return None

    def _expect(self, promised: int) -> None:
        if promised <= self._promised or promised % 2:
            return  # the engine answers
        self._promised = promised
        self._awaited.add(promised)
        if len(self._awaited) > self._look_through_at:
            # A promise that crosses our RST_STREAM of its parent is refused without an event.
            for number in [one for one in self._awaited if not self._is_live(one)]:
                self.closed(number)
            self._look_through_at = _REMEMBERED + 2 * len(self._awaited)

    def _other(self, kind: int, flags: int, stream: int) -> Violation | None:
        if kind == WINDOW_UPDATE:
            self._count_window_update()
        elif kind == RST_STREAM:
            self._reset(stream)
        elif kind == CONTINUATION:
            return self._continuation(flags)
        elif kind not in (SETTINGS, PING) or (kind == PING and flags & ACK):
            self._count_useless()  # SETTINGS and PING are the engine's to tell, but for answers
        return None

    def _reset(self, stream: int) -> None:
        if stream in self._awaited:
            self._awaited.discard(stream)
        elif stream in self._left:
            self._left.discard(stream)
        else:
            self._count_useless()


def _ended(what: str) -> Violation:
    return broken_rule(
        f"{what} on a stream that it had ended (RFC 9113, 5.1)", ErrorCode.STREAM_CLOSED
    )
