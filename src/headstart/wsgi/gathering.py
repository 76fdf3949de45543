"""Content whose length the client does not say, gathered before a WSGI application is called.

WSGI says the length of a request's content in `CONTENT_LENGTH`. Without it applications take the
content for empty, Django for instance. Over HTTP/2 and with `Transfer-Encoding: chunked` a client
need not say a length. So `adapter` gathers such content here, as waitress does, and then its length
is known. Small content stays in memory, the rest goes to a temporary file. There is a bound for
each request and one for all requests of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from headstart.wsgi.outbox import Message

# Bytes of each request that stay in memory.
_IN_MEMORY: Final = 64 * 1024
# The contents of so many requests, each as large as can be, are gathered at the same time.
_TOGETHER: Final = 16


class GathererFull(Exception):
    """The content of other requests takes all the room."""


@dataclass(slots=True)
class Gathered:
    """The content of one request, as far as it was gathered.

    Attributes:
        file: The content.
        size: Bytes in `file`.
        complete: The content ends there.
    """

    file: IO[bytes] = field(default_factory=partial(SpooledTemporaryFile, _IN_MEMORY))
    size: int = 0
    complete: bool = False


class Gatherer:
    """Gathers content for the requests of one application.

    Args:
        limit: Bytes of one request's content; 0 to gather none.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held = 0

    def wants(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Return whether the content of a request with these headers is to be gathered."""
        return self.limit > 0 and not any(name == b"content-length" for name, _ in headers)

    async def gather(self, receive: Callable[[], Awaitable[Message]]) -> Gathered | None:
        """Receive content up to its end, or until there is more of it than the limit.

        Returns:
            What came, for the caller to `release`; None if the client left.

        Raises:
            GathererFull: Other requests take all the room.
        """
        gathered = Gathered()
        try:
            while not gathered.complete and gathered.size <= self.limit:
                message = await receive()
                if message["type"] != "http.request":
                    self.release(gathered)
                    return None
                await self._add(gathered, message.get("body", b""))
                gathered.complete = not message.get("more_body", False)
        except BaseException:
            self.release(gathered)
            raise
        gathered.file.seek(0)
        return gathered

    async def _add(self, gathered: Gathered, part: bytes) -> None:
        if self._held + len(part) > _TOGETHER * self.limit:
            raise GathererFull
        self._held += len(part)
        gathered.size += len(part)
        if gathered.size > _IN_MEMORY:
            await asyncio.to_thread(gathered.file.write, part)
        else:
            gathered.file.write(part)

    def release(self, gathered: Gathered) -> None:
        """Close the file, and make room for others."""
        gathered.file.close()
        self._held -= gathered.size
        gathered.size = 0
