"""PINGs on a clock of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

from headstart.server.websocket_pings import Pings
from tests.clock import ClockLoop


@pytest.fixture
def loop() -> Iterator[ClockLoop]:
    with closing(ClockLoop()) as made:
        yield made


class Client:
    """Notes the PINGs, and answers them or not."""

    def __init__(self, loop: ClockLoop, interval: float | None, timeout: float | None) -> None:
        self.sent: list[tuple[float, bytes]] = []
        self.lost_at: list[float] = []
        self.is_open = True
        self._loop = loop
        self._begun = loop.time()
        self.pings = Pings(
            loop, interval, timeout, self._ping, lambda: self.lost_at.append(self._now)
        )

    @property
    def _now(self) -> float:
        return round(self._loop.time() - self._begun, 3)

    def _ping(self, payload: bytes) -> bool:
        if self.is_open:
            self.sent.append((self._now, payload))
        return self.is_open

    def times(self) -> list[float]:
        return [time for time, _ in self.sent]

    def wait(self, seconds: float) -> None:
        self._loop.run_until_complete(asyncio.sleep(seconds))


def test_client_that_answers_is_asked_again_and_again(loop: ClockLoop) -> None:
    client = Client(loop, 10, 5)
    client.pings.begin()
    client.wait(12)
    client.pings.answered(b"another")
    client.pings.answered(client.sent[-1][1])
    client.wait(10)

    # The second comes ten seconds behind the first, not behind its answer.
    assert client.times() == [10, 20]
    assert client.lost_at == []


def test_client_that_does_not_answer_is_lost(loop: ClockLoop) -> None:
    client = Client(loop, 10, 5)
    client.pings.begin()
    client.wait(60)

    assert (client.times(), client.lost_at) == ([10], [15])


def test_client_need_not_answer_where_there_is_no_time_for_it(loop: ClockLoop) -> None:
    client = Client(loop, 10, None)
    client.pings.begin()
    client.wait(11)
    client.pings.answered(client.sent[-1][1])
    client.wait(24)

    assert (client.times(), client.lost_at) == ([10, 20, 30], [])


@pytest.mark.parametrize("interval", [None, 0])
def test_nobody_is_asked_without_an_interval(loop: ClockLoop, interval: float | None) -> None:
    client = Client(loop, interval, 5)
    client.pings.begin()
    client.wait(100)

    assert client.sent == []


def test_nobody_is_asked_on_a_websocket_that_ends(loop: ClockLoop) -> None:
    client, stopped = Client(loop, 10, 5), Client(loop, 10, 5)
    client.is_open = False
    client.pings.begin()
    stopped.pings.begin()
    stopped.pings.stop()
    client.wait(100)

    assert client.sent == stopped.sent == []
    assert client.lost_at == stopped.lost_at == []
