"""Round trips, one or many."""

from __future__ import annotations

import asyncio
import re

import pytest

from headstart.client.errors import RequestError
from headstart.h2c import exits
from headstart.h2c.daemon.ping import ping, statistics
from headstart.h2c.daemon.session import Session
from headstart.h2c.failures import NotConnectedError
from headstart.h2c.options.connections import Ping
from tests.h2c.recorder import Recorder

LINE = r"\d+\.\d{3} ms\n"
END = r"(\d+) sent, (\d+) answered; min/avg/max/mdev (\d+\.\d{3}/){3}\d+\.\d{3} ms\n"


async def test_one_is_a_line(session: Session) -> None:
    recorder = Recorder()

    assert await ping(Ping(10.0), session, recorder) == exits.OK

    assert re.fullmatch(LINE, recorder.output.decode())
    assert not recorder.patient


async def test_a_series_ends_with_its_count_and_statistics(session: Session) -> None:
    recorder = Recorder()

    assert await ping(Ping(10.0, 3, 0.001), session, recorder) == exits.OK

    found = re.fullmatch(f"({LINE}){{3}}{END}", recorder.output.decode())
    assert found is not None
    assert found[2] == found[3] == "3"


@pytest.mark.parametrize("by", ["Ctrl-C", "--stop"])
async def test_a_series_without_end_is_ended_by_the_user(by: str, session: Session) -> None:
    recorder = Recorder()
    running = asyncio.ensure_future(ping(Ping(10.0, None, 600.0), session, recorder))
    while not recorder.output:
        await asyncio.sleep(0)

    if by == "Ctrl-C":
        recorder.interrupted.set()
    else:
        other = Recorder()
        assert await ping(Ping(10.0, stop=True), session, other) == exits.OK
        assert other.messages == []

    assert await running == exits.OK
    assert re.fullmatch(LINE + END, recorder.output.decode())
    assert recorder.patient


async def test_where_no_series_runs_there_is_none_to_stop(session: Session) -> None:
    recorder = Recorder()

    assert await ping(Ping(10.0, stop=True), session, recorder) == exits.OK

    assert recorder.messages == [exits.NO_SERIES]


async def test_what_is_not_answered_is_counted_as_lost(session: Session) -> None:
    recorder = Recorder()

    code = await ping(Ping(1e-9, 2, 0.001), session, recorder)

    assert code == exits.TIMED_OUT
    assert recorder.output.decode() == (
        "no answer to a PING within 1e-09 s\n" * 2 + "2 sent, 0 answered\n"
    )


async def test_an_interrupted_ping_is_not_counted_as_lost(session: Session) -> None:
    recorder = Recorder()
    recorder.interrupted.set()

    assert await ping(Ping(10.0, None, 1.0), session, recorder) == exits.OK

    assert recorder.output == b"0 sent, 0 answered\n"


async def test_a_connection_that_is_lost_ends_the_series(session: Session) -> None:
    recorder = Recorder()
    running = asyncio.ensure_future(ping(Ping(10.0, None, 0.001), session, recorder))
    while not recorder.output:
        await asyncio.sleep(0)

    session.current().connection.abort()

    with pytest.raises(RequestError):
        await running
    assert re.fullmatch(rf"({LINE})+{END}", recorder.output.decode())


async def test_without_a_connection_there_is_no_round_trip() -> None:
    with pytest.raises(NotConnectedError):
        await ping(Ping(10.0), Session(), Recorder())


def test_statistics_are_those_of_ping() -> None:
    assert statistics(3, [0.001, 0.002]) == (
        "3 sent, 2 answered; min/avg/max/mdev 1.000/1.500/2.000/0.500 ms"
    )
