from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from headstart.learn.records import Forgotten, Rule, Verdict
from headstart.store.base import DamagedError, NewerRecords, encode
from headstart.store.files import OpenFile, open_file
from headstart.store.journal import DUE_BYTES, Journal, Position
from tests.store.workers import Operator, page, paths, vote

NOW = 1_000_000.0


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
def file(tmp_path: Path, operator: Operator) -> Iterator[OpenFile]:
    opened = open_file(tmp_path / "learned.sqlite3", operator)
    yield opened
    opened.close()


@pytest.fixture
def journal_of(file: OpenFile, operator: Operator) -> Callable[[int], Journal]:
    return lambda worker: Journal(file.connection, worker, operator, NewerRecords(operator))


def snapshot(journal: Journal, path: str, read: Position, now: float = NOW) -> bool:
    with journal.transaction(writing=True):
        return journal.replace_snapshot([encode([page(path)])], read, now)


def test_each_reads_what_others_wrote_once_and_in_order(
    journal_of: Callable[[int], Journal],
) -> None:
    one, two = journal_of(1), journal_of(2)
    _, start = one.news(None)

    two.append([vote("/a"), vote("/b")], NOW)
    one.append([vote("/mine")], NOW)
    two.append([vote("/c")], NOW)

    records, after = one.news(start)
    assert paths(records) == ["/a", "/b", "/c"]
    assert one.news(after) == ([], after)
    assert paths(two.news(start)[0]) == ["/mine"]


def test_snapshot_stands_for_what_its_writer_had_read_and_written(
    journal_of: Callable[[int], Journal],
) -> None:
    one, two = journal_of(1), journal_of(2)
    two.append([vote("/read")], NOW)
    _, read = one.news(None)
    two.append([vote("/unread")], NOW)
    one.append([vote("/own")], NOW)

    assert snapshot(one, "/snapshot", read)

    assert paths(journal_of(3).news(None)[0]) == ["/snapshot", "/unread"]


def test_older_snapshot_does_not_replace_a_newer_one(
    journal_of: Callable[[int], Journal],
) -> None:
    one, two = journal_of(1), journal_of(2)
    _, old = one.news(None)
    one.append([vote("/a")], NOW)
    _, new = two.news(None)

    assert snapshot(two, "/new", new)
    assert not snapshot(one, "/old", old)
    assert not snapshot(one, "/elsewhere", Position(new.birth - 1, 99))
    assert paths(journal_of(3).news(None)[0]) == ["/new"]


def test_entries_are_deleted_only_after_everybody_had_time(
    file: OpenFile, journal_of: Callable[[int], Journal]
) -> None:
    one, two = journal_of(1), journal_of(2)
    _, start = two.news(None)
    one.append([vote("/a")], NOW)

    snapshot(one, "/s", one.position(), NOW + 59)
    assert paths(two.news(start)[0]) == ["/a"]

    snapshot(one, "/s", one.position(), NOW + 61)
    assert file.connection.execute("SELECT count(*) FROM journal").fetchone() == (0,)
    assert one.position().read == 1


def test_worker_that_was_suspended_reads_the_snapshot_and_the_orders_that_it_missed(
    journal_of: Callable[[int], Journal],
) -> None:
    one, asleep = journal_of(1), journal_of(2)
    _, start = asleep.news(None)
    one.append([vote("/a"), Forgotten("/secret")], NOW)
    one.append([vote("/b")], NOW)
    snapshot(one, "/s", one.position(), NOW + 61)
    one.append([vote("/c")], NOW + 61)

    records, after = asleep.news(start)

    assert records[0] == Forgotten("/secret")
    assert paths(records) == ["/s", "/c"]
    assert asleep.news(after) == ([], after)


def test_order_is_deleted_after_a_day(file: OpenFile, journal_of: Callable[[int], Journal]) -> None:
    one = journal_of(1)
    one.append([Rule(Verdict.NEVER, "", "/x.css")], NOW)

    snapshot(one, "/s", one.position(), NOW + 86_000)
    assert file.connection.execute("SELECT count(*) FROM journal").fetchone() == (1,)
    snapshot(one, "/s", one.position(), NOW + 87_000)
    assert file.connection.execute("SELECT count(*) FROM journal").fetchone() == (0,)


