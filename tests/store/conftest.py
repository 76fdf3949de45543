from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.workers import Clock, Start, Worker


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers, and ends them with the test."""
    workers: list[Worker] = []

    def start_one(path: Path, clock: Clock | None = None) -> Worker:
        workers.append(Worker(path, clock))
        return workers[-1]

    yield start_one
    for worker in workers:
        worker.store.close()
