"""Requests by URL."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from hyperframe.frame import GoAwayFrame, SettingsFrame
from ngh2 import ErrorCode

from headstart.client import (
    AsyncClient,
    ClientError,
    ClientTimeoutError,
    NotHttp2Error,
    RequestError,
)
from headstart.client.origin import Origin
from headstart.config import WireLimits
from headstart.errors import LocalProtocolError
from headstart.wire.events import Fields, RequestReceived, StreamReset, TrailersReceived
from headstart.wire.fields import response_fields
from headstart.wire.promises import PromiseHeads
from headstart.wire.server import ServerConnection
from tests.client.live import certificates, nghttpd, raw_server
from tests.servers.conftest import Servers
from tests.servers.nginx import nginx
from tests.servers.site import FILES, PAGE, SCRIPT, STYLE


class Scripted(asyncio.Protocol):
    """A server on a real socket that does with each request what the test says."""

    def __init__(self, act: Act, limits: WireLimits) -> None:
        self._act = act
        self.wire = ServerConnection(limits, 0.0)
        self.on_reset: Callable[[StreamReset], None] = print
        self.on_trailers: Callable[[Fields], None] = print
        self.requests: list[RequestReceived] = []
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's have another base
        self.flush()

    def data_received(self, data: bytes) -> None:
        for event in self.wire.receive(data, 0.0):
            if isinstance(event, RequestReceived):
                self.requests.append(event)
                self._act(self, event)
            elif isinstance(event, TrailersReceived):
                self.on_trailers(list(event.headers))
            elif isinstance(event, StreamReset):
                self.on_reset(event)
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
async def serving(
    act: Act, limits: WireLimits | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[Scripted]]]:
    """The server's URL, and its connections."""
    connections: list[Scripted] = []

    def accept() -> Scripted:
        connections.append(Scripted(act, limits or WireLimits()))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        scheme = "https" if tls else "http"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
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

    async with serving(act) as (url, connections), AsyncClient(url + "/base/") as client:
        responses = [
            await client.get("/a", headers={"X-One": "1"}),
            await client.head(url + "/b"),
            await client.post("c", b"data"),
            await client.put("/d"),
            await client.delete("/e", headers=[(b"x", b"y")]),
        ]

    assert [response.status_code for response in responses] == [200] * 5
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
    async with serving(Scripted.answer) as (url, connections), AsyncClient(url) as client:
        responses = await asyncio.gather(*(client.get(f"/{number}") for number in range(10)))

    assert [response.content for response in responses] == [b"/%d" % n for n in range(10)]
    assert len(connections) == 1


async def test_request_that_a_goaway_left_out_is_sent_again() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        if server is connections[0]:
            server.wire._engine.send_goaway(last_stream_id=0)
        else:
            server.answer(request)

    async with serving(act) as (url, connections), AsyncClient(url) as client:
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
    async with serving(act) as (url, connections), AsyncClient(url) as client:
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

    async with serving(act) as (url, connections), AsyncClient(url) as client:
        with pytest.raises(RequestError):
            await client.post("/", b"data")
        assert len(connections) == 1
        assert (await client.get("/")).status_code == 200
        assert len(connections) == 3


async def test_content_that_cannot_be_sent_twice_is_not() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        server.wire.reset(request.stream_id, ErrorCode.REFUSED_STREAM)

    async def parts() -> AsyncIterator[bytes]:
        yield b"x"

    async with serving(act) as (url, connections), AsyncClient(url) as client:
        with pytest.raises(RequestError) as caught:
            await client.put("/", parts())

    assert not caught.value.processed
    assert len(connections) == 1


async def test_server_that_refuses_all_is_asked_three_times() -> None:
    asked = 0

    def act(server: Scripted, request: RequestReceived) -> None:
        nonlocal asked
        asked += 1
        server.wire.reset(request.stream_id, ErrorCode.REFUSED_STREAM)

    async with serving(act) as (url, _), AsyncClient(url) as client:
        with pytest.raises(RequestError):
            await client.get("/")

    assert asked == 3


async def test_server_that_takes_a_request_a_connection_is_asked_until_all_are_answered() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        if request.stream_id == 1:
            server.answer(request)
            server.wire._engine.send_goaway(last_stream_id=1)

    async with serving(act) as (url, connections), AsyncClient(url) as client:
        responses = await asyncio.gather(*(client.get(f"/{number}") for number in range(10)))

    assert [response.content for response in responses] == [b"/%d" % n for n in range(10)]
    assert len(connections) == 10


