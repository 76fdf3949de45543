"""Requests by URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from ngh2 import ErrorCode

from headstart.client import Client, NotHttp2, RequestFailed, TimedOut
from headstart.config import WireLimits
from headstart.errors import ConfigurationError
from headstart.wire.events import RequestReceived
from headstart.wire.fields import response_fields
from headstart.wire.server import ServerConnection
from tests.client.live import certificates, nghttpd, raw_server


class Scripted(asyncio.Protocol):
    """A server on a real socket that does with each request what the test says."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self.wire = ServerConnection(WireLimits(), 0.0)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's have another base
        self.flush()

    def data_received(self, data: bytes) -> None:
        for event in self.wire.receive(data, 0.0):
            if isinstance(event, RequestReceived):
                self._act(self, event)
        self.flush()

    def answer(self, request: RequestReceived) -> None:
        without_body = request.method == "HEAD"
        self.wire.respond(request.stream_id, response_fields(200, []), end_stream=without_body)
        if not without_body:
            self.wire.send_data(request.stream_id, request.target, True)

    def flush(self) -> None:
        assert self.transport is not None
        while data := self.wire.output():
            self.transport.write(data)
            self.wire.after_output(0.0)


Act = Callable[[Scripted, RequestReceived], None]


@asynccontextmanager
async def serving(act: Act) -> AsyncIterator[tuple[str, list[Scripted]]]:
    """The server's URL, and its connections."""
    connections: list[Scripted] = []

    def accept() -> Scripted:
        connections.append(Scripted(act))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    finally:
        server.close()
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()
        await server.wait_closed()


async def test_requests_by_url_share_a_connection() -> None:
    seen: list[RequestReceived] = []

    def act(server: Scripted, request: RequestReceived) -> None:
        seen.append(request)
        server.answer(request)

    async with serving(act) as (url, connections), Client(url + "/base/") as client:
        responses = [
            await client.get("/a", headers={"X-One": "1"}),
            await client.head(url + "/b"),
            await client.post("c", b"data"),
            await client.put("/d"),
            await client.delete("/e", headers=[(b"x", b"y")]),
        ]

    assert [response.status for response in responses] == [200] * 5
    assert [(request.method, request.target) for request in seen] == [
        ("GET", b"/base/a"),
        ("HEAD", b"/b"),
        ("POST", b"/base/c"),
        ("PUT", b"/base/d"),
        ("DELETE", b"/base/e"),
    ]
    assert responses[0].content == b"/base/a"
    assert (b"x-one", b"1") in seen[0].headers
    assert len(connections) == 1


async def test_simultaneous_requests_make_one_connection() -> None:
    async with serving(Scripted.answer) as (url, connections), Client(url) as client:
        responses = await asyncio.gather(*(client.get(f"/{number}") for number in range(10)))

    assert [response.content for response in responses] == [b"/%d" % n for n in range(10)]
    assert len(connections) == 1


async def test_request_that_a_goaway_left_out_is_sent_again() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        if server is connections[0]:
            server.wire._engine.send_goaway(last_stream_id=0)
        else:
            server.answer(request)

    async with serving(act) as (url, connections), Client(url) as client:
        response = await client.post("/once", b"data")

    assert response.content == b"/once"
    assert len(connections) == 2


async def test_requests_under_way_finish_while_new_ones_go_elsewhere() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        if request.target == b"/slow":
            slow.append((server, request))
        else:
            server.answer(request)

    slow: list[tuple[Scripted, RequestReceived]] = []
    async with serving(act) as (url, connections), Client(url) as client:
        waiting = asyncio.create_task(client.get("/slow"))
        while not slow:
            await asyncio.sleep(0.001)
        server, request = slow[0]
        server.wire.last_goaway()
        server.flush()
        await asyncio.sleep(0.01)

        quick = await client.get("/quick")
        server.answer(request)
        server.flush()

        assert quick.content == b"/quick"
        assert (await waiting).content == b"/slow"
    assert len(connections) == 2


