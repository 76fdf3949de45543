from __future__ import annotations

from headstart.store import MemoryStore, Store
from tests.store.workers import page, vote


def test_memory_keeps_nothing_and_never_asks_for_a_snapshot() -> None:
    store: Store = MemoryStore()

    assert store.load() == []
    assert store.exchange([vote("/")], [page("/")]) == []
    assert store.exchange([]) == []
    assert not store.snapshot_due
    store.close()
