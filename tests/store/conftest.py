from __future__ import annotations

from collections.abc import Iterator

import pytest

from headstart.store import Place, RedisAddress
from tests.redis_server import RedisServer, redis_server
from tests.store.workers import Clock, Start, Worker, address_of


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers, and ends them with the test."""
    workers: list[Worker] = []

    def start_one(place: Place, clock: Clock | None = None) -> Worker:
        workers.append(Worker(place, clock))
        return workers[-1]

    yield start_one
    for worker in workers:
        worker.store.close()


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    """A Redis server with nothing in it that does what it should."""
    running.client.config_set("maxmemory", 0)
    running.client.flushall()
    return running


@pytest.fixture
def address(server: RedisServer) -> RedisAddress:
    return address_of(server)
