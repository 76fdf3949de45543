"""Requests with content, and POST without, to lighttpd: it refuses those without a length."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headstart.client import AsyncClient, Client
from tests.h2c.room import Room
from tests.peers import peer
from tests.servers.lighttpd import lighttpd

SIZE = 300_000


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with lighttpd() as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "upload"
    path.write_bytes(bytes(SIZE))
    return path


def test_request_without_a_length_is_refused(origin: str) -> None:
    """So says curl, which sends none with a POST that is not told of any content."""
    command = ["-sS", "--http2-prior-knowledge", "-X", "POST", "-o", "/dev/null"]
    done = subprocess.run(
        [peer("curl"), *command, "-w", "%{http_version} %{http_code}", f"{origin}/length"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "2 411"


async def test_client_says_the_length_of_a_file_and_of_nothing(origin: str, file: Path) -> None:
    async with AsyncClient(origin) as client:
        with file.open("rb") as opened:
            upload = await client.post("/length", content=opened)
        empty = await client.post("/length")

    assert (upload.status_code, upload.text.split()) == (200, [str(SIZE), str(SIZE)])
    assert (empty.status_code, empty.text.split()) == (200, ["0", "0"])


def test_client_without_an_event_loop_says_it_too(origin: str, file: Path) -> None:
    with Client(origin) as client, file.open("rb") as opened:
        upload = client.post("/length", content=opened)
        empty = client.post("/length")

    assert (upload.status_code, upload.text.split()) == (200, [str(SIZE), str(SIZE)])
    assert (empty.status_code, empty.text.split()) == (200, ["0", "0"])


async def test_length_that_nobody_can_know_is_not_said(origin: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"part"

    async with AsyncClient(origin) as client:
        assert (await client.post("/length", content=parts())).status_code == 411


def test_command_says_the_length_of_a_file_and_of_nothing(
    origin: str, file: Path, room: Room
) -> None:
    upload = room.ok("post", "--file", str(file), f"{origin}/length")
    empty = room.ok("post", f"{origin}/length")

    assert upload.split() == [str(SIZE), str(SIZE)]
    assert empty.split() == ["0", "0"]
