"""Which protocol a connection speaks: by ALPN over TLS, by its first bytes in cleartext; and the
TLS handshake.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import suppress

import ngh2
import pytest
import uvicorn

from headstart import Client
from headstart.client.errors import NotHttp2Error
from headstart.config import ServerOptions
from headstart.reasons import Closing
from headstart.server.counters import Counters
from headstart.server.protocol import PREFACE, speaks_plain_http
from headstart.server.run import Config
from headstart.server.worker import Worker
from tests.peers import peer
from tests.server.apps import Receive, Scope, Send, hello, lifespan
from tests.server.live import PATIENCE, LiveServer, certificate, running, serving, until
from tests.server.raw import RawClient, tls_socket
from tests.server.websockets import library_client
from tests.wire.test_hello import hello as client_hello

REQUEST = b"GET /1.1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def connected(server: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE)


def read_all(client: socket.socket) -> bytes:
    data = b""
    while part := client.recv(65536):
        data += part
    return data


def test_alpn_h2_is_http2() -> None:
    with running(hello, tls=True) as server, RawClient(server.port, tls=True) as client:
        response = client.get(b"/x")

        assert (response.status, response.body) == (200, b"/x over 2")


@pytest.mark.parametrize("offered", [("http/1.1",), ()], ids=["http/1.1", "no ALPN at all"])
def test_without_h2_in_alpn_it_is_http_1_1(offered: tuple[str, ...]) -> None:
    with running(hello, tls=True) as server, tls_socket(server.port, *offered) as client:
        client.sendall(REQUEST)

        assert b"/1.1 over 1.1" in read_all(client)


def test_both_protocols_share_a_cleartext_port() -> None:
    with running(hello) as server:
        with RawClient(server.port) as client:
            assert client.get(b"/x").body == b"/x over 2"
        with connected(server) as plain:
            plain.sendall(REQUEST)

            assert b"/1.1 over 1.1" in read_all(plain)


def test_websocket_works_on_the_port_of_http2() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"] * 2})
        await send({"type": "websocket.close"})
        return None

    with (
        running(echo) as server,
        library_client(f"ws://127.0.0.1:{server.port}/") as client,
    ):
        client.send("twice ")

        assert client.recv(timeout=PATIENCE) == "twice twice "


def test_preface_may_come_byte_by_byte() -> None:
    with running(hello) as server, connected(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in PREFACE:
            client.sendall(bytes([byte]))
        client.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # empty SETTINGS
        engine = ngh2.Connection(ngh2.Role.CLIENT)
        engine.initiate_connection({})
        engine.receive_data(client.recv(65536))

        assert any(isinstance(event, ngh2.SettingsReceived) for event in engine.events())


def test_request_line_that_begins_like_the_preface_is_http_1_1() -> None:
    with running(hello) as server, connected(server) as client:
        client.sendall(b"P")
        client.sendall(b"UT /1.1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

        assert b"/1.1 over 1.1" in read_all(client)


def test_preface_that_is_invalid_is_refused_over_http_1_1() -> None:
    """As h2spec 3.5/2 sends it, and expects a GOAWAY of a server that knows no HTTP/1.1."""
    with running(hello) as server, connected(server) as client:
        client.sendall(b"INVALID CONNECTION PREFACE\r\n\r\n")

        assert read_all(client).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("said", [b"", PREFACE[:10]], ids=["nothing", "half a preface"])
def test_silent_client_is_disconnected_after_the_time_for_the_preface(said: bytes) -> None:
    options = ServerOptions(preface_timeout=0.2)
    with running(hello, options) as server, connected(server) as client:
        client.sendall(said)
        with suppress(ConnectionResetError):
            assert read_all(client) == b""

        assert counters(server).connections[Closing.PREFACE_TIMEOUT] == 1


def test_client_that_leaves_before_it_spoke_leaves_nothing_behind() -> None:
    with running(hello) as server:
        connected(server).close()
        with RawClient(server.port) as client:
            assert client.get(b"/x").status == 200
        server.stop()

        assert not server.server.server_state.connections


def test_stop_does_not_wait_for_a_connection_that_never_spoke() -> None:
    with running(hello, timeout_graceful_shutdown=None) as server, connected(server) as client:
        with RawClient(server.port) as other:  # by then the first one was accepted
            assert other.get(b"/x").status == 200
        server.stop()

        assert client.recv(1) == b""


# The handshake.


def counters(server: LiveServer) -> Counters:
    return Worker.of(server.server.server_state, server.server.config, server.server.loop).counters


@pytest.mark.parametrize(
    "said", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a hello"]
)
def test_handshake_that_takes_too_long_is_given_up(said: bytes) -> None:
    options = ServerOptions(handshake_timeout=0.3)
    with running(hello, options, tls=True) as server, connected(server) as client:
        client.sendall(said)
        until(lambda: counters(server).accepted == 1, "the connection")
        with suppress(ConnectionResetError):
            assert read_all(client) == b""

        until(lambda: counters(server).open == 0, "the end of the slot")
        assert counters(server).connections[Closing.HANDSHAKE_TIMEOUT] == 1


def test_handshake_that_fails_has_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    with running(hello, tls=True) as server:
        with connected(server) as client:
            client.sendall(b"\x17\x03\x03\x00\x05hello world")
            with suppress(ConnectionResetError):
                read_all(client)
        until(lambda: counters(server).connections[Closing.HANDSHAKE_FAILED], "the reason")

        until(lambda: "handshake-failed (" in caplog.text, "the line")
        assert "Traceback" not in caplog.text


PLAIN = {
    "a request": REQUEST,
    "an upload": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n" + bytes(200_000),
    "the preface of HTTP/2": PREFACE,
    "another method": b"PROPFIND / HTTP/1.1\r\n",
}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("said", PLAIN.values(), ids=PLAIN)
def test_plain_http_on_the_tls_port_is_answered_400_in_one_sentence(said: bytes, loop: str) -> None:
    with running(hello, tls=True, loop=loop) as server, connected(server) as client:
        client.sendall(said)

        head, _, text = read_all(client).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert text == b"This is an HTTPS port: use https:// in place of http://.\n"
        client.close()
        until(lambda: counters(server).open == 0, "the end")
        assert counters(server).connections == {Closing.HANDSHAKE_FAILED: 1}


def test_plain_http_may_come_byte_by_byte() -> None:
    with running(hello, tls=True) as server, connected(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"HEAD ":
            client.sendall(bytes([byte]))

        assert read_all(client).endswith(b"connection: close\r\n\r\n")  # and no content


def test_client_of_plain_http_that_stays_is_cut_off() -> None:
    with running(hello, tls=True, skipping=True) as server, connected(server) as client:
        client.sendall(REQUEST)
        assert b"400" in read_all(client)
        server.skip(2.1)

        until(lambda: counters(server).open == 0, "the end")


def test_client_says_that_the_port_speaks_https() -> None:
    with (
        running(hello, tls=True) as server,
        Client() as client,
        pytest.raises(NotHttp2Error, match="speaks TLS on this port") as caught,
    ):
        client.get(f"http://127.0.0.1:{server.port}/")

    assert caught.value.hint == f"Say https://127.0.0.1:{server.port}"


def test_curl_shows_that_the_port_speaks_https() -> None:
    with running(hello, tls=True) as server:
        command = [peer("curl"), "-sS", f"http://127.0.0.1:{server.port}/"]
        done = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)

    assert (done.returncode, done.stdout[:24]) == (0, b"This is an HTTPS port: u"), done.stderr


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"G", None),
        (b"VERSION-CONTROL", None),
        (b"UPDATEREDIRECTREF", None),
        (b"UPDATEREDIRECTREF ", True),
        (b"A" * 18, False),
        (b" ", False),
        (b"get ", False),
        (b"\x16\x03\x01", False),
        (b"SSH-2.0-OpenSSH", False),
    ],
)
def test_first_bytes_tell_plain_http_from_tls(data: bytes, expected: bool | None) -> None:
    assert speaks_plain_http(data) is expected


def test_client_that_offers_only_other_protocols_gets_an_alert(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running(hello, tls=True) as server:
        with pytest.raises(ssl.SSLError, match="no application protocol"):
            tls_socket(server.port, "spdy/3", "acme-tls/1")
        until(lambda: counters(server).connections[Closing.HANDSHAKE_FAILED], "the reason")
        until(lambda: "NO_APPLICATION_PROTOCOL" in caplog.text, "the line")

        with tls_socket(server.port, "spdy/3", "http/1.1") as client:
            assert client.selected_alpn_protocol() == "http/1.1"


def test_openssl_says_that_no_protocol_is_in_common() -> None:
    with running(hello, tls=True) as server:
        command = ["s_client", "-alpn", "imap", "-connect", f"127.0.0.1:{server.port}"]
        done = subprocess.run(
            [peer("openssl"), *command],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )

    assert b"no application protocol" in done.stderr


def test_offer_that_comes_bit_by_bit_gets_the_alert_too() -> None:
    with running(hello, tls=True) as server, connected(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        octets = client_hello("imap")
        for begin in range(0, len(octets), 50):
            client.sendall(octets[begin : begin + 50])

        assert read_all(client) == b"\x15\x03\x03\x00\x02\x02\x78"


def test_client_that_leaves_in_the_handshake_leaves_nothing_behind() -> None:
    with running(hello, tls=True) as server:
        for _ in range(5):
            connected(server).close()
        with RawClient(server.port, tls=True) as client:
            assert client.get(b"/x").status == 200
        until(lambda: counters(server).open == 0, "the end of all")

        assert counters(server).connections == {Closing.PEER_LEFT: 6}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_handshake_works_on_each_event_loop_however_the_client_is_timed(loop: str) -> None:
    """uvloop once read the client's first bytes before the handshake had begun."""
    with running(hello, tls=True, loop=loop) as server:
        for _ in range(30):
            with RawClient(server.port, tls=True) as client:
                assert client.get(b"/x").status == 200


