"""The learner and the store, kept in step.

About once a second: what was seen is counted, other workers are told, and what they saw is taken.
The store's calls wait for a disk, so they run in a thread; the learner is touched by the event
loop's alone. `middleware` makes one and owns the task that runs it.
"""

from __future__ import annotations

import asyncio
import logging

from headstart.middleware.shared import Shared
from headstart.store import Store

logger = logging.getLogger("headstart.middleware")

# Two of them, and the store's own time, pass before another worker knows: less than two seconds.
_SYNC_SECONDS = 0.8


class Keeper:
    """Keeps what was learned in a store, and takes from there what others learned."""

    def __init__(self, shared: Shared, store: Store) -> None:
        self._shared = shared
        self._store = store

    async def load(self) -> None:
        """Take what was learned before."""
        self._shared.learner.absorb(await asyncio.to_thread(self._store.load))

    async def run(self) -> None:
        """Keep in step until cancelled."""
        while True:
            await asyncio.sleep(_SYNC_SECONDS)
            try:
                await self.sync()
            except Exception:
                # Serving goes on, and so does learning: the next turn may do better.
                logger.exception("what was learned could not be counted or kept")

    async def sync(self) -> None:
        """Count what was seen, tell other workers, and take what they saw."""
        shared, store = self._shared, self._store
        shared.settle_pushes()
        # One turn of the loop: the image is what was absorbed before, and what is in the outbox.
        outbox = shared.learner.sync(shared.clock())
        image = list(shared.learner.export()) if store.snapshot_due else None
        shared.learner.absorb(await asyncio.to_thread(store.exchange, outbox, image))

    async def close(self) -> None:
        """Keep what was learned last, and let the store go."""
        await self.sync()
        await asyncio.to_thread(self._store.close)
