"""How a connection begins: against nghttpd, and against servers of other protocols."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from headstart import AsyncClient
from headstart.client.connect import connect
from headstart.client.connection import Http2ClientConnection
from headstart.client.errors import (
    ClientTimeoutError,
    ConnectError,
    NotHttp2Error,
    RequestError,
    TlsError,
)
from headstart.client.origin import Origin
from headstart.errors import ConfigurationError
from tests.client.live import Nghttpd, certificates, nghttpd, raw_server
from tests.h2c.push_server import push_server
from tests.ports import closed_port


async def test_cleartext_server_answers_and_pushes(server: Nghttpd) -> None:
    connection = await connect(Origin("http", "localhost", server.port))

    page = await connection.request("GET", "/page.html", timeout=90)
    pushed = await connection.request("GET", "/style.css", timeout=90)

    assert await page.aread() == b"<html>"
    assert (pushed.from_push, await pushed.aread()) == (True, b"css")
    assert (connection.alpn, connection.tls_version) == (None, None)
    assert connection.peername[1] == server.port
    assert connection.server_settings
    assert 0 < await connection.ping(30) < 30
    await connection.aclose()


async def test_tls_server_answers(tls_server: Nghttpd) -> None:
    origin = Origin("https", "localhost", tls_server.port)
    connection = await connect(origin, cafile=tls_server.cafile)

    response = await connection.request("GET", "/page.html", timeout=90)

    assert await response.aread() == b"<html>"
    assert connection.alpn == "h2"
    assert connection.tls_version == "TLSv1.3"
    await connection.aclose()
    assert connection.closed


async def test_name_for_tls_that_no_host_can_have_is_refused(tls_server: Nghttpd) -> None:
    origin = Origin("https", "localhost", tls_server.port)

    with pytest.raises(ConfigurationError, match="name for TLS"):
        await connect(origin, cafile=tls_server.cafile, server_name="other..example")

    gc.collect()  # a socket that was left open would be warned of here


async def test_server_that_requires_a_certificate_of_the_client_is_told_of(tmp_path: Path) -> None:
    files = certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certfile, files.keyfile)
    context.load_verify_locations(files.cafile)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])

    def refuse(accepted: socket.socket) -> ssl.SSLSocket:
        # asyncio's server would send no alert.
        tls = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        with pytest.raises(ssl.SSLError):
            tls.do_handshake()
        return tls

    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = Origin("https", "localhost", listener.getsockname()[1])
        connecting = asyncio.create_task(connect(origin, cafile=files.cafile))
        accepted, _ = await asyncio.to_thread(listener.accept)
        # To close what is not read to its end would reset the connection, perhaps before the alert.
        with (
            await asyncio.to_thread(refuse, accepted),
            pytest.raises(TlsError, match="requires a certificate of the client") as raised,
        ):
            await connecting

    assert "--cert FILE" in raised.value.hint_for_command


async def test_tap_that_fails_over_tls_fails_the_connection_at_once(tls_server: Nghttpd) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    origin = Origin("https", "localhost", tls_server.port)

    with pytest.raises(ZeroDivisionError):
        await connect(origin, cafile=tls_server.cafile, tap=fail, timeout=None)


async def test_large_bodies_go_both_ways(server: Nghttpd) -> None:
    connection = await connect(Origin("http", "localhost", server.port), push=False)

    sent = await connection.request("POST", "/big", content=b"x" * 3_000_000, timeout=90)
    body = await (await connection.request("GET", "/big", timeout=90)).aread()

    assert sent.status_code == 200
    assert body == server.big
    await connection.aclose()


async def test_certificate_of_an_unknown_ca_is_refused_with_a_hint(tls_server: Nghttpd) -> None:
    with pytest.raises(TlsError, match="not trusted") as caught:
        await connect(Origin("https", "localhost", tls_server.port))

    assert "cafile=" in caught.value.hint
    connection = await connect(Origin("https", "localhost", tls_server.port), insecure=True)
    await connection.aclose()


async def test_certificate_for_another_name_is_refused_with_a_hint(tls_server: Nghttpd) -> None:
    with pytest.raises(TlsError) as caught:
        await connect(Origin("https", "127.0.0.1", tls_server.port), cafile=tls_server.cafile)

    assert "name" in caught.value.hint


async def test_closed_port_is_told() -> None:
    with closed_port() as port, pytest.raises(ConnectError, match="refuses") as caught:
        await connect(Origin("https", "localhost", port))

    assert "running" in caught.value.hint


async def test_localhost_is_both_addresses_though_the_resolver_knows_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve = socket.getaddrinfo

    def only_ipv6(host: str, *arguments: Any, **options: Any) -> Any:
        return resolve("::1" if host == "localhost" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", only_ipv6)
    with push_server(host="127.0.0.1") as running:
        connection = await connect(Origin("http", "localhost", running.port))

        assert connection.peername[0] == "127.0.0.1"
        await connection.aclose()


async def test_zone_of_an_address_chooses_the_link_and_is_not_sent() -> None:
    with push_server(host="::1") as running:
        async with AsyncClient(f"http://[::1%251]:{running.port}") as client:
            response = await client.get("/x")
            number = socket.if_nametoindex("lo")
            with pytest.raises(ConnectError, match="there is no host"):
                await client.get(f"http://[fe80::1%25none{number}]:{running.port}/")

    assert response.status_code == 200
    assert running.fields[":authority"] == f"[::1]:{running.port}"


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LOCALHOST."])
async def test_name_with_a_final_dot_is_verified_without_it(host: str, tmp_path: Path) -> None:
    files = certificates(tmp_path)
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certfile, files.keyfile)
    context.set_alpn_protocols(["h2"])
    context.sni_callback = lambda _, name, __: names.append(name)
    with push_server(context, host="127.0.0.1") as running:
        async with AsyncClient(f"https://{host}:{running.port}", cafile=files.cafile) as client:
            response = await client.get("/x")

    assert response.status_code == 200
    assert names == ["localhost"]
    assert running.fields[":authority"] == f"{host.lower()}:{running.port}"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks begin eagerly since Python 3.12")
def test_tasks_may_begin_eagerly() -> None:
    def parts() -> Iterator[bytes]:
        yield from [b"a"] * 9
        raise LookupError("mine")

    async def ask(origin: str) -> list[bytes]:
        if sys.version_info >= (3, 12):  # mypy does not know the marker
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with AsyncClient(origin) as client:
            posted = await client.post("/data", b"x" * 300_000)
            others = await asyncio.gather(*[client.get(f"/{number}") for number in range(50)])
            async with client.stream("GET", "/x") as left:
                assert left.status_code == 200
            with pytest.raises(LookupError, match="mine"):
                await client.post("/data", parts())
            return [posted.content, *(other.content for other in others)]

    with push_server() as running:
        contents = asyncio.run(ask(running.origin.replace("127.0.0.1", "localhost")))

    assert len(contents) == 51


async def test_certificates_are_read_on_another_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = []

    def context(*arguments: object, **options: object) -> ssl.SSLContext:
        threads.append(threading.current_thread())
        raise ConfigurationError("enough")

    module = sys.modules["headstart.client.connect"]  # the package has a function of that name
    monkeypatch.setattr(module, "client_context", context)

    with pytest.raises(ConfigurationError, match="enough"):
        await connect(Origin("https", "example.test", 443))

    assert threads != [threading.main_thread()]


async def test_unknown_host_is_told() -> None:
    with pytest.raises(ConnectError, match="no host"):
        await connect(Origin("https", "no-such-host.invalid", 443))


async def test_https_to_a_cleartext_port_is_told(server: Nghttpd) -> None:
    with pytest.raises(TlsError):
        await connect(Origin("https", "localhost", server.port))


async def test_http_to_a_tls_port_is_told(tls_server: Nghttpd) -> None:
    with pytest.raises(NotHttp2Error):
        await connect(Origin("http", "localhost", tls_server.port))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP/2"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "speaks TLS"),
        (
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
            "TLS",
        ),
        (b"", "does not speak HTTP/2"),
    ],
    ids=["http1", "ssh", "tls", "https", "nothing"],
)
async def test_server_of_another_protocol_is_told(answer: bytes, message: str) -> None:
    async with raw_server(answer) as port:
        with pytest.raises(NotHttp2Error, match=message) as caught:
            await connect(Origin("http", "127.0.0.1", port))

    assert caught.value.hint


async def test_tls_server_without_http2_is_told(tmp_path: Path) -> None:
    files = certificates(tmp_path)
    async with raw_server(b"", tls=files) as port:
        with pytest.raises(NotHttp2Error, match="ALPN"):
            await connect(Origin("https", "localhost", port), cafile=files.cafile)


async def test_caller_who_gives_up_while_it_connects_leaves_no_socket_open() -> None:
    async with raw_server(None) as port:
        for number in range(50):
            with pytest.raises(ClientTimeoutError):
                await connect(Origin("http", "127.0.0.1", port), timeout=number / 10_000)

    gc.collect()  # a socket that is collected open is a warning, and so an error


async def test_server_that_says_nothing_times_out() -> None:
    async with raw_server(None) as port:
        with pytest.raises(ClientTimeoutError, match=r"0\.05 s"):
            await connect(Origin("http", "127.0.0.1", port), timeout=0.05)


async def test_server_that_is_killed_fails_its_requests_at_once(tmp_path: Path) -> None:
    async with nghttpd(tmp_path) as server:
        connection = await connect(Origin("http", "localhost", server.port))
        reading = await connection.request("GET", "/big", timeout=90)
        server.kill()

        with pytest.raises(RequestError):
            await reading.aread()

    assert connection.closed


async def test_nothing_is_left_behind(server: Nghttpd) -> None:
    connection: Http2ClientConnection | None = await connect(
        Origin("http", "localhost", server.port)
    )
    assert connection is not None
    await (await connection.request("POST", "/page.html", content=b"x" * 100_000)).aread()
    await connection.aclose()
    connection = None
    await asyncio.sleep(0)
    gc.collect()

    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Nghttpd]:
    async with nghttpd(tmp_path) as running:
        yield running


@pytest.fixture
async def tls_server(tmp_path: Path) -> AsyncIterator[Nghttpd]:
    async with nghttpd(tmp_path, tls=True) as running:
        yield running


async def test_time_out_of_the_network_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*arguments: object, **options: object) -> None:
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", unreachable)

    with pytest.raises(
        ClientTimeoutError, match=r"no connection to https://example\.test within 9 s"
    ):
        await connect(Origin("https", "example.test", 443), timeout=9)
