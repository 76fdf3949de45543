"""TLS of the server, over real sockets and OpenSSL; to HTTP it is a transport like any other."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, cast

import pytest
import uvloop
import websockets.asyncio.client
import websockets.exceptions
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server.counters import Counters
from headstart.server.early import BYTES
from headstart.server.lingering import Watched
from headstart.server.protocol import PREFACE
from headstart.server.run import Config
from headstart.server.tls import Buffers, Handshake, TlsBroken, TlsTransport
from headstart.server.turns import Turns
from headstart.server.worker import Worker
from tests.server import hostile
from tests.server.apps import Receive, Scope, Send, answer, body, hello, lifespan, read_all, start
from tests.server.live import PATIENCE, LiveServer, certificate, running, until
from tests.server.raw import RawClient, tls_socket

MIB = 1024 * 1024
LOOPS = ["asyncio", "uvloop"]
on_each_loop = pytest.mark.parametrize("loop", LOOPS)
FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request's body."""
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    return await answer(send, await read_all(receive))


def worker(server: LiveServer) -> Worker:
    return Worker.of(server.server.server_state, server.server.config, server.server.loop)


def counters(server: LiveServer) -> Counters:
    return worker(server).counters


def reasons(server: LiveServer) -> dict[Closing, int]:
    return dict(counters(server).connections)


def request(path: str = "/", *fields: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", ""]
    return "\r\n".join(lines).encode()


CLOSE = "Connection: close"
# A request over HTTP/2, with all windows open.
GREEDY = b"".join(
    [
        PREFACE,
        hostile.frame(hostile.SETTINGS, payload=b"\x00\x04" + hostile.number(2**31 - 1)),
        hostile.frame(hostile.SETTINGS, hostile.ACK),
        hostile.frame(hostile.WINDOW_UPDATE, payload=hostile.number(2**31 - 65536)),
        hostile.get(1),
    ]
)


def client_context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate().ca_certfile)
    context.minimum_version = context.maximum_version = version
    return context


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate().certfile, certificate().keyfile)
    return context


class Loose:
    """A client whose records are in the test's hands before they go to the socket.

    Attributes:
        tls: OpenSSL's end, its handshake done unless told otherwise.
        socket: TCP.
    """

    def __init__(self, port: int, context: ssl.SSLContext, *protocols: str) -> None:
        if protocols:
            context.set_alpn_protocols(list(protocols))
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def begin(self) -> bytes:
        """The first flight, not yet sent."""
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._out.read()

    def shake_hands(self) -> bytes:
        """Do the handshake; returns the last flight, not yet sent."""
        said = self.begin()
        while True:
            self.socket.sendall(said)
            self.listen()
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                said = self._out.read()
            else:
                return self._out.read()

    def leave(self) -> None:
        """Send nothing more, so that the server need not wait for the rest."""
        self.socket.shutdown(socket.SHUT_WR)

    def listen(self) -> bool:
        """Take the next bytes; whether any came."""
        data = self.socket.recv(65536)
        self._in.write(data)
        return bool(data)

    def records(self, data: bytes) -> bytes:
        """Encrypted, not yet sent."""
        self.tls.write(data)
        return self._out.read()

    def read_until(self, end: bytes) -> bytes:
        """Read until it ends so."""
        data = b""
        while not data.endswith(end):
            try:
                data += self.tls.read(65536)
            except ssl.SSLWantReadError:
                assert self.listen(), f"the end came after {data!r}"
        return data

    def read_error(self) -> str:
        """Read until OpenSSL says what is wrong."""
        while True:
            try:
                self.tls.read(65536)
            except ssl.SSLWantReadError:
                assert self.listen(), "the end came without an alert"
            except ssl.SSLError as error:
                return error.reason or ""