async def test_push_that_breaks_off_is_asked_for() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        if request.target == b"/page":
            heads = PromiseHeads("GET", b"http", request.authority, [])
            promised = server.wire.promise(request.stream_id, heads.of(b"/asset"))
            assert isinstance(promised, int)
            server.wire.respond(promised, response_fields(200, []), end_stream=False)
            server.wire.send_data(promised, b"half", False)
            pushed.append(promised)
        server.answer(request)

    pushed: list[int] = []
    async with serving(act) as (url, connections), AsyncClient(url, push=True) as client:
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

    async with serving(act) as (url, _), AsyncClient(url, timeout=0.05) as client:
        with pytest.raises(ClientTimeoutError):
            await client.get("/")


async def test_request_has_a_timeout_of_its_own() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        if request.target == b"/answered":
            server.answer(request)

    async with (
        serving(act) as (url, _),
        AsyncClient(url, timeout=None) as client,
        asyncio.timeout(90),
    ):
        with pytest.raises(ClientTimeoutError):
            await client.get("/", timeout=0.05)
        with pytest.raises(ClientTimeoutError):
            async with client.stream("GET", "/", timeout=0.05):
                pass
    async with serving(act) as (url, _), AsyncClient(url, timeout=0) as client:
        assert (await client.get("/answered", timeout=None)).status_code == 200


async def test_pushes_answer_requests_where_they_are_wanted(tmp_path: Path) -> None:
    async with (
        nghttpd(tmp_path, tls=True) as server,
        AsyncClient(f"https://localhost:{server.port}", push=True, cafile=server.cafile) as client,
    ):
        await client.get("/page.html")
        pushed = await client.get("/style.css")

    assert (pushed.from_push, pushed.content) == (True, b"css")


