"""The tables of the SQLite file: a journal of records, a snapshot, and its next writer.

The journal has one entry for each exchange in which a worker published records. The snapshot is one
worker's whole map; it covers the journal up to the entry that this worker had read, and its own
entries up to the one that it wrote in the same transaction. An entry covered by the snapshot is
deleted once each live worker has had time to read it. A worker that was suspended for longer reads
the snapshot again; the operator's orders are kept for a day besides, so that no worker misses them.
Called by `sqlite` and `offline`, which own the connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice

from headstart.learn.records import Forgotten, Record, Rule
from headstart.store.base import DamagedError, NewerRecords, Warn, decode, encode

# A snapshot is due when starting from the journal instead would take about a second, or when what
# is newest in it is not all that recent.
DUE_BYTES = 2 * 1024 * 1024
DUE_SECONDS = 300.0
# How long an entry is kept for others after the snapshot stands for it, and how much of them.
_KEPT_SECONDS = 60.0
_KEPT_BYTES = 8 * 1024 * 1024
_ORDERS_SECONDS = 86_400.0
# Whoever says that it will write the snapshot, and does not, loses its turn after this.
_CLAIM_SECONDS = 15.0
# Records of one entry; more are split, so that no row is enormous.
_ENTRY = 500
# Free pages that stay in the file for the next entries, and those given back at a time.
_SPARE_PAGES = 256


@dataclass(frozen=True, slots=True)
class Position:
    """How far a worker has read, in which file.

    Attributes:
        birth: The file's number.
        read: The last entry that was read or written.
    """

    birth: int
    read: int


@dataclass(frozen=True, slots=True)
class _State:
    birth: int
    upto: int
    author: int
    author_upto: int
    trimmed: int


class Journal:
    """The tables of one open file. Raises `sqlite3.Error` as it comes.

    Args:
        connection: In autocommit mode, with bytes for text.
        worker: A number of this process's own.
        warn: Is told of entries that cannot be read.
        newer: Is told of records of a newer version.
    """

    def __init__(
        self, connection: sqlite3.Connection, worker: int, warn: Warn, newer: NewerRecords
    ) -> None:
        self._connection = connection
        self._worker = worker
        self._warn = warn
        self._newer = newer

    @contextmanager
    def transaction(self, *, writing: bool) -> Iterator[None]:
        """All that is done within is done at one moment, or not at all."""
        self._connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def news(self, since: Position | None) -> tuple[list[Record], Position]:
        """Return the entries that others published since, and the position after them.

        Args:
            since: None reads everything. A position in an earlier file reads the entries that the
                new file has beside its snapshot, since the process knows the snapshot's content.
        """
        state = self._state()
        if since is None or (since.birth == state.birth and since.read < state.trimmed):
            read = since.read if since is not None else state.upto
            records = [*self._orders(read, state), *self._snapshot(), *self._entries(state)]
        elif since.birth != state.birth:
            records = self._entries(state)
        else:
            records = self._read("id > ? AND worker <> ?", (since.read, self._worker))
        return records, Position(state.birth, self._last())

    def append(self, records: Sequence[Record], now: float) -> None:
        """Add entries of this worker."""
        remaining = iter(records)
        while chunk := list(islice(remaining, _ENTRY)):
            text = encode(chunk)
            orders = any(isinstance(record, Rule | Forgotten) for record in chunk)
            self._connection.execute(
                "INSERT INTO journal (worker, time, size, orders, records) VALUES (?, ?, ?, ?, ?)",
                (self._worker, now, len(text), orders, text),
            )

    def position(self) -> Position:
        """After all that is in the journal."""
        return Position(self._state().birth, self._last())

    # The snapshot

    def claim(self, now: float, *, force: bool) -> bool:
        """Claim a snapshot that is due, or `force`d; return true if this worker is to write it."""
        if not force and not self._is_due(now):
            return False
        with self.transaction(writing=True):
            claimed = self._connection.execute(
                "UPDATE state SET claimant = :worker, claimed_until = :until"
                " WHERE claimant = :worker OR claimed_until NOT BETWEEN :now AND :until",
                {"worker": self._worker, "now": now, "until": now + _CLAIM_SECONDS},
            )
            return claimed.rowcount == 1

    def replace_snapshot(self, image: Iterable[str], read: Position | None, now: float) -> bool:
        """Write the snapshot of a worker that had read so far, with all of its own entries.

        False if there is a newer one, or if this worker has missed entries meanwhile.
        """
        state = self._state()
        if read is None or read.birth != state.birth or read.read < max(state.upto, state.trimmed):
            return False
        self._connection.execute("DELETE FROM snapshot")
        self._connection.executemany(
            "INSERT INTO snapshot VALUES (?)", ((record,) for record in image)
        )
        self._connection.execute(
            "UPDATE state SET upto = ?, author = ?, author_upto = ?, claimed_until = 0",
            (read.read, self._worker, self._last()),
        )
        self._trim(now)
        return True

    def give_back(self) -> None:
        """Return free pages of the file to the system if there are many. Call it outside a
        transaction.
        """
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free > _SPARE_PAGES:
            # A page is given back at each step, and `execute` takes one step only.
            self._connection.executescript(f"PRAGMA incremental_vacuum({free - _SPARE_PAGES})")

    def _is_due(self, now: float) -> bool:
        if not self._state().author:
            # A new file, which may have replaced one that running workers know.
            return True
        size, oldest = self.backlog()
        return size > DUE_BYTES or (oldest is not None and now - oldest > DUE_SECONDS)

    def backlog(self) -> tuple[float, float | None]:
        """Return the bytes that the snapshot does not cover, and the time of the oldest."""
        state = self._state()
        size, oldest = self._connection.execute(
            "SELECT total(size), min(time) FROM journal"
            " WHERE id > ? AND NOT (worker = ? AND id <= ?)",
            (state.upto, state.author, state.author_upto),
        ).fetchone()
        return size, oldest

    def _trim(self, now: float) -> None:
        """Delete entries that the snapshot covers and every worker has had time to read."""
        (trimmed,) = self._connection.execute(
            "SELECT max(id) FROM (SELECT id, time, sum(size) OVER (ORDER BY id DESC) AS kept"
            " FROM journal), state WHERE id <= upto AND (time < ? OR kept > ?)",
            (now - _KEPT_SECONDS, _KEPT_BYTES),
        ).fetchone()
        if trimmed is None:
            return
        self._connection.execute(
            "DELETE FROM journal WHERE id <= ? AND NOT (orders AND time > ?)",
            (trimmed, now - _ORDERS_SECONDS),
        )
        self._connection.execute("UPDATE state SET trimmed = max(trimmed, ?)", (trimmed,))

    # Reading

    def _state(self) -> _State:
        row = self._connection.execute(
            "SELECT birth, upto, author, author_upto, trimmed FROM state"
        ).fetchone()
        if row is None:
            raise DamagedError("the store has lost its state")
        return _State(*row)

    def _last(self) -> int:
        # The journal's own maximum would fall back when its last entries are deleted.
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'journal'"
        ).fetchone()
        return row[0] if row else 0

    def _entries(self, state: _State) -> list[Record]:
        """Return the entries of others that the snapshot does not cover."""
        return self._read(
            "id > ? AND NOT (worker = ? AND id <= ?) AND worker <> ?",
            (state.upto, state.author, state.author_upto, self._worker),
        )

    def _orders(self, read: int, state: _State) -> list[Record]:
        """Return the operator's orders that a suspended worker missed.

        The snapshot shows them only by the absence of a record.
        """
        said = self._read("id > ? AND id <= ? AND orders", (read, state.upto))
        return [record for record in said if isinstance(record, Rule | Forgotten)]

    def _read(self, which: str, values: tuple[int, ...]) -> list[Record]:
        return self._decoded(f"SELECT records FROM journal WHERE {which} ORDER BY id", values)

    def _snapshot(self) -> list[Record]:
        return self._decoded("SELECT record FROM snapshot ORDER BY rowid", ())

    def _decoded(self, query: str, values: tuple[int, ...]) -> list[Record]:
        records: list[Record] = []
        for (text,) in self._connection.execute(query, values):
            try:
                decoded = decode(text)
            except DamagedError as error:
                self._warn(f"an entry of the store is left out: {error}")
                continue
            records += decoded.records
            self._newer.found(decoded.newer)
            if decoded.unreadable:
                self._warn(f"{decoded.unreadable:,} records of an entry are left out")
        return records
