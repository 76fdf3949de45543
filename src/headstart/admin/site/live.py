"""Tell the pages that something has changed: server-sent events.

Each listener is a stream that asks the processes once a second for a few numbers, and sends an
event when they have changed. The page then loads itself anew and shows the difference. There are at
most `_MOST` streams. They end when the client leaves and when the admin port closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from headstart.admin.routes import Request, Response, text
from headstart.admin.workers import Workers

_MOST: Final = 8
_SECONDS: Final = 1.0
# Looks without a change, after which a comment shows whether the client is still there.
_SILENT: Final = 15


class Listeners:
    """The streams that are open.

    Attributes:
        open: How many.
    """

    def __init__(self, seconds: float = _SECONDS) -> None:
        self.open = 0
        self._seconds = seconds

    async def events(self, request: Request, workers: Workers) -> Response:
        """Return a stream of events, or 503 if there are too many."""
        if self.open >= _MOST:
            return text("Too many pages are open. This one is not updated by itself.\n", 503)
        return Response(body=self._stream(workers), content_type="text/event-stream")

    async def _stream(self, workers: Workers) -> AsyncIterator[bytes]:
        # Many may have asked at once, before the first of them began.
        if self.open >= _MOST:
            yield b"retry: 60000\n\n"
            return
        self.open += 1
        try:
            yield b"retry: 3000\n\n"
            # The page asks once more when it hears this, so nothing in between is missed.
            before, silent = await _versions(workers), 0
            while True:
                await asyncio.sleep(self._seconds)
                now = await _versions(workers)
                silent = 0 if now != before else silent + 1
                if now != before:
                    yield b"event: changed\ndata:\n\n"
                elif silent % _SILENT == 0:
                    yield b":\n\n"
                before = now
        finally:
            self.open -= 1


async def _versions(workers: Workers) -> list[tuple[int, object]]:
    return [(answer.pid, answer.value) for answer in await workers.ask("site_version")]