def test_it_runs_on_uvloop_too(tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def get() -> bytes:
        files = certificates(tmp_path)
        async with raw_server(b"", tls=files) as port, AsyncClient(cafile=files.cafile) as client:
            with pytest.raises(NotHttp2Error):
                await client.get(f"https://localhost:{port}/")
        async with serving(Scripted.answer) as (url, _), AsyncClient(url) as client:
            return (await client.get("/page")).content

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(get()) == b"/page"


async def test_no_pushes_come_where_they_are_not_wanted(tmp_path: Path) -> None:
    async with (
        nghttpd(tmp_path) as server,
        AsyncClient(f"http://localhost:{server.port}") as client,
    ):
        await client.get("/page.html")
        asked = await client.get("/style.css")

    assert not asked.from_push


# What comes as it comes.


async def test_stream_gives_the_body_in_parts_and_trailers_at_its_end(servers: Servers) -> None:
    async with (
        AsyncClient(servers("nghttpd").clear) as client,
        client.stream("GET", "/large.bin") as response,
    ):
        parts = [part async for part in response.aiter_bytes()]
        trailers = response.trailers

    assert len(parts) > 10
    assert b"".join(parts) == FILES["/large.bin"]
    assert trailers.raw == [(b"checksum", b"1a2b")]


async def test_stream_that_is_left_early_is_cancelled_and_the_connection_goes_on() -> None:
    resets: list[StreamReset] = []

    def act(server: Scripted, request: RequestReceived) -> None:
        if request.target != b"/endless":
            server.answer(request)
            return
        server.on_reset = resets.append
        server.wire.respond(request.stream_id, response_fields(200, []), end_stream=False)
        server.wire.send_data(request.stream_id, bytes(100_000), False)

    async with serving(act) as (url, connections), AsyncClient(url) as client:
        async with client.stream("GET", "/endless") as response:
            async for part in response.aiter_bytes():
                assert part
                break
        after = await client.get("/after")

    assert [(reset.stream_id, reset.error_code) for reset in resets] == [(1, ErrorCode.CANCEL)]
    assert after.content == b"/after"
    assert len(connections) == 1


async def test_informed_caller_sees_a_103_of_node(servers: Servers) -> None:
    told: list[int] = []
    async with AsyncClient(servers("node").clear) as client:
        page = await client.get(PAGE, informed=lambda status, _: told.append(status))

    (hint,) = page.informational
    assert told == [hint.status_code] == [103]
    assert hint.at >= 0
    assert "</style.css>" in hint.headers["link"]


# Not of Apache 2.4.68: once in many thousand times that a promised stream is reset it drops the
# connection without a GOAWAY, whoever the client is (a bare socket sees it, too).
@pytest.mark.parametrize("name", ["node", "nghttpd", "h2o"])
async def test_pushes_of_real_servers_are_taken_or_rejected(servers: Servers, name: str) -> None:
    async with AsyncClient(servers(name).clear, push=True) as client:
        async with client.stream("GET", PAGE) as page:
            await page.aread()
            pushes = [push async for push in page.pushes]
            taken = {push.request.target: push for push in pushes}
            taken[SCRIPT].reject()
            style = await taken[STYLE].response()
            body = await style.aread()
        script = await client.get(SCRIPT)

    assert sorted(taken) == [SCRIPT, STYLE]
    assert taken[STYLE].request.method == "GET"
    assert (style.from_push, body) == (True, FILES[STYLE])
    assert (script.from_push, script.content) == (False, FILES[SCRIPT])


async def test_pushes_of_apache_are_taken(servers: Servers) -> None:
    async with (
        AsyncClient(servers("apache").clear, push=True) as client,
        client.stream("GET", PAGE) as page,
    ):
        await page.aread()
        taken = {push.request.target: await push.response() async for push in page.pushes}
        bodies = {target: await response.aread() for target, response in taken.items()}

    assert bodies == {STYLE: FILES[STYLE], SCRIPT: FILES[SCRIPT]}
    assert all(response.from_push for response in taken.values())


async def test_content_and_trailers_go_from_iterators(servers: Servers) -> None:
    def parts() -> Iterator[bytes]:
        for start in range(0, 1_000_000, 10_000):
            yield FILES["/large.bin"][start : start + 10_000]

    async with AsyncClient(servers("node").clear) as client:
        echo = await client.post("/echo", parts(), trailers={"Sum": "1"})

    assert echo.content == FILES["/large.bin"][:1_000_000]


async def test_node_that_refuses_after_many_cancelled_downloads_is_reached_again(
    servers: Servers,
) -> None:
    refusals: list[str] = []
    async with AsyncClient(servers("node").clear) as client:
        for _ in range(1000):
            try:
                async with client.stream("GET", "/large.bin"):
                    pass
            except RequestError as error:
                refusals.append(str(error))
            if len(refusals) == 3:
                break

        page = await client.get("/page.html")

    assert ["ENHANCE_YOUR_CALM" in refusal for refusal in refusals] == [True] * 3
    assert page.content == FILES[PAGE]


async def test_more_requests_than_the_server_allows_wait_for_their_turn(
    servers: Servers,
) -> None:
    async with AsyncClient(servers("nginx").clear) as client:
        responses = await asyncio.gather(*(client.get("/small.txt") for _ in range(50)))

    assert {response.content for response in responses} == {FILES["/small.txt"]}


async def test_server_that_ends_connections_again_and_again_is_followed() -> None:
    with nginx(keepalive_requests=5) as server:
        async with AsyncClient(server.clear) as client:
            responses = await asyncio.gather(*(client.get("/small.txt") for _ in range(12)))

    assert {response.content for response in responses} == {FILES["/small.txt"]}


@pytest.mark.parametrize("name", ["apache", "h2o"])
async def test_upgrade_carries_the_first_request(servers: Servers, name: str) -> None:
    async with AsyncClient(servers(name).clear, upgrade=True) as client:
        first = await client.get("/small.txt", headers={"X-One": "1"})
        second = await client.get("/small.txt")
        posted = await client.request("HEAD", "/large.bin")

    assert first.stream_id == 1
    assert [first.content, second.content] == [FILES["/small.txt"]] * 2
    assert posted.headers.get("content-length", "") == "5000000"


async def test_content_goes_to_apache_after_an_upgrade(servers: Servers) -> None:
    # Apache closes an upgraded connection as soon as it idles.
    url, path = servers("apache").clear, "/stored/upgraded.txt"
    async with AsyncClient(url, upgrade=True) as client:
        statuses = [(await client.put(path, b"content")).status_code]
    async with AsyncClient(url, upgrade=True) as client:
        stored = await client.get(path)
        statuses += [(await client.put(path, b"more")).status_code for _ in range(20)]

    assert stored.content == b"content"
    assert set(statuses) <= {201, 204}


async def test_waiting_content_goes_to_the_next_connection_after_a_goaway() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"untouched"

    def act(server: Scripted, request: RequestReceived) -> None:
        if server is not connections[0]:
            server.answer(request)
        elif request.target == b"/slow":
            held.set()

    held = asyncio.Event()
    limits = WireLimits(max_concurrent_streams=1)
    async with serving(act, limits) as (url, connections), AsyncClient(url) as client:
        slow = asyncio.create_task(client.get("/slow"))
        await held.wait()
        waiting = asyncio.create_task(client.put("/waits", parts()))
        for _ in range(5):
            await asyncio.sleep(0)
        connections[0].wire._engine.send_goaway(last_stream_id=0)
        connections[0].flush()

        assert (await waiting).content == b"/waits"
        assert (await slow).content == b"/slow"


async def test_whole_request_has_its_time() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        server.wire.respond(request.stream_id, response_fields(200, []), end_stream=False)

    async with serving(act) as (url, _), AsyncClient(url, total_timeout=0.05) as client:
        with pytest.raises(ClientTimeoutError, match=r"GET /never took more than 0\.05 s"):
            await client.get("/never")
    async with (
        serving(act) as (url, _),
        AsyncClient(url, total_timeout=30) as client,
        client.stream("GET", "/") as begun,
    ):
        assert begun.status_code == 200


async def test_fields_of_the_client_go_with_every_request_that_does_not_name_them() -> None:
    seen: list[Fields] = []

    def act(server: Scripted, request: RequestReceived) -> None:
        seen.append(request.headers)
        server.answer(request)

    async with (
        serving(act) as (url, _),
        AsyncClient(url, headers={"X-A": "a", "X-B": "b"}) as client,
    ):
        await client.get("/", headers={"x-b": "mine", "user-agent": "me"})
        await client.options("/")
        await client.patch("/", b"")

    assert seen[0][1:] == [(b"x-b", b"mine"), (b"user-agent", b"me"), (b"x-a", b"a")]
    assert dict(seen[1])[b"user-agent"].startswith(b"headstart/")
    assert dict(seen[2])[b"x-b"] == b"b"


async def test_push_outlives_its_connection() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        if request.target == b"/page":
            heads = PromiseHeads("GET", b"http", request.authority, [])
            promised = server.wire.promise(request.stream_id, heads.of(b"/asset"))
            assert isinstance(promised, int)
            server.answer(request)
            server.wire.respond(promised, response_fields(200, []), end_stream=False)
            server.wire.send_data(promised, b"pushed", True)
        else:
            server.answer(request)

    async with serving(act) as (url, connections), AsyncClient(url, push=True) as client:
        async with client.stream("GET", "/page") as page:
            await page.aread()
            pushes = [push async for push in page.pushes]
        connection = client._requester.connections[Origin.parse(url)]
        while connection.pushes.listing(connection.now())[0].state != "complete":
            await asyncio.sleep(0.001)
        assert connections[0].transport is not None
        connections[0].transport.abort()
        while connection.available:
            await asyncio.sleep(0.001)

        asset = await client.get("/asset")
        again = await client.get("/asset")

    assert len(pushes) == 1
    assert (asset.from_push, asset.content) == (True, b"pushed")
    assert (again.from_push, again.content) == (False, b"/asset")
    assert len(connections) == 2


async def test_certificate_of_our_own_is_shown_to_whoever_asks(tmp_path: Path) -> None:
    files = certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certfile, files.keyfile)
    context.load_verify_locations(files.cafile)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])

    async with serving(Scripted.answer, tls=context) as (url, _):
        here = url.replace("127.0.0.1", "localhost")
        cafile, certfile, keyfile = files.cafile, files.certfile, str(files.keyfile)
        async with AsyncClient(here, cafile=cafile, certfile=certfile, keyfile=keyfile) as client:
            assert (await client.get("/")).status_code == 200
        async with AsyncClient(here, cafile=cafile) as client:
            with pytest.raises(ClientError):
                await client.get("/")


