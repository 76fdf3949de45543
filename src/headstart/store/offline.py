"""The file from outside of a server: `headstart map` and `headstart replay --save` call this.

What is said here is appended to the journal like a worker's records, so that running workers obey
at their next exchange, and a server that starts later when it loads. Unlike a `Store`, these raise.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from headstart.errors import ConfigurationError
from headstart.learn.learner import Learner
from headstart.learn.options import LearnOptions
from headstart.learn.records import Forgotten, Record, Rule, Verdict
from headstart.store.base import Warn, encode
from headstart.store.files import default_path, open_file, open_to_read, told
from headstart.store.journal import DUE_BYTES, Journal

# No worker has this number.
_NOBODY = 0
# Where so much waits for a snapshot no worker is there to write one.
_NEGLECTED = 8 * DUE_BYTES


def saved(path: Path | None = None, *, warn: Warn) -> list[Record]:
    """All that the file holds, in the order in which `Learner.absorb` is to take it.

    Raises:
        StoreError: There is no file, or it cannot be read.
    """
    path = path or default_path()
    with told(path), open_to_read(path) as connection:
        journal = Journal(connection, _NOBODY, warn)
        with journal.transaction(writing=False):
            records, _ = journal.news(None)
        return records


def tell(
    records: Sequence[Record],
    path: Path | None = None,
    *,
    warn: Warn,
    options: LearnOptions | None = None,
) -> None:
    """Publishes records to running workers and to those that start later.

    Args:
        records: What a `Learner` exported, or what an operator said.
        path: The file; None is `default_path()`.
        warn: Takes one line for each entry that cannot be read.
        options: The server's, which bound what is kept of a file that no server has used for long.

    Raises:
        ConfigurationError: They are none that a learner takes; nothing was published.
        StoreError: The file cannot be written.
    """
    _check(records, options)
    path = path or default_path()
    with told(path):
        file = open_file(path, warn)
        try:
            journal = Journal(file.connection, secrets.randbits(62) + 1, warn)
            with journal.transaction(writing=True):
                if journal.backlog()[0] > _NEGLECTED:
                    _compact(journal, options)
                journal.append(records, time.time())
        finally:
            file.close()


def forget(page: str, path: Path | None = None, *, warn: Warn) -> bool:
    """Makes running workers and the file forget a page. False if the file did not know it.

    Raises:
        StoreError: There is no file, or it cannot be written.
    """
    was_known = known(path, warn=warn).forget(page)
    tell([Forgotten(page)], path, warn=warn)
    return was_known


def pin(page: str, asset: str, path: Path | None = None, *, warn: Warn) -> None:
    """Always sends this asset with this page. Raises as `tell` does."""
    tell([Rule(Verdict.PIN, page, asset)], path, warn=warn)


def never(asset: str, path: Path | None = None, *, warn: Warn) -> None:
    """Never sends this asset. Raises as `tell` does."""
    tell([Rule(Verdict.NEVER, "", asset)], path, warn=warn)


def known(path: Path | None = None, options: LearnOptions | None = None, *, warn: Warn) -> Learner:
    """A learner that knows what the file holds; to print its rows, or to export it.

    Raises:
        StoreError: There is no file, or it cannot be read.
    """
    learner = Learner(options)
    learner.absorb(saved(path, warn=warn))
    return learner


def _check(records: Sequence[Record], options: LearnOptions | None) -> None:
    """A record that no learner takes would stop each worker that reads it."""
    try:
        Learner(options).absorb(records)
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"not records of the learner: {error}", hint="Was the file written by `export`?"
        ) from error


def _compact(journal: Journal, options: LearnOptions | None) -> None:
    """Makes a snapshot of all that there is."""
    records, position = journal.news(None)
    learner = Learner(options)
    learner.absorb(records)
    image = (encode((record,)) for record in learner.export())
    journal.replace_snapshot(image, position, time.time())
