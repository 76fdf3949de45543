"""HTTP that is redirected to https, with curl and over raw sockets."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.config import ServerOptions
from headstart.errors import ConfigurationError
from headstart.server.checks import check_address
from headstart.server.redirect import Redirect
from headstart.server.run import Config
from tests.peers import peer
from tests.ports import free_port
from tests.server.apps import hello
from tests.server.live import PATIENCE, ServerProcess, certificate, serving, until

PORT, HTTPS = 8080, 8443


def certified(**more: Any) -> dict[str, Any]:
    made = certificate()
    return {"ssl_certfile": str(made.certfile), "ssl_keyfile": str(made.keyfile)} | more


@contextmanager
def redirecting(*arguments: str) -> Iterator[tuple[ServerProcess, int]]:
    """Run a server over TLS that redirects; gives the port too."""
    made, port = certificate(), free_port()
    with serving(
        "tests.server.apps:hello",
        *("--ssl-certfile", str(made.certfile), "--ssl-keyfile", str(made.keyfile)),
        *("--redirect-http", str(port), *arguments),
    ) as server:
        until(lambda: answers(port), "the redirected port")
        yield server, port


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def curl(*arguments: str) -> str:
    command = [peer("curl"), "-sk", "-m", "90", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("workers", ["1", "2"])
def test_request_is_redirected_with_its_target_and_answered_over_tls(workers: str) -> None:
    with redirecting("--workers", workers) as (server, port):
        url = f"http://localhost:{port}/a%20b?c=d&e"
        told = [
            curl(version, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", *more, url)
            for version in ("--http1.1", "--http2-prior-knowledge")
            for more in ([], ["-d", "content"])
        ]
        followed = curl("-L", "-w", " %{http_version} %{num_redirects}", url)
        server.terminate()
        status = server.wait()

    assert told == [f"308 https://localhost:{server.port}/a%20b?c=d&e"] * 4
    assert followed == "/a b over 2 2 1"
    assert status in (0, -15)


def test_connection_that_waits_when_the_server_stops_is_redirected_too() -> None:
    with (
        redirecting() as (server, port),
        socket.create_connection(("127.0.0.1", port), PATIENCE) as client,
    ):
        server.terminate()
        client.sendall(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = client.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 308 ")
    assert b"location: https://localhost/a\r\n" in answer


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /%0d%0aset-cookie:a=b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example/\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a@evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n",
    ],
)
def test_host_or_target_that_no_url_has_is_never_put_into_location(
    request_head: bytes, redirected: int
) -> None:
    with socket.create_connection(("127.0.0.1", redirected), PATIENCE) as client:
        client.sendall(request_head)
        client.shutdown(socket.SHUT_WR)
        head = client.makefile("rb").read().lower()

    assert head.startswith((b"http/1.1 400 ", b"http/1.1 308 ", b"http/1.1 405 ", b"http/1.1 501 "))
    assert b"\r\nset-cookie" not in head
    if b"%0d%0a" in request_head:
        assert b"\r\nlocation: https://localhost/%0d%0aset-cookie:a=b\r\n" in head
    else:
        assert b"location" not in head


@pytest.fixture(scope="module")
def redirected() -> Iterator[int]:
    with redirecting() as (_, port):
        yield port


@pytest.mark.parametrize(
    ("port", "https", "host", "location"),
    [
        (80, 443, b"a.example", b"https://a.example/x"),
        (80, 443, b"a.example:80", b"https://a.example/x"),
        (80, 443, b"a.example:", b"https://a.example/x"),
        (80, 8443, b"a.example", b"https://a.example:8443/x"),
        (8080, 8443, b"a.example:8080", b"https://a.example:8443/x"),
        (8080, 8443, b"[::1]:8080", b"https://[::1]:8443/x"),
        (8080, 8443, b"[::1]", b"https://[::1]/x"),
        (8080, 8443, b"a.example", b"https://a.example/x"),  # mapped to a container's 8080
        (8080, 8443, b"a.example:9000", b"https://a.example/x"),
        (80, None, b"a.example", b"https://a.example/x"),
    ],
)
def test_location_has_the_port_that_belongs_to_the_one_asked_for(
    port: int, https: int | None, host: bytes, location: bytes
) -> None:
    assert Redirect(port, https).location(host, b"/x") == location


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_no_bytes_end_the_field_or_lead_to_another_host(host: bytes, target: bytes) -> None:
    location = Redirect(PORT, HTTPS).location(host, target)

    if location is not None:
        assert not any(byte <= 0x20 or byte == 0x7F for byte in location)
        authority = location.removeprefix(b"https://").partition(b"/")[0]
        assert not set(authority) & set(b"@?#\\")
        assert location.endswith(target)


async def test_websocket_is_refused() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await Redirect(PORT, HTTPS)({"type": "websocket"}, receive, send)

    assert sent == [{"type": "websocket.close"}]


def test_port_that_is_taken_is_told_with_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = ServerOptions(redirect_http=taken.getsockname()[1])

        with pytest.raises(ConfigurationError, match="cannot listen") as caught:
            check_address(Config(hello, options, port=0, log_config=None, **certified()))
    assert "--redirect-http" in caught.value.hint


def test_port_of_the_server_itself_is_an_error() -> None:
    port = free_port()
    options = ServerOptions(redirect_http=port)

    with pytest.raises(ConfigurationError, match="are both"):
        check_address(Config(hello, options, port=port, log_config=None, **certified()))


def test_server_without_tls_redirects_nothing() -> None:
    options = ServerOptions(redirect_http=free_port())

    with pytest.raises(ConfigurationError, match="needs a server that speaks TLS"):
        check_address(Config(hello, options, port=0, log_config=None))


def test_socket_path_leads_to_the_usual_port(tmp_path: Path) -> None:
    made, port = certificate(), free_port()
    server = ServerProcess(
        *("serve", "tests.server.apps:hello", "--uds", str(tmp_path / "s")),
        *("--ssl-certfile", str(made.certfile), "--ssl-keyfile", str(made.keyfile)),
        *("--redirect-http", str(port)),
    )
    try:
        until(lambda: answers(port), "the redirected port")
        told = curl("-o", "/dev/null", "-w", "%{redirect_url}", f"http://localhost:{port}/")
    finally:
        server.end()

    assert told == "https://localhost/"
