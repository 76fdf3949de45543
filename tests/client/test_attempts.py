"""Tests of requests that are sent again, against servers that leave them out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from headstart.client import AsyncClient, RequestError
from headstart.client.attempts import Attempts
from headstart.client.contents import Content
from tests.client.hostile import GOAWAY, SETTINGS, frame, headers, number
from tests.client.peer import Peer

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
UPGRADED = SWITCHING + frame(SETTINGS, 0, 0) + headers(1, end=True)
LEAVES = frame(GOAWAY, 0, 0, number(1, 0))


@asynccontextmanager
async def upgrading(leaves: int) -> AsyncIterator[tuple[str, list[None]]]:
    """A server that says GOAWAY behind its first response, on so many connections.

    Yields its URL, and an item for each connection.
    """
    made: list[None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.append(None)
        await reader.readuntil(b"\r\n\r\n")
        if len(made) <= leaves:
            writer.write(UPGRADED + LEAVES)
        else:
            writer.write(UPGRADED)
            await reader.readuntil(b"content")
            writer.write(headers(3, end=True))
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", made


async def test_server_that_leaves_as_soon_as_it_has_upgraded_is_asked_until_it_stays() -> None:
    async with upgrading(leaves=20) as (url, made), AsyncClient(url, upgrade=True) as client:
        response = await client.put("/", b"content")

    assert response.status_code == 200
    assert len(made) == 21


async def test_server_that_takes_no_request_but_the_one_that_upgrades_is_given_up() -> None:
    async with upgrading(leaves=1000) as (url, made), AsyncClient(url, upgrade=True) as client:
        with pytest.raises(RequestError, match="GOAWAY"):
            await client.put("/", b"content")

    assert 100 < len(made) < 1000


def parts() -> Iterator[bytes]:
    yield b"part"


UNSENT = RequestError("no room", sent=False)
REFUSED = RequestError("refused", processed=False)
BROKEN = RequestError("reset")
STALE = RequestError("the connection was dead", stale=True)


async def may_repeat(
    method: str, content: Content, *errors: RequestError, lost: bool, shows_losses: bool = False
) -> bool:
    """Return whether the request may be sent again after the last of these errors."""
    peer = await Peer.connected()
    if lost:
        peer.connection.abort()
    attempts = Attempts(method, content, shows_losses=shows_losses)
    return [attempts.another(error, peer.connection) for error in errors][-1]


@pytest.mark.parametrize(
    ("method", "content", "error", "lost", "may"),
    [
        ("POST", parts(), UNSENT, False, True),
        ("POST", parts(), REFUSED, True, False),
        ("POST", b"whole", REFUSED, False, True),
        ("POST", b"whole", BROKEN, True, False),
        ("PUT", b"whole", BROKEN, True, True),
        ("GET", None, BROKEN, True, True),
        ("GET", None, BROKEN, False, False),
    ],
)
async def test_request_goes_again_where_it_does_no_harm(
    method: str, content: Content, error: RequestError, lost: bool, may: bool
) -> None:
    assert await may_repeat(method, content, error, lost=lost) is may


@pytest.mark.parametrize(
    ("method", "errors", "may"),
    [
        ("GET", [BROKEN], False),
        ("GET", [STALE], True),
        ("GET", [STALE, STALE], False),
        ("POST", [STALE], False),
        ("POST", [REFUSED], True),
    ],
)
async def test_losses_are_shown_but_for_one_connection_that_nobody_knew_to_be_dead(
    method: str, errors: list[RequestError], may: bool
) -> None:
    assert await may_repeat(method, None, *errors, lost=True, shows_losses=True) is may


async def test_no_failure_is_the_last_for_ever() -> None:
    assert await may_repeat("GET", None, *[REFUSED] * 2, lost=False)
    assert not await may_repeat("GET", None, *[REFUSED] * 3, lost=False)
