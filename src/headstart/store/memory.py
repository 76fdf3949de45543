"""The store that keeps nothing: one process, until it ends.

Chosen by the operator. Where a file fails, `sqlite` itself goes on without it.
"""

from __future__ import annotations

from collections.abc import Sequence

from headstart.learn.records import Record


class MemoryStore:
    """A `Store` that has no medium: the learner itself is all there is."""

    @property
    def snapshot_due(self) -> bool:
        """Never."""
        return False

    @property
    def available(self) -> bool:
        """Always."""
        return True

    @property
    def failures(self) -> int:
        """None."""
        return 0

    def load(self) -> list[Record]:
        """Nothing."""
        return []

    def exchange(
        self, outbox: Sequence[Record], image: Sequence[Record] | None = None
    ) -> list[Record]:
        """Discard the records; nobody else publishes any."""
        return []

    def close(self) -> None:
        """Do nothing."""