class Forger:
    """Makes records of TLS 1.3 that no library would send (RFC 8446, 5.2 and 7.1).

    Args:
        keylog: Where the client's OpenSSL wrote its secrets; it must not write data itself.
    """

    def __init__(self, keylog: Path) -> None:
        lines = [line.split() for line in keylog.read_text().splitlines()]
        found = [words[2] for words in lines if words[0] == "CLIENT_TRAFFIC_SECRET_0"]
        self._use(bytes.fromhex(found[0]))

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._aead = AESGCM(_expanded(secret, b"key", 32))
        self._iv = int.from_bytes(_expanded(secret, b"iv", 12))
        self._sequence = 0

    def record(self, content: bytes, kind: int = 23) -> bytes:
        """One record."""
        inner = content + bytes([kind])
        header = struct.pack("!BHH", 23, 0x0303, len(inner) + 16)
        nonce = (self._iv ^ self._sequence).to_bytes(12)
        self._sequence += 1
        return header + self._aead.encrypt(nonce, inner, header)

    def key_update(self) -> bytes:
        """Ask the server for new keys, and use new ones."""
        record = self.record(bytes([24, 0, 0, 1, 1]), kind=22)
        self._use(_expanded(self._secret, b"traffic upd", 48))
        return record


def _expanded(secret: bytes, label: bytes, length: int) -> bytes:
    name = b"tls13 " + label
    info = struct.pack("!HB", length, len(name)) + name + b"\x00"
    return HKDFExpand(hashes.SHA384(), length, info).derive(secret)


@contextmanager
def forging(server: LiveServer, folder: Path) -> Iterator[tuple[Loose, Forger]]:
    """A client after its handshake, and its records."""
    context = client_context()
    context.keylog_filename = str(folder / "keys")
    with Loose(server.port, context, "http/1.1") as client:
        client.socket.sendall(client.shake_hands())
        assert client.tls.cipher() == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
        yield client, Forger(folder / "keys")


# Both protocols, and WebSockets.


