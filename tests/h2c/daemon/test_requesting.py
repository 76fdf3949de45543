"""A request and its response, for a command."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import RstStreamFrame

from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import ClientTimeoutError, RequestError
from headstart.client.headers import Headers
from headstart.client.origin import Origin, split_url
from headstart.client.response import AsyncResponse
from headstart.errors import ConfigurationError, LocalProtocolError
from headstart.h2c import exits
from headstart.h2c.daemon.requesting import location_of, redirected
from headstart.h2c.daemon.session import Session, StoredResponse
from headstart.h2c.options.requests import RequestCommand, Text
from tests.clock import timeless
from tests.h2c.daemon.sending import linked, run
from tests.h2c.frame_server import Connection, frame_server
from tests.h2c.options.typed import exchange as typed
from tests.h2c.push_server import PushServer
from tests.h2c.recorder import Recorder


async def refused(content: list[str]) -> int:
    """How often a request is sent whose stream the server refuses each time."""
    asked: list[int] = []

    def refuse(connection: Connection, stream_id: int, path: str) -> None:
        asked.append(stream_id)
        connection.send(RstStreamFrame(stream_id, ErrorCodes.REFUSED_STREAM))

    with frame_server() as server:
        server.on_request = refuse
        session = Session()
        try:
            with pytest.raises(RequestError):
                await run(session, Recorder(b"content"), "post", *content, f"{server.origin}/x")
        finally:
            await session.close()
    return len(asked)


async def test_what_a_server_has_not_acted_on_is_sent_again_unless_it_came_from_a_file() -> None:
    assert await refused(["--data", "content"]) == 3
    assert await refused(["--file", "source"]) == 1


async def asked_when_stale(method: str, *, lost: int) -> tuple[list[str], str]:
    """The paths of requests on a connection that is dead so often; what the last one said."""
    asked: list[str] = []

    def act(connection: Connection, stream_id: int, path: str) -> None:
        asked.append(path)
        if path == "/stale" and asked.count("/stale") <= lost:
            connection.close()
        else:
            connection.answer(stream_id, b"answer")

    with frame_server() as server:
        server.on_request = act
        session = Session()
        recorder = Recorder()
        try:
            await run(session, Recorder(), "get", f"{server.origin}/first")
            try:
                await run(session, recorder, method, f"{server.origin}/stale")
                said = recorder.output.decode()
            except RequestError as error:
                said = str(error)
        finally:
            await session.close()
    return asked, said


async def test_dead_connection_is_made_again_once_for_an_idempotent_request() -> None:
    first, stale = "/first", "/stale"

    assert await asked_when_stale("get", lost=1) == ([first, stale, stale], "answer")
    assert (await asked_when_stale("get", lost=2))[0] == [first, stale, stale]
    assert (await asked_when_stale("post", lost=1))[0] == [first, stale]


async def test_dead_connection_is_made_again_once_though_another_that_was_used_is_dead_too(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command may have used the connection that the first one then goes on with."""
    attempts: list[str] = []

    async def fail(
        connection: Http2ClientConnection, method: str, *_: object, **__: object
    ) -> AsyncResponse:
        attempts.append(method)
        raise RequestError("the connection is dead", stale=True)

    monkeypatch.setattr(Http2ClientConnection, "request", fail)
    for method in ("get", "post"):
        with pytest.raises(RequestError):
            await run(session, Recorder(), method, "/x")

    assert attempts == ["GET", "GET", "POST"]


async def test_files_are_opened_before_the_request_is_sent(
    session: Session, server: PushServer
) -> None:
    class Refusing(Recorder):
        async def open_output(self, path: str) -> None:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await run(session, Refusing(), "get", "-o", "x", "/x")
    assert server.requests == []


async def test_the_nearest_field_of_a_name_counts(session: Session, server: PushServer) -> None:
    session.fields += [(b"accept", b"set"), (b"a", b"1"), (b"b", b"2")]

    await run(session, Recorder(), "get", "-H", "A: typed", "/x")

    assert server.fields["a"] == "typed"
    assert server.fields["b"] == "2"
    assert server.fields["accept"] == "set"
    assert server.fields["user-agent"].startswith("h2c/")


async def test_a_push_that_waits_is_served_though_its_connection_is_lost(
    session: Session, server: PushServer
) -> None:
    await run(session, Recorder(), "post", "--data", "x", "/data")
    await session.current().connection.aclose()
    recorder = Recorder()

    assert await run(session, recorder, "get", "-v", "/data") == 0
    assert recorder.messages == ["200, pushed on stream 2"]
    assert server.requests == ["POST /data"]


