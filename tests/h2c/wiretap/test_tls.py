"""The protocols that a client offers, and the TLS of both sides."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from headstart import devca
from headstart.errors import ConfigurationError
from headstart.h2c import options
from headstart.h2c.options.process import Wiretap
from headstart.h2c.wiretap import tls as module
from headstart.h2c.wiretap.tls import Tls, offered_in_the_clear, peek
from headstart.wire.frames import PREFACE
from headstart.wire.hello import offered_by_alpn
from tests.wire.test_hello import HELLO


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's socket, and that of the wiretap."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    accepted.setblocking(False)
    with client, accepted:
        yield client, accepted


# Cleartext.


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", None),
        (b"PRI", None),
        (PREFACE[:4], ("h2",)),
        (PREFACE + b"x", ("h2",)),
        (b"GET / HTTP/1.1", ("http/1.1",)),
        (b"PRIV", ("http/1.1",)),
    ],
)
def test_the_first_octets_tell_http2_from_http1(
    octets: bytes, expected: tuple[str, ...] | None
) -> None:
    assert offered_in_the_clear(octets) == expected


# In a socket.


async def test_octets_that_come_bit_by_bit_are_waited_for_and_stay(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, accepted = ends
    looking = asyncio.ensure_future(peek(accepted, offered_by_alpn))

    for begin in range(0, len(HELLO), 100):
        assert not looking.done()
        client.sendall(HELLO[begin : begin + 100])
        await asyncio.sleep(0)

    async with asyncio.timeout(90):
        assert await looking == ("h2", "http/1.1")
    assert accepted.recv(10_000) == HELLO


@pytest.mark.parametrize("sent", [b"", HELLO[:100]], ids=["nothing", "half a hello"])
async def test_a_client_that_ends_before_it_has_said_it_offers_none(
    sent: bytes, ends: tuple[socket.socket, socket.socket]
) -> None:
    client, accepted = ends
    client.sendall(sent)
    client.close()

    async with asyncio.timeout(90):
        assert await peek(accepted, offered_by_alpn) is None


async def test_one_that_never_comes_to_an_end_is_given_up(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_HELLO", 1000)
    client, accepted = ends
    client.sendall(b"\x16\x03\x01\xff\xff\x01\x00\xff\xff" + bytes(2000))

    async with asyncio.timeout(90):
        assert await peek(accepted, offered_by_alpn) == ()


def tls(*arguments: str) -> Tls:
    command = options.parse(["wiretap", *arguments])
    assert isinstance(command, Wiretap)
    return Tls(command)


def agreed(client: ssl.SSLContext, server: ssl.SSLContext, host: str = "localhost") -> str | None:
    """A handshake in memory; the protocol that ALPN chose, as the client sees it."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(down, up, server_hostname=host)
    answering = server.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return asking.selected_alpn_protocol()


def client(*offered: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=devca.ca_certificate())
    context.set_alpn_protocols(offered)
    return context


@pytest.mark.parametrize(("chosen", "expected"), [("h2", "h2"), ("x/1", "x/1"), (None, None)])
def test_a_client_is_given_what_was_chosen_with_a_certificate_that_it_can_trust(
    chosen: str | None, expected: str | None
) -> None:
    made = tls("localhost:7000", "http://localhost:8080")

    assert agreed(client("http/1.1", "h2", "x/1"), made.to_client(chosen)) == expected
    assert made.trusted == str(devca.ca_certificate())


def test_a_name_below_localhost_is_in_the_certificate() -> None:
    made = tls("app.localhost:7000", "http://localhost:8080")

    assert agreed(client("h2"), made.to_client("h2"), "app.localhost") == "h2"


@pytest.mark.parametrize("offered", [("h2", "http/1.1"), ("http/1.1",), ()])
def test_the_server_is_offered_what_the_client_offers(offered: tuple[str, ...]) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    server.set_alpn_protocols(["h2", "http/1.1"])
    made = tls("--insecure", "http://localhost:7000", "localhost:8443")

    assert agreed(made.to_server(offered), server) == (offered[0] if offered else None)


def test_contexts_are_made_once_and_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CONTEXTS", 2)
    made = tls("localhost:7000", "localhost:8443")

    first = made.to_server(("h2",)), made.to_client(None)
    assert (made.to_server(("h2",)), made.to_client(None)) == first
    for name in ("a", "b", "c"):
        made.to_server((name,))
        made.to_client(name)
    assert made.to_server(("h2",)) is not first[0]
    assert made.to_client(None) is not first[1]


def test_a_certificate_of_ones_own_is_used_instead(tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("tapped.example")
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2"])

    made = tls("--certfile", str(tmp_path / "both.pem"), "localhost:7000", "http://localhost:1")

    assert agreed(context, made.to_client("h2"), "tapped.example") == "h2"
    assert made.trusted == str(tmp_path / "both.pem")


def test_a_certificate_that_cannot_be_used_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    for name in ("none.pem", "missing.pem"):
        with pytest.raises(ConfigurationError, match="cannot use the certificate"):
            tls("--certfile", str(tmp_path / name), "localhost:7000", "http://localhost:1")
    with pytest.raises(ConfigurationError, match="CA file"):
        tls("--cacert", str(tmp_path / "missing.pem"), "http://localhost:7000", "localhost:1")


def test_keys_of_the_clients_side_are_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    made = tls("localhost:7000", "http://localhost:1")
    monkeypatch.delenv("SSLKEYLOGFILE")

    agreed(client("h2"), made.to_client(None))

    assert "CLIENT_TRAFFIC_SECRET_0" in (tmp_path / "keys").read_text()
