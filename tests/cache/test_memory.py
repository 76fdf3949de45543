"""The bounds of what is stored."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

from headstart.cache.memory import Entry, Memory
from headstart.cache.policy import Freshness
from headstart.cache.requests import CachedRequest
from tests.cache.cached import scope_of

FRESH = Freshness(60.0, 0.0, 0.0, 0.0, True, True)


def request_of(target: str, *fields: tuple[bytes, bytes]) -> CachedRequest:
    return CachedRequest(scope_of(target, *fields))


def entry_of(size: int, **more: Any) -> Entry:
    fields = [(b"content-type", b"text/css"), (b"cache-control", b"max-age=60")]
    given: dict[str, Any] = {"vary": (), "selecting": ()} | more
    return Entry(200, fields, bytes(size), freshness=FRESH, received=0.0, **given)


def test_least_recently_used_response_goes_first() -> None:
    memory = Memory(35_000)
    for name in ("/a", "/b", "/c"):
        memory.put(request_of(name).key, entry_of(10_000))
    memory.find(request_of("/a"))

    memory.put(request_of("/d").key, entry_of(10_000))

    assert [key[2] for key, _ in memory] == [b"/c", b"/a", b"/d"]
    assert memory.used <= memory.size


def test_use_is_none_when_all_is_forgotten() -> None:
    memory = Memory(100_000)
    first = entry_of(100)
    for entry in (first, entry_of(200)):
        memory.put(request_of("/a").key, entry)
    memory.put(request_of("/b").key, entry_of(300))
    kept = entry_of(400)
    memory.put(request_of("/c").key, kept)

    assert memory.remove(request_of("/a").key) == 1
    assert memory.remove(request_of("/nothing").key) == 0
    memory.drop(request_of("/b").key, first)
    assert memory.has(request_of("/b").key)
    memory.remove(request_of("/b").key)
    memory.drop(request_of("/c").key, kept)

    assert (memory.used, list(memory)) == (0, [])


def test_response_larger_than_the_cache_takes_nothing_from_it() -> None:
    memory = Memory(35_000)
    memory.put(request_of("/a").key, entry_of(10_000))

    memory.put(request_of("/b").key, entry_of(40_000))

    assert [key[2] for key, _ in memory] == [b"/a"]


def test_variants_of_one_url_are_bounded() -> None:
    memory = Memory(10_000_000)
    for number in range(100):
        selecting = (str(number).encode(),)
        entry = entry_of(10, vary=(b"user-agent",), selecting=selecting)
        memory.put(request_of("/a").key, entry)

    assert len(list(memory)) == 16
    assert memory.find(request_of("/a", (b"user-agent", b"99"))) is not None
    assert memory.find(request_of("/a", (b"user-agent", b"1"))) is None


def test_memory_that_is_taken_is_what_is_counted() -> None:
    tracemalloc.start()
    memory = Memory(2_000_000)
    before, _ = tracemalloc.get_traced_memory()
    for number in range(3000):
        memory.put(request_of(f"/{number}").key, entry_of(200))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert taken < memory.used <= memory.size


def test_every_part_of_the_key_that_a_client_writes_is_counted() -> None:
    memory = Memory(100_000)
    for number in range(20):
        said = b"%d" % number + b"a" * 10_000
        memory.put(request_of("/a", (b"x-forwarded-host", said)).key, entry_of(10))

    assert sum(len(key[3]) for key, _ in memory) < memory.used <= memory.size


def test_entry_says_whether_it_is_kept() -> None:
    memory = Memory(25_000)
    first, second, third, fourth = (entry_of(10_000) for _ in range(4))
    assert not first.is_kept

    memory.put(request_of("/a").key, first)
    memory.put(request_of("/b").key, second)
    assert (first.is_kept, second.is_kept) == (True, True)
    memory.put(request_of("/c").key, third)
    assert (first.is_kept, second.is_kept) == (False, True)  # there was no room
    memory.put(request_of("/b").key, fourth)
    assert (second.is_kept, fourth.is_kept) == (False, True)  # replaced
    memory.drop(request_of("/b").key, fourth)
    memory.remove(request_of("/c").key)
    assert (third.is_kept, fourth.is_kept) == (False, False)


def test_confirmed_response_is_kept_once_it_is_stored() -> None:
    memory = Memory(25_000)
    old = entry_of(100)
    memory.put(request_of("/a").key, old)

    confirmed = replace(old, received=1.0)

    assert not confirmed.is_kept
    memory.put(request_of("/a").key, confirmed)
    assert (old.is_kept, confirmed.is_kept) == (False, True)