@on_each_loop
@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 16 * 1024 + 1, 3 * MIB])
def test_bodies_of_any_size_go_both_ways_over_http2(loop: str, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    with running(echo, tls=True, loop=loop) as server, RawClient(server.port, tls=True) as client:
        stream = client.request(method=b"POST", body=content[:size])

        assert client.response(stream).body == content[:size]


@on_each_loop
def test_large_bodies_go_both_ways_over_http_1_1(loop: str) -> None:
    content = bytes(range(256)) * 12 * 1024
    with running(echo, tls=True, loop=loop) as server, tls_socket(server.port) as client:
        client.sendall(request("/", CLOSE, f"Content-Length: {len(content)}") + content)
        received = bytearray()
        while part := client.recv(65536):
            received += part

        assert received.endswith(b"\r\n\r\n" + content)


@on_each_loop
async def test_websocket_is_spoken_over_tls(loop: str) -> None:
    async def twice(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"] * 2})
        await send({"type": "websocket.close"})
        return None

    # Not the client of threads: Python's TLS sockets lose what one thread writes while another
    # reads, about once in a thousand handshakes.
    with running(twice, tls=True, loop=loop) as server:
        async with websockets.asyncio.client.connect(
            f"wss://localhost:{server.port}/",
            ssl=client_context(),
            proxy=None,
            open_timeout=PATIENCE,
        ) as client:
            await client.send("x" * 100_000)

            assert await client.recv() == "x" * 200_000
            with pytest.raises(websockets.exceptions.ConnectionClosedOK):
                await client.recv()


# The handshake.


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(version: ssl.TLSVersion) -> None:
    context = client_context(version)
    session = None
    with running(hello, tls=True) as server:
        for _ in range(2):
            plain = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as client:
                client.sendall(request("/", CLOSE))
                while client.recv(65536):
                    pass
                session, resumed = client.session, client.session_reused

    assert resumed


@on_each_loop
def test_request_may_come_with_the_end_of_the_handshake(loop: str) -> None:
    with (
        running(hello, tls=True, loop=loop) as server,
        Loose(server.port, client_context(), "http/1.1") as client,
    ):
        last = client.shake_hands()
        client.socket.sendall(last + client.records(request("/early")))

        assert client.read_until(b"/early over 1.1")


def test_handshakes_do_not_get_in_each_others_way() -> None:
    with running(hello, tls=True) as server, _several(server.port, 5) as clients:
        flights = [client.begin() for client in clients]
        for begin in range(0, max(map(len, flights)), 100):
            for client, flight in zip(clients, flights, strict=True):
                client.socket.sendall(flight[begin : begin + 100])
        for client in clients:
            client.listen()
            client.tls.do_handshake()
            client.socket.sendall(client.records(request()))

        for client in clients:
            assert client.read_until(b"/ over 1.1")


@contextmanager
def _several(port: int, count: int) -> Iterator[list[Loose]]:
    clients = [Loose(port, client_context(), "http/1.1") for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.socket.close()


def test_client_that_cannot_be_agreed_with_is_told() -> None:
    context = client_context(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # the certificate's key is no RSA key
    with (
        running(hello, tls=True) as server,
        Loose(server.port, context) as client,
    ):
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            client.shake_hands()

        until(lambda: reasons(server) == {Closing.HANDSHAKE_FAILED: 1}, "the reason")


def test_client_cannot_renegotiate() -> None:
    with running(hello, tls=True) as server:
        peer = subprocess.run(
            ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{server.port}"],
            input=b"R\n",
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )

        assert b"no renegotiation" in peer.stderr


def test_context_that_is_none_for_servers_fails_each_handshake() -> None:
    with running(hello, tls=True) as server:
        config = server.server.config
        assert isinstance(config, Config)
        config.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
            assert client.recv(1) == b""

        until(lambda: reasons(server) == {Closing.HANDSHAKE_FAILED: 1}, "the reason")


# Records.


@on_each_loop
def test_records_may_come_byte_by_byte(loop: str) -> None:
    with (
        running(hello, tls=True, loop=loop) as server,
        Loose(server.port, client_context(), "http/1.1") as client,
    ):
        for octet in client.shake_hands() + client.records(request("/slow")):
            client.socket.sendall(bytes([octet]))

        assert client.read_until(b"/slow over 1.1")


def test_many_records_may_come_at_once() -> None:
    with (
        running(hello, tls=True) as server,
        Loose(server.port, client_context(), "http/1.1") as client,
    ):
        client.socket.sendall(client.shake_hands())
        pipelined = b"".join(
            client.records(octet.to_bytes()) for n in range(20) for octet in request(f"/{n}")
        )
        client.socket.sendall(pipelined)

        assert client.read_until(b"/19 over 1.1")


def test_damaged_record_ends_the_connection_with_a_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        running(hello, tls=True) as server,
        Loose(server.port, client_context(), "h2") as client,
    ):
        client.socket.sendall(client.shake_hands())
        record = bytearray(client.records(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        record[-1] ^= 1
        client.socket.sendall(record)

        assert client.read_error() in ("SSLV3_ALERT_BAD_RECORD_MAC", "SSL/TLS_ALERT_BAD_RECORD_MAC")
        client.leave()
        until(lambda: reasons(server) == {Closing.TLS_ERROR: 1}, "the reason")
        assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "said",
    [b"GET / HTTP/1.1\r\n" + b"x" * MIB, b"\x17\x03\x03\xff\xff" + b"x" * 65535],
    ids=["cleartext", "a record that is too long"],
)
def test_what_is_no_record_ends_the_connection(said: bytes) -> None:
    with (
        running(hello, tls=True) as server,
        Loose(server.port, client_context(), "http/1.1") as client,
    ):
        client.socket.sendall(client.shake_hands())
        with suppress(ConnectionError):
            client.socket.sendall(said)
            client.leave()

        until(lambda: reasons(server) == {Closing.TLS_ERROR: 1}, "the reason")


@on_each_loop
def test_client_may_change_its_keys(loop: str, tmp_path: Path) -> None:
    with (
        running(hello, tls=True, loop=loop) as server,
        forging(server, tmp_path) as (client, forger),
    ):
        for path in ("/before", "/after"):
            client.socket.sendall(forger.record(request(path)) + forger.key_update())
            assert client.read_until(f"{path} over 1.1".encode())


def test_client_that_changes_its_keys_without_end_is_sent_away(tmp_path: Path) -> None:
    with running(hello, tls=True) as server, forging(server, tmp_path) as (client, forger):
        updates = b"".join(forger.key_update() + forger.record(b"\r") for _ in range(100))
        client.socket.sendall(updates)
        client.leave()

        until(lambda: reasons(server) == {Closing.TLS_FLOOD: 1}, "the end")


def test_client_that_sends_empty_records_without_end_is_sent_away(tmp_path: Path) -> None:
    with running(hello, tls=True) as server, forging(server, tmp_path) as (client, forger):
        client.socket.sendall(
            b"".join(forger.record(b"") + forger.record(b"\r") for _ in range(100))
        )
        client.leave()

        until(lambda: reasons(server) == {Closing.TLS_FLOOD: 1}, "the end")


# The end.


@on_each_loop
def test_end_of_a_response_is_told_by_close_notify(loop: str) -> None:
    with (
        running(hello, tls=True, loop=loop) as server,
        Loose(server.port, client_context(), "http/1.1") as client,
    ):
        client.socket.sendall(client.shake_hands() + client.records(request("/", CLOSE)))
        client.read_until(b"/ over 1.1")

        while True:
            try:
                assert client.tls.read(1) == b""  # what OpenSSL makes of close_notify
                break
            except ssl.SSLWantReadError:
                assert client.listen(), "TCP was closed first"


@on_each_loop
def test_client_that_never_closes_its_half_is_cut_off(loop: str) -> None:
    options = ServerOptions(stall_timeout=0.3)
    with (
        running(hello, options, tls=True, loop=loop) as server,
        Loose(server.port, client_context(), "http/1.1") as client,
    ):
        client.socket.sendall(client.shake_hands() + client.records(request("/", CLOSE)))

        until(lambda: counters(server).accepted and not counters(server).open, "the end")


@on_each_loop
def test_client_that_closes_tcp_without_close_notify_leaves_nothing_behind(loop: str) -> None:
    with running(hello, tls=True, loop=loop) as server:
        for protocol in ("h2", "http/1.1"):
            with Loose(server.port, client_context(), protocol) as client:
                client.socket.sendall(client.shake_hands())
                client.socket.shutdown(socket.SHUT_WR)
                while client.listen():
                    pass
        until(lambda: not counters(server).open, "the end of both")

        assert reasons(server) == {Closing.PEER_LEFT: 2}


@on_each_loop
def test_client_that_closes_first_is_answered_with_close_notify(loop: str) -> None:
    with running(hello, tls=True, loop=loop) as server, tls_socket(server.port) as client:
        client.sendall(request())
        answered = b""
        while not answered.endswith(b"/ over 1.1"):
            answered += client.recv(65536)

        client.unwrap().close()  # raises where TCP ends before

        until(lambda: reasons(server) == {Closing.PEER_LEFT: 1}, "the reason")


@on_each_loop
@pytest.mark.parametrize(
    ("protocol", "asked"), [("h2", GREEDY), ("http/1.1", request())], ids=["h2", "http/1.1"]
)
def test_connection_that_is_lost_amid_a_large_response_is_written_to_no_more(
    loop: str, protocol: str, asked: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio warns in the log of each further write, and a client could fill it."""

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await send(start())
        await send(body(bytes(MIB)))
        return None

    with (
        running(large, tls=True, loop=loop) as server,
        tls_socket(server.port, protocol) as client,
    ):
        client.sendall(asked)
        until(lambda: reasons(server) == {Closing.PEER_LEFT: 1}, "the end")

    assert [record for record in caplog.records if record.name == "asyncio"] == []


@on_each_loop
def test_client_that_reads_nothing_is_cut_off_and_bounds_what_waits(loop: str) -> None:
    sizes: list[int] = []

    async def long(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await send(start())
        with suppress(OSError):
            for _ in range(1000):
                await send(body(b"x" * 65536, more_body=True))
                sizes.extend(connection.held() for connection in worker(server).sheddable)
        return None

    options = ServerOptions(stall_timeout=0.4)
    with running(long, options, tls=True, loop=loop) as server:
        for protocol in ("h2", "http/1.1"):
            with tls_socket(server.port, protocol) as client:
                client.sendall(GREEDY if protocol == "h2" else request())
                until(lambda: counters(server).connections[Closing.STALLED], "the reason")
                counters(server).connections.clear()

    assert 0 < max(sizes) < 2 * MIB


# The transport by itself, between a TCP transport that only takes notes and OpenSSL.


class _Wire(asyncio.Transport):
    """What TCP was given."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 7)})
        self.written: list[bytes] = []
        self.calls: list[object] = []
        self.has_sides = False

    def can_write_eof(self) -> bool:
        return self.has_sides

    def write_eof(self) -> None:
        self.calls.append("eof")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def taken(self) -> bytes:
        """Return the bytes written since the last call."""
        data = b"".join(self.written)
        self.written.clear()
        return data

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.written))

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return (1, 2)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.calls.append((high, low))

    def is_closing(self) -> bool:
        return "close" in self.calls or "abort" in self.calls

    def is_reading(self) -> bool:
        return self.calls.count("pause") == self.calls.count("resume")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


class _Above(asyncio.Protocol):
    """What the protocol was told."""

    def __init__(self) -> None:
        self.received = b""
        self.calls: list[object] = []

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> None:
        self.calls.append("eof")

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(exc)


class _Clock:
    """Stands for a worker: `pass_time` looks as often as a worker does."""

    def __init__(self) -> None:
        self.options = ServerOptions(stall_timeout=20.0)
        self.draining = False
        self.watched: set[Watched] = set()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def pass_time(self, seconds: int) -> None:
        """Let so many seconds pass."""
        for _ in range(seconds):
            self._now += 1.0
            for one in list(self.watched):
                one.second_passed(self._now)


class Pair:
    """A connection in memory, after its handshake.

    Attributes:
        wire: TCP, as the server's transport sees it.
        transport: What is tested.
        above: Its protocol.
        client: OpenSSL's other end.
        worker: The transport's clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, buffers: Buffers) -> None:
        self.wire, self.above = _Wire(), _Above()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client_context().wrap_bio(self._in, self._out, server_hostname="localhost")
        handshake = Handshake(self.wire, server_context(), buffers)
        with suppress(ssl.SSLWantReadError):
            self.client.do_handshake()
        assert handshake.step(self._out.read()) is None
        self._in.write(self.wire.taken())
        self.client.do_handshake()
        assert handshake.step(self._out.read()) == b""
        self._turns = Turns(loop)
        self.worker = _Clock()
        self.transport = TlsTransport(self.wire, handshake.tls, buffers, self._turns, self.worker)
        self.transport.set_protocol(self.above)
        self._in.write(self.wire.taken())

    def receive(self, data: bytes) -> None:
        """Bring the server's transport bytes from TCP, in a turn of their own."""
        self.transport.data_received(data)
        self._turns.act()

    def records(self, data: bytes) -> bytes:
        """From the client."""
        self.client.write(data)
        return self._out.read()

    def goodbye(self) -> bytes:
        """The client's close_notify."""
        with suppress(ssl.SSLWantReadError):
            self.client.unwrap()
        return self._out.read()

    def hear(self) -> None:
        """Bring the client the bytes that were written."""
        self._in.write(self.wire.taken())

    def read(self) -> bytes:
        """Return the content that the client reads in it."""
        self.hear()
        data = b""
        with suppress(ssl.SSLWantReadError):
            while part := self.client.read(65536):
                data += part
        return data


@pytest.fixture
def buffers() -> Buffers:
    return Buffers()


@pytest.mark.parametrize("cut", [1, 4, 5, 100])
def test_offer_without_common_protocol_is_refused_though_its_record_is_cut(
    buffers: Buffers, cut: int
) -> None:
    wire, out, context = _Wire(), ssl.MemoryBIO(), client_context()
    context.set_alpn_protocols(["spdy/3"])
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    flight = out.read()
    handshake = Handshake(wire, server_context(), buffers)

    assert handshake.step(flight[:cut]) is None
    assert wire.taken() == b""
    with pytest.raises(TlsBroken) as caught:
        handshake.step(flight[cut:])

    assert caught.value.reason is Closing.HANDSHAKE_FAILED
    assert wire.taken() == b"\x15\x03\x03\x00\x02\x02\x78"  # no_application_protocol


@pytest.fixture
def pair(buffers: Buffers) -> Iterator[Pair]:
    loop = asyncio.new_event_loop()
    yield Pair(loop, buffers)
    loop.close()


@given(
    st.lists(st.binary(min_size=1, max_size=40_000), max_size=4),
    st.lists(st.integers(1, 30_000), min_size=1, max_size=20),
)
@settings(max_examples=50)
def test_content_is_the_same_however_tcp_cuts_it(parts: list[bytes], cuts: list[int]) -> None:
    loop = asyncio.new_event_loop()
    pair = Pair(loop, Buffers())
    data = b"".join(_written(pair, part) for part in parts)
    begin = turn = 0
    while begin < len(data):
        end = begin + cuts[turn % len(cuts)]
        pair.receive(data[begin:end])
        begin, turn = end, turn + 1
    loop.close()

    assert pair.above.received == b"".join(parts)


def _written(pair: Pair, data: bytes) -> bytes:
    """One record holds 16 KiB at the most."""
    return b"".join(pair.records(data[n : n + 16384]) for n in range(0, len(data), 16384))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 300_000])
def test_whatever_is_written_arrives(pair: Pair, size: int, kind: Callable[[bytes], Any]) -> None:
    pair.transport.write(kind(b"x" * size))

    assert pair.read() == b"x" * size


def test_memoryview_of_larger_items_is_written_as_its_bytes(pair: Pair) -> None:
    pair.transport.write(memoryview(b"abcdefgh" * 5000).cast("Q"))

    assert pair.read() == b"abcdefgh" * 5000


def test_lines_are_written_in_one_record(pair: Pair) -> None:
    pair.transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])

    assert len(pair.wire.written) == 1
    assert pair.read() == b"abc"


