"""The main process' end of the connections, and a reporter's greeting through a real door."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headstart.admin import health
from headstart.admin.frames import packed, receive
from headstart.admin.routes import Request
from headstart.admin.workers import Workers

SOON = 20.0


@asynccontextmanager
async def door(ended: list[tuple[int, Any]]) -> AsyncIterator[tuple[Workers, socket.socket]]:
    """Open a door; gives its inside and the workers' end."""
    outside, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with outside, inside:
        workers = Workers(inside, lambda pid, last: ended.append((pid, last)))
        workers.open()
        try:
            yield workers, outside
        finally:
            await workers.close()


class Process:
    """What a process that serves does, without one."""

    def __init__(self, outside: socket.socket, pid: int, answer: Any) -> None:
        self._answer = answer
        self.end, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(outside, [b"%d" % pid], [theirs.fileno()])
        self.asked: list[Any] = []

    async def serve(self) -> None:
        reader, self.writer = await asyncio.open_unix_connection(sock=self.end)
        while (message := await receive(reader)) is not None:
            self.asked.append(message)
            if self._answer is not None:
                self.writer.write(packed({"id": message["id"], **self._answer}))
        self.writer.close()


async def arrived(workers: Workers, number: int) -> None:
    async with asyncio.timeout(SOON):
        while len(workers) != number:
            await asyncio.sleep(0.001)


async def test_all_processes_are_asked_and_those_that_are_silent_are_named() -> None:
    ended: list[tuple[int, Any]] = []
    async with door(ended) as (workers, outside):
        processes = [
            Process(outside, 1, {"answer": {"a": 1}}),
            Process(outside, 2, None),
            Process(outside, 3, {"error": "ValueError: x"}),
        ]
        tasks = [asyncio.create_task(process.serve()) for process in processes]
        await arrived(workers, 3)

        answers = await workers.ask("health", {"page": "/"}, seconds=0.2)

        assert {(answer.pid, str(answer.value)) for answer in answers} == {
            (1, "{'a': 1}"),
            (2, "None"),
            (3, "None"),
        }
        assert processes[0].asked == [{"id": 1, "ask": "health", "with": {"page": "/"}}]
    await asyncio.gather(*tasks)


async def test_end_of_a_process_ends_its_questions_and_is_told_with_its_last_words() -> None:
    ended: list[tuple[int, Any]] = []
    async with door(ended) as (workers, outside):
        process = Process(outside, 7, None)
        task = asyncio.create_task(process.serve())
        await arrived(workers, 1)
        asked = asyncio.create_task(workers.ask("health", seconds=SOON))
        async with asyncio.timeout(SOON):
            while not process.asked:
                await asyncio.sleep(0.001)

        process.writer.write(packed({"last": 42}))
        process.writer.write_eof()

        assert await asked == []
        await arrived(workers, 0)
        assert ended == [(7, 42)]
        await task


async def test_process_that_talks_nonsense_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    async with door([]) as (workers, outside):
        process = Process(outside, os.getpid(), None)
        task = asyncio.create_task(process.serve())
        await arrived(workers, 1)

        process.writer.write(b"\0\0\0\2[]")

        await arrived(workers, 0)
        assert "a message that is not an object" in caplog.text
        await task


async def test_greeting_without_a_socket_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with door([]) as (workers, outside):
        outside.send(b"hello")
        async with asyncio.timeout(SOON):
            while "cannot read" not in caplog.text:
                await asyncio.sleep(0.001)

        assert await workers.ask("health") == []


async def test_answer_of_a_process_that_has_ended_meanwhile_is_left_out() -> None:
    """Its numbers are among the past then, and would count twice: later the sum would fall."""
    ended: list[tuple[int, Any]] = []
    async with door(ended) as (workers, outside):
        quick, slow = Process(outside, 1, {"answer": 5}), Process(outside, 2, None)
        tasks = [asyncio.create_task(process.serve()) for process in (quick, slow)]
        await arrived(workers, 2)
        asked = asyncio.create_task(workers.ask("metrics", seconds=SOON))
        async with asyncio.timeout(SOON):
            while not (quick.asked and slow.asked):
                await asyncio.sleep(0.001)

        quick.writer.write_eof()
        await arrived(workers, 1)
        slow.writer.write(packed({"id": 1, "answer": 7}))

        assert [(answer.pid, answer.value) for answer in await asked] == [(2, 7)]
        assert ended == [(1, None)]
    await asyncio.gather(*tasks)


async def test_process_that_hangs_does_not_hold_up_the_health_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A probe waits for a second, and would make an orchestrator restart all of them."""
    monkeypatch.setattr(health, "PATIENCE", 100 * SOON)
    request = Request(method="GET", path="/", query={}, form={}, headers={}, csrf="")
    async with door([]) as (workers, outside):
        well = {"answer": {"started": True, "draining": False, "store": True}}
        processes = [Process(outside, 1, None), Process(outside, 2, well)]
        tasks = [asyncio.create_task(process.serve()) for process in processes]
        await arrived(workers, 2)

        async with asyncio.timeout(SOON):
            alive = await health.healthz(request, workers)
            ready = await health.readyz(request, workers)

        assert (alive.status, alive.body) == (200, b"ok\n")
        assert (ready.status, ready.body) == (200, b"ready\n")
    await asyncio.gather(*tasks)
