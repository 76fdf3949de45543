"""Keep the learner and the store in step.

About once a second, views are counted, published to other workers, and theirs are absorbed. The
store's calls wait for a disk, so they run in a thread; only the event loop touches the learner.
`middleware` makes one and owns the task that runs it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from headstart.learn import Record
from headstart.middleware.shared import Shared
from headstart.store import Store
from headstart.store.pending import Pending

logger = logging.getLogger("headstart.middleware")

# Two of them, and the store's own time, pass before another worker knows: less than two seconds.
_SYNC_SECONDS = 0.8
# Processor time for reading pages in each; a usual page takes less than a thousandth of a second.
_READ_SECONDS = 0.04


class Keeper:
    """Save the learner's knowledge in a store, and absorb that of other workers."""

    def __init__(self, shared: Shared, store: Store) -> None:
        self._shared = shared
        self.store = store
        self.exchanged_at = time.monotonic()
        """When the store was last in step with the learner, on the clock of `time.monotonic`."""
        self._outbox = Pending()
        self._exchanging: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Absorb the stored knowledge."""
        self._absorb(await asyncio.to_thread(self.store.load))

    async def run(self, *, load: bool) -> None:
        """Keep in step until cancelled.

        Args:
            load: The stored knowledge was not absorbed yet.
        """
        if load:
            with _logged():
                await self.load()
        while True:
            await asyncio.sleep(_SYNC_SECONDS)
            with _logged():
                await self._turn()

    async def sync(self) -> None:
        """Count views, publish them to other workers, and absorb theirs."""
        await self._read()
        await self._exchange()

    async def _turn(self) -> None:
        """Count views, and exchange them with other workers unless the store is still busy.

        A store may take long, such as a server whose name cannot be resolved. That does not keep
        this worker from learning.
        """
        await self._read()
        if self._exchanging is None:
            self._exchanging = asyncio.get_running_loop().create_task(self._exchange())
        else:
            self._count()
        done, _ = await asyncio.wait({self._exchanging}, timeout=_SYNC_SECONDS)
        if done:
            exchanged, self._exchanging = self._exchanging, None
            exchanged.result()

    async def _read(self) -> None:
        """Read the pages and the pushes that ended meanwhile."""
        await self._read_pages()
        self._shared.settle_pushes()

    def _count(self) -> None:
        """Count the views that ended, and keep them for other workers."""
        self._outbox.add(self._shared.learner.sync(self._shared.clock()))
        self._outbox.bound()

    async def _exchange(self) -> None:
        learner, store = self._shared.learner, self.store
        # One turn of the loop: the image is what was absorbed before, and what is in the outbox.
        self._count()
        outbox = self._outbox.take()
        image = [*learner.export(), *learner.findings] if store.snapshot_due else None
        self._absorb(await asyncio.to_thread(store.exchange, outbox, image))
        if store.available:
            self.exchanged_at = time.monotonic()

    def _absorb(self, records: Sequence[Record]) -> None:
        if refused := self._shared.learner.absorb(records):
            logger.warning("%d records of the store are left out: %s", len(refused), refused[0])

    async def _read_pages(self) -> None:
        """Read the pages that wait, with a turn of the loop for others in between."""
        shared, reader = self._shared, self._shared.reader
        if reader is None:
            return
        spent = 0.0
        for capture in reader.take(shared.clock()):
            began = time.thread_time()
            reading = reader.read(capture, shared.learner.is_read)
            if reading is not None:
                shared.learner.read(reading)
            spent += time.thread_time() - began
            if spent > _READ_SECONDS:
                return
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Save the last changes, and close the store."""
        if self._exchanging is not None:
            with _logged():
                await self._exchanging
        await self.sync()
        await asyncio.to_thread(self.store.close)


@contextmanager
def _logged() -> Iterator[None]:
    """Log errors: serving goes on, and so does learning, and the next turn may do better."""
    try:
        yield
    except Exception:
        logger.exception("what was learned could not be counted or kept")