async def test_server_that_leaves_out_the_same_request_for_ever_is_given_up() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        server.wire.reset(request.stream_id, ErrorCode.REFUSED_STREAM)
        server.wire._engine.send_goaway(last_stream_id=request.stream_id)

    async with serving(act) as (url, connections), AsyncClient(url) as client:
        with pytest.raises(RequestError):
            await client.get("/")

    assert 3 < len(connections) < 500


async def test_promises_that_break_a_rule_are_counted() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")]
        server.wire._engine.send_push_promise(
            request.stream_id, [*fields, (b":authority", b"other.test")]
        )
        server.answer(request)

    async with serving(act) as (url, connections), AsyncClient(url, push=True) as client:
        await client.get("/one")
        connections[0].wire.last_goaway()
        connections[0].flush()
        while client._requester.connections[Origin.parse(url)].available:
            await asyncio.sleep(0.001)
        await client.get("/two")

        assert client.refused_promises == {"foreign-authority": 2}


async def test_request_that_was_answered_in_part_is_not_sent_again_whatever_the_server_says() -> (
    None
):
    asked: list[bytes] = []

    def act(server: Scripted, request: RequestReceived) -> None:
        asked.append(request.target)
        server.wire.respond(request.stream_id, response_fields(200, []), end_stream=False)
        server.flush()
        if request.target == b"/reset":
            server.wire.reset(request.stream_id, ErrorCode.REFUSED_STREAM)
        else:
            assert server.transport is not None
            server.transport.write(GoAwayFrame(last_stream_id=0).serialize())

    async with serving(act) as (url, _), AsyncClient(url) as client:
        for path in ("/reset", "/goaway"):
            with pytest.raises(RequestError) as caught:
                await client.post(path, b"pay")
            assert caught.value.processed

    assert asked == [b"/reset", b"/goaway"]


