"""The last part of a body, beside a connection that notes what it is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from headstart.config import WireLimits
from headstart.server.remainder import Remainder
from headstart.server.scheduler import SendScheduler
from headstart.server.stream_connection import StreamConnection
from headstart.wire.server import ServerConnection

LIMITS = WireLimits(max_queued_stream=100, max_queued_connection=2000, max_concurrent_streams=10)
CONTENT = bytes(range(250))


@dataclass
class Connection:
    """Queues bodies for ever, or until the test empties a queue."""

    queues: dict[int, int] = field(default_factory=dict)
    given: list[tuple[int, bytes | memoryview, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scheduler = SendScheduler(cast(ServerConnection, self), LIMITS)

    def queued(self) -> int:
        """All that is queued."""
        return sum(self.queues.values())

    def queued_on(self, stream_id: int) -> int:
        """What is queued on one stream."""
        return self.queues.get(stream_id, 0)

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Take a part."""
        self.queues[stream_id] = self.queued_on(stream_id) + len(data)
        self.given.append((stream_id, data, end_stream))


def remainder(connection: Connection, body: bytes) -> Remainder:
    return Remainder(cast(StreamConnection, connection), 5, body)


def test_part_that_fits_is_given_as_it_is() -> None:
    connection = Connection(dict.fromkeys(range(7, 33, 2), 100))
    body = CONTENT[:100]

    assert connection.scheduler.room(5) == 50
    assert remainder(connection, body).go_on()

    [(stream_id, given, end_stream)] = connection.given
    assert (stream_id, end_stream) == (5, True)
    assert given is body


def test_larger_part_goes_bit_by_bit() -> None:
    connection = Connection()
    rest = remainder(connection, CONTENT)

    assert not rest.go_on()
    assert not rest.go_on()
    connection.queues[5] = 40
    assert not rest.go_on()
    connection.queues.clear()
    assert rest.go_on()

    assert [len(data) for _, data, _ in connection.given] == [100, 60, 90]
    assert [end for _, _, end in connection.given] == [False, False, True]
    assert b"".join(data for _, data, _ in connection.given) == CONTENT


def test_dropped_part_is_let_go() -> None:
    connection = Connection()
    body = bytearray(CONTENT)
    rest = Remainder(cast(StreamConnection, connection), 5, memoryview(body))
    rest.go_on()
    connection.given.clear()

    rest.drop()

    body.clear()  # which a view of it would forbid
