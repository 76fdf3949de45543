"""Send the bodies of requests as fast as the server takes them.

`Uploads` reads the caller's content, keeps a bounded part of it in the engine, and goes on when the
connection has written some of that. Used by `client.connection`, one for each connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import TypeAlias

from headstart.client.contents import PIECE, Content, pieces
from headstart.client.response_stream import ResponseStream
from headstart.config import ClientLimits
from headstart.errors import StreamGoneError
from headstart.wire.client import ClientConnection
from headstart.wire.connection import ErrorCode

Trailers: TypeAlias = (
    Sequence[tuple[bytes, bytes]] | Callable[[], Iterable[tuple[bytes, bytes]]] | None
)
"""Fields behind the content, or what is asked for them once the content is sent."""


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
        self._sending: dict[int, ResponseStream] = {}
        """Streams whose request's body has not been written yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self._sending

    def begin(self, exchange: ResponseStream, content: Content, trailers: Trailers = None) -> None:
        """Send a body on a stream that was just opened."""
        if content is None and not trailers:
            return
        self._sending[exchange.stream_id] = exchange
        if isinstance(content, bytes) and len(content) <= PIECE and not trailers:
            self._wire.send_data(exchange.stream_id, content, True)
            return
        exchange.sent_all = False
        exchange.room = asyncio.Event()
        sending = self._send(exchange, content or b"", trailers)
        task = asyncio.get_running_loop().create_task(sending)
        exchange.upload = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, exchange: ResponseStream) -> None:
        """Send no more of it."""
        if exchange.upload is not None:
            exchange.upload.cancel()

    def answered(self, exchange: ResponseStream) -> None:
        """End an upload whose response is complete, as nobody needs the rest.

        A server that does not read the rest would never make room for it, and one that reads it
        has answered already (RFC 9113, 8.1). Go's client does the same.
        """
        if exchange.stream_id not in self._sending or exchange.parent:
            return
        exchange.answered_early = True
        if exchange.sent_all:
            self._flush()  # `written` looks at what is left then
        else:
            self._break_off(exchange)

    def _break_off(self, exchange: ResponseStream) -> None:
        self._wire.reset(exchange.stream_id, ErrorCode.NO_ERROR)
        self.stop(exchange)
        self._flush()

    def closed(self, exchange: ResponseStream) -> None:
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
            elif exchange.answered_early and not self._wire.wants_output:
                self._break_off(exchange)  # only the window holds it back

    async def _send(self, exchange: ResponseStream, content: Content, trailers: Trailers) -> None:
        """Send a body piece by piece; belongs to the exchange, which cancels it."""
        try:
            async with aclosing(pieces(b"" if content is None else content)) as parts:
                while (part := await _next(parts, exchange)) is not None:
                    await self._send_part(exchange, part)
            if trailers:
                fields = trailers() if callable(trailers) else trailers
                self._wire.send_trailers(exchange.stream_id, fields)
            else:
                self._wire.send_data(exchange.stream_id, b"", True)
            exchange.sent_all = True
            self._flush()
        except StreamGoneError:
            pass  # its end is an event, which says more than this
        except Exception as error:
            # What the caller gave failed: the caller gets its own error back.
            self._wire.reset(exchange.stream_id, ErrorCode.CANCEL)
            self._flush()
            exchange.fail(error, asyncio.get_running_loop().time())

    async def _send_part(self, exchange: ResponseStream, part: bytes) -> None:
        assert exchange.room is not None
        for start in range(0, len(part), PIECE):
            while self._wire.queued_on(exchange.stream_id) >= self._limits.max_queued_upload:
                exchange.room.clear()
                await exchange.room.wait()
            self._wire.send_data(exchange.stream_id, part[start : start + PIECE], False)
            self._flush()


async def _next(parts: AsyncIterator[bytes], exchange: ResponseStream) -> bytes | None:
    """Return the caller's next part; the caller may take its time."""
    exchange.paused = True
    part = await anext(parts, None)
    exchange.paused = False
    exchange.progress = asyncio.get_running_loop().time()
    return part
