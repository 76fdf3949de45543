"""`headstart.AsyncClient` against servers that are not ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from headstart.client import AsyncClient, NotHttp2Error, RequestError, TlsError
from headstart.client.connect import connect
from headstart.client.connection import Http2ClientConnection
from headstart.client.origin import Origin
from headstart.config import ClientLimits
from headstart.wire.frames import ConnectionFrames, Direction, Frame
from tests.servers.conftest import Servers
from tests.servers.nginx import nginx
from tests.servers.running import Server
from tests.servers.site import FILES, PAGE, SCRIPT, STYLE

ALL = ("nghttpd", "node", "nginx", "apache", "h2o")
ECHO = ("nghttpd", "node", "h2o")
STORE = ("nginx", "apache")
# More than any of them answers at a time on one connection.
MANY = 150

of_all = pytest.mark.parametrize("name", ALL)
over_both = pytest.mark.parametrize("scheme", ["http", "https"])


def client(server: Server, scheme: str = "http", *, push: bool = False) -> AsyncClient:
    url = server.clear if scheme == "http" else server.tls
    return AsyncClient(url, push=push, cafile=server.cafile if scheme == "https" else None)


class Wiretap:
    """All frames of one connection."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._decoder = ConnectionFrames(client=Direction.SENT)

    def __call__(self, direction: Direction, data: bytes, at: float) -> None:
        self.frames += self._decoder.feed(direction, data, at)

    def streams(self, direction: Direction, kind: str) -> list[int]:
        """The stream of each frame of a kind."""
        return [
            frame.stream_id
            for frame in self.frames
            if (frame.direction, frame.kind) == (direction, kind)
        ]


@asynccontextmanager
async def tapped(
    server: Server, *, push: bool = True, limits: ClientLimits | None = None
) -> AsyncIterator[tuple[Http2ClientConnection, Wiretap]]:
    """A connection in cleartext, and its frames."""
    tap = Wiretap()
    origin = Origin.parse(server.clear)
    connection = await connect(origin, push=push, limits=limits or ClientLimits(), tap=tap)
    try:
        yield connection, tap
    finally:
        await connection.aclose()


# Content.


@of_all
@over_both
async def test_files_come_exactly(name: str, scheme: str, servers: Servers) -> None:
    async with client(servers(name), scheme) as asking:
        for path, content in FILES.items():
            response = await asking.get(path)

            assert (response.status_code, response.content) == (200, content)


@pytest.mark.parametrize("name", ECHO)
@over_both
async def test_what_is_sent_comes_back(name: str, scheme: str, servers: Servers) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 70_001):
            yield large[start : start + 70_001]

    large = FILES["/large.bin"]
    async with client(servers(name), scheme) as asking:
        whole = await asking.post("/echo", large)
        in_parts = await asking.post("/echo", parts())

    assert whole.content == large
    assert in_parts.content == large


@pytest.mark.parametrize("name", STORE)
@over_both
async def test_what_is_put_can_be_got(name: str, scheme: str, servers: Servers) -> None:
    path = f"/stored/client-{scheme}"
    async with client(servers(name), scheme) as asking:
        put = await asking.put(path, FILES["/large.bin"])
        got = await asking.get(path)
        deleted = await asking.delete(path)

    assert (put.status_code, deleted.status_code) == (201, 204)
    assert got.content == FILES["/large.bin"]


@of_all
async def test_small_windows_slow_a_large_file_down_and_harm_nothing(
    name: str, servers: Servers
) -> None:
    limits = ClientLimits(stream_window=5_000, connection_window=70_000)
    async with tapped(servers(name), limits=limits) as (connection, tap):
        response = await connection.request("GET", "/large.bin", timeout=90)
        body = await response.aread()

        assert body == FILES["/large.bin"]
        assert tap.streams(Direction.SENT, "WINDOW_UPDATE").count(response.stream_id) > 500


@of_all
async def test_more_requests_than_the_server_takes_at_a_time_are_all_answered(
    name: str, servers: Servers
) -> None:
    async with tapped(servers(name)) as (connection, tap):

        async def ask() -> bytes:
            response = await connection.request("GET", "/octets.bin", timeout=90)
            return await response.aread()

        bodies = await asyncio.gather(*(ask() for _ in range(MANY)))

        assert bodies == [FILES["/octets.bin"]] * MANY
        assert len(tap.streams(Direction.SENT, "HEADERS")) == MANY
        assert tap.streams(Direction.RECEIVED, "RST_STREAM") == []