def test_stop_gives_up_a_handshake_that_does_not_go_on() -> None:
    with (
        running(hello, tls=True, timeout_graceful_shutdown=None) as server,
        connected(server) as client,
    ):
        until(lambda: counters(server).open == 1, "the slot")
        server.stop()

        with suppress(ConnectionResetError):
            assert client.recv(1) == b""


async def test_server_of_uvicorn_itself_may_do_the_handshake() -> None:
    """As where our protocol is named to a configuration of uvicorn's own."""
    made = certificate()
    config = uvicorn.Config(
        hello,
        http="headstart.server.protocol:HeadstartProtocol",
        log_config=None,
        ssl_certfile=str(made.certfile),
        ssl_keyfile=str(made.keyfile),
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=[[listener]])
    thread.start()
    port = listener.getsockname()[1]
    try:
        with RawClient(port, tls=True) as client:
            assert client.get(b"/x").body == b"/x over 2"
        with tls_socket(port, "http/1.1") as plain:
            plain.sendall(REQUEST)
            assert b"/1.1 over 1.1" in read_all(plain)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


async def test_config_of_ours_may_go_to_a_server_of_uvicorns() -> None:
    made = certificate()
    config = Config(
        hello, log_config=None, ssl_certfile=str(made.certfile), ssl_keyfile=str(made.keyfile)
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=[[listener]])
    thread.start()
    try:
        with RawClient(listener.getsockname()[1], tls=True) as client:
            assert client.get(b"/x").body == b"/x over 2"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


def test_message_at_the_start_says_https() -> None:
    made = certificate()
    arguments = ["--ssl-certfile", str(made.certfile), "--ssl-keyfile", str(made.keyfile)]
    with serving("tests.server.apps:hello", *arguments) as server:
        assert f"running on https://127.0.0.1:{server.port}" in server.log
        with RawClient(server.port, tls=True) as client:
            assert client.get(b"/x").status == 200
