"""Connections through a proxy (Apache's mod_proxy_connect), and which one the environment names."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headstart import AsyncClient, Client
from headstart.client import ConnectError
from headstart.client.origin import Origin
from headstart.client.proxies import HttpProxy, proxy_of_environment
from headstart.errors import ConfigurationError
from tests.server.apps import hello
from tests.server.live import running, until
from tests.servers.proxy import forward_proxy

NAMES = ("https_proxy", "http_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("tls", [True, False])
async def test_requests_go_through_the_tunnel_of_a_proxy(tls: bool) -> None:
    with running(hello, tls=tls) as live, forward_proxy(live.port) as proxy:
        async with AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            for _ in range(3):
                response = await client.get(f"{live.url}/")
        until(proxy.asked.read_text, "the end of the tunnel")  # Apache writes the line then
        asked = proxy.asked.read_text().splitlines()

    assert response.status_code == 200
    assert asked == [f"CONNECT localhost:{live.port} HTTP/1.1 200"]


def test_user_and_password_are_sent_and_a_refusal_is_told() -> None:
    with running(hello, tls=True) as live, forward_proxy(live.port, "s3cret&") as proxy:
        with Client(proxy=f"http://reader:s3cret%26@127.0.0.1:{proxy.port}") as client:
            status = client.get(f"{live.url}/").status_code
        with (
            Client(proxy=f"127.0.0.1:{proxy.port}") as client,
            pytest.raises(ConnectError, match=r"makes no tunnel to .*: 407") as refused,
        ):
            client.get(f"{live.url}/")

    assert status == 200
    assert "USER:PASSWORD" in refused.value.hint


async def test_port_that_the_proxy_does_not_allow_is_told() -> None:
    with running(hello, tls=True) as live, forward_proxy(live.port + 1) as proxy:
        async with AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            with pytest.raises(ConnectError, match=r"makes no tunnel to .*: 403"):
                await client.get(f"{live.url}/")


@contextmanager
def saying(answer: bytes) -> Iterator[int]:
    """Listen on a port, and answer a connection with bytes."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    "answer", [b"", b"220 mail.example\r\n\r\n", b"HTTP/1.1 200 " + b"x" * 20_000]
)
async def test_port_that_does_not_answer_as_a_proxy_is_told(answer: bytes) -> None:
    with saying(answer) as port:
        async with AsyncClient(proxy=f"http://127.0.0.1:{port}") as client:
            with pytest.raises(ConnectError, match=r"does not answer as a proxy|closed"):
                await client.get("https://server.test/")


async def test_proxy_that_cannot_be_reached_is_told_as_such() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with AsyncClient(proxy=f"http://127.0.0.1:{nobody.getsockname()[1]}") as client:
            with pytest.raises(ConnectError, match="cannot connect to the proxy"):
                await client.get("https://server.test/")


@pytest.mark.parametrize(
    "text",
    [
        "https://proxy.test",
        "socks5://proxy.test:1",
        "http://",
        "http://a:b",
        "http://[a",
        "http://b..test:1",
        f"http://{'a' * 64}.test:1",
    ],
)
def test_proxy_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="proxy"):
        AsyncClient(proxy=text)


def test_proxy_has_the_name_that_browsers_would_ask_for() -> None:
    assert HttpProxy.parse("u:p@straße.test") == HttpProxy("xn--strae-oqa.test", 80, b"u:p")
    assert HttpProxy.parse("[2001:DB8::1]:3128") == HttpProxy("2001:db8::1", 3128)


def test_environment_names_the_proxy_unless_no_proxy_names_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def proxy(text: str) -> HttpProxy | None:
        return proxy_of_environment(Origin.parse(text))

    assert proxy("a.test") is None
    monkeypatch.setenv("ALL_PROXY", "http://u:p@one.test:3128")
    every = proxy("a.test"), proxy("http://a.test")
    monkeypatch.setenv("HTTPS_PROXY", "two.test")
    monkeypatch.setenv("NO_PROXY", "b.test,.c.test")

    assert every == (HttpProxy("one.test", 3128, b"u:p"),) * 2
    assert proxy("a.test") == HttpProxy("two.test", 80)
    assert proxy("http://a.test") == HttpProxy("one.test", 3128, b"u:p")
    assert [proxy(name) for name in ("b.test", "x.c.test", "localhost", "127.0.0.1")] == [None] * 4


async def test_environment_is_heeded_unless_it_must_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(b"HTTP/1.1 403 No\r\n\r\n") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        async with AsyncClient() as client:
            with pytest.raises(
                ConnectError, match=r"makes no tunnel to https://server.invalid: 403"
            ):
                await client.get("https://server.invalid/")
        async with AsyncClient(trust_env=False) as client:
            with pytest.raises(ConnectError, match="there is no host"):
                await client.get("https://server.invalid/")