async def test_trailers_of_an_iterator_are_sent_again_with_the_request() -> None:
    trailers: list[Fields] = []

    def act(server: Scripted, request: RequestReceived) -> None:
        server.on_trailers = lambda fields: finish(server, request, fields)

    def finish(server: Scripted, request: RequestReceived, fields: Fields) -> None:
        trailers.append(fields)
        if len(trailers) == 1:
            server.wire.reset(request.stream_id, ErrorCode.REFUSED_STREAM)
        else:
            server.answer(request)

    async with serving(act) as (url, _), AsyncClient(url) as client:
        await client.post("/", b"content", trailers=iter([("checksum", "1a2b")]))

    assert trailers == [[(b"checksum", b"1a2b")]] * 2


async def test_closing_fails_what_is_under_way_and_makes_no_connection_for_it() -> None:
    async with serving(lambda server, request: None) as (url, connections):
        client = AsyncClient(url)
        waiting = asyncio.create_task(client.get("/"))
        async with asyncio.timeout(90):
            while not (connections and connections[0].requests):
                await asyncio.sleep(0.01)

            await client.aclose()

            with pytest.raises(RequestError):
                await waiting
            with pytest.raises(LocalProtocolError, match="closed"):
                await client.get("/")
        assert len(connections) == 1


async def test_connection_that_is_made_while_the_client_closes_is_closed_too() -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(24)
        await client.aclose()
        writer.write(SettingsFrame(0).serialize())
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        closed.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = AsyncClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        with pytest.raises(LocalProtocolError, match="closed"):
            await client.get("/")
        async with asyncio.timeout(90):
            await closed.wait()


async def test_server_that_leaves_before_it_was_asked_is_given_up() -> None:
    goaway = GoAwayFrame(last_stream_id=2**31 - 1).serialize()
    made: list[None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.append(None)
        writer.write(SettingsFrame(0).serialize() + goaway)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with (
        server,
        AsyncClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client,
    ):
        with pytest.raises(RequestError, match="GOAWAY"):
            await client.get("/")

    assert len(made) == 3


async def test_content_that_may_change_goes_as_it_was_with_its_length() -> None:
    def act(server: Scripted, request: RequestReceived) -> None:
        server.answer(request)

    content = bytearray(b"content")
    async with serving(act) as (url, connections), AsyncClient(url) as client:
        await client.post("/", content)
        await client.post("/", memoryview(content))

    for request in connections[0].requests:
        assert (b"content-length", b"7") in request.headers
