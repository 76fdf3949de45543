"""An application that is asked through the cache, and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from headstart.cache import CacheMiddleware
from headstart.config import CacheOptions
from headstart.deliver.asgi import EMPTY_QUERY

Fields = list[tuple[bytes, bytes]]
PUBLIC = (b"cache-control", b"public, max-age=60")


@dataclass
class Site:
    """The application, its cache and its time.

    Attributes:
        answer: What the application says to a scope: status, fields, body.
        calls: The scopes that it was called with.
        now: Seconds since 1970.
    """

    answer: Callable[[Any], tuple[int, Fields, bytes]]
    options: CacheOptions = field(default_factory=lambda: CacheOptions(cache=1024 * 1024))
    before: Callable[[], Awaitable[object]] | None = None
    calls: list[Any] = field(default_factory=list)
    now: float = 1_700_000_000.0

    def __post_init__(self) -> None:
        self.cache = CacheMiddleware(self._app, self.options, clock=lambda: self.now)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls.append(scope)
        await receive()
        if self.before is not None:
            await self.before()
        status, fields, body = self.answer(scope)
        date = (b"date", formatdate(self.now, usegmt=True).encode())
        await send({"type": "http.response.start", "status": status, "headers": [date, *fields]})
        half = len(body) // 2
        await send({"type": "http.response.body", "body": body[:half], "more_body": True})
        await send({"type": "http.response.body", "body": body[half:]})

    async def ask(
        self,
        target: str = "/a.css",
        *fields: tuple[bytes, bytes],
        method: str = "GET",
        body: bytes = b"",
        **more: Any,
    ) -> Answered:
        """Ask through the cache."""
        answered = Answered()

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            answered.messages.append(message)

        await self.cache(scope_of(target, *fields, method=method, **more), receive, send)
        return answered

    async def settle(self) -> None:
        """Let what goes on in the background end."""
        while self.cache._refreshing:
            await asyncio.sleep(0)


def scope_of(
    target: str, *fields: tuple[bytes, bytes], method: str = "GET", **more: Any
) -> dict[str, Any]:
    """A scope of `site.example` over https."""
    path, mark, query = target.partition("?")
    if mark and not query:  # as our server has it
        more = {EMPTY_QUERY: True} | more
    return {
        "type": "http",
        "http_version": "2",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"site.example"), *fields],
        "extensions": {"http.response.pathsend": {}},
    } | more


@dataclass
class Answered:
    """What the client got."""

    messages: list[Any] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def fields(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def told(self) -> str:
        """Cache-Status without the cache's name."""
        return self.fields[b"cache-status"].decode().removeprefix("headstart; ")


def site(*fields: tuple[bytes, bytes], status: int = 200, body: bytes = b"body {}") -> Site:
    """A site that always says the same, with its length."""
    length = (b"content-length", str(len(body)).encode())
    return Site(lambda _: (status, [*fields, length], body))
