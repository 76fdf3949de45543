"""The store of one machine: its workers share one SQLite file.

A worker that cannot use the file says so in one line and goes on from memory: its records wait,
within bounds, and the file is tried again every few seconds. A file that comes back, or is begun
anew, gets a snapshot of this process's records, so nothing that a running server has learned is
lost with the file. See `files` for the file, `journal` for its tables.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from headstart.learn.records import Record
from headstart.store import ownership
from headstart.store.base import DamagedError, NewerRecords, StoreError, Warn, encode
from headstart.store.files import OpenFile, default_path, open_file, open_to_read, told
from headstart.store.journal import Journal, Position
from headstart.store.outage import Outage
from headstart.store.pending import Pending
from headstart.store.snapshots import SnapshotDuty

# Seconds between two attempts to use a file that could not be used.
_RETRY = 5.0


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
        self._newer = NewerRecords(warn)
        self._clock = clock
        # Positive, and a number that SQLite can hold; 0 is nobody's.
        self._worker = secrets.randbits(62) + 1
        self._lock = threading.Lock()
        self._file: OpenFile | None = None
        # The file that was found damaged while it was open, until it is moved aside.
        self._damaged: ownership.Handle | None = None
        self._position: Position | None = None
        self._pending = Pending()
        self._outage = Outage(str(self.path), warn, _RETRY, repeats=True)
        self._duty = SnapshotDuty()
        self._closed = False

    @property
    def snapshot_due(self) -> bool:
        """Return true if this worker is to give `exchange` its learner's export."""
        return self._duty.is_claimed and not self._outage

    @property
    def available(self) -> bool:
        """Return false while the medium cannot be used, and learning goes on in memory."""
        return not self._outage

    @property
    def failures(self) -> int:
        """Return how often the medium could not be used since the start."""
        return self._outage.failures

    def load(self) -> list[Record]:
        """Return all records, or the readable ones if the file cannot be written."""
        with self._lock:
            try:
                with told(self.path):
                    records = self._read_news()
            except StoreError as error:
                self._fail(error)
                return self._read_only()
            return records

    def exchange(
        self, outbox: Sequence[Record], image: Sequence[Record] | None = None
    ) -> list[Record]:
        """Publish and read in one transaction; nothing is lost if it fails."""
        with self._lock:
            self._pending.add(outbox)
            if self._closed or self._outage.is_waiting(self._clock()):
                self._pending.bound()
                return []
            try:
                records = self._try_twice(image)
            except StoreError as error:
                self._fail(error)
                return []
            self._outage.recovered()
            return records

    def close(self) -> None:
        """Close the file. Later calls do nothing."""
        with self._lock:
            self._closed = True
            self._release()
            self._forget_damaged()

    # With the file

    def _try_twice(self, image: Sequence[Record] | None) -> list[Record]:
        """Run the work; if the open file turns out to be damaged, open it again and repeat."""
        try:
            with told(self.path):
                return self._exchange(image)
        except DamagedError:
            with told(self.path):
                self._remember_damaged()
                self._release()
                return self._exchange(image)

    def _remember_damaged(self) -> None:
        """Its header may be gone, but it was open here: it is ours and may be moved aside."""
        if self._file is not None and self._file.in_place:
            self._forget_damaged()
            self._damaged = ownership.handle_of(self.path)

    def _forget_damaged(self) -> None:
        if self._damaged is not None:
            self._damaged.close()
            self._damaged = None

    def _exchange(self, image: Sequence[Record] | None) -> list[Record]:
        texts = [encode((record,)) for record in image] if image is not None else None
        journal = self._journal()
        now = self._clock()
        with journal.transaction(writing=bool(self._pending.records) or texts is not None):
            before = self._position
            records, after = journal.news(before)
            if self._pending.records:
                journal.append(self._pending.records, now)
                after = journal.position()
            written = texts is not None and journal.replace_snapshot(texts, before, now)
        self._pending.take()
        self._position = after
        if written:
            journal.give_back()
        self._duty.settle(self._pending, written=written, claim=partial(journal.claim, now))
        return records

    def _read_news(self) -> list[Record]:
        journal = self._journal()
        with journal.transaction(writing=False):
            records, self._position = journal.news(self._position)
        return records

    def _journal(self) -> Journal:
        """Return the file's journal; open the file if it is closed or was replaced."""
        if self._file is not None and not self._file.in_place:
            self._warn(f"{self.path} was removed or replaced; what this process knows is kept")
            self._release()
        if self._file is None:
            self._file = open_file(self.path, self._warn, self._damaged)
            self._forget_damaged()
        return Journal(self._file.connection, self._worker, self._warn, self._newer)

    # Without it

    def _read_only(self) -> list[Record]:
        """Return the file's records if it can at least be read; the error was reported before."""
        try:
            with told(self.path), open_to_read(self.path) as connection:
                journal = Journal(connection, self._worker, self._warn, self._newer)
                with journal.transaction(writing=False):
                    records, self._position = journal.news(None)
                return records
        except StoreError:
            return []

    def _fail(self, error: StoreError) -> None:
        self._release()
        self._pending.bound()
        self._outage.failed(error, self._clock())

    def _release(self) -> None:
        self._duty.is_claimed = False
        if self._file is not None:
            self._file.close()
            self._file = None
