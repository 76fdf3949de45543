"""Limits that the engine leaves to us, counted on its events.

One `Guard` stands beside each server connection. It reads events and the time, changes only its
own counters, and answers with the reason to close the connection, or None. The table of attacks
is in docs/security.md. Called by `wire.server`.
"""

from __future__ import annotations

from headstart.config import WireLimits
from headstart.reasons import Closing


class TokenBucket:
    """At most `burst` at once and `rate` a second in the long run."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self._burst = burst
        self._rate = rate
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one token; False when there is none.

        Args:
            now: Seconds on any clock that does not run backwards.
        """
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Guard:
    """Counts what a peer may repeat without end as far as the engine is concerned."""

    __slots__ = ("_control", "_resets")

    def __init__(self, limits: WireLimits, now: float) -> None:
        self._control = TokenBucket(2 * limits.max_control_rate, limits.max_control_rate, now)
        # A minute refills the whole bucket: honest clients do cancel streams now and then.
        self._resets = TokenBucket(limits.max_resets, limits.max_resets / 60, now)

    def control_frame(self, now: float) -> Closing | None:
        """A PING or SETTINGS frame came (CVE-2019-9512, CVE-2019-9515)."""
        return None if self._control.take(now) else Closing.CONTROL_FLOOD

    def reset(self, now: float) -> Closing | None:
        """A stream was reset: by the peer (CVE-2023-44487), or because of it (CVE-2025-8671)."""
        return None if self._resets.take(now) else Closing.RESET_FLOOD
