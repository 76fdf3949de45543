from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from headstart.store import default_path, files
from headstart.store.base import DamagedError, NewerRecords, StoreError
from headstart.store.files import open_file, open_to_read
from headstart.store.journal import Journal
from tests.store.workers import Operator, unprivileged, unprivileged_folder, vote


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "learned.sqlite3"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PATIENCE", 0.05)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def make(path: Path) -> None:
    open_file(path, Operator()).close()


def test_path_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path))
    assert default_path() == tmp_path / "learned.sqlite3"

    monkeypatch.delenv("HEADSTART_DATA")
    assert default_path().parts[-2:] == ("headstart", "learned.sqlite3")


def test_folder_and_files_are_the_users_own(path: Path) -> None:
    old = os.umask(0)
    try:
        file = open_file(path, Operator())
    finally:
        os.umask(old)

    assert mode(path.parent) == 0o700
    assert {mode(part) for part in path.parent.iterdir()} == {0o600}
    assert {part.name for part in path.parent.iterdir()} >= {"learned.sqlite3", f"{path.name}-wal"}
    file.close()


def test_file_is_kept_in_wal_mode_and_can_shrink(path: Path) -> None:
    file = open_file(path, Operator())

    pragmas = ("journal_mode", "synchronous", "auto_vacuum", "user_version")
    assert [file.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == [
        b"wal",
        1,
        2,
        1,
    ]
    file.close()


def test_several_processes_can_have_it_open(path: Path) -> None:
    first, second = open_file(path, Operator()), open_file(path, Operator())

    assert first.in_place
    assert second.in_place
    first.close()
    second.close()


def test_who_comes_while_another_makes_it_waits_and_opens_that(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen that there is none; one is the first to be alone, and keeps it open."""
    path.parent.mkdir()
    looking = os.open(files._lock_path(path), os.O_RDWR | os.O_CREAT)
    fcntl.flock(looking, fcntl.LOCK_SH)
    made: list[files.OpenFile] = []

    def make_it_meanwhile(seconds: float) -> None:
        if not made:
            os.close(looking)
            made.append(open_file(path, Operator()))

    monkeypatch.setattr(time, "sleep", make_it_meanwhile)
    operator = Operator()
    file = open_file(path, operator)

    assert file.in_place
    assert made[0].in_place
    assert operator.lines == []
    file.close()
    made[0].close()


def spoil(path: Path) -> bytes:
    """Make a file of ours that is damaged from its first table on; return what is in it."""
    make(path)
    header = path.read_bytes()[:100]
    path.write_bytes(header + os.urandom(20_000))
    return path.read_bytes()


def test_damaged_file_is_moved_aside_in_one_line(path: Path) -> None:
    operator = Operator()
    content = spoil(path)

    open_file(path, operator).close()

    assert path.with_name("learned.sqlite3.damaged").read_bytes() == content
    assert "moved to learned.sqlite3.damaged" in operator.only_line()
    open_file(path, operator).close()
    assert len(operator.lines) == 1


def test_second_damaged_file_leaves_the_first_where_it_is(path: Path) -> None:
    first = spoil(path)
    make(path)
    path.unlink()
    second = spoil(path)

    make(path)

    assert path.with_name("learned.sqlite3.damaged").read_bytes() == first
    assert path.with_name("learned.sqlite3.damaged.2").read_bytes() == second


def test_damaged_file_stays_where_there_are_too_many_already(path: Path) -> None:
    path.parent.mkdir()
    for number in range(1, 10):
        (path.parent / f"learned.sqlite3.damaged{'' if number == 1 else f'.{number}'}").touch()
    content = spoil(path)

    with pytest.raises(StoreError, match="is damaged, and so are 9") as raised:
        make(path)

    assert path.read_bytes() == content
    assert raised.value.hint == "Remove those named learned.sqlite3.damaged."


@pytest.mark.parametrize(
    "content",
    [b"A log, or a letter.\n", os.urandom(20_000), b"SQLite format 3\0" + bytes(5000)],
    ids=["text", "random", "a database's first words"],
)
def test_file_that_is_not_ours_is_left_as_it_is(path: Path, content: bytes) -> None:
    operator = Operator()
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(StoreError, match="is not a file of headstart") as raised:
        open_file(path, operator)
    with pytest.raises(StoreError, match="is not a file of headstart"), open_to_read(path):
        pass

    assert path.read_bytes() == content
    assert {part.name for part in path.parent.iterdir()} == {path.name, f".{path.name}.lock"}
    assert raised.value.hint == "Name another file."
    assert operator.lines == []


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
@pytest.mark.parametrize("begun", [False, True], ids=["no file", "an empty file"])
def test_file_of_the_users_own_beside_ours_is_left_as_it_is(
    path: Path, suffix: str, begun: bool
) -> None:
    """SQLite removes what lies beside a new database under these names."""
    path.parent.mkdir()
    if begun:
        path.touch()
    theirs = path.with_name(path.name + suffix)
    theirs.write_text("A letter.")

    with pytest.raises(StoreError, match=f"{suffix} is not a file of headstart"):
        make(path)

    assert theirs.read_text() == "A letter."
    assert path.exists() == begun


def test_left_over_files_of_sqlite_are_removed(path: Path) -> None:
    file = open_file(path, Operator())
    kept = {part: part.read_bytes() for part in path.parent.glob("learned.sqlite3-*")}
    file.close()
    path.unlink()
    for part, content in kept.items():
        part.write_bytes(content)

    make(path)

    assert len(kept) == 2
    with open_to_read(path) as connection:
        assert connection.execute("SELECT count(*) FROM state").fetchone() == (1,)


def test_number_that_tells_our_files_is_in_the_file_while_it_is_open(path: Path) -> None:
    file = open_file(path, Operator())

    assert path.read_bytes()[68:72] == b"HSTR"
    file.close()


def test_file_cut_in_half_is_damaged(path: Path) -> None:
    operator = Operator()
    make(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    open_file(path, operator).close()

    assert "is damaged" in operator.only_line()


def test_damage_in_the_middle_is_found(path: Path) -> None:
    operator = Operator()
    file = open_file(path, operator)
    Journal(file.connection, 1, operator, NewerRecords(operator)).append([vote("/a")] * 20_000, 1.0)
    file.close()
    with path.open("r+b") as raw:
        raw.seek(4096 * 50)
        raw.write(os.urandom(4096 * 500))

    open_file(path, operator).close()

    assert "is damaged" in operator.only_line()


def test_wal_that_is_left_over_goes_with_the_damaged_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(path)
    damaged = path.read_bytes()
    wal = path.with_name(f"{path.name}-wal")
    wal.write_bytes(b"left over")
    connect = files._connect

    def connect_to_whole(asked: Path, mode: str) -> sqlite3.Connection:
        if asked.read_bytes() == damaged:
            raise DamagedError("it is damaged")
        assert not wal.exists()
        return connect(asked, mode)

    monkeypatch.setattr(files, "_connect", connect_to_whole)

    open_file(path, Operator()).close()

    assert path.with_name("learned.sqlite3.damaged-wal").read_bytes() == b"left over"


def test_damaged_file_stays_while_somebody_else_has_it_open(path: Path) -> None:
    other = open_file(path, Operator())
    other.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as raw:
        raw.seek(100)
        raw.write(os.urandom(4096))

    with pytest.raises(StoreError, match="others still have it open"):
        open_file(path, Operator())
    assert other.in_place

    other.close()
    open_file(path, Operator()).close()
    assert path.with_name("learned.sqlite3.damaged").exists()


def test_empty_file_and_one_whose_maker_was_killed_are_completed(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    make(path)
    path.unlink()
    begun = sqlite3.connect(path)
    begun.execute("PRAGMA journal_mode = WAL")
    begun.close()

    make(path)

    with open_to_read(path) as connection:
        assert connection.execute("SELECT count(*) FROM state").fetchone() == (1,)


@pytest.mark.parametrize(
    "statement", ["PRAGMA user_version = 2", "PRAGMA application_id = 1", "PRAGMA user_version = 0"]
)
def test_file_of_another_version_or_program_is_left_alone(path: Path, statement: str) -> None:
    make(path)
    changed = sqlite3.connect(path)
    changed.execute(statement)
    changed.close()

    for _ in range(2):
        with pytest.raises(StoreError, match="not written by this version") as raised:
            open_file(path, Operator())
        assert raised.value.hint
        with pytest.raises(StoreError, match="not written by"), open_to_read(path):
            pass
    assert not path.with_name("learned.sqlite3.damaged").exists()


def test_other_programs_tables_are_left_alone(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (a)")
    other.close()

    with pytest.raises(StoreError, match="not written by this version"):
        open_file(path, Operator())


def test_path_below_a_file_and_folder_in_its_place_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    for path in (tmp_path / "file" / "learned.sqlite3", tmp_path / "folder"):
        with pytest.raises(StoreError, match="cannot be used") as raised:
            open_file(path, Operator())
        assert "--store" in raised.value.hint
        assert "HEADSTART_DATA" in raised.value.hint


@pytest.mark.parametrize("folder_mode", [0o755, 0o777])
def test_read_only_file_cannot_be_opened_but_read(folder_mode: int) -> None:
    """In a folder that can be written to, SQLite itself would find out at the first change."""
    with unprivileged_folder() as folder:
        path = folder / "learned.sqlite3"
        make(path)
        path.chmod(0o444)
        folder.chmod(folder_mode)
        (folder / ".learned.sqlite3.lock").chmod(0o666)

        with unprivileged():
            with pytest.raises(StoreError, match=r"cannot be used: .*readonly"):
                open_file(path, Operator())
            with open_to_read(path) as connection:
                assert connection.execute("SELECT count(*) FROM journal").fetchone() == (0,)


def test_locked_file_is_told(path: Path) -> None:
    make(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(StoreError, match="locked"):
        open_file(path, Operator())
    other.close()
    make(path)


def test_reading_needs_a_file_that_is_whole(path: Path) -> None:
    with (
        pytest.raises(StoreError, match="nothing has been learned yet") as missing,
        open_to_read(path),
    ):
        pass
    assert "headstart proxy" in missing.value.hint

    content = spoil(path)
    with pytest.raises(DamagedError), open_to_read(path):
        pass
    assert path.read_bytes() == content


def test_file_that_was_replaced_is_no_longer_in_place(path: Path) -> None:
    file = open_file(path, Operator())
    path.rename(path.with_name("elsewhere"))
    assert not file.in_place

    path.touch()
    assert not file.in_place
    file.close()
