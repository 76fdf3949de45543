"""The SQLite file as a file: where it is, who has it open, how it is made, moved aside, opened.

Reads and changes, beside one another in a folder of the user's own (0700 where it is made here):

    learned.sqlite3             the file (0600), with SQLite's own -wal and -shm while it is open
    learned.sqlite3.damaged     one that could not be read, with its -wal; the next is .damaged.2
    .learned.sqlite3.lock       held shared by whoever has the file open, alone to make or move it

SQLite deletes the -wal of a file by its name when the last connection to it ends. Whoever ended a
connection to a file that was moved meanwhile would so delete that of its successor. Therefore a
file is made or moved aside only by a process that knows that nobody else has one open.

The user names the path, and may name a file of another kind by mistake. `ownership` says which file
is ours; any other file is neither moved nor changed. Called by `sqlite` and `offline`; knows
nothing of records.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from headstart.folders import data_folder
from headstart.store import ownership
from headstart.store.base import DamagedError, StoreError, Warn

FILE = "learned.sqlite3"

# Counts changes of the schema.
_VERSION = 1
# Seconds to wait for others' transactions, which take milliseconds.
_PATIENCE = 1.0
_PAUSE = 0.02
_WAL_BYTES = 4 * 1024 * 1024
_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))

# `size` stands before `records`, so that summing it up does not read what it counts.
_SCHEMA = """
CREATE TABLE state (
    birth INTEGER NOT NULL,           -- a random number: tells the file from its successor
    upto INTEGER NOT NULL,            -- the snapshot holds each entry of the journal up to this,
    author INTEGER NOT NULL,          -- and those of the worker that wrote it
    author_upto INTEGER NOT NULL,     -- up to this
    trimmed INTEGER NOT NULL,         -- entries up to this have been deleted
    claimant INTEGER NOT NULL,        -- the worker that is about to write the next snapshot
    claimed_until REAL NOT NULL
);
INSERT INTO state VALUES (abs(random()), 0, 0, 0, 0, 0, 0);
CREATE TABLE snapshot (record TEXT NOT NULL);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    worker INTEGER NOT NULL,
    time REAL NOT NULL,
    size INTEGER NOT NULL,
    orders INTEGER NOT NULL,          -- whether an operator's word is among the records
    records TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """The file, open for reading and writing, and the lock that keeps it in its place."""

    path: Path
    connection: sqlite3.Connection
    lock: int
    identity: tuple[int, int]

    @property
    def in_place(self) -> bool:
        """Return true if the path still leads to it."""
        return _identity(self.path) == self.identity

    def close(self) -> None:
        """Close the connection and release the lock."""
        if sys.version_info >= (3, 12) and not self.in_place:
            # Somebody else moved or removed it; its -wal is then not to be deleted by name.
            self.connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        with suppress(sqlite3.Error):
            self.connection.close()
        os.close(self.lock)


def default_path() -> Path:
    """Return where the file is kept, whether it exists yet or not.

    Raises:
        ConfigurationError: This user has no home folder.
    """
    return data_folder() / FILE