@of_all
async def test_a_body_that_nobody_reads_does_not_hold_up_the_others(
    name: str, servers: Servers
) -> None:
    async with tapped(servers(name)) as (connection, _):
        unread = await connection.request("GET", "/large.bin", timeout=90)
        read = await connection.request("GET", "/octets.bin", timeout=90)

        assert await read.aread() == FILES["/octets.bin"]
        assert await unread.aread() == FILES["/large.bin"]


@of_all
async def test_a_download_that_is_given_up_leaves_the_connection_healthy(
    name: str, servers: Servers
) -> None:
    async with tapped(servers(name)) as (connection, tap):
        for _ in range(3):
            async with await connection.request("GET", "/large.bin", timeout=90) as response:
                await anext(aiter(response.aiter_bytes()))
            # Apache 2.4.68 takes a RST_STREAM and a HEADERS that come together for an error.
            await connection.ping()
        after = await connection.request("GET", "/large.bin", timeout=90)

        assert await after.aread() == FILES["/large.bin"]
        assert len(tap.streams(Direction.SENT, "RST_STREAM")) == 3


@of_all
async def test_downloads_that_are_given_up_one_after_the_other_harm_no_other_request(
    name: str, servers: Servers
) -> None:
    async with client(servers(name)) as asking:
        for _ in range(5):
            async with asking.stream("GET", "/large.bin") as response:
                await anext(aiter(response.aiter_bytes()))
            # Apache ends the connection for it, as told above: then this is asked on another one.
            whole = await asking.get("/octets.bin")

            assert whole.content == FILES["/octets.bin"]


@pytest.mark.parametrize("name", ["nghttpd", "node"])
async def test_trailers_are_known_at_the_end(name: str, servers: Servers) -> None:
    path = "/trailers" if name == "node" else "/small.txt"
    async with client(servers(name)) as asking:
        response = await asking.get(path)

    assert response.trailers.raw == [(b"checksum", b"1a2b")]


async def test_a_refused_upload_has_its_answer(servers: Servers) -> None:
    async with client(servers("nginx"), "https") as asking:
        refused = await asking.put("/refused/x", FILES["/large.bin"])
        after = await asking.get("/small.txt")

    assert refused.status_code == 413
    assert after.content == FILES["/small.txt"]


async def test_a_stream_that_is_reset_fails_alone(servers: Servers) -> None:
    async with tapped(servers("node")) as (connection, _):
        response = await connection.request("GET", "/reset", timeout=90)
        with pytest.raises(RequestError, match="INTERNAL_ERROR"):
            await response.aread()
        after = await connection.request("GET", "/small.txt", timeout=90)

        assert await after.aread() == FILES["/small.txt"]


# Pushes and hints.


@of_all
@over_both
async def test_pushes_come_with_the_page_and_answer_requests(
    name: str, scheme: str, pushing: Servers
) -> None:
    server = pushing(name)
    async with client(server, scheme, push=True) as asking:
        page = await asking.get(PAGE)
        pushes = [push async for push in page.pushes]
        style = await asking.get(STYLE)
        script = await asking.get(SCRIPT)
        again = await asking.get(STYLE)

    origin = server.clear if scheme == "http" else server.tls
    assert [push.request.url for push in pushes] == [origin + STYLE, origin + SCRIPT]
    assert [style.content, script.content] == [FILES[STYLE], FILES[SCRIPT]]
    assert [style.from_push, script.from_push, again.from_push] == [True, True, False]
    assert again.content == FILES[STYLE]


