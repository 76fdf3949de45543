"""From HTTP/1.1 to HTTP/2: against h2o and Apache, and against servers that do something else."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode

import pytest

from headstart.client.connect import connect
from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import ClientError, ClientTimeoutError, NotHttp2Error
from headstart.client.origin import Origin
from headstart.client.upgrade import FirstRequest, Upgrading, upgrade_request
from headstart.errors import ConfigurationError, LocalProtocolError
from headstart.wire.frames import ConnectionFrames, Direction
from tests.client.live import raw_server
from tests.client.peer import FakeSocket
from tests.servers.conftest import Servers
from tests.servers.site import FILES, PAGE, SCRIPT, STYLE

SMALL = FirstRequest("GET", "/small.txt", [(b"x-one", b"1")])


def test_request_asks_for_http2_in_the_words_of_http1() -> None:
    request = upgrade_request(
        "GET", b"localhost:8080", "/a?b", [(b"accept", b"*/*"), (b"connection", b"x")], b"\x00\x02"
    )

    assert request == (
        b"GET /a?b HTTP/1.1\r\n"
        b"Host: localhost:8080\r\n"
        b"accept: */*\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\n"
        b"HTTP2-Settings: AAI\r\n"
        b"\r\n"
    )
    assert urlsafe_b64decode(b"AAI=") == b"\x00\x02"


@pytest.mark.parametrize("headers", [[(b"x", b"a\r\nb")], [(b"x y", b"")]])
def test_nothing_gets_into_the_head_that_http_forbids(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(LocalProtocolError):
        upgrade_request("GET", b"localhost", "/", headers, b"")


async def test_first_request_is_answered_on_stream_1(servers: Servers) -> None:
    for name in ("h2o", "apache"):
        origin = Origin.parse(servers(name).clear)
        connection = await connect(origin, upgrade=True, first=SMALL)

        response = await connection.request(SMALL.method, SMALL.target, SMALL.headers, timeout=90)

        assert (response.stream_id, response.status_code) == (1, 200)
        assert await response.aread() == FILES["/small.txt"]
        await connection.aclose()


async def test_response_that_nobody_wants_leaves_the_connection_to_others(
    servers: Servers,
) -> None:
    connection = await connect(Origin.parse(servers("h2o").clear), upgrade=True)

    for stream_id in (3, 5):
        response = await connection.request("GET", "/large.bin", timeout=90)
        assert response.stream_id == stream_id
        assert await response.aread() == FILES["/large.bin"]

    await connection.aclose()


async def test_other_request_than_the_first_is_sent(servers: Servers) -> None:
    connection = await connect(Origin.parse(servers("h2o").clear), upgrade=True, first=SMALL)

    other = await connection.request("GET", "/octets.bin", timeout=90)
    small = await connection.request(SMALL.method, SMALL.target, SMALL.headers, timeout=90)
    again = await connection.request(SMALL.method, SMALL.target, SMALL.headers, timeout=90)

    assert [await one.aread() for one in (other, small, again)] == [
        FILES["/octets.bin"],
        FILES["/small.txt"],
        FILES["/small.txt"],
    ]
    assert [one.stream_id for one in (other, small, again)] == [3, 1, 5]
    await connection.aclose()


async def test_pushes_come_with_an_upgraded_request(servers: Servers) -> None:
    connection = await connect(
        Origin.parse(servers("apache").clear), upgrade=True, first=FirstRequest("GET", PAGE, [])
    )

    page = await connection.request("GET", PAGE, timeout=90)
    await page.aread()
    pushed = {push.request.target: await push.response() async for push in page.pushes}

    assert {target: await one.aread() for target, one in pushed.items()} == {
        STYLE: FILES[STYLE],
        SCRIPT: FILES[SCRIPT],
    }
    await connection.aclose()


async def test_tap_sees_the_upgrade_and_what_follows_as_frames(servers: Servers) -> None:
    tapped: list[tuple[Direction, bytes]] = []

    def tap(direction: Direction, data: bytes, at: float) -> None:
        assert at >= 0
        tapped.append((direction, data))

    connection = await connect(Origin.parse(servers("h2o").clear), upgrade=True, tap=tap)
    await connection.aclose()

    sent = b"".join(data for direction, data in tapped if direction is Direction.SENT)
    received = b"".join(data for direction, data in tapped if direction is Direction.RECEIVED)
    assert sent.startswith(b"OPTIONS / HTTP/1.1\r\n")
    assert received.startswith(b"HTTP/1.1 101 ")
    decoder = ConnectionFrames()
    frames = [frame for way, data in tapped for frame in decoder.feed(way, data, 0.0)]
    kinds = [frame.kind for frame in frames if frame.direction is Direction.SENT]
    assert kinds[:3] == ["UPGRADE", "PREFACE", "SETTINGS"]
    answer = [frame.kind for frame in frames if frame.direction is Direction.RECEIVED]
    assert answer[:2] == ["UPGRADE", "SETTINGS"]
    assert not [frame.problem for frame in frames if frame.problem]


async def test_server_that_stays_with_http1_is_told(servers: Servers) -> None:
    for name in ("apache", "nginx"):
        with pytest.raises(NotHttp2Error, match="answers 200 where it was asked") as caught:
            await connect(Origin.parse(servers(name).http1), upgrade=True, first=SMALL)

        assert "prior knowledge" in caught.value.hint


async def test_server_that_knows_only_prior_knowledge_is_told(servers: Servers) -> None:
    with pytest.raises(NotHttp2Error, match=r"does not answer in HTTP/1\.1"):
        await connect(Origin.parse(servers("nghttpd").clear), upgrade=True)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 101 Switching", b"HTTP/1.1 100 Go on\r\n\r\n" * 1000, b"\0" * 9]
)
async def test_no_answer_to_an_upgrade_is_no_http2(answer: bytes) -> None:
    async with raw_server(answer) as port:
        with pytest.raises(NotHttp2Error):
            await connect(Origin("http", "127.0.0.1", port), upgrade=True)


async def test_silence_times_out() -> None:
    async with raw_server(None) as port:
        with pytest.raises(ClientTimeoutError):
            await connect(Origin("http", "127.0.0.1", port), upgrade=True, timeout=0.05)


async def test_upgrade_over_tls_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no upgrade over TLS"):
        await connect(Origin("https", "localhost", 1), upgrade=True)


class Successor(Http2ClientConnection):
    """Remembers what it is given."""

    def __init__(self) -> None:
        super().__init__(Origin("http", "a.test", 80))
        self.transport: asyncio.BaseTransport | None = None
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes | memoryview) -> None:
        self.data += data


class Socket(FakeSocket):
    """One whose protocol can be changed."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_what_comes_behind_the_101_is_http2_however_it_is_cut(size: int) -> None:
    successor, refused = Successor(), list[ClientError]()
    upgrading = Upgrading(Origin("http", "a.test", 80), b"ask", successor, refused.append)
    socket = Socket(upgrading)
    answer = (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nframes"
    )

    protocol: Upgrading | Successor = upgrading
    upgrading.connection_made(socket)
    for start in range(0, len(answer), size):
        protocol.data_received(answer[start : start + size])
        protocol = successor if successor.transport else upgrading

    assert socket.written == [b"ask"]
    assert (successor.transport, successor.data) == (socket, b"frames")
    assert socket.protocol is successor
    assert refused == []
