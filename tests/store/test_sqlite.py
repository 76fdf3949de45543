from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from headstart.learn.records import Forgotten, PageRecord, Record, Vote
from headstart.store import files, open_store
from headstart.store.base import DamagedError
from headstart.store.files import open_file
from headstart.store.journal import Journal, Position
from tests.store.workers import (
    Clock,
    Operator,
    Start,
    Turn,
    compact_again_and_again,
    kept,
    page,
    paths,
    publish_until_killed,
    run_out_of_disk,
    run_worker,
    size,
    unprivileged,
    unprivileged_folder,
    versions,
    vote,
)

# Processes without anything of this one, forked from one that has imported this module.
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload([__name__])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "learned.sqlite3"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PATIENCE", 0.05)


@contextmanager
def process(
    target: Callable[[Path, Connection], None], path: Path
) -> Iterator[tuple[Connection, int]]:
    """Runs it meanwhile; the other end of its pipe, and its number."""
    ours, theirs = _FORKED.Pipe()
    started = _FORKED.Process(target=target, args=(path, theirs))
    started.start()
    theirs.close()
    assert started.pid
    try:
        yield ours, started.pid
        started.join(90)
    finally:
        started.kill()
        started.join(90)
        ours.close()


# Sharing


def test_two_processes_learn_from_each_other_at_the_next_exchange(path: Path) -> None:
    with process(run_worker, path) as (one, _), process(run_worker, path) as (two, _):
        assert one.recv() == two.recv() == "ready"

        one.send(vote("/from-one"))
        two.send(vote("/from-two"))
        seen = (two.recv(), one.recv())

        one.send(None)
        two.send(None)
        turns: list[list[Turn]] = [one.recv(), two.recv()]
    assert seen == (vote("/from-one"), vote("/from-two"))
    assert misses(turns[0], turns[1]) == misses(turns[1], turns[0]) == []


def misses(writer: list[Turn], reader: list[Turn]) -> list[Turn]:
    """The reader's turns that began when all was published, and that learned nothing of it."""
    published = next(turn.ended for turn in writer if turn.published)
    learned = next(turn.begun for turn in reader if turn.learned)
    return [turn for turn in reader if published < turn.begun < learned]


def test_restarted_worker_knows_what_was_learned(path: Path, start: Start) -> None:
    first = start(path)
    first.says(vote("/a"))
    first.writes_snapshot()
    first.says(vote("/b"))
    before = sorted(first.learner.rows(), key=str)
    first.store.close()

    second = start(path)

    assert sorted(second.learner.rows(), key=str) == before
    assert first.operator.lines == second.operator.lines == []


def test_versions_of_a_page_are_known_to_all_workers_and_after_a_restart(
    path: Path, start: Start
) -> None:
    one, two = start(path), start(path)
    one.says(*versions())
    two.says()
    one.writes_snapshot()
    assert all(isinstance(record, PageRecord) for record in kept(path))
    three = start(path)

    for worker in (one, two, three):
        on_desktop, on_phone = worker.sent_to(phone=False), worker.sent_to(phone=True)
        assert [name for name in on_desktop if name.endswith(".css")] == ["/desk.css"]
        assert [name for name in on_phone if name.endswith(".css")] == ["/phone.css"]
        assert sum(name in on_desktop for name in ("/a.js", "/b.js")) == 1


def test_snapshot_counts_nothing_twice_and_loses_nothing(path: Path, start: Start) -> None:
    clock = Clock()
    one, two = start(path, clock), start(path, clock)
    one.says(vote("/a", voter=1))
    two.says(vote("/a", voter=2))
    one.says()
    clock.now += 301.0
    one.says(vote("/a", voter=3))
    two.says(vote("/a", voter=4))
    one.says(vote("/a", voter=5))
    one.says()
    two.says()

    three = start(path, clock)

    for worker in (one, two, three):
        (counted,) = [
            record
            for record in worker.learner.export()
            if isinstance(record, PageRecord) and record.path == "/a"
        ]
        assert counted.views == 5.0


def test_order_of_another_process_is_obeyed_at_the_next_exchange(path: Path, start: Start) -> None:
    one, two = start(path), start(path)
    one.says(vote("/a"))
    two.says()
    assert two.knows("/a")

    one.says(Forgotten("/a"))
    two.says()

    assert not one.knows("/a")
    assert not two.knows("/a")


def test_only_one_worker_is_asked_for_a_snapshot(path: Path, start: Start) -> None:
    clock = Clock()
    start(path, clock).writes_snapshot()
    workers = [start(path, clock) for _ in range(4)]
    for number, worker in enumerate(workers):
        worker.says(vote(f"/{number}"))
    clock.now += 301.0

    for worker in workers:
        worker.says()

    assert [worker.store.snapshot_due for worker in workers] == [True, False, False, False]


