"""The log of refusals: one line each, rationed, and nothing of the peer's own making in it."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.reasons import Closing, Refusal
from headstart.server.counters import Counters
from headstart.server.refusals import Refusals, escaped, named
from tests.server.apps import hello
from tests.server.live import running, until
from tests.server.test_http1 import GOOD, counters, told

CLIENT = ("192.0.2.1", 4711)


@pytest.fixture
def refusals(caplog: pytest.LogCaptureFixture) -> Refusals:
    caplog.set_level(logging.DEBUG, "headstart.refused")
    return Refusals(Counters(), 0.0)


def test_closed_connection_is_one_line_with_its_reason(
    refusals: Refusals, caplog: pytest.LogCaptureFixture
) -> None:
    refusals.connection(Closing.CONTROL_FLOOD, CLIENT, 0.0)
    refusals.request(Closing.MALFORMED, CLIENT, 0.0, "400 two Hosts")

    assert caplog.messages == [
        "192.0.2.1:4711 - connection closed: control-flood",
        "192.0.2.1:4711 - request refused: malformed (400 two Hosts)",
    ]


def test_ordinary_end_is_told_to_who_debugs_only(
    refusals: Refusals, caplog: pytest.LogCaptureFixture
) -> None:
    refusals.connection(Closing.IDLE, CLIENT, 0.0)
    refusals.push(Refusal.PUSH_DISABLED, "/style.css")

    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


def test_flood_writes_few_lines_and_then_a_sum(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headstart.refused")
    counters = Counters()
    refusals = Refusals(counters, 0.0)
    for number in range(10_000):
        refusals.connection(Closing.RESET_FLOOD, CLIENT, number / 1000)
        refusals.second_passed(number / 1000)
    for _ in range(5):
        refusals.request(Closing.MALFORMED, CLIENT, 9.999)
    assert refusals.owes_a_sum()
    refusals.second_passed(10.5)

    assert not refusals.owes_a_sum()
    assert 20 <= len(caplog.messages) <= 32
    assert caplog.messages[-1].endswith("malformed 5")
    assert counters.connections[Closing.RESET_FLOOD] == 10_000
    assert counters.requests[Closing.MALFORMED] == 5


def test_lines_come_again_when_the_flood_is_over(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals(Counters(), 0.0)
    for _ in range(1000):
        refusals.connection(Closing.RESET_FLOOD, CLIENT, 0.0)
    caplog.clear()
    refusals.connection(Closing.STALLED, CLIENT, 60.0)

    assert caplog.messages == ["192.0.2.1:4711 - connection closed: stalled"]


def test_level_that_nobody_reads_costs_no_line() -> None:
    refusals = Refusals(Counters(), 0.0)
    logging.getLogger("headstart.refused").setLevel(logging.CRITICAL)
    try:
        for _ in range(1000):
            refusals.connection(Closing.STALLED, CLIENT, 0.0)
    finally:
        logging.getLogger("headstart.refused").setLevel(logging.NOTSET)

    assert not refusals.owes_a_sum()


@given(st.text())
def test_whatever_the_peer_says_is_one_short_line_of_printable_ascii(text: str) -> None:
    line = escaped(text)

    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= 203 * 10


def test_line_of_its_own_cannot_be_forged() -> None:
    assert escaped("x\r\nWARNING: all is well\x1b[2J\x00") == (
        r"x\r\nWARNING: all is well\x1b[2J\x00"
    )
    assert escaped("x" * 1000) == "x" * 200 + "..."


@pytest.mark.parametrize(
    ("client", "name"),
    [
        (("192.0.2.1", 80), "192.0.2.1:80"),
        (("::1", 80, 0, 0), "[::1]:80"),
        ("", "local"),
        (None, "local"),
    ],
)
def test_client_is_named_as_people_write_addresses(client: object, name: str) -> None:
    assert named(client) == name


def test_flood_over_sockets_is_counted_whole_and_logged_in_part(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hostile = b"GET /\r\n\x1b[2J: evil\r\n\r\n"
    with running(hello) as server:
        for _ in range(200):
            told(server, hostile)
        told(server, GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        counted = counters(server)
        until(lambda: counted.open == 0, "the end of all")

        assert counted.connections[Closing.MALFORMED] + counted.connections[Closing.VERSION] == 200
        assert counted.snapshot()["accepted"] == 201
    lines = [record.getMessage() for record in caplog.records if "closed" in record.getMessage()]
    assert 1 <= len(lines) <= 30
    assert not any("\x1b" in line for line in lines)
