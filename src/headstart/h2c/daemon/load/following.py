"""Run `get --follow-hints`: fetch resources named by a 103 and keep them for a later `get`.

Called by `exchange`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import TracebackType

from headstart import figures
from headstart.client.origin import Origin
from headstart.client.response import AsyncResponse
from headstart.config import ClientLimits
from headstart.h2c.daemon.load.loader import Loader, Settings
from headstart.h2c.daemon.load.resource import Resource
from headstart.h2c.daemon.load.rows import label
from headstart.h2c.daemon.session import Session, StoredResponse
from headstart.h2c.options.connections import Trust
from headstart.wire.events import Fields

_LIMITS = ClientLimits()


class Following:
    """Fetches in its body, whose end waits until all is there.

    Args:
        fields: Of the request for the page; those that a user sets are sent with the others, too.
        url: The page's.
    """

    def __init__(self, session: Session, fields: Fields, url: str, timeout: float) -> None:
        settings = Settings(
            fields=tuple(field for field in fields if field[0] not in (b"accept", b"host")),
            trust=Trust(),
            timeout=timeout,
            use_pushes=True,
            use_hints=True,
            max_resources=_LIMITS.max_pushes,
            max_bytes=_LIMITS.max_push_bytes,
        )
        self._session = session
        self._url = url
        self._loader = Loader(session, settings, url, self._keep)

    async def __aenter__(self) -> Following:
        await self._loader.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._loader.__aexit__(kind, error, traceback)

    def informed(self, status: int, fields: Fields) -> None:
        """Handle an informational response to the page."""
        self._loader.informed(self._url, status, fields)

    def lines(self) -> Iterator[str]:
        """Return a line for each fetched resource, and whether it is kept for the next `get`."""
        for one in self._loader.result.resources:
            yield f"hinted: {label(self._loader.result, one)}: {_outcome(one)}"

    def _keep(
        self, origin: Origin, target: str, asked: Fields, response: AsyncResponse, content: bytes
    ) -> None:
        from headstart.learn.safety import lifetime

        now = asyncio.get_running_loop().time()
        seconds = lifetime(response.headers.get("cache-control", ""))
        expires = now + (_LIMITS.max_push_age if seconds is None else seconds)
        kept = StoredResponse(
            response.status_code, response.headers, content, response.stream_id, expires
        )
        self._session.hinted.keep(origin, target, asked, kept, now)


def _outcome(one: Resource) -> str:
    if one.error:
        return one.error
    took = figures.time((one.ended or one.started) - one.started)
    how = "was pushed" if one.way == "push" else "waits for the next get"
    if not one.reusable:
        how = "not kept, since its status or Cache-Control forbids it"
    return f"{one.status}, {figures.size(one.size)} in {took}, {how}"