def test_long_lines_are_given_to_tcp_together(pair: Pair) -> None:
    pair.transport.writelines([b"x" * 40_000, b"", memoryview(b"y" * 40_000)])

    assert len(pair.wire.written) == 1
    assert pair.read() == b"x" * 40_000 + b"y" * 40_000


def test_tcp_is_given_a_bounded_amount_at_once(pair: Pair) -> None:
    pair.transport.write(b"x" * 1_000_000)

    assert len(pair.wire.written) == 4
    assert max(map(len, pair.wire.written)) < 260 * 1024 + 64 * 1024
    assert pair.read() == b"x" * 1_000_000


def test_no_chunk_is_made_for_a_connection_that_is_lost(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield bytes(64 * 1024)

    monkeypatch.setattr(pair.wire, "write", lambda data: pair.wire.abort())
    pair.transport.write_chunks(chunks())
    pair.transport.write_chunks(chunks())
    pair.transport.abort()
    pair.transport.write_chunks(chunks())

    assert made == [0, 1, 2, 3]
    assert pair.wire.calls == ["abort", "abort"]


def test_what_is_written_counts_as_encrypted_until_tcp_has_taken_it(pair: Pair) -> None:
    pair.transport.write(b"x" * 100_000)

    assert pair.transport.get_write_buffer_size() == pair.wire.get_write_buffer_size() > 100_000


def test_nothing_is_written_after_the_end(pair: Pair) -> None:
    pair.transport.abort()
    pair.transport.write(b"x")

    assert pair.wire.written == []
    assert pair.wire.calls == ["abort"]
    assert pair.transport.is_closing()


def test_back_pressure_is_tcps(pair: Pair) -> None:
    pair.transport.pause_writing()
    pair.transport.resume_writing()
    pair.transport.set_write_buffer_limits(high=9)
    pair.transport.pause_reading()
    reading = pair.transport.is_reading()
    pair.transport.resume_reading()

    assert pair.above.calls == ["pause", "resume"]
    assert pair.wire.calls == [(9, None), "pause", "resume"]
    assert not reading
    assert pair.transport.is_reading()
    assert pair.transport.get_write_buffer_limits() == (1, 2)


def test_transport_tells_of_tls_and_of_tcp(pair: Pair) -> None:
    told = {
        name: pair.transport.get_extra_info(name, "?")
        for name in ("cipher", "compression", "peercert", "peername", "socket")
    }

    assert told == {
        "cipher": ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256),
        "compression": None,
        "peercert": None,
        "peername": ("192.0.2.1", 7),
        "socket": "?",
    }
    tls = pair.transport.get_extra_info("ssl_object")
    assert tls.version() == "TLSv1.3"
    assert pair.transport.get_extra_info("sslcontext") is tls.context
    assert pair.transport.get_protocol() is pair.above


