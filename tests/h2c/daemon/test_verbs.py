"""What each command does."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headstart import __version__
from headstart.errors import ConfigurationError
from headstart.h2c import options
from headstart.h2c.daemon.conversation import Request
from headstart.h2c.daemon.session import Session
from headstart.h2c.daemon.verbs import perform
from tests.h2c.push_server import PushServer, push_server
from tests.h2c.recorder import Recorder


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        yield running


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
