from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from headstart.learn.records import Forgotten, Record, Rule, Verdict
from headstart.store import RedisAddress, redis_journal
from headstart.store.base import DamagedError
from headstart.store.redis_client import connect, disconnect
from headstart.store.redis_journal import Position, RedisJournal
from tests.redis_server import RedisServer
from tests.store.workers import page, paths, vote

JOURNAL, ORDERS, SNAPSHOT = "{headstart}:journal", "{headstart}:orders", "{headstart}:snapshot"
Make: TypeAlias = Callable[[], RedisJournal]


@pytest.fixture
def make(address: RedisAddress) -> Iterator[Make]:
    """Makes journals, each as a worker of its own."""
    made: list[RedisJournal] = []

    def make_one() -> RedisJournal:
        made.append(RedisJournal(connect(address), address.prefix))
        return made[-1]

    yield make_one
    for journal in made:
        disconnect(journal.client)


def turn(journal: RedisJournal, *records: Record) -> list[Record]:
    """Publish records, and return those of others."""
    journal.exchange(journal.entries(records))
    found, journal.found = journal.found, []
    return found


def position_of(journal: RedisJournal) -> Position:
    assert journal.position is not None
    return journal.position


def snapshot(journal: RedisJournal, *records: Record) -> bool:
    return journal.replace_snapshot(records, position_of(journal))


def test_entry_that_is_added_twice_is_read_once(make: Make) -> None:
    one, two = make(), make()
    turn(two)
    sent = one.entries([vote("/a")])

    one.exchange(sent)
    one.exchange(sent)
    turn(one, vote("/b"))

    assert turn(two) == [vote("/a"), vote("/b")]


def test_worker_that_lags_reads_on_and_writes_no_snapshot_meanwhile(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_journal, "_BATCH", 2)
    monkeypatch.setattr(redis_journal, "_BATCHES", 2)
    one, two, three = make(), make(), make()
    turn(two)
    said = [vote(f"/{number}") for number in range(10)]
    for each in said:
        turn(one, each)

    first = turn(two)
    behind = (two.claim(force=True), snapshot(two, page("/a")))
    rest = turn(two)
    three.find_all()

    assert first + rest == said
    assert 2 < len(first) < 10
    assert behind == (False, False)
    assert two.claim(force=True)
    assert three.found == said


def test_what_was_read_is_not_lost_where_the_next_command_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_journal, "_BATCH", 1)
    one, two = make(), make()
    turn(two)
    turn(one, vote("/a"))
    turn(one, vote("/b"))

    def fail(*_: Any, **__: Any) -> None:
        raise RedisConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(two.client, "xrange", fail)
        with pytest.raises(RedisConnectionError):
            two.exchange(())

    assert two.found == [vote("/a")]
    assert turn(two) == [vote("/a"), vote("/b")]


def test_numbers_of_workers_are_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_journal, "_WORKERS", 3)
    reader = make()
    turn(reader)
    for number in range(20):
        turn(make(), vote(f"/{number}"))

    assert len(turn(reader)) == 20
    assert len(reader._numbers) == 3


# The snapshot


def test_snapshot_is_claimed_by_one_and_claimed_again_by_it(make: Make) -> None:
    one, two = make(), make()
    turn(one)
    turn(two)

    assert (one.claim(force=False), two.claim(force=False)) == (True, False)
    assert one.claim(force=False)


def test_snapshot_of_a_worker_that_has_read_less_replaces_no_other(
    server: RedisServer, make: Make
) -> None:
    one, two = make(), make()
    turn(one)
    early = position_of(one)
    turn(two, vote("/a"))
    assert snapshot(two, page("/a"))
    before = server.client.hgetall(SNAPSHOT)
    turn(one)

    assert not one.replace_snapshot([page("/b")], early)
    assert server.client.hgetall(SNAPSHOT) == before


def test_snapshot_of_an_earlier_journal_is_not_written(server: RedisServer, make: Make) -> None:
    one = make()
    turn(one, vote("/a"))
    early = position_of(one)
    server.client.flushall()
    with_this = one.replace_snapshot([page("/a")], early)
    turn(one)

    assert not with_this
    assert not one.replace_snapshot([page("/a")], early)
    assert snapshot(one, page("/a"))


