"""One command answered: from its first frame to its exit code."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import pytest

from headstart import __version__
from headstart.h2c import exits, ipc
from headstart.h2c.daemon import service as services
from headstart.h2c.daemon.conversation import Conversation
from headstart.h2c.daemon.service import Service
from headstart.h2c.daemon.session import Session


class Typed:
    """A command's end of a conversation, and the service's task."""

    def __init__(self) -> None:
        ours, self.end = socket.socketpair()
        self.end.setblocking(False)
        self._ours = ours
        self.stopped = 0

    async def open(self) -> None:
        reader, self.writer = await asyncio.open_unix_connection(sock=self._ours)
        answering = Service(Session(), self.stop, "the.log").answer(
            Conversation(reader, self.writer)
        )
        self.task = asyncio.ensure_future(answering)

    async def stop(self) -> None:
        self.stopped += 1

    async def type(self, *arguments: str, version: str = __version__) -> None:
        payload = "\0".join([version, "/", "", *arguments]).encode()
        await asyncio.get_running_loop().sock_sendall(self.end, ipc.frame(ipc.REQUEST, payload))

    async def answer(self, *arguments: str, version: str = __version__) -> bytes:
        """All that comes back behind the word that the request was heard."""
        await self.type(*arguments, version=version)
        await self.task
        heard = ipc.frame(ipc.HEARD)
        answered = self.end.recv(65536)
        assert answered.startswith(heard)
        return answered[len(heard) :]


@pytest.fixture
async def typed() -> AsyncIterator[Typed]:
    made = Typed()
    await made.open()
    yield made
    made.end.close()
    made.writer.close()
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)


def message(text: str, code: int) -> bytes:
    told = ipc.frame(ipc.MESSAGE, f"h2c: {text}\n".encode())
    return told + ipc.frame(ipc.EXIT, bytes([code]))


async def test_the_process_id_is_told(typed: Typed) -> None:
    assert await typed.answer("pid") == (
        ipc.frame(ipc.OUTPUT, f"{os.getpid()}\n".encode()) + ipc.frame(ipc.EXIT, b"\0")
    )


async def test_stop_is_answered_when_it_is_done(typed: Typed) -> None:
    assert await typed.answer("stop") == ipc.frame(ipc.EXIT, b"\0")
    assert typed.stopped == 1


async def test_help_is_output(typed: Typed) -> None:
    answer = await typed.answer("get", "--help")

    assert answer[ipc.HEADER_SIZE :].startswith(b"usage: h2c get")
    assert answer.endswith(ipc.frame(ipc.EXIT, b"\0"))


async def test_mistakes_are_usage_errors(typed: Typed) -> None:
    expected = "there is no command 'x'; 'h2c --help' lists them"
    assert await typed.answer("x") == message(expected, exits.USAGE)


async def test_an_error_is_one_line_and_its_code(typed: Typed) -> None:
    assert await typed.answer("get", "/") == message(exits.NO_CONNECTION, exits.NOT_CONNECTED)


@pytest.mark.parametrize("verb", ["version", "get", "x"])
async def test_another_version_is_told_so(verb: str, typed: Typed) -> None:
    expected = exits.OTHER_VERSION.format(__version__, "0.0")
    assert await typed.answer(verb, version="0.0") == message(expected, exits.NOT_CONNECTED)


async def test_another_version_can_stop_it(typed: Typed) -> None:
    assert await typed.answer("stop", version="0.0") == ipc.frame(ipc.EXIT, b"\0")


async def test_what_nobody_expected_is_logged_and_told_in_one_line(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(services, "perform", broken)

    expected = exits.INTERNAL.format("ZeroDivisionError", "the.log")
    assert await typed.answer("get", "/") == message(expected, exits.REQUEST_FAILED)
    assert "ZeroDivisionError" in caplog.text


async def test_a_command_that_hangs_up_is_cancelled(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    async def endless(*_: object) -> int:
        try:
            events.append("begun")
            await asyncio.sleep(60)
        finally:
            events.append("ended")
        return 0

    monkeypatch.setattr(services, "perform", endless)
    await typed.type("get", "/")
    while not events:
        await asyncio.sleep(0)
    typed.end.close()

    with pytest.raises(ConnectionResetError):
        await typed.task
    assert events == ["begun", "ended"]


async def test_when_the_process_ends_the_command_is_told(typed: Typed) -> None:
    await asyncio.sleep(0)
    typed.task.cancel()
    await typed.task

    assert typed.end.recv(65536) == message(exits.ENDING, exits.NOT_CONNECTED)


async def test_why_the_process_ends_is_told_where_it_is_known(typed: Typed) -> None:
    await asyncio.sleep(0)
    typed.task.cancel(exits.DUMP_UNREAD)
    await typed.task

    assert typed.end.recv(65536) == message(exits.DUMP_UNREAD, exits.NOT_CONNECTED)


async def test_something_that_is_no_command_is_told(typed: Typed) -> None:
    await asyncio.get_running_loop().sock_sendall(typed.end, ipc.frame(ipc.INPUT, b"x"))
    await typed.task

    assert typed.end.recv(65536) == message(exits.BAD_REQUEST, exits.REQUEST_FAILED)