def test_processes_that_compact_at_once_lose_nothing(path: Path, start: Start) -> None:
    names = ("one", "two", "three")
    started = [
        _FORKED.Process(target=compact_again_and_again, args=(path, name, 30)) for name in names
    ]
    for one in started:
        one.start()
    for one in started:
        one.join(90)

    assert [one.exitcode for one in started] == [0, 0, 0]
    worker = start(path)
    assert all(worker.knows(f"/{name}/{number}") for name in names for number in range(30))


def test_hundred_thousand_records_leave_a_small_file(path: Path) -> None:
    clock = Clock()
    operator = Operator()
    store = open_store(path, operator)
    image = [page(f"/page/{number}") for number in range(1000)]
    votes = [vote(f"/page/{number}") for number in range(500)]
    store.load()

    largest = 0
    for _ in range(200):
        clock.now += 0.1
        store.exchange(votes, image if store.snapshot_due else None)
        largest = max(largest, size(path))
    store.close()

    assert largest < 24 * 1024 * 1024
    assert size(path) < 16 * 1024 * 1024
    assert len(kept(path)) < 20_000
    assert operator.lines == []


def test_file_shrinks_when_a_burst_is_over(path: Path, start: Start) -> None:
    worker = start(path)
    for number in range(20):
        worker.store.exchange([vote(f"/{number}/{n}" + "a" * 1000) for n in range(200)])
    burst = size(path)

    worker.writes_snapshot()
    worker.clock.now += 61.0
    worker.says(vote("/end"))
    worker.writes_snapshot()
    worker.store.close()

    assert burst > 4 * 1024 * 1024
    assert path.stat().st_size < 2 * 1024 * 1024


# What goes wrong


def test_killed_process_loses_nothing_that_it_published(path: Path) -> None:
    with process(publish_until_killed, path) as (pipe, publisher):
        while (published := pipe.recv()) < 50:
            pass
        os.kill(publisher, signal.SIGKILL)
        with suppress(EOFError):
            while True:
                published = pipe.recv()

    found = paths(kept(path))

    assert found[: published + 1] == [f"/{number}" for number in range(published + 1)]


def test_torn_wal_loses_its_end_only(path: Path, start: Start) -> None:
    writer = start(path)
    for number in range(20):
        writer.says(vote(f"/{number}"))
    wal = path.with_name(f"{path.name}-wal").read_bytes()
    main = path.read_bytes()
    torn = path.with_name("torn.sqlite3")
    torn.write_bytes(main)
    torn.with_name("torn.sqlite3-wal").write_bytes(wal[: len(wal) - 5000])

    worker = start(torn)

    assert worker.knows("/15")
    assert not worker.knows("/19")
    assert worker.operator.lines == []


def test_damaged_file_is_said_once_and_begun_anew(path: Path, start: Start) -> None:
    open_file(path, Operator()).close()
    path.write_bytes(path.read_bytes()[:100] + os.urandom(10_000))

    worker = start(path)
    worker.says(vote("/a"))
    worker.says()

    assert "moved to learned.sqlite3.damaged" in worker.operator.only_line()
    assert start(path).knows("/a")


def test_file_of_the_users_own_is_said_once_and_left_as_it_is(path: Path, start: Start) -> None:
    path.parent.mkdir()
    path.write_text("A letter.")

    worker = start(path)
    worker.says(vote("/a"))
    worker.says()

    assert "is not a file of headstart" in worker.operator.only_line()
    assert path.read_text() == "A letter."


def damage(path: Path) -> None:
    """What a failing disk does to the file under a running server."""
    for part in (path, path.with_name(f"{path.name}-wal")):
        with part.open("r+b") as raw:
            raw.write(os.urandom(part.stat().st_size))
    shm = path.with_name(f"{path.name}-shm")
    with shm.open("r+b") as raw:
        raw.write(bytes(shm.stat().st_size))


def test_file_damaged_under_a_running_server_is_replaced_with_all_that_it_knew(
    path: Path, impatient: None, start: Start
) -> None:
    clock = Clock()
    one, two = start(path, clock), start(path, clock)
    one.says(vote("/a"))
    two.says(vote("/b"))
    one.says()
    damage(path)

    for _ in range(4):
        clock.now += 6.0
        one.says()
        two.says()

    assert path.with_name("learned.sqlite3.damaged").exists()
    later = start(path, clock)
    assert later.knows("/a")
    assert later.knows("/b")
    assert all("\n" not in line for line in one.operator.lines + two.operator.lines)
    assert len(one.operator.lines + two.operator.lines) <= 6


def test_users_own_file_in_the_place_of_a_damaged_one_is_left_as_it_is(
    path: Path, impatient: None, start: Start
) -> None:
    clock = Clock()
    one, two = start(path, clock), start(path, clock)
    one.says(vote("/a"))
    damage(path)
    one.says(vote("/b"))  # the other has it open, so it could not be moved
    path.unlink()
    path.write_text("A letter.")

    for _ in range(3):
        clock.now += 6.0
        one.says()
        two.says()

    assert path.read_text() == "A letter."
    assert "is not a file of headstart" in one.operator.lines[-1]
    one.store.close()


