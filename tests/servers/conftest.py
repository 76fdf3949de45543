"""Fixtures of the tests against real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.h2c import room as rooms
from tests.servers.apache import apache
from tests.servers.h2o import h2o
from tests.servers.nghttpd import nghttpd
from tests.servers.nginx import nginx, require_push
from tests.servers.node import node
from tests.servers.running import Server

Servers: TypeAlias = Callable[[str], Server]

_MAKE: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "nghttpd": nghttpd,
    "node": node,
    "nginx": nginx,
    "apache": apache,
    "h2o": h2o,
}


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Starts a server when a test first names it; it runs until the module is done."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(name: str) -> Server:
            if name not in running:
                running[name] = stack.enter_context(_MAKE[name]())
            return running[name]

        yield start


@pytest.fixture
def pushing(servers: Servers) -> Servers:
    """The same, for tests whose server has to push."""

    def start(name: str) -> Server:
        if name == "nginx":
            require_push()
        return servers(name)

    return start


@pytest.fixture
def room(tmp_path: Path) -> Iterator[rooms.Room]:
    """A terminal with a private folder of its own."""
    with rooms.room(tmp_path) as made:
        yield made
