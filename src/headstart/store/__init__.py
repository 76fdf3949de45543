"""Where what was learned is kept, and how the workers of one machine share it.

    base.py     Store, StoreError: the contract; records as text
    memory.py   MemoryStore: nothing is kept
    sqlite.py   SqliteStore: one file for all workers of a machine
    files.py    the file: opened, made, moved aside
    journal.py  the tables: journal, snapshot
    offline.py  the file without a server: read it, say something to whoever runs

Imported by the middleware and the command line.
"""

from __future__ import annotations

from pathlib import Path

from headstart.store.base import Store, StoreError, Warn
from headstart.store.files import default_path
from headstart.store.memory import MemoryStore
from headstart.store.sqlite import SqliteStore

__all__ = ["MemoryStore", "Store", "StoreError", "default_path", "open_store"]


def open_store(path: Path | None, warn: Warn) -> Store:
    """The store that workers use unless they are told otherwise.

    Args:
        path: The file; None is `default_path()`.
        warn: Takes one line when the file cannot be used; the store then goes on from memory, tries
            again every few seconds, and takes one more when it can be used again.
    """
    return SqliteStore(path, warn)
