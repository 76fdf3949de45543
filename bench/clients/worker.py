"""One client's task in a process of its own: `python -m bench.clients.worker NAME TASK URL COUNT
AT_ONCE` prints its figures as JSON. Started by `contest`.

The first request, which connects, is not measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from typing import Protocol

Get = Callable[[], Awaitable[bytes]]


class Session(Protocol):
    """What each client module's `Session` does. An async context manager."""

    def __init__(self, origin: str) -> None: ...

    async def __aenter__(self) -> Session: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def get(self, path: str) -> bytes:
        """A whole body.

        Raises:
            RuntimeError: The status is not 200, or it is not HTTP/2.
        """
        ...

    async def download(self, path: str) -> int:
        """Read a body in parts, and keep none; its length."""
        ...


async def run(made: type[Session], task: str, origin: str, path: str, count: int, many: int) -> int:
    """Do the task; bytes that were read.

    Args:
        task: `gets` or `download`.
        count: Requests, for `gets`.
        many: How many are under way at once.
    """
    async with made(origin) as session:
        await session.get("/")
        begin, busy = time.perf_counter(), time.process_time()
        if task == "download":
            size = await session.download(path)
        else:
            size = await _gets(session, path, count, many)
        took, busy = time.perf_counter() - begin, time.process_time() - busy
    print(json.dumps({"seconds": took, "processor": busy, "data": size, "memory": _peak()}))
    return size


async def _gets(session: Session, path: str, count: int, many: int) -> int:
    left = iter(range(count))

    async def ask() -> int:
        # All share one iterator, so that each takes the next one that is left.
        return sum([len(await session.get(path)) for _ in left])

    return sum(await asyncio.gather(*[ask() for _ in range(many)]))


def _peak() -> int:
    """Most memory so far, bytes; 0 where that cannot be had.

    getrusage would tell that of the parent, if it was more, since a child begins as its copy.
    """
    with suppress(OSError), open("/proc/self/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def main(arguments: list[str]) -> None:
    name, task, origin, path, count, many = arguments
    made = import_module(f"bench.clients.with_{name}").Session
    # Each under its default event loop: an application that uses a client has chosen its own.
    asyncio.run(run(made, task, origin, path, int(count), int(many)))


if __name__ == "__main__":
    main(sys.argv[1:])
