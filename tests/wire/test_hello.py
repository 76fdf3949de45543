"""The protocols that a ClientHello offers."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.wire.frames import PREFACE
from headstart.wire.hello import offered_by_alpn


def hello(*protocols: str, host: str = "localhost") -> bytes:
    """A ClientHello as OpenSSL writes it."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(protocols)
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


HELLO = hello("h2", "http/1.1")


def in_records(octets: bytes, size: int) -> bytes:
    """The same message, cut up into records of that size."""
    message = octets[5:]
    pieces = [message[begin : begin + size] for begin in range(0, len(message), size)]
    return b"".join(octets[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


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
    octets = HELLO[:at] + changed + HELLO[at + len(changed) :]

    for sent in (octets, octets + rest, b"\x16\x03\x01" + rest, rest):
        found = offered_by_alpn(sent)
        assert found is None or all(name.isascii() for name in found)
