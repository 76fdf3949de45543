"""The store's contract, its one error, and records as text.

A store keeps a learner's records and passes them on to the other workers. A worker calls
`load` once, then `exchange` about once a second, from a thread, for a store may wait for a disk or
a network:

    learner.absorb(await asyncio.to_thread(store.load))
    while True:
        outbox = learner.sync(now)
        image = list(learner.export()) if store.snapshot_due else None
        learner.absorb(await asyncio.to_thread(store.exchange, outbox, image))

Call `sync` and `export` in the same turn of the loop: the image then holds exactly the records
absorbed before and those in the outbox, and nothing is lost or counted twice when a starting
worker reads the snapshot and later records. `now` is wall-clock time: votes are
compared with those of other processes, and of before a restart.

Implemented by `memory` and `sqlite`. A store for a fleet needs the same three things: a log that
everybody appends to and reads from their own position, a snapshot with the position that it stands
for, and a claim that one worker at a time writes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from headstart.errors import ConfigurationError, HeadstartError
from headstart.learn.records import NewerRecordError, Record, from_plain, to_plain

Warn: TypeAlias = Callable[[str], None]
"""Takes one line for the operator; called from whichever thread calls the store."""


class StoreError(HeadstartError):
    """Learned data cannot be read or kept. One line; the hint advises the user."""


class DamagedError(StoreError):
    """The file is damaged."""


class Store(Protocol):
    """Keep records and pass them on. No method raises for an error of its medium."""

    @property
    def snapshot_due(self) -> bool:
        """Return true if this worker is to give `exchange` its learner's export."""
        ...

    @property
    def available(self) -> bool:
        """Return false while the medium cannot be used, and learning goes on in memory."""
        ...

    @property
    def failures(self) -> int:
        """Return how often the medium could not be used since the start."""
        ...

    def load(self) -> list[Record]:
        """Return all records for a worker that starts: the snapshot first, then later ones."""
        ...

    def exchange(
        self, outbox: Sequence[Record], image: Sequence[Record] | None = None
    ) -> list[Record]:
        """Publish this worker's records and return the new records of others.

        Args:
            outbox: The result of `Learner.sync`.
            image: The result of `Learner.export` in the same turn, if `snapshot_due` was true.
        """
        ...

    def close(self) -> None:
        """Lets go of the medium. Later calls do nothing."""
        ...


def encode(records: Iterable[Record]) -> str:
    """Return records as a JSON array on one line, ASCII only."""
    return json.dumps([to_plain(record) for record in records], separators=(",", ":"))


@dataclass(slots=True)
class Decoded:
    """The records of a text, and the numbers of those that were left out.

    Attributes:
        records: Those that this version knows.
        unreadable: How many are not records.
        newer: How many are records of a newer version; workers of two versions share a store while
            a fleet is updated.
    """

    records: list[Record]
    unreadable: int = 0
    newer: int = 0

    def add(self, plain: Any) -> None:
        """Add the record that `to_plain` wrote, or count it where it cannot be read."""
        try:
            self.records.append(from_plain(plain))
        except NewerRecordError:
            self.newer += 1
        except ConfigurationError:
            self.unreadable += 1


def decode(text: bytes | str) -> Decoded:
    """Return the records that `encode` wrote, in this version or another one.

    Raises:
        DamagedError: It is not one of its texts.
    """
    try:
        plains = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"not the learner's records: {error}") from error
    if not isinstance(plains, list):
        raise DamagedError("not the learner's records: not a list")
    decoded = Decoded([])
    for plain in plains:
        decoded.add(plain)
    return decoded


class NewerRecords:
    """Say once that records of a newer version are left out.

    Args:
        warn: Takes the line.
    """

    def __init__(self, warn: Warn) -> None:
        self._warn = warn
        self._was_said = False

    def found(self, count: int) -> None:
        """Say so if there are any, unless it was said before."""
        if count and not self._was_said:
            self._was_said = True
            self._warn(
                "the store has records of a newer version of headstart, which are left out here; "
                "this line is not repeated"
            )
