"""The records that wait for other workers, bounded.

Filled by `learner` and its parts, and emptied by `Learner.sync`.
"""

from __future__ import annotations

from headstart.learn.records import Record
from headstart.learn.votes import weight

# The part of the learner's bytes that may wait for other workers between two calls of `sync`;
# beyond it only this worker counts what it sees.
_PART = 0.02


class Outbox:
    """The records since the last call of `take`.

    Args:
        max_bytes: Of the whole learner.
    """

    def __init__(self, max_bytes: int) -> None:
        self._most = max_bytes * _PART
        self._records: list[Record] = []
        self._weight = 0

    def add(self, record: Record) -> None:
        """Add a record, unless too many wait."""
        self._weight += weight(record)
        if self._weight <= self._most:
            self._records.append(record)

    def take(self) -> list[Record]:
        """Return the records, and forget them."""
        records, self._records, self._weight = self._records, [], 0
        return records
