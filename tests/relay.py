"""A TCP relay on loopback that can stop, as a network does that loses all packets.

While it is stopped its connections stay open, and new ones are made, but no byte passes. What was
sent meanwhile arrives afterwards.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle

from tests.server.live import PATIENCE

_CHUNK = 65536


class Relay:
    """Leads from a free port to another one, or to several in turn; runs in a thread.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, *targets: int) -> None:
        self.port = 0
        self._targets = cycle(targets)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._run()], daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def stop(self) -> None:
        """Pass no byte any more."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def go_on(self) -> None:
        """Pass bytes again, and those that wait first."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def close(self) -> None:
        """End it, and its connections."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(PATIENCE)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._flowing, self._ended = asyncio.Event(), asyncio.Event()
        self._flowing.set()
        self._under_way = set[asyncio.Task[None]]()
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._connect(reader, writer))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        # Also if it is cancelled before it has begun.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            its_reader, its_writer = await asyncio.open_connection("127.0.0.1", next(self._targets))
            writers.append(its_writer)
            await asyncio.gather(self._pass(reader, its_writer), self._pass(its_reader, writer))
        except OSError:
            return
        finally:
            # All of them first: whoever ends the relay may cancel the waiting.
            for each in writers:
                each.transport.abort()
            for each in writers:
                with suppress(OSError):
                    await each.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
            writer.write_eof()


@contextmanager
def relay(*targets: int) -> Iterator[Relay]:
    """Run one."""
    running = Relay(*targets)
    try:
        yield running
    finally:
        running.close()
