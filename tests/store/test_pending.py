from __future__ import annotations

import pytest

from headstart.learn.records import Forgotten, Record
from headstart.learn.votes import weight
from headstart.store import pending
from headstart.store.pending import Pending
from tests.store.workers import page, vote


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "_MAX_RECORDS", 3)


def waiting(*records: Record) -> Pending:
    waits = Pending()
    waits.add(records)
    waits.bound()
    return waits


def test_what_fits_waits_in_its_order() -> None:
    records: list[Record] = [vote("/a"), Forgotten("/b"), vote("/c")]

    waits = waiting(*records)

    assert waits.records == records
    assert not waits.dropped


def test_oldest_votes_make_room_for_all_else() -> None:
    waits = waiting(vote("/a"), Forgotten("/b"), vote("/c"), page("/d"), vote("/e"))

    assert waits.records == [Forgotten("/b"), page("/d"), vote("/e")]
    assert waits.dropped


def test_oldest_of_any_kind_are_dropped_where_there_are_no_votes() -> None:
    waits = waiting(*(Forgotten(f"/{number}") for number in range(5)))

    assert waits.records == [Forgotten("/2"), Forgotten("/3"), Forgotten("/4")]
    assert waits.dropped


def test_bytes_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [vote("/a", "/" + "a" * 5000), vote("/b"), vote("/c")]
    monkeypatch.setattr(pending, "_MAX_BYTES", sum(map(weight, records)) - 1)

    waits = waiting(*records)
    waits.add([vote("/d")])
    waits.bound()

    assert waits.records == [vote("/b"), vote("/c"), vote("/d")]


def test_what_was_taken_does_not_count_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "_MAX_BYTES", 2 * weight(vote("/a")))
    waits = Pending()
    for _ in range(10):
        waits.add([vote("/a")])
        waits.bound()
        assert waits.take() == [vote("/a")]

    assert waits.records == []
    assert not waits.dropped
