from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from headstart.store import ownership
from headstart.store.base import StoreError
from headstart.store.files import open_file
from headstart.store.ownership import check, check_neighbours, free_name, handle_of, is_ours
from tests.store.workers import Operator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "learned.sqlite3"


def make(path: Path) -> None:
    open_file(path, Operator()).close()


def test_our_file_is_ours_damaged_or_whole(path: Path) -> None:
    make(path)
    assert is_ours(path)

    path.write_bytes(path.read_bytes()[:100] + os.urandom(1000))

    assert is_ours(path)
    check(path)


@pytest.mark.parametrize("content", [b"", b"text", b"SQLite format 3\0", bytes(200)])
def test_what_does_not_say_so_is_not_ours(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    assert not is_ours(path)


def test_file_that_was_open_as_ours_is_ours_whatever_is_in_it(path: Path) -> None:
    make(path)
    handle = handle_of(path)
    assert handle is not None
    path.write_bytes(os.urandom(1000))
    assert is_ours(path, handle)

    path.unlink()
    path.write_bytes(os.urandom(1000))

    assert not is_ours(path, handle)
    handle.close()


def test_a_system_without_such_handles_has_none(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.touch()
    monkeypatch.setattr(ownership, "_O_PATH", None)

    assert handle_of(path) is None


def test_handle_leaves_sqlite_its_locks(path: Path) -> None:
    """A process that closes any other descriptor of a file loses them."""
    file = open_file(path, Operator())
    file.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    file.connection.execute("BEGIN IMMEDIATE")
    locks = Path("/proc/locks").read_text().count(f":{path.stat().st_ino} ")

    handle = handle_of(path)
    assert handle is not None
    handle.close()

    assert Path("/proc/locks").read_text().count(f":{path.stat().st_ino} ") == locks > 0
    file.close()


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(84)])
def test_store_may_be_kept_where_nothing_is(path: Path, content: bytes) -> None:
    check(path)
    path.write_bytes(content)
    check(path)


def test_folder_that_is_not_there_is_no_place_for_a_store(path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        check(path / "learned.sqlite3")

    assert not path.exists()


def test_log_is_no_place_for_a_store(path: Path) -> None:
    path.write_text('192.0.2.1 - - [10/Oct/2026:13:00:00 +0000] "GET / HTTP/1.1" 200 5\n')

    with pytest.raises(StoreError, match="is not a file of headstart, so it is left as it is"):
        check(path)


def test_database_of_another_program_is_no_place_for_a_store(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA application_id = 7")
    other.execute("CREATE TABLE theirs (a)")
    other.close()

    with pytest.raises(StoreError, match="is not a file of headstart"):
        check(path)


def test_pipe_and_folder_are_no_place_for_a_store(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(StoreError, match="is not a file of headstart"):
        check(path)

    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="is not a file of headstart"):
        check(path)


def test_place_that_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be used: File name too long") as raised:
        check(tmp_path / ("long" * 100))

    assert raised.value.hint


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
def test_what_sqlite_would_remove_is_looked_at(path: Path, suffix: str) -> None:
    check_neighbours(path)
    beside = path.with_name(path.name + suffix)

    beside.touch()
    check_neighbours(path)

    beside.write_text("A letter.")
    with pytest.raises(StoreError, match=f"{suffix} is not a file of headstart"):
        check(path)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("-wal", b"\x37\x7f\x06\x82" + bytes(28)),
        ("-journal", b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"),
        ("-journal", bytes(512)),
        ("-shm", bytes(32768)),
    ],
)
def test_what_sqlite_left_is_no_obstacle(path: Path, suffix: str, content: bytes) -> None:
    path.with_name(path.name + suffix).write_bytes(content)

    check_neighbours(path)


def test_name_for_a_damaged_file_is_one_that_nothing_has(path: Path) -> None:
    assert free_name(path).name == "learned.sqlite3.damaged"
    free_name(path).symlink_to("nowhere")
    assert free_name(path).name == "learned.sqlite3.damaged.2"
    path.with_name("learned.sqlite3.damaged.2-wal").touch()
    assert free_name(path).name == "learned.sqlite3.damaged.3"
