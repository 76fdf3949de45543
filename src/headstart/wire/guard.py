"""Limits that the engine leaves to us, counted on its events and on the frames it says nothing of.

One stands beside each connection: a `RequestGuard` for `wire.server`, a `Guard` for `wire.client`.
It reads events, what `wire.walker` counted, and the time; it changes only its own counters (and
takes the walker's), and answers with the reason to close the connection, or None. The table of
attacks is in docs/security.md.
"""

from __future__ import annotations

from typing import Protocol

from headstart.config import WireLimits
from headstart.reasons import Closing
from headstart.wire.walker import DATA_SAMPLE, FrameWalker, RequestWalker

# WINDOW_UPDATE frames that need no reason: 100 streams may open their windows once each.
FREE_WINDOW_UPDATES = 100
# So many bytes are worth a DATA frame of their own, however the client cuts them by its windows.
_DATA_WORTH = 4096


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
        """Whether there is a token, which stays."""
        return self._tokens + (now - self._at) * self._rate >= 1


class Bounds(Protocol):
    """What either side's limits say of control frames; see `config.WireLimits`."""

    @property
    def max_control_rate(self) -> int:
        """PING and SETTINGS frames a second, and as many that ask for nothing."""
        ...

    @property
    def max_window_updates(self) -> int:
        """WINDOW_UPDATE frames for each DATA frame sent."""
        ...


class Guard:
    """Counts what a peer may repeat without end as far as the engine is concerned."""

    __slots__ = ("_bounds", "_control", "_paid", "_useless", "_walker")

    def __init__(self, bounds: Bounds, walker: FrameWalker, now: float) -> None:
        rate = bounds.max_control_rate
        self._bounds = bounds
        self._walker = walker
        self._control = TokenBucket(2 * rate, rate, now)
        self._useless = TokenBucket(2 * rate, rate, now)
        self._paid = 0
        """Requests that useless frames were allowed for."""

    def control_frame(self, now: float) -> Closing | None:
        """A PING or SETTINGS frame came (CVE-2019-9512, CVE-2019-9515)."""
        return None if self._control.take(now) else Closing.CONTROL_FLOOD

    def judge(self, now: float, sends: int, written: int) -> Closing | None:
        """The walker counted something that may be too much.

        Args:
            now: Seconds.
            sends: Parts of bodies that were sent, beside the last one of each.
            written: Bytes that were written to the client.
        """
        self._walker.due = False
        return self._judge_useless(now) or self._judge_windows(sends, written)

    def _judge_useless(self, now: float) -> Closing | None:
        """Frames that ask for nothing: as many as PINGs, and two more with each request.

        PRIORITY, PRIORITY_UPDATE and RST_STREAM of a stream that has ended are honest, once or so
        for a stream (CVE-2019-9513).
        """
        walker = self._walker
        count, walker.useless = walker.useless, 0
        requests = walker.requests
        earned, self._paid = 2 * (requests - self._paid), requests
        return None if self._useless.take(now, count - earned) else Closing.USELESS_FRAMES

    def _judge_windows(self, sends: int, written: int) -> Closing | None:
        """So many a DATA frame that was worth sending (CVE-2019-9511, CVE-2019-9517).

        Counting those that were sent would let one-byte windows through: each makes a DATA frame.
        """
        walker = self._walker
        if walker.window_updates <= walker.window_allowance:
            return None
        worth = walker.requests + sends + written // _DATA_WORTH
        walker.window_allowance = FREE_WINDOW_UPDATES + worth * self._bounds.max_window_updates
        too_many = walker.window_updates > walker.window_allowance
        return Closing.WINDOW_FLOOD if too_many else None


class RequestGuard(Guard):
    """For what clients send: their resets, and bodies in small parts, too."""

    __slots__ = ("_limits", "_resets", "_sample_at", "walker")

    def __init__(self, limits: WireLimits, walker: RequestWalker, now: float) -> None:
        super().__init__(limits, walker, now)
        self._limits = limits
        self.walker = walker
        # A minute refills the whole bucket: honest clients do cancel streams now and then.
        self._resets = TokenBucket(limits.max_resets, limits.max_resets / 60, now)
        self._sample_at = now

    def reset(self, now: float) -> Closing | None:
        """A stream was reset: by the peer (CVE-2023-44487), or because of it (CVE-2025-8671)."""
        return None if self._resets.take(now) else Closing.RESET_FLOOD

    def judge(self, now: float, sends: int, written: int) -> Closing | None:
        """See `Guard.judge`."""
        return super().judge(now, sends, written) or self._judge_data(now)

    def _judge_data(self, now: float) -> Closing | None:
        """The average of a thousand DATA frames that do not end a body (CVE-2019-9518).

        No more of them a second than PINGs are a stream of messages, and cost no more than those.
        """
        walker = self.walker
        if walker.data_frames < DATA_SAMPLE:
            return None
        small = walker.data_bytes < walker.data_frames * self._limits.min_data_size
        walker.data_frames = walker.data_bytes = 0
        since, self._sample_at = self._sample_at, now
        fast = (now - since) * self._limits.max_control_rate < DATA_SAMPLE
        return Closing.SMALL_DATA if small and fast else None
