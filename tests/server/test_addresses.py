"""Who is at the other end of a socket that takes IPv4 and IPv6 together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from headstart.config import ServerOptions
from headstart.server.addresses import unmapped, unmapped_trust
from headstart.server.refusals import named
from headstart.server.run import Config
from tests.server.apps import Receive, Recorder, Scope, Send, answer, hello
from tests.server.live import LiveServer, running
from tests.server.raw import RawClient
from tests.server.test_admission import connect as connect_from
from tests.server.test_admission import is_refused
from tests.server.test_http1 import statuses, told
from tests.server.websockets import library_client

FORWARDED = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}


async def any_protocol(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, and close a WebSocket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
    else:
        await answer(send)


def over_http1(server: LiveServer, fields: dict[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    request = f"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n"
    assert statuses(told(server, request.encode())) == [200]


def over_http2(server: LiveServer, fields: dict[str, str]) -> None:
    with RawClient(server.port) as client:
        headers = [(name.encode(), value.encode()) for name, value in fields.items()]
        assert client.get(b"/", headers=headers).status == 200


def over_websocket(server: LiveServer, fields: dict[str, str]) -> None:
    url = f"ws://127.0.0.1:{server.port}/"
    with library_client(url, additional_headers=fields):
        pass


@pytest.mark.parametrize("ask", [over_http1, over_http2, over_websocket])
def test_ipv4_client_of_a_dual_stack_socket_has_its_ipv4_address(
    ask: Callable[[LiveServer, dict[str, str]], None],
) -> None:
    recorder = Recorder(any_protocol)
    with running(recorder, dual_stack=True) as server:
        ask(server, {})
        plain: Any = recorder.next()
        ask(server, FORWARDED)
        forwarded: Any = recorder.next()

    assert (plain["client"][0], plain["server"]) == ("127.0.0.1", ("127.0.0.1", server.port))
    assert forwarded["client"][0] == "203.0.113.9"
    assert forwarded["scheme"] in ("https", "wss")


def test_trusted_proxy_of_a_dual_stack_socket_is_not_limited_by_its_address() -> None:
    options = ServerOptions(max_connections_per_address=2)
    with running(hello, options, dual_stack=True) as server, ExitStack() as clients:
        held = [clients.enter_context(RawClient(server.port)) for _ in range(5)]
        assert [client.get(b"/x").status for client in held] == [200] * 5

        other = "127.0.0.2"
        for _ in range(2):
            clients.enter_context(RawClient(server.port, address=other)).get(b"/x")
        assert is_refused(clients.enter_context(connect_from(server, other)))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%lo", "fe80::1%lo"),
        ("a:b", "a:b"),
    ],
)
def test_mapped_address_is_the_ipv4_address_that_it_stands_for(host: str, expected: str) -> None:
    assert unmapped(host) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("127.0.0.1, ::ffff:10.0.0.1", "127.0.0.1,10.0.0.1"),
        ("::ffff:10.0.0.0/104,::1", "10.0.0.0/8,::1"),
        (["::ffff:0:0/96", "2001:db8::/32"], ["0.0.0.0/0", "2001:db8::/32"]),
        ("*", "*"),
        ("10.0.0.0/8,proxy/1", "10.0.0.0/8,proxy/1"),
    ],
)
def test_trust_list_with_mapped_addresses_means_those_of_ipv4(
    given: list[str] | str, expected: list[str] | str
) -> None:
    assert unmapped_trust(given) == expected


def test_trust_list_with_a_mapped_address_still_matches() -> None:
    config = Config(hello, forwarded_allow_ips="::ffff:10.0.0.1", log_config=None)
    config.load()

    outermost: Any = config.loaded_app
    assert isinstance(outermost, ProxyHeadersMiddleware)
    assert "10.0.0.1" in outermost.trusted_hosts


def test_log_names_a_mapped_address_as_the_trust_list_does() -> None:
    assert named(("::ffff:192.0.2.1", 80, 0, 0)) == "192.0.2.1:80"
    assert named(("2001:db8::1", 80, 0, 0)) == "[2001:db8::1]:80"
