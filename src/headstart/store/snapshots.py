"""Decide which worker writes the next snapshot of the map, and whether it must.

Changes nothing but itself. Called by `sqlite` and `redis` after each exchange.
"""

from __future__ import annotations

from typing import Protocol

from headstart.store.pending import Pending


class Claim(Protocol):
    """Ask the medium for the next snapshot."""

    def __call__(self, *, force: bool) -> bool:
        """Return true if this worker is to write it, as with `force` in any case."""
        ...


class SnapshotDuty:
    """The part of one worker in writing snapshots.

    Attributes:
        is_claimed: This worker is to write the next snapshot.
        is_owed: Records of this worker were dropped, so that only a snapshot of its own has them.
    """

    __slots__ = ("is_claimed", "is_owed")

    def __init__(self) -> None:
        self.is_claimed = False
        self.is_owed = False

    def settle(self, pending: Pending, *, written: bool, claim: Claim) -> None:
        """Note an exchange that succeeded, and claim the next snapshot if one is due.

        Args:
            pending: The records that waited; whether some were dropped is taken from there.
            written: The exchange wrote a snapshot of this worker.
            claim: Asks the medium.
        """
        self.is_owed = (self.is_owed or pending.dropped) and not written
        pending.dropped = False
        self.is_claimed = claim(force=self.is_owed)
