"""A TCP relay on loopback that holds all bytes back for a time: a network's distance, simulated.

Both directions wait alike and bytes keep their order. Without a capacity there is no limit to how
many are under way, so that what is measured through it shows round trips and nothing else. With
one, each direction carries so many bytes a second, and a sender waits while a queue in front of the
link is full. The handshake is not held back: measure on connections that are open. Called by
`pageload` and `links`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import cycle
from types import TracebackType

_CHUNK = 256 * 1024
# Seconds that the queue in front of a link holds.
_QUEUE = 0.05


class DelayingRelay:
    """Listens on a free port of 127.0.0.1 and leads to another one. An async context manager.

    Args:
        target: Port that it leads to, on 127.0.0.1.
        delay: Seconds from one side to the other; half a round trip.
        sources: Addresses of loopback that the target sees as its clients', one connection each, in
            turn.
        capacity: Bytes a second that each direction of a connection carries; None for any number.

    Attributes:
        port: Where it listens.
        carried: Bytes that went to the target, and back.
    """

    def __init__(
        self,
        target: int,
        delay: float,
        sources: Sequence[str] = ("127.0.0.1",),
        capacity: float | None = None,
    ) -> None:
        self.port = 0
        self.carried = [0, 0]
        self._capacity = capacity
        self._target = target
        self._delay = delay
        self._sources = cycle(sources)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> DelayingRelay:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Tasks of our own, so that leaving can end them; asyncio would keep its own to itself.
        relaying = asyncio.get_running_loop().create_task(self._relay(reader, writer))
        self._connections.add(relaying)
        relaying.add_done_callback(self._connections.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward = await asyncio.open_connection(
                "127.0.0.1", self._target, local_addr=(next(self._sources), 0)
            )
        except OSError:
            writer.close()  # as a host that nothing listens on would
            return
        try:
            await asyncio.gather(
                self._carry(reader, onward[1], 0),
                self._carry(onward[0], writer, 1),
            )
        finally:
            writer.close()
            onward[1].close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: int
    ) -> None:
        """One direction, to its end."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        reading = asyncio.create_task(self._hold(reader, held))
        try:
            await self._let_go(held, writer, direction)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _hold(
        self, reader: asyncio.StreamReader, held: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        """Put what comes into the queue, with the time when it is due; b"" is the end."""
        clock = asyncio.get_running_loop().time
        data, free = b"begun", 0.0
        while data:
            try:
                data = await reader.read(_CHUNK)
            except OSError:
                data = b""  # reset: the other side sees an end, which is all it needs
            free = max(free, clock())
            if self._capacity is not None:
                free += len(data) / self._capacity
            held.put_nowait((free + self._delay, data))
            if free - clock() > _QUEUE:
                await asyncio.sleep(free - clock() - _QUEUE)

    async def _let_go(
        self,
        held: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        direction: int,
    ) -> None:
        """Write what is due, in order, until the end has come."""
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await held.get()
            await asyncio.sleep(due - clock())
            if not data:
                writer.close()
                return
            writer.write(data)
            self.carried[direction] += len(data)
