"""The store of a fleet: workers on many machines share one Redis.

A worker that cannot use Redis says so in one line and goes on from memory: its records wait,
within bounds, and Redis is tried again every few seconds. A Redis that comes back empty gets a
snapshot of a running worker's map. See `redis_client` for the connection, `redis_journal` for the
keys.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headstart.learn.records import Record
from headstart.store.address import RedisAddress
from headstart.store.base import NewerRecords, StoreError, Warn
from headstart.store.outage import Outage
from headstart.store.pending import Pending
from headstart.store.redis_client import check_installed, connect, disconnect, told
from headstart.store.redis_journal import Entry, RedisJournal
from headstart.store.snapshots import SnapshotDuty

if TYPE_CHECKING:
    from headstart.store.redis_client import Client

# Seconds between two attempts to use a server that could not be used.
_RETRY = 2.0
# Seconds between two lines about entries that cannot be read.
_QUIET = 60.0


class RedisStore:
    """A `Store` in Redis. Its methods may be called from any thread, one at a time.

    Args:
        address: The server and the fleet.
        warn: Takes one line when the server cannot be used, and when it can again.
        clock: Seconds, of any clock that runs evenly.

    Raises:
        ConfigurationError: The package redis is not installed.
    """

    def __init__(
        self, address: RedisAddress, warn: Warn, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.address = address
        self._warn = warn
        self._clock = clock
        check_installed(address)
        # While the server can be used; a cluster is asked for its nodes again afterwards.
        self._client: Client | None = None
        self._journal: RedisJournal | None = None
        self._lock = threading.Lock()
        self._pending = Pending()
        # Entries that were sent, and may or may not have been added.
        self._unsure: list[Entry] = []
        self._outage = Outage(str(address), warn, _RETRY, repeats=False)
        self._told_at = float("-inf")
        self._newer = NewerRecords(warn)
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
        """Return all that is known, or nothing where the server cannot be used."""
        with self._lock:
            try:
                with told(self.address):
                    self._opened().load()
            except StoreError as error:
                self._fail(error)
            return self._found()

    def exchange(
        self, outbox: Sequence[Record], image: Sequence[Record] | None = None
    ) -> list[Record]:
        """Publish and read; nothing is lost, and nothing counted twice, if it fails."""
        with self._lock:
            self._pending.add(outbox)
            if self._closed or self._outage.is_waiting(self._clock()):
                self._pending.bound()
                return []
            try:
                with told(self.address):
                    self._exchange(image)
            except StoreError as error:
                self._fail(error)
            else:
                self._outage.recovered()
            return self._found()

    def close(self) -> None:
        """Close the connection. Later calls do nothing."""
        with self._lock:
            self._closed = True
            self._disconnect()

    # With the server

    def _opened(self) -> RedisJournal:
        if self._client is None:
            self._client = connect(self.address)
            if self._journal is None:
                self._journal = RedisJournal(self._client, self.address.prefix)
            self._journal.client = self._client
        assert self._journal is not None
        return self._journal

    def _disconnect(self) -> None:
        if self._client is not None:
            disconnect(self._client)
            self._client = None

    def _exchange(self, image: Sequence[Record] | None) -> None:
        journal = self._opened()
        if not self._unsure:
            self._unsure = journal.entries(self._pending.take())
        before = journal.position
        journal.exchange(self._unsure)
        self._unsure = []
        # The image holds the records that wait, which must not be published after it.
        written = (
            image is not None
            and before is not None
            and not self._pending.records
            and journal.replace_snapshot(image, before)
        )
        self._duty.settle(self._pending, written=written, claim=journal.claim)

    def _found(self) -> list[Record]:
        """Return the records that were read, also where the server failed afterwards."""
        if self._journal is None:
            return []
        self._tell_unreadable(self._journal)
        self._newer.found(self._journal.newer)
        found, self._journal.found = self._journal.found, []
        return found

    # Without it

    def _fail(self, error: StoreError) -> None:
        self._duty.is_claimed = False
        self._disconnect()
        self._pending.bound()
        self._outage.failed(error, self._clock())

    def _tell_unreadable(self, journal: RedisJournal) -> None:
        """Count the entries that were left out in a log line, at most once a minute."""
        count, now = journal.unreadable, self._clock()
        if count and now - self._told_at >= _QUIET:
            journal.unreadable, self._told_at = 0, now
            self._warn(f"{self.address}: {count:,} entries that are not the learner's are left out")
