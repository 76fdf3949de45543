"""Recognise our own files: nothing else may be moved aside, written to or removed.

`--store` and `--save` take any path, and a user may name a log or a database of another program by
mistake. SQLite itself does not protect them: it removes a `-wal` or `-journal` that lies beside an
empty file. Reads files, changes none. Called by `files`, and by the command line before it begins.

A process that closes any descriptor of a file loses the locks that SQLite holds on it (fcntl(2)).
So a database is read here only while no other connection of this process has it open.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from headstart.files import beginning
from headstart.store.base import StoreError

# "HSTR" in the header of each of our files: SQLite's application_id.
APPLICATION = 0x48535452

# https://www.sqlite.org/fileformat2.html, 1.3, 3 and 4.1; walformat.html, 2.1.
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_APPLICATION_BYTES = slice(68, 72)
_WAL_MAGICS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_JOURNAL_MAGICS = (b"\xd9\xd5\x05\xf9", bytes(4))
_SHM_UNIT = 32 * 1024
# Damaged files that are kept beside one another.
_MAX_ASIDE = 9
# It neither reads nor writes, and closing it leaves SQLite its locks. Linux alone has it.
_O_PATH: int | None = getattr(os, "O_PATH", None)


@dataclass(frozen=True, slots=True)
class Handle:
    """A descriptor of one of our files. While it is open, no other file can get its inode."""

    descriptor: int

    def is_at(self, path: Path) -> bool:
        """Return whether the path leads to this very file."""
        return os.path.samestat(os.fstat(self.descriptor), path.stat())

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)


def handle_of(path: Path) -> Handle | None:
    """Return a handle of a file that this process has open as ours; None if it cannot be had."""
    if _O_PATH is None:
        return None
    return Handle(os.open(path, _O_PATH | os.O_CLOEXEC))


def is_ours(path: Path, handle: Handle | None = None) -> bool:
    """Return whether the file is surely one of ours, though it may be damaged.

    Args:
        path: A file that exists.
        handle: A file that this process had open as ours.
    """
    if handle is not None and handle.is_at(path):
        return True
    return _application(beginning(path, _HEADER_BYTES)) == APPLICATION


def is_database(path: Path) -> bool:
    """Return whether a file is there and is a database of SQLite, ours or of another program."""
    return path.is_file() and beginning(path, _HEADER_BYTES).startswith(_MAGIC)


def check(path: Path) -> None:
    """Check that the path of a store does not hold a file of the user's, before any work is done.

    Raises:
        StoreError: The path, or a file beside it, holds something else, or its folder is not there.
    """
    try:
        if not path.parent.exists():
            # A folder that is made for a mistyped path would be looked for in vain.
            raise StoreError(
                f"the folder {path.parent} does not exist", hint="Make it, or name another file."
            )
        if not path.exists():
            check_neighbours(path)
        elif not path.is_file() or _is_foreign(beginning(path, _HEADER_BYTES)):
            raise not_ours(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be used: {error.strerror}", hint="Name a file that you can write to."
        ) from error


def not_ours(path: Path) -> StoreError:
    """Return the error for a file that is not ours."""
    return StoreError(
        f"{path} is not a file of headstart, so it is left as it is", hint="Name another file."
    )


def check_neighbours(path: Path) -> None:
    """Check the files that SQLite would remove beside a database that does not exist yet.

    Raises:
        StoreError: One of them was not written by SQLite.
    """
    for suffix, magics in (("-wal", _WAL_MAGICS), ("-journal", _JOURNAL_MAGICS)):
        beside = path.with_name(path.name + suffix)
        if beside.exists() and not _begins_with(beside, magics):
            raise not_ours(beside)
    # Locks of other processes are on this one, so its size has to do.
    shm = path.with_name(path.name + "-shm")
    if shm.exists() and shm.stat().st_size % _SHM_UNIT:
        raise not_ours(shm)


def free_name(path: Path) -> Path:
    """Return a name that nothing has, nor its -wal, for a damaged file.

    Raises:
        StoreError: There are as many damaged files as are kept.
    """
    for number in range(1, _MAX_ASIDE + 1):
        aside = path.with_name(f"{path.name}.damaged{'' if number == 1 else f'.{number}'}")
        if not (os.path.lexists(aside) or os.path.lexists(f"{aside}-wal")):
            return aside
    raise StoreError(
        f"{path} is damaged, and so are {_MAX_ASIDE} before it that were moved aside",
        hint=f"Remove those named {path.name}.damaged.",
    )


def _is_foreign(header: bytes) -> bool:
    """Return whether the file is surely not ours. 0 is a file that was never completed."""
    return bool(header) and _application(header) not in (APPLICATION, 0)


def _application(header: bytes) -> int | None:
    """Return SQLite's application_id; None where it is not a database."""
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return None
    return int.from_bytes(header[_APPLICATION_BYTES], "big")


def _begins_with(path: Path, magics: tuple[bytes, ...]) -> bool:
    return path.is_file() and beginning(path, len(magics[0])) in (b"", *magics)
