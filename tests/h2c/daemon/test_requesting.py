"""A request and its response, for a command."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import RstStreamFrame

from headstart import __version__
from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import ClientTimeoutError, RequestError
from headstart.client.headers import Headers
from headstart.client.origin import Origin
from headstart.client.response import AsyncResponse
from headstart.config import WireLimits
from headstart.errors import LocalProtocolError
from headstart.h2c import exits, options
from headstart.h2c.daemon.conversation import Request
from headstart.h2c.daemon.hinted import StoredResponse
from headstart.h2c.daemon.progress import LEAST
from headstart.h2c.daemon.requesting import exchange
from headstart.h2c.daemon.session import Link, Session
from headstart.h2c.options.connections import Trust
from headstart.h2c.options.requests import RequestCommand
from headstart.wire.events import Fields
from tests.client.peer import Peer
from tests.clock import timeless
from tests.h2c.frame_server import Connection, frame_server
from tests.h2c.push_server import PushServer, push_server
from tests.h2c.recorder import Recorder


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        yield running


@pytest.fixture
async def session(server: PushServer) -> AsyncIterator[Session]:
    made = Session()
    await made.connect(Origin.parse(server.origin), Trust(), 5.0)
    yield made
    await made.close()


def typed(*arguments: str) -> RequestCommand:
    command = options.parse(arguments)
    assert isinstance(command, RequestCommand)
    return command


async def run(
    session: Session, recorder: Recorder, *arguments: str, to_terminal: bool = False
) -> int:
    request = Request(__version__, "/", to_terminal, True, arguments, unicode=True, width=80)
    return await exchange(typed(*arguments), session, recorder, request)


async def test_content_goes_both_ways_piece_by_piece(session: Session) -> None:
    recorder = Recorder(b"a\0", b"\xff")

    assert await run(session, recorder, "post", "--file", "source", "-o", "target", "/x") == 0
    assert recorder.opened == ["target", "source"]
    assert recorder.output == b"POST /x: a\0\xff"


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


async def test_fields_shown_on_a_terminal_have_nothing_that_it_obeys(session: Session) -> None:
    plain, shown = Recorder(), Recorder()

    await run(session, plain, "get", "-i", "/hints")
    await run(session, shown, "get", "-i", "/hints", to_terminal=True)

    assert shown.output == plain.output  # these are printable already
    assert plain.output.startswith(b"HTTP/2 103\nlink: </a.css>")


async def test_trailers_are_shown_behind_the_content_and_apart(session: Session) -> None:
    shown, plain = Recorder(), Recorder()

    await run(session, shown, "get", "-i", "/trailers", to_terminal=True)
    await run(session, plain, "get", "/trailers")

    assert shown.output == b"HTTP/2 200\n\nbody\n\nchecksum: 1a2b\n"
    assert plain.output == b"body"


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


async def test_progress_is_shown_of_large_bodies_in_both_directions(session: Session) -> None:
    class Slow(Recorder):
        async def read(self) -> bytes:
            await asyncio.sleep(0.11)  # more than the time between two lines
            return await super().read()

        async def out(self, data: bytes) -> None:
            await super().out(data)
            if len(self.output) > LEAST:
                await asyncio.sleep(0.11)

    up, down = Slow(*[bytes(500_000)] * 4), Slow(*[bytes(500_000)] * 4)

    await run(session, up, "post", "-o", "-", "--file", "source", "/echo", to_terminal=True)
    await run(session, down, "post", "--file", "source", "/echo")

    assert re.match(r"up  75 %  [━─]+  1\.50 MB of 2\.00 MB, ", up.shown[0])
    assert up.shown[-1] == ""
    assert not any(line.startswith("down") for line in up.shown)
    assert any(re.match(r"down \d\.\d+ MB, ", line) for line in down.shown)
    assert down.shown[-1] == ""


async def test_of_small_bodies_no_progress_is_shown(session: Session) -> None:
    recorder = Recorder(bytes(1000))

    await run(session, recorder, "post", "--file", "source", "/echo")

    assert recorder.shown == []


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


async def test_with_fail_a_bad_status_has_no_content(session: Session) -> None:
    recorder = Recorder()

    assert await run(session, recorder, "get", "--fail", "/status/500") == exits.REQUEST_FAILED
    assert recorder.output == b""
    assert recorder.messages == [exits.STATUS.format(500)]


async def test_with_fail_a_bad_status_has_its_fields_where_they_are_wanted(
    session: Session,
) -> None:
    recorder = Recorder()

    assert await run(session, recorder, "get", "--fail", "-i", "/status/500") == 1
    assert recorder.output == b"HTTP/2 500\ncontent-type: text/plain\n\n"
    assert recorder.messages == [exits.STATUS.format(500)]


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


async def linked(*, window: int) -> tuple[Session, Peer]:
    """A session with a connection in memory, whose server takes so much before it reads."""
    peer = await Peer.connected(wire_limits=WireLimits(stream_window=window))
    session = Session()
    session.add(Link(peer.connection, Trust()))
    return session, peer


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


async def sent(*pieces: bytes, size: int | None) -> tuple[Fields, bytes]:
    """The fields and the content of an upload from a file that said to be of this size."""

    class OfSize(Recorder):
        async def open_input(self, path: str) -> int | None:
            return size

    session, peer = await linked(window=1000)
    running = asyncio.ensure_future(run(session, OfSize(*pieces), "post", "--file", "f", "/x"))
    await peer.settle()
    await peer.answer(1)
    assert await running == exits.OK
    return peer.requests[0].headers, peer.body(1)


async def test_file_goes_with_its_length_and_no_more_of_it() -> None:
    fields, body = await sent(b"one", b"twothree", size=6)

    assert ((b"content-length", b"6") in fields, body) == (True, b"onetwo")


async def test_empty_file_and_post_without_content_say_that_there_is_none() -> None:
    fields, body = await sent(size=0)

    assert ((b"content-length", b"0") in fields, body) == (True, b"")


async def test_length_of_a_pipe_and_of_what_the_kernel_makes_up_is_not_said() -> None:
    for size in (None, 0):
        fields, body = await sent(b"one", b"two", size=size)

        assert (b"content-length" in dict(fields), body) == (False, b"onetwo")


async def test_length_that_the_user_says_is_sent(session: Session) -> None:
    arguments = ("post", "--file", "f", "-H", "content-length: 2", "/x")

    assert await run(session, Recorder(b"ab"), *arguments) == exits.OK


async def test_file_that_shrinks_is_told() -> None:
    class Shrunk(Recorder):
        async def open_input(self, path: str) -> int | None:
            return 10

    session, peer = await linked(window=1000)
    running = asyncio.ensure_future(run(session, Shrunk(b"short"), "post", "--file", "f", "/x"))
    await peer.settle()

    with pytest.raises(LocalProtocolError, match="5 bytes shorter; do not change"):
        await running
