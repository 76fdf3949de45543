"""The store's contract, its one error, and records as text.

A store keeps what a learner has learned and passes it on to the other workers. A worker calls
`load` once, then `exchange` about once a second, from a thread, for a store may wait for a disk or
a network:

    learner.absorb(await asyncio.to_thread(store.load))
    while True:
        outbox = learner.sync(now)
        image = list(learner.export()) if store.snapshot_due else None
        learner.absorb(await asyncio.to_thread(store.exchange, outbox, image))

`sync` and `export` belong into the same turn of the loop: the image then holds exactly what was
absorbed before and what is in the outbox, and nothing is lost or counted twice when a starting
worker reads the snapshot and what was published since. `now` is wall-clock time: votes are
compared with those of other processes, and of before a restart.

Implemented by `memory` and `sqlite`. A store for a fleet needs the same three things: a log that
everybody appends to and reads from their own position, a snapshot with the position that it stands
for, and a claim that one worker at a time writes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from headstart.errors import ConfigurationError, HeadstartError
from headstart.learn.records import PageRecord, Record, Rule, from_plain, to_plain

Warn: TypeAlias = Callable[[str], None]
"""Takes one line for the operator; called from whichever thread calls the store."""


class StoreError(HeadstartError):
    """What was learned cannot be read or kept. One line; the hint says what to do."""


class DamagedError(StoreError):
    """The file is not what was written."""


class Store(Protocol):
    """Keeps records and passes them on. No method raises for what its medium does."""

    @property
    def snapshot_due(self) -> bool:
        """Whether this worker is the one to give `exchange` its learner's export."""
        ...

    def load(self) -> list[Record]:
        """All that is known, for a worker that starts: snapshot first, then what came since."""
        ...

    def exchange(
        self, outbox: Sequence[Record], image: Sequence[PageRecord | Rule] | None = None
    ) -> list[Record]:
        """Publishes what this worker has learned and returns what others have since.

        Args:
            outbox: What `Learner.sync` returned.
            image: What `Learner.export` gave in the same moment, where `snapshot_due` was true.
        """
        ...

    def close(self) -> None:
        """Lets go of the medium. Later calls do nothing."""
        ...


def encode(records: Iterable[Record]) -> str:
    """Records as a JSON array on one line, ASCII only."""
    return json.dumps([to_plain(record) for record in records], separators=(",", ":"))


def decode(text: bytes | str) -> list[Record]:
    """The records that `encode` wrote.

    Raises:
        DamagedError: It is none of its texts.
    """
    try:
        return [from_plain(plain) for plain in json.loads(text)]
    except (ValueError, TypeError, ConfigurationError) as error:
        raise DamagedError(f"not the learner's records: {error}") from error
