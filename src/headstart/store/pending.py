"""Records that wait for a medium that cannot be used.

Changes nothing but itself. Called by `sqlite` and `redis`. The records of a worker wait here,
within bounds, while its store is away, and are published when it is back.
"""

from __future__ import annotations

from collections.abc import Iterable

from headstart.learn.records import Record, Vote
from headstart.learn.votes import weight

# Records that wait, and about the bytes that they take in memory.
_MAX_RECORDS = 4096
_MAX_BYTES = 4 * 1024 * 1024


class Pending:
    """Records in the order in which they were learned.

    Attributes:
        records: All that wait.
        dropped: Some were dropped, so that only a snapshot has them; `SnapshotDuty` sets it back.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.dropped = False
        self._bytes = 0

    def add(self, records: Iterable[Record]) -> None:
        """Add records at the end."""
        for record in records:
            self.records.append(record)
            self._bytes += weight(record)

    def take(self) -> list[Record]:
        """Return the records; none waits any more."""
        taken, self.records, self._bytes = self.records, [], 0
        return taken

    def bound(self) -> None:
        """Drop the oldest votes if there are too many records, then the oldest of any kind."""
        for droppable in (Vote, object):
            if len(self.records) > _MAX_RECORDS or self._bytes > _MAX_BYTES:
                self.dropped = True
                self._drop(droppable)

    def _drop(self, droppable: type) -> None:
        surplus, kept = len(self.records) - _MAX_RECORDS, list[Record]()
        for record in self.records:
            if (surplus > 0 or self._bytes > _MAX_BYTES) and isinstance(record, droppable):
                surplus -= 1
                self._bytes -= weight(record)
            else:
                kept.append(record)
        self.records = kept
