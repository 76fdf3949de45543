"""A server that pushes, and a session that is connected to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from headstart.client.origin import Origin
from headstart.h2c.daemon.session import Session
from headstart.h2c.options.connections import Trust
from tests.h2c.push_server import PushServer, push_server


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        yield running


@pytest.fixture
async def session(server: PushServer) -> AsyncIterator[Session]:
    made = Session()
    await made.connect(Origin.parse(server.origin), Trust(), 5.0)
    yield made
    await made.close()
