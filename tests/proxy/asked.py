"""A `Proxy` that is asked directly, and an upstream of raw sockets that says what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

from headstart.proxy import Proxy

Script = Callable[["Conversation"], Awaitable[None]]


class Conversation:
    """One connection as the upstream sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def head(self) -> bytes:
        """Read a request's header section."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    def hang_up(self) -> None:
        """Close the connection."""
        self._writer.close()


@dataclass
class RawUpstream:
    """An upstream that plays one script for each connection, the last one for all others."""

    url: str = ""
    connections: int = 0


@asynccontextmanager
async def raw_upstream(
    *scripts: Script, ssl: SSLContext | None = None
) -> AsyncIterator[RawUpstream]:
    """Listen on a free port of loopback."""
    upstream = RawUpstream()
    tasks: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = scripts[min(upstream.connections, len(scripts) - 1)]
        upstream.connections += 1
        try:
            await script(Conversation(reader, writer))
        except (asyncio.IncompleteReadError, OSError):
            pass  # the proxy hung up, as some tests want
        finally:
            writer.close()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(play(reader, writer)))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=ssl)
    upstream.url = f"{'https' if ssl else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(response: bytes) -> Script:
    """Make a script that answers each request without content with `response`."""

    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.head()
            await conversation.say(response)

    return script


@dataclass
class Answered:
    """What a client got."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The final status."""
        return int(self._start["status"])

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The fields of the final header section."""
        return list(self._start["headers"])

    @property
    def _start(self) -> dict[str, Any]:
        return next(m for m in self.messages if m["type"] == "http.response.start")

    @property
    def body(self) -> bytes:
        """All content that came."""
        bodies = [m for m in self.messages if m["type"] == "http.response.body"]
        return b"".join(message.get("body", b"") for message in bodies)

    @property
    def whole(self) -> bool:
        """The last part of the content came."""
        bodies = [m for m in self.messages if m["type"] == "http.response.body"]
        return bool(bodies) and not bodies[-1].get("more_body", False)

    @property
    def links(self) -> list[bytes]:
        """What 103 responses named."""
        hints = [m for m in self.messages if m["type"] == "http.response.early_hint"]
        return [link for hint in hints for link in hint["links"]]


def scope_of(
    method: str = "GET", target: str = "/", *fields: tuple[bytes, bytes], **more: Any
) -> dict[str, Any]:
    """Make an ASGI scope as our server does for HTTP/2."""
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "http_version": "2",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "client": ("192.0.2.7", 40000),
        "headers": [(b"host", b"site.example"), *fields],
        "extensions": {"http.response.early_hint": {}, "http.response.trailers": {}},
    } | more


async def ask(
    proxy: Proxy,
    scope: dict[str, Any] | None = None,
    *content: bytes,
    ends: bool = True,
    stalls: bool = False,
    seen: Callable[[dict[str, Any]], None] | None = None,
) -> Answered:
    """Ask the proxy.

    Args:
        content: The parts of the request's content.
        ends: False: the client disconnects behind the content.
        stalls: More content is due, and never comes.
        seen: Called with each message when the client gets it.
    """
    answered = Answered()
    parts = [
        {
            "type": "http.request",
            "body": part,
            "more_body": not ends or stalls or index < len(content) - 1,
        }
        for index, part in enumerate(content or (b"",))
    ]

    async def receive() -> dict[str, Any]:
        if parts:
            return parts.pop(0)
        if ends:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answered.messages.append(dict(message))
        if seen is not None:
            seen(answered.messages[-1])

    await proxy(scope or scope_of(), receive, send)
    return answered


@asynccontextmanager
async def closing(proxy: Proxy) -> AsyncIterator[Proxy]:
    """Close the proxy's connections at the end, as a server's lifespan does."""
    try:
        yield proxy
    finally:
        messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            assert message["type"].endswith(".complete")

        await proxy({"type": "lifespan"}, receive, send)
