"""How the streams of a connection share its queue, beside a wire whose queues the test sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from headstart.config import WireLimits
from headstart.server.scheduler import SendScheduler
from headstart.wire.server import ServerConnection

LIMITS = WireLimits(max_queued_stream=100, max_queued_connection=2000, max_concurrent_streams=10)


@dataclass
class Wire:
    """Queues by stream."""

    queues: dict[int, int] = field(default_factory=dict)
    asked: int = 0

    def queued(self) -> int:
        """All that is queued."""
        return sum(self.queues.values())

    def queued_on(self, stream_id: int) -> int:
        """What is queued on one stream."""
        self.asked += 1
        return self.queues.get(stream_id, 0)


@dataclass(eq=False)
class Stream:
    """Notes how often it may go on."""

    stream_id: int
    woken: int = 0

    def writable(self) -> None:
        """Go on."""
        self.woken += 1


def scheduled(wire: Wire) -> SendScheduler:
    return SendScheduler(cast(ServerConnection, wire), LIMITS)


def test_stream_may_queue_as_much_as_its_limit() -> None:
    wire = Wire({1: 30})

    assert scheduled(wire).room(1) == 70


def test_connections_with_equal_limits_keep_their_room_in_the_same_number() -> None:
    wide = WireLimits(max_queued_connection=2**24)
    rooms = [SendScheduler(cast(ServerConnection, Wire({})), wide).own_room for _ in range(2)]
    assert rooms[0] is rooms[1]


def test_stream_has_its_own_part_where_others_have_taken_the_shared_one() -> None:
    wire = Wire(dict.fromkeys(range(1, 21, 2), 100))
    scheduler = scheduled(wire)

    assert scheduler.own_room == 50
    assert scheduler.room(21) == scheduler.own_room
    assert scheduler.room(1) <= 0


def test_last_part_may_fill_the_allowance_but_for_the_other_streams_own_parts() -> None:
    wire = Wire(dict.fromkeys(range(1, 27, 2), 100))
    scheduler = scheduled(wire)

    assert scheduler.room(29) == 50
    assert scheduler.takes_last(29, 100)
    assert not scheduler.takes_last(29, 101)
    assert scheduler.takes_last(1, 0)
    assert not scheduler.takes_last(1, 1)
    wire.queues[27] = 100
    assert scheduler.takes_last(29, 100)
    wire.queues[29] = 1
    assert not scheduler.takes_last(31, 100)
    assert scheduler.takes_last(31, 99)


def test_stream_is_woken_once_half_of_its_queue_has_gone_out() -> None:
    wire, stream = Wire({1: 100}), Stream(1)
    scheduler = scheduled(wire)
    scheduler.wait(stream)

    wire.queues[1] = 60
    scheduler.wake(100)
    first = stream.woken
    wire.queues[1] = 50
    scheduler.wake(60)

    assert (first, stream.woken) == (0, 1)
    assert not scheduler.waiting


def test_nobody_is_asked_where_nothing_went_out() -> None:
    wire = Wire({1: 100})
    scheduler = scheduled(wire)
    scheduler.wait(Stream(1))
    wire.asked = 0

    scheduler.wake(100)

    assert wire.asked == 0
    assert scheduler.waiting


def test_streams_go_on_in_the_order_in_which_they_came() -> None:
    order: list[int] = []

    class Noting(Stream):
        def writable(self) -> None:
            order.append(self.stream_id)

    wire = Wire({5: 100, 1: 100, 3: 100})
    scheduler = scheduled(wire)
    for number in (5, 1, 3):
        scheduler.wait(Noting(number))

    wire.queues.clear()
    scheduler.wake(300)

    assert order == [5, 1, 3]
