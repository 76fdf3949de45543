"""Keep learned data, and share it between the workers of one machine or of many.

    base.py     Store, StoreError: the contract; records as text
    address.py  the file or the server that a user named
    memory.py   MemoryStore: keeps nothing
    pending.py  records that wait for a medium that cannot be used
    outage.py   when it is tried again, and the lines that say so
    snapshots.py  which worker writes the next snapshot

    sqlite.py   SqliteStore: one file for all workers of a machine
    files.py    the file: opened, made, moved aside
    ownership.py  recognises our files
    journal.py  the tables: journal, snapshot

    redis.py    RedisStore: one Redis server for the workers of many machines
    redis_client.py   the connection
    redis_journal.py  the keys: journal, snapshot
    packing.py  records as bytes that others may have written

    offline.py  the store without a server: read it, send orders to running servers

Imported by the middleware and the command line.
"""

from __future__ import annotations

from pathlib import Path

from headstart.store.address import Place, RedisAddress, parse_place
from headstart.store.base import Store, StoreError, Warn
from headstart.store.files import default_path
from headstart.store.memory import MemoryStore
from headstart.store.redis import RedisStore
from headstart.store.sqlite import SqliteStore

__all__ = [
    "MemoryStore",
    "Place",
    "RedisAddress",
    "Store",
    "StoreError",
    "default_path",
    "open_store",
    "parse_place",
]


def open_store(place: Path | RedisAddress | str | None, warn: Warn) -> Store:
    """Return the store that workers share.

    Args:
        place: A file, or a Redis server by its URL; None is `default_path()`.
        warn: Takes one line when the store cannot be used; the store then goes on from memory,
            tries again every few seconds, and takes one more when it can be used again.

    Raises:
        ConfigurationError: The URL is wrong, or the package redis is not installed.
    """
    if isinstance(place, str):
        place = parse_place(place)
    if isinstance(place, RedisAddress):
        return RedisStore(place, warn)
    return SqliteStore(place, warn)