# Apache 2.4.68 drops a connection now and then when a promised stream is reset.
@pytest.mark.parametrize("name", [name for name in ALL if name != "apache"])
async def test_a_push_is_taken_or_rejected(name: str, pushing: Servers) -> None:
    async with tapped(pushing(name)) as (connection, tap):
        page = await connection.request("GET", PAGE, timeout=90)
        bodies = []
        async with asyncio.timeout(90):
            async for push in page.pushes:
                if push.request.target == STYLE:
                    bodies.append(await (await push.response()).aread())
                else:
                    push.reject()
                if push.request.target == SCRIPT:
                    break
        requested = await connection.request("GET", SCRIPT, timeout=90)

        assert await page.aread() == FILES[PAGE]
        assert bodies == [FILES[STYLE]]
        assert not requested.from_push
        assert await requested.aread() == FILES[SCRIPT]
        assert len(tap.streams(Direction.SENT, "HEADERS")) == 2


@of_all
async def test_no_server_pushes_to_who_wants_none(name: str, servers: Servers) -> None:
    async with tapped(servers(name), push=False) as (connection, tap):
        page = await connection.request("GET", PAGE, timeout=90)
        assert await page.aread() == FILES[PAGE]
        style = await connection.request("GET", STYLE, timeout=90)

        assert await style.aread() == FILES[STYLE]
        assert [push async for push in page.pushes] == []
        assert tap.streams(Direction.RECEIVED, "PUSH_PROMISE") == []


@pytest.mark.parametrize("name", ["node", "apache"])
@over_both
async def test_early_hints_come_apart_from_the_response(
    name: str, scheme: str, servers: Servers
) -> None:
    async with client(servers(name), scheme) as asking:
        page = await asking.get(PAGE)

    (hint,) = page.informational
    links = hint.headers.get_list("link")
    assert (hint.status_code, page.status_code) == (103, 200)
    assert all(path in ", ".join(links) for path in (STYLE, SCRIPT))
    assert page.headers.get("link", "") == ""


async def test_a_push_that_breaks_off_is_asked_for(servers: Servers) -> None:
    async with client(servers("node"), push=True) as asking:
        await asking.get("/broken-push")
        response = await asking.get("/broken.txt")

    assert (response.content, response.from_push) == (b"whole", False)


async def test_more_pushes_than_are_kept_are_refused_and_the_page_is_whole(
    servers: Servers,
) -> None:
    limits = ClientLimits(max_pushes=10)
    async with tapped(servers("node"), limits=limits) as (connection, tap):
        page = await connection.request("GET", "/pushes?200", timeout=90)
        assert await page.aread() == b""
        assert page.status_code == 200
        last = await connection.request("GET", "/small.txt", timeout=90)
        assert await last.aread() == FILES["/small.txt"]

        assert 0 < len(connection.pushes) <= 10
        assert tap.streams(Direction.RECEIVED, "GOAWAY") == []


# Connections that end, and servers that are something else.


@over_both
async def test_requests_go_on_where_nginx_ends_the_connection(scheme: str) -> None:
    with nginx(keepalive_requests=3) as server:
        async with client(server, scheme) as asking:
            one_by_one = [await asking.get("/small.txt") for _ in range(10)]
            at_once = await asyncio.gather(*(asking.get("/octets.bin") for _ in range(20)))

    assert [response.content for response in one_by_one] == [FILES["/small.txt"]] * 10
    assert [response.content for response in at_once] == [FILES["/octets.bin"]] * 20


async def test_a_goaway_lets_the_last_answer_come_and_the_next_request_connects(
    servers: Servers,
) -> None:
    async with client(servers("node")) as asking:
        last = await asking.get("/goaway")
        after = await asking.get("/small.txt")

    assert last.content == b"the last one"
    assert after.content == FILES["/small.txt"]


@of_all
async def test_a_certificate_that_is_not_trusted_is_refused(name: str, servers: Servers) -> None:
    server = servers(name)

    async with AsyncClient(server.tls) as asking:
        with pytest.raises(TlsError, match="not trusted"):
            await asking.get("/small.txt")
    async with AsyncClient(server.tls, insecure=True) as asking:
        assert (await asking.get("/small.txt")).content == FILES["/small.txt"]


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("nginx", lambda server: server.http1),
        ("nginx", lambda server: server.http1_tls),
        ("apache", lambda server: server.http1),
    ],
)
async def test_a_server_that_knows_http1_only_is_told_of(
    name: str, where: Callable[[Server], str], servers: Servers
) -> None:
    server = servers(name)

    async with AsyncClient(where(server), cafile=server.cafile) as asking:
        with pytest.raises(NotHttp2Error):
            await asking.get("/small.txt")