def test_tls_has_no_half_of_a_connection(pair: Pair) -> None:
    assert not pair.transport.can_write_eof()
    with pytest.raises(NotImplementedError):
        pair.transport.write_eof()


def test_after_close_reading_goes_on_until_the_client_closes_too(pair: Pair) -> None:
    pair.transport.pause_reading()
    pair.transport.close()
    pair.transport.pause_reading()
    pair.receive(pair.records(b"still here"))
    before = list(pair.wire.calls)
    pair.receive(pair.goodbye())

    assert before == ["pause", "resume"]
    assert pair.wire.calls == ["pause", "resume", "close"]
    assert pair.above.received == b""
    assert pair.above.calls == []


def test_clients_close_is_told_once_and_answered(pair: Pair) -> None:
    pair.receive(pair.records(b"the last") + pair.goodbye())
    pair.transport.eof_received()
    pair.transport.close()

    assert pair.above.received == b"the last"
    assert pair.above.calls == ["eof"]
    assert pair.wire.calls == ["close", "close"]


def test_bytes_behind_the_clients_close_reach_no_other_connection(buffers: Buffers) -> None:
    loop = asyncio.new_event_loop()
    closing, other = Pair(loop, buffers), Pair(loop, buffers)
    record_of_nobody = b"\x17\x03\x03\x00\x14" + bytes(20)

    closing.receive(closing.records(b"the last") + closing.goodbye() + record_of_nobody)
    other.receive(other.records(b"the other's"))

    assert closing.above.received == b"the last"
    assert other.above.received == b"the other's"
    assert other.wire.calls == []
    loop.close()


