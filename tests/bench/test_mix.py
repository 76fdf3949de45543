"""Each kind of client, once, against the real server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from bench.mix import PROGRAMS, VISITS, Place, Unserved
from bench.scenarios import App
from bench.servers import PEERS, RunningServer, Site, write_files
from headstart.client import ClientError
from tests.peers import peer

OURS = {"headstart.AsyncClient, pushes", "headstart.AsyncClient, upload"}
THEIRS = {kind for kind in VISITS if kind.startswith(PROGRAMS)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for program in PROGRAMS:
        peer(program)
    folder = tmp_path_factory.mktemp("mix")
    write_files(folder)
    site = Site(App.BARE, None, folder)
    with RunningServer(PEERS[0], site, folder / "log") as server:
        server.wait_until_up()
        yield Place(server.port, str(server.upload))


@pytest.mark.parametrize("kind", VISITS)
def test_visit_comes_to_its_end(place: Place, kind: str) -> None:
    asyncio.run(VISITS[kind](place, random.Random(1)))


@pytest.mark.parametrize("kind", sorted(OURS | THEIRS))
def test_client_that_is_not_served_says_so(place: Place, kind: str) -> None:
    nobody = Place(1, place.upload)

    with pytest.raises((Unserved, ClientError)):
        asyncio.run(VISITS[kind](nobody, random.Random(1)))
