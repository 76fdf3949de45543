"""Read and change the store without a server, for `headstart map` and `headstart replay --save`.

Orders are appended to the journal like a worker's records, so that running workers obey at their
next exchange, and a server that starts later when it loads. Unlike a `Store`, these functions
raise. A place is a file or a Redis server; None is `default_path()`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from headstart.learn.learner import Learner
from headstart.learn.options import LearnOptions
from headstart.learn.records import Forgotten, Record, Rule, Verdict
from headstart.store import ownership, redis_client
from headstart.store.address import Place, RedisAddress
from headstart.store.base import NewerRecords, Warn, encode
from headstart.store.files import default_path, open_file, open_to_read, told
from headstart.store.journal import DUE_BYTES, Journal
from headstart.store.redis_journal import RedisJournal

__all__ = ["check", "forget", "known", "never", "pin", "saved", "tell"]

# No worker has this number.
_NOBODY = 0
# Where so much waits for a snapshot no worker is there to write one.
_NEGLECTED = 8 * DUE_BYTES


def check(place: Place) -> None:
    """Check that a place can hold a store, before any work is done.

    Raises:
        StoreError: The path holds something else.
        ConfigurationError: The package redis is not installed.
    """
    if isinstance(place, RedisAddress):
        redis_client.check_installed(place)
    else:
        ownership.check(place)


def saved(place: Place | None = None, *, warn: Warn) -> list[Record]:
    """Return all records of the store, in the order for `Learner.absorb`.

    Raises:
        StoreError: The file does not exist, or the store cannot be read.
    """
    place = place or default_path()
    if isinstance(place, RedisAddress):
        return _saved_in_redis(place, warn)
    with told(place), open_to_read(place) as connection:
        journal = Journal(connection, _NOBODY, warn, NewerRecords(warn))
        with journal.transaction(writing=False):
            records, _ = journal.news(None)
        return records


def tell(
    records: Sequence[Record],
    place: Place | None = None,
    *,
    warn: Warn,
    options: LearnOptions | None = None,
) -> None:
    """Publish records to running workers and to those that start later.

    Args:
        records: A `Learner`'s export, or an operator's orders.
        place: The store.
        warn: Called with one line for each entry that cannot be read.
        options: The server's, which bound the data kept in a file that no server has used for long.

    Raises:
        ConfigurationError: A learner would refuse them; nothing was published.
        StoreError: The store cannot be written.
    """
    _check(records, options)
    place = place or default_path()
    if isinstance(place, RedisAddress):
        _tell_redis(place, records)
        return
    with told(place):
        file = open_file(place, warn)
        try:
            worker = secrets.randbits(62) + 1
            journal = Journal(file.connection, worker, warn, NewerRecords(warn))
            with journal.transaction(writing=True):
                if journal.backlog()[0] > _NEGLECTED:
                    _compact(journal, options)
                journal.append(records, time.time())
        finally:
            file.close()


def forget(page: str, place: Place | None = None, *, warn: Warn) -> bool:
    """Make running workers and the store forget a page. Return false if the store did not know it.

    Raises:
        StoreError: The file does not exist, or the store cannot be written.
    """
    now = time.time()
    was_known = known(place, warn=warn).forget(page, now)
    tell([Forgotten(page, now)], place, warn=warn)
    return was_known


def pin(page: str, asset: str, place: Place | None = None, *, warn: Warn) -> None:
    """Make every worker always send this asset with this page. Raises errors as `tell` does."""
    tell([Rule(Verdict.PIN, page, asset)], place, warn=warn)


def never(asset: str, place: Place | None = None, *, warn: Warn) -> None:
    """Never sends this asset. Raises as `tell` does."""
    tell([Rule(Verdict.NEVER, "", asset)], place, warn=warn)


def known(
    place: Place | None = None, options: LearnOptions | None = None, *, warn: Warn
) -> Learner:
    """Return a learner with the store's records, to print its rows or to export it.

    Raises:
        StoreError: The file does not exist, or the store cannot be read.
    """
    learner = Learner(options)
    for refused in learner.absorb(saved(place, warn=warn)):
        warn(f"a record is left out: {refused}")
    return learner


def _check(records: Sequence[Record], options: LearnOptions | None) -> None:
    """Raise for a record that no learner takes; each worker would leave it out."""
    if refused := Learner(options).absorb(records):
        raise refused[0]


def _compact(journal: Journal, options: LearnOptions | None) -> None:
    """Replace the journal by a snapshot."""
    records, position = journal.news(None)
    learner = Learner(options)
    learner.absorb(records)
    image = (encode((record,)) for record in (*learner.export(), *learner.findings))
    journal.replace_snapshot(image, position, time.time())


# In Redis


def _saved_in_redis(address: RedisAddress, warn: Warn) -> list[Record]:
    with redis_client.opened(address) as client:
        journal = RedisJournal(client, address.prefix)
        journal.find_all()
        if journal.unreadable:
            warn(f"{journal.unreadable:,} entries that are not the learner's are left out")
        NewerRecords(warn).found(journal.newer)
        return journal.found


def _tell_redis(address: RedisAddress, records: Sequence[Record]) -> None:
    with redis_client.opened(address) as client:
        journal = RedisJournal(client, address.prefix)
        journal.publish(journal.entries(records))