def test_process_that_knew_the_former_file_reads_only_what_is_beside_the_snapshot(
    journal_of: Callable[[int], Journal],
) -> None:
    one, two = journal_of(1), journal_of(2)
    snapshot(one, "/s", one.position())
    one.append([vote("/a")], NOW)

    records, after = two.news(Position(birth=-1, read=4711))

    assert paths(records) == ["/a"]
    assert after == one.position()


def test_one_worker_at_a_time_is_to_write_the_snapshot(
    journal_of: Callable[[int], Journal],
) -> None:
    one, two = journal_of(1), journal_of(2)
    snapshot(one, "/s", one.position())
    assert not one.claim(NOW, force=False)

    one.append([vote("/a")], NOW)
    assert not one.claim(NOW + 299, force=False)
    assert one.claim(NOW + 301, force=False)
    assert not two.claim(NOW + 302, force=True)
    assert one.claim(NOW + 303, force=False)

    assert two.claim(NOW + 319, force=False)
    assert snapshot(two, "/s", two.position(), NOW + 320)
    assert not one.claim(NOW + 320, force=False)


def test_file_without_a_snapshot_gets_one_at_once(
    journal_of: Callable[[int], Journal],
) -> None:
    assert journal_of(1).claim(NOW, force=False)


def test_claim_from_the_future_does_not_hold(journal_of: Callable[[int], Journal]) -> None:
    assert journal_of(1).claim(NOW + 86_400, force=True)

    assert journal_of(2).claim(NOW, force=True)


def test_long_journal_is_due_at_once(journal_of: Callable[[int], Journal]) -> None:
    one = journal_of(1)
    snapshot(one, "/s", one.position())
    assert not one.claim(NOW, force=False)

    one.append([vote("/" + "a" * 2000)] * (DUE_BYTES // 2000), NOW)

    assert one.claim(NOW, force=False)


def test_much_at_once_is_several_entries(
    file: OpenFile, journal_of: Callable[[int], Journal]
) -> None:
    journal_of(1).append([vote("/a")] * 1001, NOW)

    assert file.connection.execute("SELECT count(*) FROM journal").fetchone() == (3,)
    assert len(journal_of(2).news(None)[0]) == 1001


def test_what_fails_halfway_is_not_there(journal_of: Callable[[int], Journal]) -> None:
    one = journal_of(1)

    with suppress(KeyError), one.transaction(writing=True):
        one.append([vote("/a")], NOW)
        raise KeyError

    assert journal_of(2).news(None)[0] == []


def test_entry_that_cannot_be_read_is_left_out_and_said(
    file: OpenFile, journal_of: Callable[[int], Journal], operator: Operator
) -> None:
    for path in ("/a", "/b", "/c"):
        journal_of(1).append([vote(path)], NOW)
    file.connection.execute("UPDATE journal SET records = CAST(x'ff00' AS TEXT) WHERE id = 2")

    assert paths(journal_of(2).news(None)[0]) == ["/a", "/c"]
    assert "left out" in operator.only_line()


def test_records_of_a_newer_version_cost_no_other_and_are_said_once(
    file: OpenFile, journal_of: Callable[[int], Journal], operator: Operator
) -> None:
    newer = '[{"record":"moved","from":"/a"},' + encode([vote("/a")])[1:]
    reader = journal_of(2)
    for _ in range(3):
        journal_of(1).append([vote("/x")], NOW)
    file.connection.execute("UPDATE journal SET records = ?", (newer,))

    records, _ = reader.news(None)
    reader.news(None)

    assert paths(records) == ["/a", "/a", "/a"]
    assert "newer version" in operator.only_line()


def test_record_that_cannot_be_read_costs_no_other_of_its_entry(
    file: OpenFile, journal_of: Callable[[int], Journal], operator: Operator
) -> None:
    journal_of(1).append([vote("/x")], NOW)
    mixed = '[{"record":"vote","time":"now"},' + encode([vote("/a")])[1:]
    file.connection.execute("UPDATE journal SET records = ?", (mixed,))

    assert paths(journal_of(2).news(None)[0]) == ["/a"]
    assert "1 records of an entry" in operator.only_line()


def test_file_without_its_state_is_damaged(
    file: OpenFile, journal_of: Callable[[int], Journal]
) -> None:
    file.connection.execute("DELETE FROM state")

    with pytest.raises(DamagedError):
        journal_of(1).news(None)
