"""Fixtures of the `h2c` tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart.h2c.ipc import Place
from tests.h2c import room as rooms
from tests.servers.conftest import pushing, servers

__all__ = ["place", "pushing", "room", "servers"]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[rooms.Room]:
    """A terminal with a private folder of its own."""
    with rooms.room(tmp_path) as made:
        yield made


@pytest.fixture
def place(room: rooms.Room) -> Place:
    """The place of a session in that folder, which is made."""
    room.private.mkdir(mode=0o700)
    return Place(str(room.private), "tested")
