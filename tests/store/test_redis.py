"""The store of a fleet, with a real redis-server."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from headstart.learn.records import Forgotten, PageRecord, Record
from headstart.store import RedisAddress, offline, pending, redis_client, redis_journal
from headstart.store.packing import pack
from headstart.store.redis import RedisStore
from tests.redis_server import RedisServer, redis_cluster, redis_server
from tests.server.live import until
from tests.store.workers import (
    Operator,
    Start,
    Worker,
    address_of,
    kept,
    page,
    paths,
    versions,
    vote,
)

JOURNAL, SNAPSHOT = "{headstart}:journal", "{headstart}:snapshot"
ORDERS, CLAIM = "{headstart}:orders", "{headstart}:claim"

Fields: TypeAlias = dict[bytes | bytearray | memoryview | str | int | float, Any]


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[RedisServer, RedisServer]]:
    with redis_cluster() as nodes:
        yield nodes


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_client, "_TIMEOUT", 0.1)


def views(worker: Worker, path: str) -> list[float]:
    return [
        record.views
        for record in worker.learner.export()
        if isinstance(record, PageRecord) and record.path == path
    ]


def later(worker: Worker) -> None:
    """The next attempt to use a server that could not be used is due."""
    worker.clock.now += 3.0


def writes_snapshot(worker: Worker) -> None:
    """The worker owes a snapshot, and takes the two turns that it needs."""
    assert isinstance(worker.store, RedisStore)
    worker.store._duty.is_owed = True
    worker.says()
    worker.says()


# Sharing


def test_workers_learn_from_each_other_at_the_next_exchange(
    address: RedisAddress, start: Start
) -> None:
    one, two = start(address), start(address)

    one.says(vote("/from-one"))
    two.says(vote("/from-two"))
    one.says()

    assert one.knows("/from-two")
    assert two.knows("/from-one")
    assert one.operator.lines == two.operator.lines == []


def test_worker_that_starts_takes_the_map_at_once(address: RedisAddress, start: Start) -> None:
    one = start(address)
    one.says(vote("/in-snapshot"))
    one.says()
    one.says(vote("/in-journal"))

    assert start(address).knows("/in-snapshot")
    assert start(address).knows("/in-journal")


def test_versions_of_a_page_are_known_to_all_workers_and_after_a_restart(
    server: RedisServer, address: RedisAddress, start: Start
) -> None:
    one, two = start(address), start(address)
    one.says(*versions())
    two.says()
    writes_snapshot(one)
    server.client.xtrim(JOURNAL, maxlen=0)
    three = start(address)

    for worker in (one, two, three):
        on_desktop, on_phone = worker.sent_to(phone=False), worker.sent_to(phone=True)
        assert [name for name in on_desktop if name.endswith(".css")] == ["/desk.css"]
        assert [name for name in on_phone if name.endswith(".css")] == ["/phone.css"]
        assert sum(name in on_desktop for name in ("/a.js", "/b.js")) == 1


def test_snapshot_counts_nothing_twice_and_loses_nothing(
    server: RedisServer, address: RedisAddress, start: Start
) -> None:
    one, two = start(address), start(address)
    one.says(vote("/a", voter=1))
    two.says(vote("/a", voter=2))
    one.says(vote("/a", voter=3))
    two.says(vote("/a", voter=4))
    one.says(vote("/a", voter=5))
    one.says()
    two.says()
    assert server.client.hget(SNAPSHOT, "author")

    three = start(address)

    for worker in (one, two, three):
        assert views(worker, "/a") == [5.0]


def test_order_is_obeyed_at_the_next_exchange(address: RedisAddress, start: Start) -> None:
    one, two = start(address), start(address)
    one.says(vote("/a"))
    two.says()
    assert two.knows("/a")

    one.says(Forgotten("/a"))
    two.says()

    assert not two.knows("/a")


def test_worker_that_was_away_for_long_obeys_what_it_missed(
    server: RedisServer, address: RedisAddress, start: Start
) -> None:
    one, away = start(address), start(address)
    one.says(vote("/a"), vote("/b"))
    away.says()
    one.says(Forgotten("/a"))
    one.says(vote("/c"))
    writes_snapshot(one)
    # As if the snapshot were more than a minute younger than all of it.
    last = server.client.xinfo_stream(JOURNAL)["last-generated-id"]
    server.client.hset(SNAPSHOT, "trimmed", last)
    server.client.hset(SNAPSHOT, "upto", last)
    server.client.xtrim(JOURNAL, maxlen=0)

    away.says()

    assert (away.knows("/a"), away.knows("/b"), away.knows("/c")) == (False, True, True)


def test_two_fleets_share_a_server_by_their_prefixes(server: RedisServer, start: Start) -> None:
    shop, blog = address_of(server, "?prefix=shop"), address_of(server, "?prefix=blog")
    start(shop).says(vote("/cart"))

    assert start(shop).knows("/cart")
    assert not start(blog).knows("/cart")
    assert {key.partition(":")[0] for key in server.names()} == {"{shop}", "{blog}"}


def test_only_commands_that_read_a_bounded_part_of_one_key_are_used(
    server: RedisServer, address: RedisAddress, start: Start
) -> None:
    server.client.config_resetstat()
    worker = start(address)
    worker.says(vote("/a"), Forgotten("/b"))
    worker.says()
    worker.says(vote("/c"))

    used = {name.removeprefix("cmdstat_").lower() for name in server.info("commandstats")}
    assert used <= {
        *("multi", "exec", "watch", "xadd", "xrange", "xtrim", "hmget", "hset", "hsetnx"),
        *("hstrlen", "expire", "set", "get", "del", "unwatch", "select", "config|resetstat"),
        *("client|setinfo", "info", "hello"),
    }


@pytest.mark.parametrize("prefix", ["headstart", "shop"])
def test_fleet_works_on_a_cluster_whichever_node_has_its_keys(
    cluster: tuple[RedisServer, RedisServer], start: Start, prefix: str
) -> None:
    for node in cluster:
        node.client.flushall()
    one, two = (
        start(RedisAddress(prefix, "127.0.0.1", node.port, cluster=True)) for node in cluster
    )
    one.says(vote("/a"), Forgotten("/b"))
    two.says(vote("/c"))
    writes_snapshot(one)
    one.says(vote("/d"))
    two.says()

    three = start(RedisAddress(prefix, "127.0.0.1", cluster[0].port, cluster=True))
    assert all(worker.knows(path) for worker in (two, three) for path in ("/a", "/c", "/d"))
    assert sorted(map(bool, (node.names() for node in cluster))) == [False, True]
    assert one.operator.lines == two.operator.lines == []


@pytest.mark.usefixtures("impatient")
def test_cluster_that_cannot_be_reached_is_tried_again(start: Start) -> None:
    with redis_cluster() as nodes:
        for node in nodes:
            node.stop()
        one = start(RedisAddress("headstart", "127.0.0.1", nodes[0].port, cluster=True))
        one.says(vote("/a"))
        assert "going on from memory" in one.operator.only_line()
        for node in nodes:
            node.go_on()

        def is_back() -> bool:
            later(one)
            one.says()
            return len(one.operator.lines) > 1

        until(is_back)
        assert one.operator.lines[1].endswith("is in use again")


# What is kept


def test_every_key_expires(server: RedisServer, address: RedisAddress, start: Start) -> None:
    worker = start(address)
    worker.says(vote("/a"), Forgotten("/b"))

    assert server.names() == {JOURNAL, ORDERS, SNAPSHOT, CLAIM}
    assert all(server.client.ttl(key) > 0 for key in server.names())


def test_journal_is_bounded_where_nobody_writes_a_snapshot(
    server: RedisServer, address: RedisAddress, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.store.redis_journal._MAX_ENTRIES", 200)
    store = start(address).store

    for number in range(1000):
        store.exchange([vote(f"/{number}")])

    # Redis trims whole nodes of a hundred entries.
    assert server.client.xlen(JOURNAL) <= 300


def test_snapshot_is_written_and_the_journal_trimmed_when_much_was_said(
    server: RedisServer, address: RedisAddress, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.store.redis_journal.DUE_BYTES", 2000)
    monkeypatch.setattr("headstart.store.redis_journal._KEPT_BYTES", 4000)
    one, two = start(address), start(address)

    for number in range(60):
        one.says(vote(f"/one/{number}"))
        two.says(vote(f"/two/{number}"))

    said = {f"/{name}/{number}" for name in ("one", "two") for number in range(60)}
    assert server.client.xlen(JOURNAL) < 60
    assert said <= set(paths(kept(address)))
    assert one.operator.lines == two.operator.lines == []


def test_outbox_of_many_records_is_read_in_parts(address: RedisAddress, start: Start) -> None:
    one, two = start(address), start(address)
    said = [vote(f"/{number}") for number in range(3000)]

    one.store.exchange(said)
    read: list[Record] = []
    while len(read) < len(said) and (news := two.store.exchange(())):
        read += news

    assert read == said


# Without Redis


@pytest.mark.usefixtures("impatient")
def test_what_is_learned_while_redis_answers_nothing_is_told_once_when_it_does(
    server: RedisServer, start: Start
) -> None:
    one, two = start(address_of(server)), start(address_of(server))
    one.says(vote("/before"))
    two.says()
    server.stop()
    try:
        one.says(vote("/while", voter=1))
        later(one)
        one.says(vote("/while", voter=2))
        assert one.knows("/while")
        assert "going on from memory" in one.operator.only_line()
    finally:
        server.go_on()
    until(server.client.ping)

    later(one)
    one.says()
    one.says()
    two.says()
    two.says()

    assert one.operator.lines[1:] == [f"{server.url} is in use again"]
    # Redis has read the first entry from its socket after all.
    assert views(two, "/while") == [2.0]
    assert views(start(address_of(server)), "/while") == [2.0]


def test_server_that_comes_back_empty_gets_what_the_workers_know(start: Start) -> None:
    with redis_server() as server:
        one, two = start(address_of(server)), start(address_of(server))
        one.says(vote("/a"))
        two.says()
        server.kill()
        one.says(vote("/b"))
        server.start()
        for _ in range(3):
            for worker in (one, two):
                later(worker)
                worker.says()

        three = start(address_of(server))
        assert all(three.knows(path) and two.knows(path) for path in ("/a", "/b"))
        assert views(two, "/b") == views(three, "/b") == [1.0]
        assert len(one.operator.lines) == 2


def test_server_that_is_flushed_gets_what_the_workers_know(
    server: RedisServer, address: RedisAddress, start: Start
) -> None:
    one, two = start(address), start(address)
    one.says(vote("/a"))
    two.says()

    server.client.flushall()
    for worker in (one, two, one, two):
        worker.says()

    assert start(address).knows("/a")
    assert one.operator.lines == two.operator.lines == []


def test_full_server_is_told_when_it_has_room(
    server: RedisServer, address: RedisAddress, start: Start
) -> None:
    one, two = start(address), start(address)
    one.says()
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", 1)
    one.says(vote("/a"))
    assert "maxmemory" in one.operator.only_line()

    server.client.config_set("maxmemory", 0)
    later(one)
    one.says()
    two.says()

    assert two.knows("/a")
    assert one.operator.lines[1:] == [f"{address} is in use again"]


def test_master_that_became_a_replica_is_told_when_there_is_a_master(
    server: RedisServer, address: RedisAddress, start: Start
) -> None:
    one = start(address)
    one.says()
    server.client.replicaof("127.0.0.1", "1")
    try:
        one.says(vote("/a"))
        assert "read only replica" in one.operator.only_line()
    finally:
        server.client.replicaof("NO", "ONE")

    later(one)
    one.says()

    assert start(address).knows("/a")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", [("CLIENT", "PAUSE", "400"), ("DEBUG", "SLEEP", "0.4")])
def test_server_that_sleeps_is_told_when_it_wakes(
    server: RedisServer, start: Start, command: tuple[str, ...]
) -> None:
    one, two = start(address_of(server)), start(address_of(server))
    one.says()
    two.says()
    with ThreadPoolExecutor() as pool:
        sleep = pool.submit(server.client.execute_command, *command)
        while not one.operator.lines:
            one.says(vote("/a"))
        sleep.result()

    def is_back() -> bool:
        later(one)
        one.says()
        return len(one.operator.lines) > 1

    until(is_back)
    two.says()

    assert two.knows("/a")
    assert [line.endswith("in use again") for line in one.operator.lines] == [False, True]


@pytest.mark.usefixtures("impatient")
def test_snapshot_that_redis_does_not_take_leaves_no_connection_behind(
    server: RedisServer, address: RedisAddress, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start(address)
    assert isinstance(one.store, RedisStore)
    one.store._duty.is_owed = True
    one.says(vote("/a"))

    def made() -> int:
        return int(server.info("stats")["total_connections_received"])

    before = made()
    fields = redis_journal._fields

    def stopping(state: Any) -> Any:
        server.stop()
        return fields(state)

    def going_on(line: str) -> None:
        server.go_on()
        one.operator(line)

    with monkeypatch.context() as patch:
        # When the commands are queued, and the key is watched.
        patch.setattr(redis_journal, "_fields", stopping)
        # When its connections are closed, and the transaction is still to be collected.
        patch.setattr(one.store._outage, "_warn", going_on)
        one.says()

    # redis-py says UNWATCH once.
    assert made() - before <= 1
    assert "going on from memory" in one.operator.only_line()
    later(one)
    one.says()
    assert one.operator.lines[1:] == [f"{address} is in use again"]


def test_what_waits_is_bounded_and_the_rest_comes_with_a_snapshot(
    server: RedisServer, address: RedisAddress, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "_MAX_RECORDS", 10)
    one, two = start(address), start(address)
    writes_snapshot(one)
    server.client.config_set("maxmemory", 1)
    for number in range(100):
        one.says(vote(f"/{number}"))
        later(one)
        assert len(one.store._pending.records) <= 10

    server.client.config_set("maxmemory", 0)
    for _ in range(4):
        later(one)
        one.says()
    two.says()

    assert two.knows("/99")
    three = start(address)
    assert all(three.knows(f"/{number}") for number in range(100))


def test_nothing_is_dropped_where_little_waits_after_much_was_said(
    server: RedisServer, address: RedisAddress, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "_MAX_BYTES", 4000)
    one, two = start(address), start(address)
    for number in range(20):
        one.says(vote(f"/{number}"))
    two.says()
    server.client.config_set("maxmemory", 1)
    one.says(vote("/late"))
    one.says(vote("/later"))

    server.client.config_set("maxmemory", 0)
    for _ in range(2):
        later(one)
        one.says()
    two.says()

    assert two.knows("/late")
    assert two.knows("/later")


def test_closed_store_does_nothing(address: RedisAddress, start: Start) -> None:
    worker = start(address)
    worker.store.close()

    assert worker.says(vote("/a")) == []
    worker.store.close()
    assert not start(address).knows("/a")


# What others write

ENTRY: Fields = {"worker": "x", "number": "1", "records": zlib.compress(b"{}\n")}
GARBAGE: list[Fields] = [
    {"nonsense": "1"},
    {**ENTRY, "number": "-1"},
    {**ENTRY, "number": "9" * 5000},
    {**ENTRY, "number": "²"},
    {**ENTRY, "worker": ""},
    {**ENTRY, "records": b"\0\xff" * 1000},
    {**ENTRY, "records": zlib.compress(b"[" * 100_000)},
    {**ENTRY, "records": zlib.compress(b"\xff\xfe\n\n")},
    {**ENTRY, "records": zlib.compress(b'{"record":"vote","time":"now"}\n')},
    {**ENTRY, "records": zlib.compress(b'{"record":"rule","verdict":"pin","page":"/","asset":9}')},
    {**ENTRY, "records": zlib.compress(b" " * 100_000_000)},
    {**ENTRY, "records": zlib.compress(b"x" * 1000)[:-6]},
    {**ENTRY, "records": b"x" * 5_000_000},
]


@pytest.mark.parametrize("entry", GARBAGE, ids=range(len(GARBAGE)))
def test_entry_that_is_not_of_a_worker_is_left_out(
    server: RedisServer, address: RedisAddress, start: Start, entry: Fields
) -> None:
    one, two = start(address), start(address)
    server.client.xadd(JOURNAL, entry)
    one.says(vote("/a"))

    two.says()

    assert two.knows("/a")
    assert start(address).knows("/a")
    assert "left out" in two.operator.only_line()


def test_records_of_a_newer_version_are_said_once_and_cost_no_other(
    server: RedisServer, address: RedisAddress, start: Start
) -> None:
    one = start(address)
    lines = b'{"record":"moved","to":"/c"}\n' + zlib.decompress(pack([vote("/a")]))
    for number in range(1, 4):
        fields = {**ENTRY, "number": str(number), "records": zlib.compress(lines)}
        server.client.xadd(JOURNAL, fields)
        one.clock.now += 61.0
        one.says()

    assert one.knows("/a")
    assert "newer version" in one.operator.only_line()
    operator = Operator()
    offline.saved(address, warn=operator)
    assert "newer version" in operator.only_line()


def test_garbage_that_goes_on_is_said_once_a_minute(
    server: RedisServer, address: RedisAddress, start: Start
) -> None:
    one = start(address)
    for _ in range(100):
        server.client.xadd(JOURNAL, {"nonsense": "1"})
        one.says()
    one.clock.now += 61.0
    one.says()

    assert [line.split(": ")[1].split()[0] for line in one.operator.lines] == ["1", "99"]


@pytest.mark.parametrize("key", [JOURNAL, SNAPSHOT, ORDERS])
def test_key_of_another_type_is_trouble_and_is_left_as_it_is(
    server: RedisServer, address: RedisAddress, start: Start, key: str
) -> None:
    server.client.set(key, "mine")
    one = start(address)

    one.says(vote("/a"), Forgotten("/b"))

    assert one.knows("/a")
    assert "wrong kind of value" in one.operator.only_line()
    assert server.client.get(key) == b"mine"


@pytest.mark.parametrize(
    "fields",
    [
        {"records": b"nonsense"},
        {"records": zlib.compress(b" " * 70_000_000)},
        {"upto": "yesterday", "author": "\0", "author_upto": "-", "trimmed": "9" * 99},
    ],
    ids=["nonsense", "bomb", "state"],
)
def test_snapshot_that_cannot_be_read_is_left_out_and_written_anew(
    server: RedisServer,
    address: RedisAddress,
    start: Start,
    fields: Fields,
) -> None:
    one = start(address)
    one.says(vote("/a"))
    one.says()
    server.client.hset(SNAPSHOT, mapping=fields)

    two = start(address)
    two.says(vote("/b"))
    one.says()

    assert one.knows("/b")
    for worker in (two, one, two, one):
        worker.says()
    assert start(address).knows("/a")
    assert start(address).knows("/b")


def test_vote_of_the_wrong_type_beside_a_right_one_costs_only_itself(
    server: RedisServer, address: RedisAddress, start: Start
) -> None:
    one = start(address)
    one.says(vote("/a"), replace(vote("/b"), voter=1 << 70), page("/c"), vote("/d"))

    found = paths(kept(address))

    assert found == ["/a", "/c", "/d"]


# Secrets

SECRET = "correct-horse"


def test_password_is_in_no_line(start: Start) -> None:
    with redis_server(password=SECRET) as server:
        right = replace(address_of(server), password=SECRET)
        wrong = replace(address_of(server), password="battery-staple")
        start(right).says(vote("/a"))

        refused = start(wrong)
        refused.says(vote("/b"))

        assert start(right).knows("/a")
        assert "invalid username-password" in refused.operator.only_line()
        assert "battery-staple" not in refused.operator.only_line() + repr(wrong) + str(wrong)
