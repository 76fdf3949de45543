"""Limits that the engine leaves to us, counted on its events and on frames that it does not report.

Each connection has one: a `RequestGuard` for `wire.server`, a `Guard` for `wire.client`. It reads
events, the counts of `wire.frame_checks`, and the time; it changes only its own counters (and
resets the checker's), and returns the reason to close the connection, or None. The table of attacks
is in docs/security.md.
"""

from __future__ import annotations

from typing import Protocol

from headstart.config import WireLimits
from headstart.reasons import Closing
from headstart.wire.frame_checks import ClientFrameChecker, FrameChecker

# WINDOW_UPDATE frames that need no reason: 100 streams may open their windows once each.
FREE_WINDOW_UPDATES = 100
# So many bytes are worth a DATA frame of their own, however the client cuts them by its windows.
_DATA_WORTH = 4096
# Seconds after which the whole burst of resets is there again.
_REFILL = 30
# A request that is given up within so many seconds was not made for its answer; one that is given
# up later costs so much of a reset, a mistake so many.
_SHORT = 0.05
_OLD = 0.25
_MISTAKE = 5
# Times that are told apart within `_SHORT`.
_MARKS = 32
# PINGs that are answered for each request, each part of a body, and as many bytes.
_ANSWERS = 2


class TokenBucket:
    """At most `burst` at once and `rate` a second in the long run."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self._burst = burst
        self._rate = rate
        self._tokens = burst
        self._at = now

    def take(self, now: float, amount: float = 1) -> bool:
        """Take so many tokens, or give them back; False when there are not enough.

        Args:
            now: Seconds on any clock that does not run backwards.
            amount: Below 0 for tokens that were earned.
        """
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def has(self, now: float) -> bool:
        """Return true if there is a token, and keep it."""
        return self._tokens + (now - self._at) * self._rate >= 1


class Bounds(Protocol):
    """The limits on control frames; see `config.WireLimits`."""

    @property
    def max_control_rate(self) -> int:
        """PING and SETTINGS frames a second, and as many that ask for nothing."""
        ...

    @property
    def max_window_updates(self) -> int:
        """WINDOW_UPDATE frames for each DATA frame sent."""
        ...


class Guard:
    """Count frames that a peer could repeat without end as far as the engine is concerned."""

    __slots__ = ("_answers_paid", "_bounds", "_checker", "_control", "_paid", "_useless")

    def __init__(self, bounds: Bounds, checker: FrameChecker, now: float) -> None:
        rate = bounds.max_control_rate
        self._bounds = bounds
        self._checker = checker
        self._control = TokenBucket(2 * rate, rate, now)
        self._useless = TokenBucket(2 * rate, rate, now)
        self._paid = 0
        """Requests that useless frames were allowed for."""
        self._answers_paid = 0
        """What was worth an answer to a PING, when the last one came."""

    def control_frame(self, now: float, sends: int, moved: int) -> Closing | None:
        """Count a PING or SETTINGS frame (CVE-2019-9512, CVE-2019-9515).

        Frames that accompany useful work are free: gRPC's peers send a PING for each DATA frame
            that they
        receive, of any size, while they estimate the bandwidth. Earned and unused frames are not
        kept beyond the burst.

        Args:
            now: Seconds.
            sends: Sent parts of bodies, except the last one of each.
            moved: Bytes written to the peer, and bytes of bodies received.
        """
        worth = self._checker.requests + sends + moved // _DATA_WORTH
        earned, self._answers_paid = _ANSWERS * (worth - self._answers_paid), worth
        return None if self._control.take(now, 1 - earned) else Closing.CONTROL_FLOOD

    def judge(self, now: float, sends: int, written: int) -> Closing | None:
        """Judge the checker's counts.

        Args:
            now: Seconds.
            sends: Parts of bodies that were sent, beside the last one of each.
            written: Bytes that were written to the client.
        """
        self._checker.due = False
        return self._judge_useless(now) or self._judge_windows(sends, written)

    def _judge_useless(self, now: float) -> Closing | None:
        """Frames that ask for nothing: as many as PINGs, and two more with each request.

        PRIORITY, PRIORITY_UPDATE and RST_STREAM of a stream that has ended are honest, once or so
        for a stream (CVE-2019-9513).
        """
        checker = self._checker
        count, checker.useless = checker.useless, 0
        requests = checker.requests
        earned, self._paid = 2 * (requests - self._paid), requests
        return None if self._useless.take(now, count - earned) else Closing.USELESS_FRAMES

    def _judge_windows(self, sends: int, written: int) -> Closing | None:
        """So many a DATA frame that was worth sending (CVE-2019-9511, CVE-2019-9517).

        Counting those that were sent would let one-byte windows through: each makes a DATA frame.
        """
        checker = self._checker
        if checker.window_updates <= checker.window_allowance:
            return None
        worth = checker.requests + sends + written // _DATA_WORTH
        checker.window_allowance = FREE_WINDOW_UPDATES + worth * self._bounds.max_window_updates
        too_many = checker.window_updates > checker.window_allowance
        return Closing.WINDOW_FLOOD if too_many else None


class RequestGuard(Guard):
    """Count the frames of clients, including their resets.

    A person who types cancels a search with each key, a map cancels thirty pictures with each step,
    and a proxy carries many such clients. None of them cancels a request as soon as it is made.
    """

    __slots__ = (
        "_answered_paid",
        "_marks",
        "_next_mark",
        "_resets",
        "_settled",
        "checker",
        "marked",
    )

    def __init__(self, limits: WireLimits, checker: ClientFrameChecker, now: float) -> None:
        super().__init__(limits, checker, now)
        self.checker = checker
        most = limits.max_resets
        self._resets = TokenBucket(most, most / _REFILL, now)
        self._answered_paid = 0
        """Answered requests that resets were allowed for."""
        self.marked = checker.last
        """The last stream that `opened` was told of."""
        # An empty deque takes 760 bytes, which an idle connection would keep.
        self._marks: list[tuple[float, int]] = []
        """When streams were opened -> the last one before them; the last `_MARKS`."""
        self._next_mark = now
        """When the next streams get a mark of their own."""
        self._settled = -1
        """The last stream that is older than `_SHORT`."""

    def opened(self, now: float) -> None:
        """Note the time of the streams up to the checker's last."""
        if now >= self._next_mark:
            self._next_mark = now + _SHORT / _MARKS
            marks = self._marks
            marks.append((now, self.marked))
            if len(marks) > _MARKS:
                del marks[0]
        self.marked = self.checker.last

    def reset(self, stream_id: int, now: float, answered: int) -> Closing | None:
        """Count a reset by the client (CVE-2023-44487).

        Args:
            stream_id: Which one.
            now: Seconds.
            answered: Requests that were answered whole so far; each pays for a reset.
        """
        marks = self._marks
        while marks and now - marks[0][0] >= _SHORT:
            del marks[0]
            self._settled = marks[0][1] if marks else self.marked
        earned, self._answered_paid = answered - self._answered_paid, answered
        cost = _OLD if stream_id <= self._settled else 1
        return self._take(now, cost - earned)

    def refused(self, now: float) -> Closing | None:
        """Count a stream refused for lack of room."""
        return self._take(now, 1)

    def mistake(self, now: float) -> Closing | None:
        """Count a stream that the engine reset for the client's error (CVE-2025-8671)."""
        return self._take(now, _MISTAKE)

    def too_large(self, now: float, fields: int) -> Closing | None:
        """Count a request with too many or too large fields, which gets an error response.

        To decode a thousand references of an octet each takes as long as ten small requests.
        """
        return self._take(now, 1 + fields // 100)

    def _take(self, now: float, cost: float) -> Closing | None:
        return None if self._resets.take(now, cost) else Closing.RESET_FLOOD