@pytest.mark.parametrize(
    "options", [["--no-push-cache"], ["--data", "x"], ["-H", "range: bytes=1-"]]
)
async def test_a_request_that_no_push_answers_connects_again(
    options: list[str], session: Session, server: PushServer
) -> None:
    await run(session, Recorder(), "post", "--data", "x", "/data")
    await session.current().connection.aclose()

    assert await run(session, Recorder(), "get", *options, "/data") == 0
    assert server.requests == ["POST /data", "GET /data"]


async def test_a_push_that_a_terminal_refuses_waits_for_a_file(
    session: Session, server: PushServer
) -> None:
    await run(session, Recorder(), "post", "--data", "P\0NG", "/data")
    refused, shown, kept = Recorder(), Recorder(), Recorder()

    code = await run(session, refused, "get", "-v", "/data", to_terminal=True)
    assert (code, refused.output) == (exits.REQUEST_FAILED, b"")
    assert refused.messages == ["200, pushed on stream 2", exits.BINARY]
    assert await run(session, shown, "get", "--keep", "-o", "-", "/data", to_terminal=True) == 0
    assert await run(session, kept, "get", "-o", "image", "/data", to_terminal=True) == 0

    assert kept.output == shown.output == b"I received the following data: P\0NG"
    assert server.requests == ["POST /data"]
    assert len(session.current().connection.pushes) == 0


@pytest.mark.parametrize(("content", "code"), [(b"P\0NG", exits.REQUEST_FAILED), (b"text", 0)])
async def test_what_a_103_named_waits_as_well_if_a_terminal_refuses_it(
    content: bytes, code: int, session: Session
) -> None:
    origin = session.current().connection.origin
    now = asyncio.get_running_loop().time()
    session.hinted.keep(
        origin, "/image", [], StoredResponse(200, Headers([]), content, 3, now + 60), now
    )

    assert await run(session, Recorder(), "get", "/image", to_terminal=True) == code
    assert len(session.hinted) == (1 if code else 0)


@pytest.mark.parametrize("options", [[], ["--data", "x"]])
async def test_a_request_that_was_surely_not_processed_is_sent_once_more(
    options: list[str], session: Session, server: PushServer
) -> None:
    server.refuse = 1

    assert await run(session, Recorder(), "post", *options, "/x") == 0
    assert server.requests == ["POST /x", "POST /x"]


@pytest.mark.parametrize(("refused", "options"), [(3, []), (1, ["--file", "source"])])
async def test_but_not_for_ever_and_not_if_its_content_is_gone(
    refused: int, options: list[str], session: Session, server: PushServer
) -> None:
    server.refuse = refused

    with pytest.raises(RequestError, match=r"REFUSED_STREAM|did not process"):
        await run(session, Recorder(b"x"), "post", *options, "/x")
    assert server.requests == ["POST /x"] * refused