@pytest.fixture
def two(buffers: Buffers) -> Iterator[tuple[Pair, Pair, list[object]]]:
    """Two connections that share buffers, and the errors that their loop was told of."""
    loop = asyncio.new_event_loop()
    errors: list[object] = []
    loop.set_exception_handler(lambda _, context: errors.append(type(context["exception"])))
    yield Pair(loop, buffers), Pair(loop, buffers), errors
    loop.close()


def test_record_that_is_too_long_reaches_no_other_connection(
    two: tuple[Pair, Pair, list[object]],
) -> None:
    """OpenSSL reads no more of it than its length."""
    failing, other, errors = two
    length = 0x7000

    failing.receive(b"\x17\x03\x03" + length.to_bytes(2, "big") + bytes(length))
    other.receive(other.records(b"the other's"))

    assert failing.wire.is_closing()
    assert other.above.received == b"the other's"
    assert other.wire.calls == errors == []


class _OutOfMemory:
    """TLS of a connection for which memory is short, with bytes in the shared buffers."""

    def __init__(self, tls: ssl.SSLObject) -> None:
        self._tls = tls

    def read(self, size: int) -> bytes:
        """Fail before anything is read."""
        raise MemoryError

    def write(self, data: bytes) -> int:
        """Fail with a record on its way."""
        self._tls.write(data)
        raise MemoryError


