"""The way to a host: its addresses in turn, the name in TLS, and sockets that end up closed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headstart.client.connection import Http2ClientConnection
from headstart.client.dialing import dial, dial_through, hosts_of, open_socket, server_name
from headstart.client.origin import Origin
from headstart.client.tls import client_context
from headstart.client.tls_transport import TlsTransport
from tests.client.live import certificates

# A loopback address on which nothing listens here.
NOBODY = "127.0.0.9"


@asynccontextmanager
async def listening(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Listen on 127.0.0.1 alone. Yield the port."""

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def with_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context with a certificate for localhost, and the file to trust."""
    files = certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certfile, files.keyfile)
    return context, files.cafile


class Greeted(asyncio.Protocol):
    """Collects the server's greeting."""

    def __init__(self) -> None:
        self.heard = b""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set_result(None)


async def test_host_that_cannot_be_reached_is_followed_by_the_next_one() -> None:
    greeted = Greeted()
    async with listening() as port:
        await dial((NOBODY, NOBODY, "127.0.0.1"), port, lambda: greeted, "example.org", None)
        await greeted.over

    assert greeted.heard == b"hello"


async def test_first_host_that_can_be_reached_is_the_only_one_connected_to() -> None:
    made: list[Greeted] = []

    def make() -> Greeted:
        made.append(Greeted())
        return made[-1]

    async with listening() as port:
        transport = await dial(("127.0.0.1", NOBODY, "127.0.0.1"), port, make, "a", None)
        await made[0].over
        transport.close()

    assert len(made) == 1


async def test_error_of_the_first_host_is_told_where_none_can_be_reached() -> None:
    async with listening() as port:
        pass

    with pytest.raises(ConnectionRefusedError) as told:
        await dial((NOBODY, "127.0.0.1"), port, asyncio.Protocol, "example.org", None)

    assert NOBODY in str(told.value)


async def test_server_whose_certificate_is_refused_is_not_asked_at_its_other_addresses(
    tmp_path: Path,
) -> None:
    theirs, cafile = with_certificate(tmp_path)
    ours = client_context(cafile, False, "other.example")
    made: list[asyncio.Protocol] = []

    def make() -> asyncio.Protocol:
        made.append(asyncio.Protocol())
        return made[-1]

    async with listening(theirs) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await dial(("127.0.0.1", "127.0.0.1"), port, make, "other.example", ours)

    assert len(made) == 1


@pytest.mark.parametrize("name", ["localhost", "localhost."])
async def test_certificate_is_verified_for_the_name_and_not_for_the_address_dialled(
    name: str, tmp_path: Path
) -> None:
    theirs, cafile = with_certificate(tmp_path)
    ours = client_context(cafile, False, "localhost")
    greeted = Greeted()

    async with listening(theirs) as port:
        await dial(("127.0.0.1",), port, lambda: greeted, name, ours)
        await greeted.over

    assert greeted.heard == b"hello"


async def test_handshake_of_a_connection_is_waited_for(tmp_path: Path) -> None:
    theirs, cafile = with_certificate(tmp_path)
    ours = client_context(cafile, False, "localhost")
    made: list[Http2ClientConnection] = []

    def make() -> TlsTransport:
        made.append(Http2ClientConnection(Origin("https", "localhost", 1)))
        return TlsTransport(made[-1], ours, "localhost")

    async with listening(theirs) as port:
        await dial(("127.0.0.1",), port, make, "localhost", None)
        await dial_through(await open_socket(("127.0.0.1",), port), make)
        versions = [one.tls_version for one in made]
        for one in made:
            await one.aclose()

    assert versions == ["TLSv1.3", "TLSv1.3"]


async def test_connection_whose_handshake_fails_is_closed(tmp_path: Path) -> None:
    theirs, cafile = with_certificate(tmp_path)
    ours = client_context(cafile, False, "other.example")
    made: list[TlsTransport] = []

    def make() -> TlsTransport:
        connection = Http2ClientConnection(Origin("https", "other.example", 1))
        made.append(TlsTransport(connection, ours, "other.example"))
        return made[-1]

    async with listening(theirs) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await dial(("127.0.0.1", "127.0.0.1"), port, make, "other.example", None)

    assert [one.is_closing() for one in made] == [True]


@pytest.mark.parametrize(
    ("host", "eager", "delay"),
    [
        ("localhost", False, 0.25),
        ("localhost", True, None),
        ("127.0.0.1", False, None),
        ("::1", False, None),
    ],
)
async def test_addresses_are_tried_side_by_side_where_a_name_may_have_several(
    host: str, eager: bool, delay: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    asked: dict[str, Any] = {}

    async def create_connection(*_: object, **options: Any) -> tuple[object, object]:
        asked.update(options)
        return object(), object()

    monkeypatch.setattr(loop, "create_connection", create_connection)
    if eager:
        monkeypatch.setattr(loop, "get_task_factory", object)

    await dial((host,), 1, asyncio.Protocol, host, None)

    assert asked.get("happy_eyeballs_delay") == delay
    assert asked["server_hostname"] is None  # over cleartext asyncio takes no name


async def test_tunnel_whose_tls_fails_is_closed() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    connection = Http2ClientConnection(Origin("https", "example.org", 443))
    context = ssl.create_default_context()
    with far:
        far.sendall(b"this is not TLS")

        with pytest.raises(ssl.SSLError):
            await dial_through(near, lambda: TlsTransport(connection, context, "example.org"))

        assert near.fileno() == -1


async def test_tunnel_carries_the_protocol() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    greeted = Greeted()

    await dial_through(near, lambda: greeted)
    far.sendall(b"through the tunnel")
    far.close()
    await greeted.over

    assert greeted.heard == b"through the tunnel"


@pytest.mark.parametrize("host", ["localhost", "localhost.", "a.localhost", "a.b.localhost."])
def test_name_of_this_machine_is_tried_at_its_two_addresses_too(host: str) -> None:
    assert hosts_of(host) == (host, "127.0.0.1", "::1")


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1", "::1", "notlocalhost", "localhost.example"]
)
def test_other_host_is_tried_as_it_is(host: str) -> None:
    assert hosts_of(host) == (host,)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("example.org", "example.org"),
        ("example.org.", "example.org"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
    ],
)
def test_name_in_tls_has_no_final_dot_and_no_zone(host: str, name: str) -> None:
    assert server_name(host) == name


async def test_socket_is_of_the_first_host_that_can_be_reached() -> None:
    async with listening() as port:
        opened = await open_socket(("nobody.invalid", NOBODY, "127.0.0.1"), port)
        with opened:
            heard = await asyncio.get_running_loop().sock_recv(opened, 5)
            nodelay = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    assert heard == b"hello"
    assert nodelay


async def test_error_of_the_first_address_is_told_where_no_socket_can_be_opened() -> None:
    async with listening() as port:
        pass

    with pytest.raises(ConnectionRefusedError) as told:
        await open_socket((NOBODY, "127.0.0.1"), port)

    assert NOBODY in str(told.value)


async def test_socket_of_who_is_cancelled_while_it_connects_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()

    async def sock_connect(opened: socket.socket, _: object) -> None:
        begun.set_result(opened)
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
    task = asyncio.create_task(open_socket(("127.0.0.1",), 1))
    opened = await begun
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert opened.fileno() == -1
