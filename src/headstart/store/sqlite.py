"""The store of one machine: its workers share one SQLite file.

A worker that cannot use the file says so in one line and goes on from memory: what it learns waits,
within bounds, and the file is tried again every few seconds. One that comes back, or is begun anew,
gets a snapshot of what this process knows, so nothing that a running server has learned is lost
with the file. See `files` for the file, `journal` for what is in it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from headstart.learn.records import PageRecord, Record, Rule, Vote
from headstart.store.base import DamagedError, StoreError, Warn, encode
from headstart.store.files import OpenFile, default_path, open_file, open_to_read, told
from headstart.store.journal import Journal, Position

# Seconds between two attempts to use a file that could not be used.
_RETRY = 5.0
# Records that wait for a file that cannot be used; older votes are dropped beyond it.
_PENDING = 4096


class SqliteStore:
    """A `Store` in one file. Its methods may be called from any thread, one at a time.

    Args:
        path: The file; None is `default_path()`.
        warn: Takes one line when the file cannot be used, and when it can again.
        clock: Wall-clock time in seconds.
    """

    def __init__(
        self, path: Path | None, warn: Warn, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path or default_path()
        self._warn = warn
        self._clock = clock
        # Positive, and a number that SQLite can hold; 0 is nobody's.
        self._worker = secrets.randbits(62) + 1
        self._lock = threading.Lock()
        self._file: OpenFile | None = None
        self._position: Position | None = None
        self._pending: list[Record] = []
        self._trouble = ""
        self._retry_at = 0.0
        self._claimed = False
        self._owes = False
        self._closed = False

    @property
    def snapshot_due(self) -> bool:
        """Whether this worker is the one to give `exchange` its learner's export."""
        return self._claimed and not self._trouble

    def load(self) -> list[Record]:
        """All that is known; what can be read of it where the file cannot be written."""
        with self._lock:
            try:
                with told(self.path):
                    records = self._read_news()
            except StoreError as error:
                self._fail(error)
                return self._read_only()
            return records

    def exchange(
        self, outbox: Sequence[Record], image: Sequence[PageRecord | Rule] | None = None
    ) -> list[Record]:
        """Publishes and reads in one transaction; nothing is lost if it fails."""
        with self._lock:
            self._pending += outbox
            if self._closed or 0.0 < self._retry_at - self._clock() <= _RETRY:
                self._bound_pending()
                return []
            try:
                records = self._try_twice(image)
            except StoreError as error:
                self._fail(error)
                return []
            self._recover()
            return records

    def close(self) -> None:
        """Closes the file. Later calls do nothing."""
        with self._lock:
            self._closed = True
            self._release()

    # With the file

    def _try_twice(self, image: Sequence[PageRecord | Rule] | None) -> list[Record]:
        """An open file that turns out to be damaged is mended by opening it again."""
        try:
            with told(self.path):
                return self._exchange(image)
        except DamagedError:
            self._release()
            with told(self.path):
                return self._exchange(image)

    def _exchange(self, image: Sequence[PageRecord | Rule] | None) -> list[Record]:
        texts = [encode((record,)) for record in image] if image is not None else None
        journal = self._journal()
        now = self._clock()
        with journal.transaction(writing=bool(self._pending) or texts is not None):
            before = self._position
            records, after = journal.news(before)
            if self._pending:
                journal.append(self._pending, now)
                after = journal.position()
            written = texts is not None and journal.replace_snapshot(texts, before, now)
        self._pending.clear()
        self._position = after
        if written:
            self._owes = False
            journal.give_back()
        self._claimed = journal.claim(now, force=self._owes)
        return records

    def _read_news(self) -> list[Record]:
        journal = self._journal()
        with journal.transaction(writing=False):
            records, self._position = journal.news(self._position)
        return records

    def _journal(self) -> Journal:
        """The file's journal; opens it where it is not open, or is no longer in its place."""
        if self._file is not None and not self._file.in_place:
            self._warn(f"{self.path} was removed or replaced; what this process knows is kept")
            self._release()
        if self._file is None:
            self._file = open_file(self.path, self._warn)
        return Journal(self._file.connection, self._worker, self._warn)

    # Without it

    def _bound_pending(self) -> None:
        """Drops the oldest votes; the next snapshot holds them."""
        surplus = len(self._pending) - _PENDING
        if surplus <= 0:
            return
        self._owes = True
        kept: list[Record] = []
        for record in self._pending:
            if surplus and isinstance(record, Vote):
                surplus -= 1
            else:
                kept.append(record)
        self._pending = kept

    def _read_only(self) -> list[Record]:
        """What the file holds, where it can be read at least; else nothing, as was said already."""
        try:
            with told(self.path), open_to_read(self.path) as connection:
                journal = Journal(connection, self._worker, self._warn)
                with journal.transaction(writing=False):
                    records, self._position = journal.news(None)
                return records
        except StoreError:
            return []

    def _fail(self, error: StoreError) -> None:
        self._release()
        self._bound_pending()
        self._retry_at = self._clock() + _RETRY
        if str(error) == self._trouble:
            return
        self._trouble = str(error)
        hint = f" {error.hint}" if error.hint else ""
        self._warn(f"{error}; going on from memory.{hint}")

    def _recover(self) -> None:
        self._retry_at = 0.0
        if self._trouble:
            self._trouble = ""
            self._warn(f"{self.path} is in use again")

    def _release(self) -> None:
        self._claimed = False
        if self._file is not None:
            self._file.close()
            self._file = None
