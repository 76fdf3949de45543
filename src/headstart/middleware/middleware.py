"""HeadstartMiddleware: which way each call of the application goes.

Looks at the scope, and puts around the application's `send` what its kind needs: `visit` around
that of a page, `glance` or `watch` around that of any other GET, nothing around the rest. Owns what
they share, the store's keeper and the task that it runs in. Called by the server for each request,
and once for the lifespan.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from headstart.config import DeliverOptions
from headstart.deliver.asgi import Application, Receive, Scope, Send
from headstart.learn import Learner, LearnOptions
from headstart.middleware.exchange import learned_request
from headstart.middleware.glance import PLAIN, glance, is_no_page
from headstart.middleware.keeper import Keeper
from headstart.middleware.lifespan import run_lifespan
from headstart.middleware.shared import Shared
from headstart.middleware.visit import Visit
from headstart.middleware.watch import watched, watched_push
from headstart.store import MemoryStore, Store

_NONE: Mapping[str, Any] = {}


class HeadstartMiddleware:
    """Around an ASGI application.

    Args:
        app: The application.
        learn: How to learn.
        deliver: What to send.
        store: Where what was learned is kept and shared with other workers; memory without one.
        hint_unmarked_clients: A 103 may go also to clients that send no Sec-Fetch-* at all.
        clock: Seconds since 1970; the same in all workers.
    """

    def __init__(
        self,
        app: Application,
        *,
        learn: LearnOptions | None = None,
        deliver: DeliverOptions | None = None,
        store: Store | None = None,
        hint_unmarked_clients: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self.learner = Learner(learn)
        self.shared = Shared(
            self.learner,
            deliver or DeliverOptions(),
            hint_unmarked=hint_unmarked_clients,
            clock=clock,
        )
        self.counters = self.shared.counters
        self._keeper = Keeper(self.shared, store or MemoryStore())
        self._keeping: asyncio.Task[None] | None = None
        self._viewers = self.learner.viewers
        self._no_pages = self.learner.no_pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == "http" and scope["method"] == "GET":
            if self._keeping is None:
                await self.start()
            shared = self.shared
            ours = (scope.get("extensions") or _NONE).get("headstart")
            if ours is not None:
                if ours["pushed"]:
                    await self.app(scope, receive, watched_push(shared, scope, send))
                    return
                connection = ours["connection"]
                if connection not in self._viewers and (
                    # What was found of requests like this is not looked for again.
                    (
                        scope["raw_path"] in self._no_pages
                        and ours.get("kept", _NONE).get(PLAIN) == scope["headers"]
                    )
                    or is_no_page(self.learner, scope, ours)
                ):
                    await self.app(scope, receive, partial(glance, shared, scope, connection, send))
                    return
            now = shared.clock()
            request = learned_request(scope, shared.referer)
            view = self.learner.begin(request, now)
            if view is None:
                await self.app(scope, receive, watched(shared, scope, request, send))
                return
            visit = Visit(shared, scope, send, request, view)
            if view.candidates:
                await visit.send_ahead(now)
            await self.app(scope, receive, visit.send)
        elif scope["type"] == "lifespan":
            await run_lifespan(self.app, scope, receive, send, start=self.start, stop=self.stop)
        else:
            await self.app(scope, receive, send)

    async def start(self) -> None:
        """Take what was learned before, and begin to keep in step with the store."""
        if self._keeping is None:
            self._keeping = asyncio.get_running_loop().create_task(self._keeper.run())
            await self._keeper.load()

    async def stop(self) -> None:
        """Keep what was learned last, and let the store go."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._keeper.close()

    async def sync(self) -> None:
        """Count what was seen, tell other workers, and take what they saw."""
        await self._keeper.sync()
