"""How often a request is sent again, against servers that leave it out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from headstart.client import AsyncClient, RequestError
from tests.client.hostile import GOAWAY, SETTINGS, frame, headers, number

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
