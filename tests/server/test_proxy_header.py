"""The PROXY protocol's header: read, refused, and who is believed; with haproxy in front."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server.proxy_header import MalformedHeader, ProxyHeader, read_header
from tests.peers import peer
from tests.server.apps import Recorder
from tests.server.live import PATIENCE, LiveServer, certificate, running, until
from tests.server.proxies import haproxy_tcp
from tests.server.raw import RawClient
from tests.server.test_websocket import Socket, counters
from tests.server.websockets import BINARY, Http1Client, Http2Client, frame

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n"
V1_6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\n"
CLIENT, SERVER = ("192.0.2.7", 40000), ("198.51.100.1", 443)
CLIENT_6, SERVER_6 = ("2001:db8::7", 40000), ("2001:db8::1", 443)


def v2(kind: int, rest: bytes, command: int = 0x21) -> bytes:
    return SIGNATURE + bytes([command, kind]) + len(rest).to_bytes(2, "big") + rest


def ends(family: int, source: str, target: str, *ports: int) -> bytes:
    hosts = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    return hosts + b"".join(port.to_bytes(2, "big") for port in ports)


FOUR = ends(socket.AF_INET, "192.0.2.7", "198.51.100.1", 40000, 443)
SIX = ends(socket.AF_INET6, "2001:db8::7", "2001:db8::1", 40000, 443)

HEADERS = {
    "line": (V1, CLIENT, SERVER),
    "line of IPv6": (V1_6, CLIENT_6, SERVER_6),
    "unknown": (b"PROXY UNKNOWN\r\n", None, None),
    "unknown, with addresses": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None, None),
    "binary": (v2(0x11, FOUR), CLIENT, SERVER),
    "binary of IPv6": (v2(0x21, SIX), CLIENT_6, SERVER_6),
    "binary with more": (v2(0x11, FOUR + b"\x04\x00\x03abc" * 100), CLIENT, SERVER),
    "local": (v2(0, b"", 0x20), None, None),
    "local with addresses": (v2(0x11, FOUR, 0x20), None, None),
    "unspecified": (v2(0, b"abc"), None, None),
    "Unix": (v2(0x31, bytes(216)), None, None),
    "datagrams": (v2(0x12, FOUR), None, None),
}


@pytest.mark.parametrize("name", HEADERS)
def test_header_is_read_wherever_it_is_cut(name: str) -> None:
    data, source, destination = HEADERS[name]

    for end in range(len(data)):
        assert read_header(data[:end]) is None
    assert read_header(data) == ProxyHeader(source, destination, len(data))
    assert read_header(data + b"GET / HTTP/1.1") == ProxyHeader(source, destination, len(data))


MALFORMED = {
    "HTTP": b"GET / HTTP/1.1\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\n",
    "TLS": b"\x16\x03\x01",
    "another word": b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
    "too few words": b"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
    "too many words": V1[:-2] + b" 1\r\n",
    "two spaces": V1.replace(b" ", b"  ", 2),
    "a host": V1.replace(b"192.0.2.7", b"localhost"),
    "a leading zero": V1.replace(b"192.0.2.7", b"192.00.2.7"),
    "IPv6 for IPv4": V1.replace(b"192.0.2.7", b"::1"),
    "a zone": V1_6.replace(b"2001:db8::7", b"fe80::1%eth0"),
    "no ASCII": V1.replace(b"192.0.2.7", b"192.0.2.\xff"),
    "a signed port": V1.replace(b"40000", b"+4000"),
    "an underscore in a port": V1.replace(b"40000", b"4_000"),
    "port 0": V1.replace(b"40000", b"0"),
    "port 65536": V1.replace(b"40000", b"65536"),
    "a long port": V1.replace(b"40000", b"000000443"),
    "a line that is too long": b"PROXY UNKNOWN " + b"a" * 93,
    "version 3": v2(0x11, FOUR, 0x31),
    "another command": v2(0x11, FOUR, 0x22),
    "no room for addresses": v2(0x11, FOUR[:-1]),
    "a binary port 0": v2(0x11, ends(socket.AF_INET, "192.0.2.7", "198.51.100.1", 0, 443)),
    "a length that is too long": v2(0x11, bytes(2049))[:16],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_header_is_refused(name: str) -> None:
    with pytest.raises(MalformedHeader):
        read_header(MALFORMED[name])


@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"!"]), st.binary())
def test_any_bytes_are_a_header_or_refused_or_not_enough(begin: bytes, rest: bytes) -> None:
    data = begin + rest
    try:
        header = read_header(data)
    except MalformedHeader:
        return

    if header is None:
        assert len(data) < 16 + 2048
    else:
        assert header.size <= len(data)


# The server.


@contextmanager
def sent(server: LiveServer, data: bytes, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE, (address, 0)) as client:
        client.sendall(data)
        yield client


def everything(client: socket.socket) -> bytes:
    data = b""
    with suppress(ConnectionResetError):
        while part := client.recv(4096):
            data += part
    return data


GET = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
EXPECTING = ServerOptions(proxy_protocol=True)


@pytest.mark.parametrize("name", ["line", "line of IPv6", "binary", "binary of IPv6", "local"])
@pytest.mark.parametrize("split", [False, True])
def test_application_sees_the_client_that_the_header_names(name: str, split: bool) -> None:
    header, source, destination = HEADERS[name]
    recorder = Recorder()
    with running(recorder, EXPECTING) as server:
        whole = header + GET
        with sent(server, whole[:20] if split else whole) as client:
            if split:
                client.sendall(whole[20:])
            assert everything(client).startswith(b"HTTP/1.1 200 ")
        scope = recorder.next()

    if source is None:
        assert scope["client"][0] == scope["server"][0] == "127.0.0.1"
    else:
        assert (scope["client"], scope["server"]) == (source, destination)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_tls_and_http2_come_behind_the_header(loop: str) -> None:
    recorder = Recorder()
    context = ssl.create_default_context(cafile=certificate().ca_certfile)
    context.set_alpn_protocols(["h2"])
    with running(recorder, EXPECTING, tls=True, loop=loop) as server:
        plain = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        plain.sendall(v2(0x11, FOUR))
        with (
            context.wrap_socket(plain, server_hostname="localhost") as secure,
            RawClient(server.port, tls=True, connected=secure) as client,
        ):
            page = client.get()
        scope = recorder.next()

    assert page.status == 200
    assert (scope["client"], scope["scheme"]) == (CLIENT, "https")


def test_websockets_see_the_client_too() -> None:
    scopes: list[Any] = []

    class Noting(Socket):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                scopes.append(scope)
            await super().__call__(scope, receive, send)

    app = Noting()
    app.gate.open()
    with running(app, EXPECTING) as server:
        first = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        first.sendall(V1)
        client = Http1Client(server, "/", False, connected=first)
        client.send(frame(BINARY, b"x"))
        assert client.read() == (BINARY, b"x")
        client.socket.close()
        second = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        second.sendall(V1)
        with RawClient(server.port, connected=second) as raw:
            other = Http2Client(raw)
            other.send(frame(BINARY, b"x"))
            assert other.read() == (BINARY, b"x")

    assert [scope["client"] for scope in scopes] == [CLIENT, CLIENT]


@pytest.mark.parametrize("name", MALFORMED)
def test_connection_without_a_header_is_closed_and_reaches_no_application(name: str) -> None:
    recorder = Recorder()
    with running(recorder, EXPECTING) as server:
        with sent(server, MALFORMED[name] + GET) as client:
            assert everything(client) == b""
        until(lambda: counters(server).open == 0, "the end")

        assert counters(server).connections == {Closing.PROXY_HEADER: 1}
    assert recorder.empty


def test_header_of_somebody_who_is_not_trusted_is_not_read() -> None:
    recorder = Recorder()
    with running(recorder, EXPECTING, forwarded_allow_ips="127.0.0.2") as server:
        with suppress(OSError), sent(server, V1 + GET) as client:
            assert everything(client) == b""
        with sent(server, V1 + GET, "127.0.0.2") as client:
            assert everything(client).startswith(b"HTTP/1.1 200 ")
        until(lambda: counters(server).open == 0, "the end")

        assert counters(server).connections[Closing.PROXY_HEADER] == 1
        assert recorder.next()["client"] == CLIENT
    assert recorder.empty


def test_header_that_does_not_come_is_not_waited_for() -> None:
    options = ServerOptions(proxy_protocol=True, preface_timeout=0.2, handshake_timeout=60)
    with running(Recorder(), options, tls=True) as server, sent(server, V1[:-1]) as client:
        assert everything(client) == b""
        until(lambda: counters(server).open == 0, "the end")

        assert counters(server).connections == {Closing.PREFACE_TIMEOUT: 1}


def test_clients_are_counted_by_the_addresses_that_headers_name() -> None:
    options = ServerOptions(proxy_protocol=True, max_connections_per_address=2)
    other = V1.replace(b"192.0.2.7", b"192.0.2.8")
    with running(Recorder(), options) as server:
        with sent(server, V1) as first, sent(server, V1), sent(server, other):
            until(lambda: counters(server).open == 3, "the connections")
            with sent(server, V1 + GET) as fourth:
                assert everything(fourth) == b""
            first.sendall(GET)
            assert everything(first).startswith(b"HTTP/1.1 200 ")
            first.close()
            until(lambda: counters(server).open == 2, "a free place")
            with sent(server, V1 + GET) as again:
                assert everything(again).startswith(b"HTTP/1.1 200 ")

        assert counters(server).connections[Closing.ADDRESS_CONNECTIONS] == 1


def test_forwarded_fields_of_such_a_client_are_not_believed() -> None:
    recorder = Recorder()
    claimed = GET.replace(b"\r\n\r\n", b"\r\nx-forwarded-for: 203.0.113.9\r\n\r\n")
    with running(recorder, EXPECTING) as server, sent(server, V1 + claimed) as client:
        everything(client)

    assert recorder.next()["client"] == CLIENT


@pytest.mark.parametrize("header", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"])
@pytest.mark.parametrize("tls", [False, True])
def test_haproxy_names_the_client(header: str, tls: bool) -> None:
    peer("haproxy")
    recorder = Recorder()
    with (
        running(recorder, EXPECTING, tls=tls) as server,
        haproxy_tcp(server.port, header) as port,
        RawClient(port, tls=tls, address="127.0.0.9") as client,
    ):
        page = client.get()
        scope = recorder.next()

    assert page.status == 200
    assert scope["client"] == ("127.0.0.9", scope["client"][1])
    assert scope["server"] == ("127.0.0.1", port)
