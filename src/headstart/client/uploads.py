"""The bodies of requests, sent as the server takes them.

`Uploads` reads what the caller gives, keeps a bounded part of it in the engine, and goes on when
the connection has written some of that. Used by `client.connection`, one for each connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from typing import TypeAlias

from headstart.client.exchange import Exchange
from headstart.config import ClientLimits
from headstart.errors import LocalProtocolError, StreamGone
from headstart.wire.client import ClientConnection
from headstart.wire.connection import ErrorCode

Octets: TypeAlias = bytes | bytearray | memoryview
Parts: TypeAlias = Iterable[Octets] | AsyncIterable[Octets]
Content: TypeAlias = Octets | Parts | None
"""Bytes, or parts as they become available; a file in binary mode is an iterable of parts."""
Trailers: TypeAlias = (
    Sequence[tuple[bytes, bytes]] | Callable[[], Iterable[tuple[bytes, bytes]]] | None
)
"""Fields behind the content, or what is asked for them once the content is sent."""

_PIECE = 64 * 1024


class Uploads:
    """The uploads of one connection.

    Args:
        flush: Called when something waits to be written.
    """

    def __init__(
        self, wire: ClientConnection, limits: ClientLimits, flush: Callable[[], None]
    ) -> None:
        self._wire = wire
        self._limits = limits
        self._flush = flush
        self._sending: dict[int, Exchange] = {}
        """Streams whose request's body has not been written yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self._sending

    def begin(self, exchange: Exchange, content: Content, trailers: Trailers = None) -> None:
        """Send a body on a stream that was just opened."""
        if content is None and not trailers:
            return
        self._sending[exchange.stream_id] = exchange
        if isinstance(content, bytes) and len(content) <= _PIECE and not trailers:
            self._wire.send_data(exchange.stream_id, content, True)
            return
        exchange.sent_all = False
        exchange.room = asyncio.Event()
        sending = self._send(exchange, content or b"", trailers)
        task = asyncio.get_running_loop().create_task(sending)
        exchange.upload = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, exchange: Exchange) -> None:
        """Send no more of it."""
        if exchange.upload is not None:
            exchange.upload.cancel()

    def closed(self, exchange: Exchange) -> None:
        """Its stream is."""
        self._sending.pop(exchange.stream_id, None)
        self.stop(exchange)

    async def wait_stopped(self) -> None:
        """Wait until those that were stopped have ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def written(self, now: float) -> None:
        """Let uploads whose queue has room go on; a queue that shrinks is progress."""
        for exchange in list(self._sending.values()):
            queued = self._wire.queued_on(exchange.stream_id)
            if queued != exchange.queued:
                exchange.queued, exchange.progress = queued, now
            if exchange.room is not None and queued < self._limits.max_queued_upload:
                exchange.room.set()
            if exchange.sent_all and not queued:
                del self._sending[exchange.stream_id]

    async def _send(
        self,
        exchange: Exchange,
        content: Octets | Parts,
        trailers: Trailers,
    ) -> None:
        """Send a body piece by piece; belongs to the exchange, which cancels it."""
        try:
            parts = _parts(content)
            while (part := await _next(parts, exchange)) is not None:
                await self._send_part(exchange, part)
            if trailers:
                fields = trailers() if callable(trailers) else trailers
                self._wire.send_trailers(exchange.stream_id, fields)
            else:
                self._wire.send_data(exchange.stream_id, b"", True)
            exchange.sent_all = True
            self._flush()
        except StreamGone:
            pass  # its end is an event, which says more than this
        except Exception as error:
            # What the caller gave failed: the caller gets its own error back.
            self._wire.reset(exchange.stream_id, ErrorCode.CANCEL)
            self._flush()
            exchange.fail(error, asyncio.get_running_loop().time())

    async def _send_part(self, exchange: Exchange, part: bytes) -> None:
        assert exchange.room is not None
        for start in range(0, len(part), _PIECE):
            while self._wire.queued_on(exchange.stream_id) >= self._limits.max_queued_upload:
                exchange.room.clear()
                await exchange.room.wait()
            self._wire.send_data(exchange.stream_id, part[start : start + _PIECE], False)
            self._flush()


async def _next(parts: AsyncIterator[bytes], exchange: Exchange) -> bytes | None:
    """What the caller gives next; it may take its time, the server waits for it, too."""
    exchange.paused = True
    part = await anext(parts, None)
    exchange.paused = False
    exchange.progress = asyncio.get_running_loop().time()
    return part


async def _parts(content: Octets | Parts) -> AsyncIterator[bytes]:
    if isinstance(content, Octets):
        yield _octets(content)
    elif isinstance(content, AsyncIterable):
        async for part in content:
            yield _octets(part)
    else:
        for part in content:
            yield _octets(part)


def _octets(part: object) -> bytes:
    """A part that does not change any more.

    Raises:
        LocalProtocolError: It is none.
    """
    if isinstance(part, bytes):
        return part
    if isinstance(part, Octets):
        return bytes(part)
    raise LocalProtocolError(
        f"a part of the content is {type(part).__name__}, not bytes",
        hint="Encode text, and leave out what is None.",
    )
