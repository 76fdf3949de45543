"""The pause after a failure, and the lines that an operator reads about it."""

from __future__ import annotations

from headstart.store.base import StoreError
from headstart.store.outage import Outage

REFUSED = StoreError("the place cannot be used: refused", hint="Start it.")
FULL = StoreError("the place cannot be used: full")


class Place:
    """An outage of a place that is tried every five seconds, and the lines about it."""

    def __init__(self, *, repeats: bool) -> None:
        self.lines: list[str] = []
        self.outage = Outage("the place", self.lines.append, 5.0, repeats=repeats)


def test_medium_that_never_failed_is_used_at_once_at_any_time_of_any_clock() -> None:
    outage = Place(repeats=True).outage

    assert not outage
    assert [outage.is_waiting(now) for now in (-3.0, 0.0, 0.5, 1.7e9)] == [False] * 4


def test_medium_that_failed_is_not_tried_before_the_pause_is_over() -> None:
    outage = Place(repeats=True).outage

    outage.failed(REFUSED, 100.0)

    assert outage
    assert [outage.is_waiting(now) for now in (100.0, 104.9, 105.0, 200.0)] == [
        True,
        True,
        False,
        False,
    ]


def test_each_failure_begins_the_pause_anew() -> None:
    outage = Place(repeats=True).outage

    for now in (100.0, 105.0, 110.0):
        outage.failed(REFUSED, now)

    assert outage.is_waiting(114.9)
    assert not outage.is_waiting(115.0)
    assert outage.failures == 3


def test_clock_that_is_set_back_by_a_day_does_not_prolong_the_pause() -> None:
    outage = Place(repeats=True).outage

    outage.failed(REFUSED, 100_000.0)

    assert not outage.is_waiting(100_000.0 - 86_400.0)


def test_medium_that_is_back_is_used_at_once() -> None:
    place = Place(repeats=True)
    place.outage.failed(REFUSED, 100.0)

    place.outage.recovered()

    assert not place.outage
    assert not place.outage.is_waiting(100.1)
    assert place.lines[1:] == ["the place is in use again"]


def test_outage_is_told_once_however_often_the_medium_is_tried() -> None:
    place = Place(repeats=True)

    for now in range(0, 50, 5):
        place.outage.failed(REFUSED, float(now))

    assert place.lines == ["the place cannot be used: refused; going on from memory. Start it."]
    assert place.outage.failures == 10


def test_second_outage_is_told_like_the_first_and_failures_go_on_counting() -> None:
    place = Place(repeats=False)

    for now in (0.0, 100.0):
        place.outage.failed(FULL, now)
        place.outage.recovered()
        place.outage.recovered()

    assert place.lines == [
        "the place cannot be used: full; going on from memory.",
        "the place is in use again",
    ] * 2  # fmt: skip
    assert place.outage.failures == 2


def test_error_that_changes_is_told_of_a_file_and_not_of_a_server() -> None:
    file, server = Place(repeats=True), Place(repeats=False)

    for place in (file, server):
        for error in (REFUSED, FULL, REFUSED):
            place.outage.failed(error, 0.0)

    assert [line.split(";")[0] for line in file.lines] == [str(REFUSED), str(FULL), str(REFUSED)]
    assert [line.split(";")[0] for line in server.lines] == [str(REFUSED)]