async def test_upload_of_which_nothing_was_sent_goes_over_another_connection(
    session: Session, server: PushServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Http2ClientConnection.request
    refusals = [RequestError("the connection takes no new requests", sent=False)]

    async def refuse_once(
        connection: Http2ClientConnection, method: str, *given: Any, **options: Any
    ) -> AsyncResponse:
        if refusals:
            raise refusals.pop()
        return await send(connection, method, *given, **options)

    monkeypatch.setattr(Http2ClientConnection, "request", refuse_once)
    recorder = Recorder(b"from a file")

    assert await run(session, recorder, "post", "--file", "source", "/echo") == exits.OK

    assert refusals == []
    assert server.requests == ["POST /echo"]


async def test_cancelling_resets_the_stream(session: Session, server: PushServer) -> None:
    waiting = asyncio.ensure_future(run(session, Recorder(), "get", "/hang"))
    while not server.requests:
        await asyncio.sleep(0.01)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    while not server.resets:
        await asyncio.sleep(0.01)
    assert server.resets == [8]


@timeless
async def test_upload_that_moves_slowly_does_not_time_out() -> None:
    session, peer = await linked(window=1000)
    recorder = Recorder()
    arguments = ("post", "--timeout", "10s", "--data", "x" * 5000, "/x")
    running = asyncio.ensure_future(run(session, recorder, *arguments))
    await peer.settle()

    for seen in range(1000, 5000, 1000):
        assert len(peer.body(1)) == seen
        await asyncio.sleep(8)
        peer.server.acknowledge(1000, 1)
        await peer.settle()
    await peer.answer(1)

    assert await running == exits.OK
    assert recorder.output == b"page"


@timeless
async def test_upload_that_does_not_move_times_out() -> None:
    session, peer = await linked(window=1000)
    arguments = ("post", "--timeout", "10s", "--data", "x" * 5000, "/x")
    running = asyncio.ensure_future(run(session, Recorder(), *arguments))
    await peer.settle()

    with pytest.raises(ClientTimeoutError, match="nothing moved for 10 s"):
        await running


@timeless
async def test_each_103_and_each_part_of_the_response_is_a_move() -> None:
    session, peer = await linked(window=1000)
    recorder = Recorder()
    running = asyncio.ensure_future(run(session, recorder, "get", "--timeout", "10s", "/x"))
    await peer.settle()

    await asyncio.sleep(8)
    peer.server.inform(1, 103, [])
    await peer.settle()
    await asyncio.sleep(8)
    await peer.answer(1, b"one", end=False)
    await asyncio.sleep(8)
    peer.server.send_data(1, b"two", True)
    await peer.settle()

    assert await running == exits.OK
    assert recorder.output == b"onetwo"


class Slow(Recorder):
    """A command on whose terminal a person types."""

    async def read(self) -> bytes:
        await asyncio.sleep(60)
        return await super().read()

    async def open_input(self, path: str) -> int | None:
        return None

    async def out(self, data: bytes) -> None:
        await asyncio.sleep(60)
        await super().out(data)


@timeless
async def test_time_that_the_command_takes_does_not_count() -> None:
    session, peer = await linked(window=1000)
    recorder = Slow(b"typed")
    arguments = ("post", "--timeout", "10s", "--file", "-", "/x")
    running = asyncio.ensure_future(run(session, recorder, *arguments))

    await asyncio.sleep(125)
    await peer.settle()
    await peer.answer(1)

    assert await running == exits.OK
    assert (peer.body(1), recorder.output) == (b"typed", b"page")


@timeless
async def test_link_that_has_vanished_takes_no_further_request() -> None:
    session, peer = await linked(window=1000)
    with pytest.raises(ClientTimeoutError):
        await run(session, Recorder(), "get", "--timeout", "10s", "/x")

    assert await peer.connection.answers() is False


HERE = Origin("https", "a.test", 443)


def after(command: RequestCommand, status: int, location: str) -> RequestCommand:
    made = redirected(command, HERE, "/folder/page", status, location)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("/other", "https://a.test/other"),
        ("next?x=1#part", "https://a.test/folder/next?x=1"),
        ("//b.test/", "https://b.test/"),
        ("http://b.test:81/", "http://b.test:81/"),
    ],
)
def test_location_is_relative_to_the_request(location: str, where: str) -> None:
    made = after(typed("get", "-L", "/folder/page"), 302, location)

    assert (made.where, made.redirections) == (where, 49)


@pytest.mark.parametrize(
    ("status", "method", "content"),
    [
        (301, "GET", None),
        (302, "GET", None),
        (303, "GET", None),
        (307, "POST", Text(b"a=1")),
        (308, "POST", Text(b"a=1")),
    ],
)
def test_method_and_content_stay_where_http_says_so(
    status: int, method: str, content: Text | None
) -> None:
    made = after(typed("post", "-L", "-d", "a=1", "/"), status, "/other")

    assert (made.method, made.content, bool(made.headers)) == (method, content, content is not None)


def test_credentials_stay_with_their_server() -> None:
    command = typed("get", "-L", "-u", "a:b", "-H", "cookie: c=1", "-H", "x-a: 1", "/")

    assert len(after(command, 302, "/here").headers) == 3
    assert after(command, 302, "https://b.test/").headers == ((b"x-a", b"1"),)


@pytest.mark.parametrize(("status", "location"), [(200, "/other"), (304, "/other"), (302, "")])
def test_other_responses_are_the_last(status: int, location: str) -> None:
    assert redirected(typed("get", "-L", "/"), HERE, "/", status, location) is None


def test_nothing_is_followed_unasked_or_without_end() -> None:
    command = typed("get", "-L", "/")
    for _ in range(50):
        command = after(command, 302, "/")

    assert redirected(command, HERE, "/", 302, "/") is None
    assert redirected(typed("get", "/"), HERE, "/", 302, "/other") is None


def test_file_cannot_be_sent_twice() -> None:
    with pytest.raises(LocalProtocolError, match="can be sent only once"):
        after(typed("post", "-L", "--file", "x", "/"), 307, "/other")


@pytest.mark.parametrize("location", ["ftp://b.test/", "http://[", "http://[::1"])
def test_location_that_is_no_url_of_http_is_an_error(location: str) -> None:
    with pytest.raises(ConfigurationError):
        after(typed("get", "-L", "/"), 302, location)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/caf\xc3\xa9?x=\xc3\xbc", "/caf%C3%A9?x=%C3%BC"),
        (b"/caf\xe9", "/caf%E9"),
        (b"/a%20b|c d", "/a%20b|c%20d"),
    ],
)
def test_location_is_read_as_browsers_do(location: bytes, target: str) -> None:
    found = location_of([(b"x", b"/other"), (b"location", location), (b"location", b"/second")])

    where = after(typed("get", "-L", "/"), 302, found).where
    assert split_url(where)[1] == target


def test_response_may_have_no_location() -> None:
    assert location_of([(b"x", b"/other")]) == ""
