"""HeadstartMiddleware: the way of each call of the application.

Reads the scope, and wraps the application's `send` as its kind needs: in `visit` for a page, in
`probe` or `watch` for any other GET, not at all for the rest. Owns the state that they share, the
store's keeper and the task that it runs in. Called by the server for each request, and once for
the lifespan.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from headstart.config import DeliverOptions
from headstart.deliver.asgi import (
    Application,
    Receive,
    Scope,
    Send,
    current_send,
    headstart_extension,
)
from headstart.deliver.held import HELD, HeldLinks
from headstart.learn import Learner, LearnOptions
from headstart.middleware.keeper import Keeper
from headstart.middleware.lifespan import run_lifespan
from headstart.middleware.probe import is_no_page, probe
from headstart.middleware.recorder import Recorder
from headstart.middleware.rum import PATHS, Rum
from headstart.middleware.shared import Shared
from headstart.middleware.translation import learned_request
from headstart.middleware.visit import Visit
from headstart.middleware.watch import watched, watched_push
from headstart.store import MemoryStore, Store

_NONE: Mapping[str, Any] = {}


class HeadstartMiddleware:
    """Learn and deliver around an ASGI application.

    Args:
        app: The application.
        learn: Options of the learner.
        deliver: Options of delivery.
        store: Keeps the learned data and shares it with other workers; memory without one.
        hint_unmarked_clients: Send a 103 also to programs, which send no Sec-Fetch-* and do not ask
            for HTML first.
        lifespan_required: Fail the start if the application raises in its lifespan before it
            receives a message, instead of assuming that it does not support the lifespan.
        rum: Serve `/.headstart/rum.js` and take its reports of how soon browsers show pages.
        recording: Record the recent past of each site, for `shared.recorder.report`.
        clock: Seconds since 1970; the same in all workers.
    """

    def __init__(
        self,
        app: Application,
        *,
        learn: LearnOptions | None = None,
        deliver: DeliverOptions | None = None,
        store: Store | None = None,
        hint_unmarked_clients: bool = False,
        lifespan_required: bool = False,
        rum: bool = False,
        recording: bool = False,
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
        self.rum = Rum(self.shared) if rum else None
        if recording:
            self.shared.recorder = Recorder(self.learner, clock)
        self._lifespan_required = lifespan_required
        self.counters = self.shared.counters
        self.keeper = Keeper(self.shared, store or MemoryStore())
        self._keeping: asyncio.Task[None] | None = None
        self._viewers = self.learner.viewers
        self._no_pages = self.learner.no_pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if self.rum is not None and scope["type"] == "http" and scope["path"] in PATHS:
            await self.rum(scope, receive, send)
            return
        if scope["type"] == "http" and scope["method"] == "GET":
            if self._keeping is None:
                # No request waits for the store; the first pages are served without its map.
                self._keep(load=True)
            shared = self.shared
            ours = headstart_extension(scope)
            if ours is not None:
                if ours["pushed"]:
                    if shared.recorder is not None:
                        pushed = learned_request(scope, shared.referer)
                        send = shared.recorder.watch_push(pushed, send)
                    await self._call(scope, receive, watched_push(shared, scope, send))
                    return
                connection = ours["connection"]
                if connection not in self._viewers and (
                    # What was found of requests like this is not looked for again.
                    (
                        scope["raw_path"] in self._no_pages
                        and shared.plain.get(connection) == scope["headers"]
                    )
                    or is_no_page(shared, scope, ours)
                ):
                    scope[HELD] = HeldLinks()
                    await self._call(
                        scope, receive, partial(probe, shared, scope, connection, send)
                    )
                    return
            now = shared.clock()
            request = learned_request(scope, shared.referer)
            view = self.learner.begin(request, now)
            if view is None:
                scope[HELD] = HeldLinks()
                if shared.recorder is not None:
                    send = shared.recorder.watch_asset(request, send)
                await self._call(scope, receive, watched(shared, scope, request, send))
                return
            if shared.recorder is not None:
                send = shared.recorder.watch_page(scope, view, send)
            visit = Visit(shared, scope, send, request, view, now)
            await visit.begin()
            await self._call(scope, receive, visit.send)
        elif scope["type"] == "lifespan":
            await run_lifespan(
                self.app,
                scope,
                receive,
                send,
                start=self.start,
                stop=self.stop,
                required=self._lifespan_required,
            )
        else:
            await self._call(scope, receive, send)

    def _call(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[object]:
        """Call the application, which finds `send` in its context as well."""
        current_send.set(send)
        return self.app(scope, receive, send)

    async def start(self) -> None:
        """Absorb the stored knowledge, and begin to keep in step with the store."""
        if self._keeping is None:
            self._keep(load=False)
            await self.keeper.load()

    def _keep(self, *, load: bool) -> None:
        loop = asyncio.get_running_loop()
        self._keeping = loop.create_task(self.keeper.run(load=load))

    async def stop(self) -> None:
        """Save the last changes, and close the store."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self.keeper.close()

    async def sync(self) -> None:
        """Count views, publish them to other workers, and absorb theirs."""
        await self.keeper.sync()
