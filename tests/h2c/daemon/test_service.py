"""One command answered: from its first frame to its exit code."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headstart import __version__
from headstart.errors import ConfigurationError
from headstart.h2c import exits, ipc, options
from headstart.h2c.daemon import service as services
from headstart.h2c.daemon.conversation import Conversation, Request
from headstart.h2c.daemon.service import Service, perform
from headstart.h2c.daemon.session import Session
from tests.h2c.push_server import PushServer
from tests.h2c.recorder import Recorder


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
    expected = "h2c has no command 'x'; 'h2c --help' lists them"
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


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    made = Session()
    yield made
    await made.close()


async def run(session: Session, *arguments: str, folder: str = "/") -> tuple[str, list[str]]:
    """Output and messages of a command that succeeds."""
    recorder = Recorder()
    request = Request(__version__, folder, False, False, arguments)
    assert await perform(options.parse(arguments), session, recorder, request) == 0
    return recorder.output.decode(), recorder.messages


async def test_connect_and_disconnect_say_where(session: Session, server: PushServer) -> None:
    out, messages = await run(session, "connect", "-v", server.origin)
    assert out.startswith(f"connected to {server.origin} at ")
    assert "\nMAX_CONCURRENT_STREAMS: 100\n" in out
    assert messages == []

    assert await run(session, "disconnect") == ("", [])


async def test_insecure_is_said_before_connecting(session: Session, server: PushServer) -> None:
    _, messages = await run(session, "connect", "--insecure", server.origin)

    assert messages == [f"warning: the certificate of {server.origin} is not verified (--insecure)"]


async def test_roots_are_relative_to_where_the_command_was_typed(
    session: Session, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/none.pem"):
        await run(
            session, "connect", "--cacert", "none.pem", "https://localhost:1", folder=str(tmp_path)
        )


async def test_a_round_trip_is_in_milliseconds(session: Session, server: PushServer) -> None:
    await run(session, "connect", server.origin)

    out, _ = await run(session, "ping")

    assert re.fullmatch(r"\d+\.\d{3} ms\n", out)


async def test_fields_are_set_listed_and_unset(session: Session) -> None:
    for value in ("1", "2"):
        await run(session, "set", "A", value)
    await run(session, "set", "B", "3")
    assert await run(session, "set") == ("a: 1\na: 2\nb: 3\n", [])

    await run(session, "unset", "A", "1")
    assert await run(session, "set") == ("a: 2\nb: 3\n", [])
    await run(session, "unset", "a")
    assert await run(session, "set") == ("b: 3\n", [])


async def test_unset_says_where_nothing_was_set(session: Session) -> None:
    await run(session, "set", "a", "1")

    assert await run(session, "unset", "B") == (
        "",
        ["B was not set; 'h2c set' lists what is"],
    )
    assert await run(session, "unset", "a", "2") == (
        "",
        ["a: 2 was not set; 'h2c set' lists what is"],
    )
    assert await run(session, "set") == ("a: 1\n", [])


async def test_pushes_are_listed_short_long_and_as_json(
    session: Session, server: PushServer
) -> None:
    await run(session, "connect", server.origin)
    assert await run(session, "push-list", "-l") == ("", [])
    assert await run(session, "push-list", "--json") == ("[]\n", [])
    await run(session, "post", "--data", "x", "/data")

    short, _ = await run(session, "push-list")
    long, _ = await run(session, "push-list", "--long")
    (pushed,) = json.loads((await run(session, "push-list", "--json"))[0])

    assert short == "/data\n"
    assert len(long.splitlines()) == 2
    assert pushed.pop("age") < 60
    assert pushed == {
        "stream": 2,
        "parent": 1,
        "method": "GET",
        "scheme": "http",
        "authority": f"127.0.0.1:{server.port}",
        "path": "/data",
        "status": 200,
        "type": "text/plain",
        "size": 32,
        "state": "complete",
    }


async def test_connections_and_streams_are_listed(session: Session, server: PushServer) -> None:
    assert await run(session, "connections") == ("", [])
    await run(session, "get", f"{server.origin}/x")

    assert await run(session, "connections") == (f"* {server.origin}\n", [])
    assert await run(session, "stream-info") == ("", [])
    assert await run(session, "stream-info", "--closed") == ("1: GET /x closed\n", [])


async def test_the_version_is_told(session: Session) -> None:
    assert await run(session, "version") == (f"h2c {__version__}\n", [])


@pytest.mark.parametrize("verb", ["start", "stop", "pid"])
async def test_what_concerns_the_process_is_done_elsewhere(verb: str, session: Session) -> None:
    with pytest.raises(AssertionError, match="concerns the process"):
        await run(session, verb)