def open_file(path: Path, warn: Warn, handle: ownership.Handle | None = None) -> OpenFile:
    """Open the file. Make it if there is none, and move it aside if it is ours and damaged.

    Args:
        path: Where it is.
        warn: Takes one line if a damaged file is moved aside.
        handle: A file that this process had open as ours before it was damaged.

    Raises:
        StoreError: It cannot be written, is not ours, or is held by others.
    """
    with told(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(_lock_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            connection = _open_or_make(path, lock, warn, handle)
            return OpenFile(path, connection, lock, _identity(path))
        except BaseException:
            os.close(lock)
            raise


@contextmanager
def open_to_read(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for reading only, as far as that is possible without writing permission.

    Raises:
        StoreError: There is none, or none that can be read.
    """
    if not path.exists():
        raise StoreError(
            f"{path} does not exist: nothing has been learned yet",
            hint="Run headstart serve, headstart proxy or headstart replay --save.",
        )
    connection = _connect_to_read(path)
    try:
        yield connection
    finally:
        connection.close()


def _connect_to_read(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path, "mode=ro")
    except DamagedError as error:
        if not ownership.is_ours(path):
            raise ownership.not_ours(path) from error
        raise
    except StoreError:
        # In a folder where SQLite cannot make its -shm. What is in a -wal is not seen then.
        return _connect(path, "immutable=1")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Return an error of SQLite or the system as one line."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in _DAMAGE:
            raise DamagedError(f"{path} is damaged: {error}") from error
        raise StoreError(f"{path} cannot be used: {error}", hint=_ADVICE) from error
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"{path} cannot be used: {why}", hint=_ADVICE) from error


_ADVICE = (
    "Make the file and its folder writable, or name another file with --store, "
    "or another folder in HEADSTART_DATA."
)


def _lock_path(path: Path) -> Path:
    # A hidden name: whoever removes "learned.sqlite3*" leaves the lock where it is.
    return path.with_name(f".{path.name}.lock")


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


# Opening


def _open_or_make(
    path: Path, lock: int, warn: Warn, handle: ownership.Handle | None
) -> sqlite3.Connection:
    end = time.monotonic() + _PATIENCE
    while (connection := _open_with_others(path, lock)) is None:
        if _try(lock, fcntl.LOCK_EX):
            connection = _make_alone(path, warn, handle)
            # Between the two locks another process may get it alone; it will find nothing to mend.
            _take(lock, fcntl.LOCK_SH, path)
            break
        # Others have it open, or look as this process does, and one of them will make it.
        if time.monotonic() > end:
            raise _held_by_others(path)
        time.sleep(_PAUSE)
    return connection


def _open_with_others(path: Path, lock: int) -> sqlite3.Connection | None:
    """Open an existing file; return None if it is missing or damaged."""
    _take(lock, fcntl.LOCK_SH, path)
    with suppress(DamagedError):
        if path.exists():
            return _connect(path, "mode=rw")
    return None


def _make_alone(path: Path, warn: Warn, handle: ownership.Handle | None) -> sqlite3.Connection:
    """Somebody may have made or mended it while this process waited to be alone."""
    try:
        if path.exists():
            return _connect(path, "mode=rw")
    except DamagedError as error:
        if not ownership.is_ours(path, handle):
            raise ownership.not_ours(path) from error
        aside = _move_aside(path)
        warn(f"{error}; it was moved to {aside.name} and a new one is begun")
    ownership.check_neighbours(path)
    for leftover in ("-wal", "-shm"):
        path.with_name(path.name + leftover).unlink(missing_ok=True)
    # SQLite gives -wal and -shm the mode of the file. O_EXCL follows no link.
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return _connect(path, "mode=rw")


def _move_aside(path: Path) -> Path:
    aside = ownership.free_name(path)
    path.rename(aside)
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        wal.rename(aside.with_name(aside.name + "-wal"))
    return aside


def _take(lock: int, kind: int, path: Path) -> None:
    """Take the lock, or raise `StoreError` after a while; hold no lock meanwhile."""
    end = time.monotonic() + _PATIENCE
    while not _try(lock, kind):
        if time.monotonic() > end:
            raise _held_by_others(path)
        time.sleep(_PAUSE)


def _try(lock: int, kind: int) -> bool:
    """Take the lock if it is free; otherwise hold none."""
    fcntl.flock(lock, fcntl.LOCK_UN)
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held_by_others(path: Path) -> StoreError:
    return StoreError(
        f"{path} has to be made anew, but others still have it open",
        hint="It will be tried again; ending the other processes helps.",
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    with told(path):
        if mode == "mode=rw" and path.stat().st_size == 0:
            ownership.check_neighbours(path)
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{mode}",
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=False,
        )
        # Damage may leave bytes that are not UTF-8; `decode` says so. SQLite's own
        # decoding would not raise an error of the file's.
        connection.text_factory = bytes
        try:
            _examine(connection, path, writing=mode == "mode=rw")
        except BaseException:
            connection.close()
            raise
        return connection


def _examine(connection: sqlite3.Connection, path: Path, *, writing: bool) -> None:
    """Return true if the file is ours, whole and writable; make the tables of an empty one."""
    if writing and _is_empty(connection):
        _make_tables(connection)
    if (_pragma(connection, "application_id"), _pragma(connection, "user_version")) != (
        ownership.APPLICATION,
        _VERSION,
    ):
        raise StoreError(
            f"{path} was not written by this version of headstart",
            hint="Move it away, or name another file.",
        )
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != b"ok":
        raise DamagedError(f"{path} is damaged: {' '.join(found.decode(errors='replace').split())}")
    if writing:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        # SQLite opens a file that it may not write to for reading, and lets any transaction begin:
        # only a change tells.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("ROLLBACK")


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Nothing was written yet, or the process that began it was killed."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not (
        tables or _pragma(connection, "user_version") or _pragma(connection, "application_id")
    )


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have been first: where the file is empty, the lock is a shared one.
    if _is_empty(connection):
        for statement in _SCHEMA.strip().split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {ownership.APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")
    # The number that tells whose file it is has to be in the file itself, not in its -wal alone.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