async def test_lost_connection_is_made_again_for_an_idempotent_request_only() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        if server in connections[:2]:
            assert server.transport is not None
            server.transport.abort()
        else:
            server.answer(request)

    async with serving(act) as (url, connections), Client(url) as client:
        with pytest.raises(RequestFailed):
            await client.post("/", b"data")
        assert len(connections) == 1
        assert (await client.get("/")).status == 200
        assert len(connections) == 3


async def test_content_that_cannot_be_sent_twice_is_not() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        server.wire.reset(request.stream_id, ErrorCode.REFUSED_STREAM)

    async def parts() -> AsyncIterator[bytes]:
        yield b"x"

    async with serving(act) as (url, connections), Client(url) as client:
        with pytest.raises(RequestFailed) as caught:
            await client.put("/", parts())

    assert not caught.value.processed
    assert len(connections) == 1


async def test_server_that_refuses_all_is_asked_three_times() -> None:
    asked = 0

    def act(server: Scripted, request: RequestReceived) -> None:
        nonlocal asked
        asked += 1
        server.wire.reset(request.stream_id, ErrorCode.REFUSED_STREAM)

    async with serving(act) as (url, _), Client(url) as client:
        with pytest.raises(RequestFailed):
            await client.get("/")

    assert asked == 3


async def test_server_that_takes_a_request_a_connection_is_asked_until_all_are_answered() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        if request.stream_id == 1:
            server.answer(request)
            server.wire._engine.send_goaway(last_stream_id=1)

    async with serving(act) as (url, connections), Client(url) as client:
        responses = await asyncio.gather(*(client.get(f"/{number}") for number in range(10)))

    assert [response.content for response in responses] == [b"/%d" % n for n in range(10)]
    assert len(connections) == 10


async def test_push_that_breaks_off_is_asked_for() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        if request.target == b"/page":
            promised = server.wire.promise(
                request.stream_id, "GET", b"http", request.authority, b"/asset", []
            )
            assert isinstance(promised, int)
            server.wire.respond(promised, response_fields(200, []), end_stream=False)
            server.wire.send_data(promised, b"half", False)
            pushed.append(promised)
        server.answer(request)

    pushed: list[int] = []
    async with serving(act) as (url, connections), Client(url, push=True) as client:
        await client.get("/page")
        asking = asyncio.create_task(client.get("/asset"))
        await asyncio.sleep(0)  # it reads what was pushed so far
        (server,) = connections
        server.wire.reset(pushed[0], ErrorCode.INTERNAL_ERROR)
        server.flush()
        asset = await asking

    assert (asset.content, asset.from_push) == (b"/asset", False)


async def test_silent_server_times_out() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        del server, request

    async with serving(act) as (url, _), Client(url, timeout=0.05) as client:
        with pytest.raises(TimedOut):
            await client.get("/")


async def test_path_without_a_base_gets_a_clear_error() -> None:
    async with Client() as client:
        with pytest.raises(ConfigurationError, match="names no host") as caught:
            await client.get("/path")

    assert caught.value.hint


def test_base_that_is_no_url_gets_a_clear_error() -> None:
    with pytest.raises(ConfigurationError):
        Client("/path")


async def test_pushes_answer_requests_where_they_are_wanted(tmp_path: Path) -> None:
    async with (
        nghttpd(tmp_path, tls=True) as server,
        Client(f"https://localhost:{server.port}", push=True, cafile=server.cafile) as client,
    ):
        await client.get("/page.html")
        pushed = await client.get("/style.css")

    assert (pushed.from_push, pushed.content) == (True, b"css")


def test_it_runs_on_uvloop_too(tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def get() -> bytes:
        files = certificates(tmp_path)
        async with raw_server(b"", tls=files) as port, Client(cafile=files.cafile) as client:
            with pytest.raises(NotHttp2):
                await client.get(f"https://localhost:{port}/")
        async with serving(Scripted.answer) as (url, _), Client(url) as client:
            return (await client.get("/page")).content

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(get()) == b"/page"


async def test_no_pushes_come_where_they_are_not_wanted(tmp_path: Path) -> None:
    async with (
        nghttpd(tmp_path) as server,
        Client(f"http://localhost:{server.port}") as client,
    ):
        await client.get("/page.html")
        asked = await client.get("/style.css")

    assert not asked.from_push
