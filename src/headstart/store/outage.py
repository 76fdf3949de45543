"""The time in which a store's medium cannot be used: when to try again, and the lines that say so.

Changes nothing but itself. `sqlite` and `redis` have one each; records wait in `pending` meanwhile.
"""

from __future__ import annotations

from headstart.store.base import StoreError, Warn


class Outage:
    """Remember whether a medium can be used.

    Args:
        medium: Its name, in the lines for the operator.
        warn: Takes one line when the medium cannot be used, and when it can again.
        pause: Seconds between two attempts to use a medium that could not be used.
        repeats: Tell again of a medium whose error changes. A server's errors alternate while it
            starts, and would fill the log.

    Attributes:
        failures: How often the medium could not be used since the start.
    """

    def __init__(self, medium: str, warn: Warn, pause: float, *, repeats: bool) -> None:
        self.failures = 0
        self._medium = medium
        self._warn = warn
        self._pause = pause
        self._repeats = repeats
        self._retry_at = float("-inf")
        self._reason = ""

    def __bool__(self) -> bool:
        return bool(self._reason)

    def is_waiting(self, now: float) -> bool:
        """Return true if the medium failed a moment ago, so that it is not tried yet.

        A clock that is set back does not prolong the pause.
        """
        return 0.0 < self._retry_at - now <= self._pause

    def failed(self, error: StoreError, now: float) -> None:
        """Take that the medium could not be used."""
        self.failures += 1
        self._retry_at = now + self._pause
        reason = str(error)
        if reason == self._reason or (self._reason and not self._repeats):
            return
        self._reason = reason
        hint = f" {error.hint}" if error.hint else ""
        self._warn(f"{reason}; going on from memory.{hint}")

    def recovered(self) -> None:
        """Take that the medium was used."""
        self._retry_at = float("-inf")
        if self._reason:
            self._reason = ""
            self._warn(f"{self._medium} is in use again")