def test_lack_of_memory_amid_reading_reaches_no_other_connection(
    two: tuple[Pair, Pair, list[object]],
) -> None:
    failing, other, errors = two
    records = failing.records(b"lost")
    failing.transport._tls = cast(ssl.SSLObject, _OutOfMemory(failing.transport._tls))

    failing.receive(records)
    other.receive(other.records(b"the other's"))

    assert errors == [MemoryError]
    assert failing.wire.is_closing()
    assert other.above.received == b"the other's"
    assert other.wire.calls == []


def test_lack_of_memory_amid_writing_reaches_no_other_connection(
    two: tuple[Pair, Pair, list[object]],
) -> None:
    failing, other, _ = two
    failing.transport._tls = cast(ssl.SSLObject, _OutOfMemory(failing.transport._tls))

    with pytest.raises(MemoryError):
        failing.transport.write(b"lost")
    other.transport.write(b"for the other")

    assert failing.wire.is_closing()
    assert other.read() == b"for the other"


def test_client_that_reads_what_is_left_has_its_time_anew(pair: Pair) -> None:
    pair.transport.write(b"x" * 400_000)
    pair.transport.close()
    pair.worker.pass_time(19)
    pair.wire.written.pop(0)
    pair.worker.pass_time(19)
    before = list(pair.wire.calls)
    pair.worker.pass_time(2)

    assert before == ["resume"]
    assert pair.wire.calls == ["resume", "abort"]


