"""What a client offers, looked at in its socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.h2c.wiretap import opening
from headstart.h2c.wiretap.opening import look, offered_by_alpn, offered_in_the_clear
from headstart.wire.frames import PREFACE


def hello(*protocols: str, host: str = "localhost") -> bytes:
    """A ClientHello as OpenSSL writes it."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(protocols)
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def in_records(octets: bytes, size: int) -> bytes:
    """The same message, cut up into records of that size."""
    message = octets[5:]
    pieces = [message[begin : begin + size] for begin in range(0, len(message), size)]
    return b"".join(octets[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's socket, and that of the wiretap."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    accepted.setblocking(False)
    with client, accepted:
        yield client, accepted


# A ClientHello.


@pytest.mark.parametrize("protocols", [(), ("h2",), ("h2", "http/1.1", "spdy/3")])
def test_the_protocols_are_given_in_their_order(protocols: tuple[str, ...]) -> None:
    assert offered_by_alpn(hello(*protocols)) == protocols


def test_one_that_comes_in_several_records_is_put_together() -> None:
    octets = in_records(hello("h2", "http/1.1"), 50)

    assert offered_by_alpn(octets) == ("h2", "http/1.1")


def test_as_long_as_any_octet_is_missing_nothing_is_known() -> None:
    octets = hello("h2")

    assert {offered_by_alpn(octets[:size]) for size in range(len(octets))} == {None}
    assert offered_by_alpn(octets + b"more") == ("h2",)


def test_protocols_that_are_no_text_are_left_out() -> None:
    octets = hello("h2", "xx").replace(b"\x02xx", b"\x02\xfa\xfa")

    assert offered_by_alpn(octets) == ("h2",)


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        PREFACE,
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x16\x03\x03\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03",
    ],
)
def test_what_is_no_client_hello_offers_nothing(octets: bytes) -> None:
    assert offered_by_alpn(octets) == ()


def test_a_client_hello_without_extensions_offers_nothing() -> None:
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x00\x2f" + b"\x01\x00"
    message = b"\x01" + len(body).to_bytes(3, "big") + body

    assert offered_by_alpn(b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message) == ()


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 600), st.binary(max_size=8))
def test_no_octets_raise(rest: bytes, at: int, changed: bytes) -> None:
    octets = _HELLO[:at] + changed + _HELLO[at + len(changed) :]

    for sent in (octets, octets + rest, b"\x16\x03\x01" + rest, rest):
        found = offered_by_alpn(sent)
        assert found is None or all(name.isascii() for name in found)


_HELLO = hello("h2", "http/1.1")


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
    looking = asyncio.ensure_future(look(accepted, offered_by_alpn))

    for begin in range(0, len(_HELLO), 100):
        assert not looking.done()
        client.sendall(_HELLO[begin : begin + 100])
        await asyncio.sleep(0)

    async with asyncio.timeout(20):
        assert await looking == ("h2", "http/1.1")
    assert accepted.recv(10_000) == _HELLO


@pytest.mark.parametrize("sent", [b"", _HELLO[:100]], ids=["nothing", "half a hello"])
async def test_a_client_that_ends_before_it_has_said_it_offers_none(
    sent: bytes, ends: tuple[socket.socket, socket.socket]
) -> None:
    client, accepted = ends
    client.sendall(sent)
    client.close()

    async with asyncio.timeout(20):
        assert await look(accepted, offered_by_alpn) is None


async def test_one_that_never_comes_to_an_end_is_given_up(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LONGEST", 1000)
    client, accepted = ends
    client.sendall(b"\x16\x03\x01\xff\xff\x01\x00\xff\xff" + bytes(2000))

    async with asyncio.timeout(20):
        assert await look(accepted, offered_by_alpn) == ()