def test_snapshot_is_due_when_the_journal_is_long_or_old(
    server: RedisServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make()
    turn(one, vote("/a"))
    assert snapshot(one, page("/a"))
    rested = one.claim(force=False)
    turn(one, vote("/b"))
    young = one.claim(force=False)
    monkeypatch.setattr(redis_journal, "DUE_BYTES", 100)
    long = one.claim(force=False)
    server.client.delete("{headstart}:claim")
    monkeypatch.undo()
    milliseconds = position_of(one).read[0] + redis_journal.DUE_MILLISECONDS + 1
    server.client.xadd(JOURNAL, {"worker": "x", "number": 1, "records": ""}, id=f"{milliseconds}-0")
    turn(one)

    assert (rested, young, long) == (False, False, True)
    assert one.claim(force=False)


def test_worker_that_missed_the_end_of_a_journal_and_its_successor_takes_that_in(
    server: RedisServer, make: Make
) -> None:
    away, there = make(), make()
    turn(away, vote("/a"))
    turn(there)
    server.client.flushall()
    turn(make(), vote("/unheard"))
    fresh = make()
    turn(fresh)
    snapshot(fresh, page("/fresh"))

    found = turn(away)

    # It knows more than the snapshot does, and so owes one.
    assert "/fresh" in paths(found)
    assert away.claim(force=False)
    assert snapshot(away, page("/a"), page("/fresh"))
    assert not away.claim(force=False)


def test_workers_that_saw_the_end_of_a_journal_write_one_snapshot_for_all(
    server: RedisServer, make: Make
) -> None:
    one, two, late = make(), make(), make()
    turn(one, vote("/a"))
    turn(two)
    turn(late)
    server.client.flushall()
    turn(one)
    turn(two)
    assert one.claim(force=False)
    assert snapshot(one, page("/a"))

    assert turn(two) == []
    assert not two.claim(force=False)
    assert turn(late) == []
    assert not late.claim(force=False)


def test_worker_that_is_late_in_a_new_journal_reads_what_its_snapshot_stands_for(
    server: RedisServer, make: Make
) -> None:
    one, late = make(), make()
    turn(one, vote("/a"))
    turn(late)
    server.client.flushall()
    turn(one, vote("/new"))
    turn(one)
    assert snapshot(one, page("/a"), page("/new"))

    assert turn(late, vote("/mine")) == [vote("/new")]
    assert turn(late) == []
    assert turn(one) == [vote("/mine")]


def test_worker_that_is_late_in_a_journal_that_was_trimmed_takes_the_snapshot(
    server: RedisServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_journal, "_KEPT_MILLISECONDS", -1)
    one, late = make(), make()
    turn(one, vote("/a"))
    turn(late)
    server.client.flushall()
    turn(one, vote("/new"))
    turn(one)
    assert snapshot(one, page("/a"), page("/new"))

    assert paths(turn(late)) == ["/a", "/new"]
    assert not late.claim(force=False)


def test_snapshot_that_is_enormous_is_begun_anew(
    server: RedisServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = make(), make()
    turn(one, vote("/a"))
    snapshot(one, page("/a"))
    born = server.client.hget(SNAPSHOT, "birth")
    monkeypatch.setattr(redis_journal, "_SNAPSHOT_LIMIT", 10)

    two.load()

    assert two.unreadable == 1
    assert server.client.hget(SNAPSHOT, "birth") not in (None, born)
    turn(one)
    assert one.claim(force=False)


def test_reading_all_leaves_a_damaged_snapshot_as_it_is(server: RedisServer, make: Make) -> None:
    one, outside = make(), make()
    turn(one, vote("/a"))
    snapshot(one, page("/a"))
    turn(one, vote("/b"))
    server.client.hset(SNAPSHOT, "records", "nonsense")
    before = server.client.hgetall(SNAPSHOT)

    outside.find_all()

    assert (paths(outside.found), outside.unreadable) == (["/b"], 1)
    assert server.client.hgetall(SNAPSHOT) == before


def test_hash_of_another_program_is_left_as_it_is(server: RedisServer, make: Make) -> None:
    server.client.hset(SNAPSHOT, "birth", "")

    with pytest.raises(DamagedError):
        make().load()


def test_orders_are_kept_apart_for_workers_that_were_away(make: Make, server: RedisServer) -> None:
    one, away = make(), make()
    turn(one, vote("/a"))
    turn(away)
    rule = Rule(Verdict.NEVER, "", "/old.css")
    turn(one, vote("/b"), Forgotten("/a"), rule)
    last = position_of(one).read
    snapshot(one, page("/b"))
    server.client.hset(SNAPSHOT, "trimmed", f"{last[0]}-{last[1]}")
    server.client.xtrim(JOURNAL, maxlen=0)

    assert turn(away) == [Forgotten("/a"), rule, page("/b")]


def test_order_of_the_millisecond_in_which_a_worker_left_is_not_missed(
    server: RedisServer, make: Make
) -> None:
    one, away = make(), make()
    turn(one, vote("/a"))
    turn(away)
    millisecond, _ = position_of(away).read
    (heard, missed) = one.entries([Forgotten("/a")]) + one.entries([Forgotten("/b")])
    away._numbers[one._worker] = heard.number
    for count, entry in enumerate((heard, missed)):
        fields: dict[Any, Any] = {"worker": one._worker, "number": entry.number}
        fields["records"] = entry.orders
        server.client.xadd(ORDERS, fields, id=f"{millisecond}-{count}")
    turn(one, vote("/c"))
    turn(one)
    snapshot(one, page("/c"))
    last = position_of(one).read
    server.client.hset(SNAPSHOT, "trimmed", f"{last[0]}-{last[1]}")
    server.client.xtrim(JOURNAL, maxlen=0)

    assert turn(away) == [Forgotten("/b"), page("/c")]