def test_client_that_has_all_and_says_nothing_is_waited_for_seconds(pair: Pair) -> None:
    pair.transport.close()
    pair.wire.taken()
    pair.worker.pass_time(4)
    before = list(pair.wire.calls)
    pair.worker.pass_time(1)

    assert before == ["resume"]
    assert pair.wire.calls == ["resume", "abort"]


def test_server_that_stops_waits_a_moment_for_the_clients_close(pair: Pair) -> None:
    pair.transport.close()
    pair.wire.taken()
    pair.worker.draining = True
    pair.worker.pass_time(1)

    assert pair.wire.calls == ["resume", "abort"]


def test_client_that_floods_behind_the_end_is_cut_off(pair: Pair) -> None:
    pair.transport.close()
    record = pair.records(bytes(16_000))
    for _ in range(BYTES // len(record)):
        pair.receive(record[:4])  # the begin of one
    assert pair.wire.calls == ["resume"]
    pair.receive(bytes(BYTES))

    assert pair.wire.calls == ["resume", "abort"]


def test_bytes_behind_a_record_that_cannot_be_read_are_dropped(pair: Pair) -> None:
    """The client can read why, and all that was written before."""
    pair.wire.has_sides = True
    pair.transport.write(b"the last")
    pair.receive(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    pair.receive(pair.records(b"more"))
    before = list(pair.wire.calls)
    pair.worker.pass_time(5)

    assert before == ["eof", "resume"]
    assert pair.wire.calls == ["eof", "resume", "abort"]
    pair.hear()
    assert pair.client.read(100) == b"the last"
    with pytest.raises(ssl.SSLError, match="ALERT"):
        pair.client.read(100)
    assert pair.above.received == b""


def test_loss_of_tcp_is_told_with_what_went_wrong(pair: Pair) -> None:
    pair.receive(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    pair.transport.connection_lost(None)
    pair.transport.connection_lost(None)

    (failure,) = pair.above.calls
    assert isinstance(failure, TlsBroken)
    assert failure.reason is Closing.TLS_ERROR
    assert pair.wire.calls == ["close"]


def test_connection_that_was_lost_keeps_nothing_alive(pair: Pair) -> None:
    pair.transport.connection_lost(None)

    assert not [o for o in gc.get_referents(pair.transport) if o is pair.above]


def test_writing_amid_another_connections_turn_is_refused(pair: Pair, buffers: Buffers) -> None:
    """Else its records would go to the other client."""
    buffers.outgoing.write(b"a record")
    with pytest.raises(RuntimeError, match="finalizer"):
        pair.transport.write(b"x")
    with pytest.raises(RuntimeError, match="finalizer"):
        pair.transport.writelines([b"x" * 100_000])

    assert pair.wire.written == []
