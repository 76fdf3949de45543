"""What a client offers, looked at in its socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from headstart.h2c.wiretap import opening
from headstart.h2c.wiretap.opening import look, offered_in_the_clear
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
    looking = asyncio.ensure_future(look(accepted, offered_by_alpn))

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
        assert await look(accepted, offered_by_alpn) is None


async def test_one_that_never_comes_to_an_end_is_given_up(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LONGEST", 1000)
    client, accepted = ends
    client.sendall(b"\x16\x03\x01\xff\xff\x01\x00\xff\xff" + bytes(2000))

    async with asyncio.timeout(90):
        assert await look(accepted, offered_by_alpn) == ()
