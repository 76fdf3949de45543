"""The processes that serve, as the admin port sees them: ask them, and know which are there.

Each sends one end of a socket pair through the door, a socket that all of them have inherited
(SCM_RIGHTS, unix(7)), so no file and no address is needed. The end of that socket is the end of the
process. Owned by `listener`; handlers of `routes` call `ask`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from headstart.admin.frames import packed, receive

logger = logging.getLogger("headstart.admin")

_LONGEST_GREETING: Final = 64
# Seconds. A process whose event loop does not turn for longer is not well.
PATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one process.

    Attributes:
        pid: Its process id.
        value: The answer; None if there was none in time, or the question failed there.
    """

    pid: int
    value: Any


class WorkerLink:
    """The connection to one process.

    Attributes:
        pid: Its process id.
        last: Its last words, or None.
    """

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.pid = pid
        self.last: Any = None
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def read(self) -> None:
        """Take answers until the process ends."""
        try:
            while (message := await receive(self._reader)) is not None:
                if "last" in message:
                    self.last = message["last"]
                    continue
                waiting = self._waiting.pop(message.get("id", 0), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message.get("answer"))
        except ValueError as error:
            logger.error("Process %d sent the admin port %s.", self.pid, error)
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result(None)
            self._writer.close()

    async def ask(self, question: str, arguments: dict[str, Any], seconds: float) -> Answer:
        """Ask one question, and wait at most so long."""
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(packed({"id": number, "ask": question, "with": arguments}))
        try:
            async with asyncio.timeout(seconds):
                value = await future
        except TimeoutError:
            # Its event loop is busy or hangs; a late answer finds nobody waiting.
            value = None
        finally:
            self._waiting.pop(number, None)
        return Answer(self.pid, value)


class Workers:
    """The processes that serve.

    Args:
        door: The datagram socket through which they come.
        ended: Called with the id and the last words of each process that has ended.
    """

    def __init__(self, door: socket.socket, ended: Callable[[int, Any], None] | None = None):
        self._door = door
        self._ended = ended
        self._links: dict[asyncio.Task[None], WorkerLink] = {}
        self._arrivals: set[asyncio.Task[None]] = set()

    async def ask(
        self, question: str, arguments: dict[str, Any] | None = None, *, seconds: float = PATIENCE
    ) -> list[Answer]:
        """Ask all processes at once; return an answer for each, the longest known first.

        Those that end meanwhile are left out: their last words are known, so an answer of before
        would count twice.

        Args:
            question: A key of `questions.QUESTIONS`.
            arguments: Named arguments of the question, as JSON takes them.
            seconds: How long to wait for each.
        """
        asked = dict(self._links)
        answers = await asyncio.gather(
            *(link.ask(question, arguments or {}, seconds) for link in asked.values())
        )
        return [answer for task, answer in zip(asked, answers, strict=True) if task in self._links]

    def __len__(self) -> int:
        return len(self._links)

    def open(self) -> None:
        """Let processes come in from now on."""
        self._door.setblocking(False)
        asyncio.get_running_loop().add_reader(self._door, self._arrived)

    def shut(self) -> None:
        """Close the door: processes that come are told at once that nobody is there."""
        self._door.close()

    async def close(self) -> None:
        """Let go of all processes."""
        asyncio.get_running_loop().remove_reader(self._door)
        tasks = [*self._arrivals, *self._links]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _arrived(self) -> None:
        try:
            greeting, descriptors, _, _ = socket.recv_fds(self._door, _LONGEST_GREETING, 1)
        except BlockingIOError:
            return
        if len(descriptors) != 1 or not greeting.isdigit():
            logger.error("The admin port was sent a greeting that it cannot read.")
            return
        task = asyncio.get_running_loop().create_task(self._take(int(greeting), descriptors[0]))
        self._arrivals.add(task)
        task.add_done_callback(self._arrivals.discard)

    async def _take(self, pid: int, descriptor: int) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=descriptor))
        link = WorkerLink(pid, reader, writer)
        task = asyncio.get_running_loop().create_task(link.read())
        self._links[task] = link
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        link = self._links.pop(task)
        if self._ended is not None:
            self._ended(link.pid, link.last)