def test_file_that_is_removed_while_damage_is_found_is_not_remembered(
    path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start(path)
    news = Journal.news

    def removed(journal: Journal, after: Position | None) -> tuple[list[Record], Position]:
        monkeypatch.setattr(Journal, "news", news)
        path.unlink()
        raise DamagedError("it is damaged")

    monkeypatch.setattr(Journal, "news", removed)
    worker.says(vote("/a"))

    assert worker.operator.lines == []
    assert start(path).knows("/a")


def test_file_removed_under_a_running_server_is_written_again(
    path: Path, impatient: None, start: Start
) -> None:
    clock = Clock()
    one, two = start(path, clock), start(path, clock)
    one.says(vote("/a"))
    two.says(vote("/b"))
    one.says()
    for part in path.parent.glob("learned.sqlite3*"):
        part.unlink()

    for _ in range(3):
        clock.now += 6.0
        two.says()
        one.says()

    assert "removed or replaced" in one.operator.lines[0]
    later = start(path, clock)
    assert later.knows("/a")
    assert later.knows("/b")
    one.says(vote("/c"))
    two.says()
    assert two.knows("/c")


def test_unusable_place_is_said_in_one_line_and_the_worker_goes_on(
    tmp_path: Path, start: Start
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "learned.sqlite3", tmp_path / "folder"):
        worker = start(place)

        for _ in range(5):
            worker.clock.now += 10.0
            assert worker.says(vote("/a")) == []

        line = worker.operator.only_line()
        assert "going on from memory" in line
        assert "HEADSTART_DATA" in line
        assert worker.knows("/a")


def test_file_of_another_version_is_said_and_left_alone(path: Path, start: Start) -> None:
    start(path).store.close()
    changed = sqlite3.connect(path)
    changed.execute("PRAGMA user_version = 99")
    changed.close()
    before = path.read_bytes()

    worker = start(path)
    worker.says(vote("/a"))

    assert "not written by this version" in worker.operator.only_line()
    worker.store.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("folder_mode", [0o555, 0o755])
def test_read_only_file_warms_the_worker_up_and_is_said(folder_mode: int, start: Start) -> None:
    with unprivileged_folder() as folder:
        path = folder / "learned.sqlite3"
        before = start(path)
        before.says(vote("/a"))
        before.store.close()
        path.chmod(0o444)
        (folder / ".learned.sqlite3.lock").unlink()
        folder.chmod(folder_mode)

        with unprivileged():
            worker = start(path)
            worker.says(vote("/b"))

        assert worker.knows("/a")
        assert "going on from memory" in worker.operator.only_line()


def test_locked_file_is_said_once_and_nothing_is_lost(
    path: Path, impatient: None, start: Start
) -> None:
    worker, other = start(path), start(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    for number in range(3):
        worker.clock.now += 6.0
        worker.says(vote(f"/{number}"))
    assert "locked" in worker.operator.only_line()

    holder.execute("ROLLBACK")
    holder.close()
    worker.clock.now += 6.0
    worker.says()

    assert worker.operator.lines[1:] == [f"{path} is in use again"]
    assert paths(other.store.exchange([])) == ["/0", "/1", "/2"]


def test_file_locked_at_the_start_is_read_and_used_later(
    path: Path, impatient: None, start: Start
) -> None:
    first = start(path)
    first.says(vote("/a"))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    worker = start(path)
    assert worker.knows("/a")
    assert len(worker.operator.lines) == 1

    holder.execute("ROLLBACK")
    holder.close()
    first.says(vote("/b"))
    worker.clock.now += 6.0

    assert paths(worker.says()) == ["/b"]


def test_full_disk_is_said_once_and_what_waited_is_written_when_there_is_room(
    path: Path,
) -> None:
    with process(run_out_of_disk, path) as (pipe, _):
        assert pipe.poll(20)
        (said,) = pipe.recv()
        assert pipe.poll(20)
        said_later = pipe.recv()

    assert "going on from memory" in said
    assert said_later == [f"{path} is in use again"]
    written = {f"/full/{m}/{n}" for m in range(40) for n in range(20)} | {"/after"}
    assert written <= set(paths(kept(path)))


def test_what_waits_is_bounded_and_orders_are_kept(path: Path, start: Start) -> None:
    path.parent.mkdir()
    path.mkdir()
    worker = start(path)
    worker.says(Forgotten("/a"))
    for number in range(20):
        worker.store.exchange([vote(f"/{number}")] * 500)

    path.rmdir()
    worker.clock.now += 6.0
    worker.says()

    found = kept(path)
    assert found[0] == Forgotten("/a")
    assert len(found) == 4096
    assert isinstance(found[-1], Vote)
    assert found[-1].path == "/19"
    assert worker.store.snapshot_due


def test_closed_store_does_nothing(path: Path, start: Start) -> None:
    worker = start(path)
    worker.store.close()

    assert worker.says(vote("/a")) == []
    worker.store.close()
    assert not start(path).knows("/a")
