"""The output of one HTTP/1.1 connection: framing, and when it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from headstart.server.counters import Counters
from headstart.server.http1_output import Output
from headstart.server.http1_response import http1_head
from headstart.server.turns import Turns
from tests.clock import ClockLoop
from tests.fuzzing.memory import Socket

LENGTH = [(b"content-length", b"2")]


class Request:
    """A request as the output sees it."""

    def __init__(self, keeps: bool = True, chunks: bool = True, no_body: bool = False) -> None:
        self.keeps_alive = keeps
        self.takes_chunks = chunks
        self.no_body = no_body
        self.asked_for_head = 0

    def send_head(self) -> None:
        self.asked_for_head += 1


class Side:
    """An output, and what went out of it."""

    def __init__(self, loop: ClockLoop) -> None:
        self.loop = loop
        self.counters = Counters()
        self.socket = Socket(asyncio.Protocol(), loop)
        self.output: Any = Output(self.socket, Turns(loop), self.counters)

    def written(self) -> bytes:
        return self.socket.read(1 << 30)

    def turn(self) -> bytes:
        self.loop.run_until_complete(asyncio.sleep(0))
        return self.written()


@pytest.fixture
def side() -> Iterator[Side]:
    with closing(ClockLoop()) as loop:
        yield Side(loop)


@pytest.mark.parametrize(
    ("request_", "headers", "lines"),
    [
        (Request(), LENGTH, b"content-length: 2\r\n"),
        (Request(), [], b"transfer-encoding: chunked\r\n"),
        (Request(keeps=False), LENGTH, b"content-length: 2\r\nconnection: close\r\n"),
        (Request(keeps=False, chunks=False), [], b"connection: close\r\n"),
        (
            Request(keeps=False),
            [(b"connection", b"close")],
            b"connection: close\r\ntransfer-encoding: chunked\r\n",
        ),
        (Request(no_body=True), [], b""),
    ],
)
def test_head_says_how_the_content_is_framed(
    side: Side, request_: Request, headers: list[tuple[bytes, bytes]], lines: bytes
) -> None:
    side.output.head(http1_head(200, headers, []), request_)

    assert side.turn() == b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n"


def test_what_a_turn_brings_goes_out_at_its_end(side: Side) -> None:
    side.output.head(http1_head(200, LENGTH, []), Request())
    side.output.content(b"ab", True)
    assert side.written() == b""
    assert side.output.size > 0

    assert side.turn().endswith(b"\r\n\r\nab")
    assert side.output.size == 0
    assert side.counters.bytes_sent == len(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab")


def test_content_without_a_length_goes_out_in_chunks(side: Side) -> None:
    side.output.head(http1_head(200, [], []), Request())
    side.turn()
    for part in (b"ab", b"", b"c"):
        side.output.content(part, False)
    side.output.content(b"", True)

    assert side.turn() == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


def test_trailers_are_for_chunks_only(side: Side) -> None:
    side.output.head(http1_head(200, [], []), Request())
    side.output.trailers([(b"a", b"b")])
    assert side.turn().endswith(b"\r\n\r\n0\r\na: b\r\n\r\n")

    side.output.head(http1_head(200, LENGTH, []), Request())
    side.output.trailers([(b"a", b"b")])
    assert side.turn().endswith(b"2\r\n\r\n")


def test_much_is_written_at_once(side: Side) -> None:
    side.output.put(bytes(60_000))
    assert side.written() == b""
    side.output.put(bytes(60_000))

    assert side.written() == bytes(120_000)


def test_content_goes_out_as_it_was_when_it_was_sent(side: Side) -> None:
    data = bytearray(b"abc")
    side.output.put(data)
    data[:] = b"xyz"

    assert side.turn() == b"abc"


def test_head_alone_is_asked_for_at_the_end_of_the_turn_and_once(side: Side) -> None:
    request = Request()
    side.output.head_waits(request)
    assert request.asked_for_head == 0
    side.turn()
    side.output.put(b"x")
    side.turn()

    assert request.asked_for_head == 1


def test_nothing_is_written_behind_the_end(side: Side) -> None:
    side.output.put(b"x")
    side.socket.close()

    assert side.turn() == b""
    assert side.counters.bytes_sent == 0


def test_room_is_that_of_the_transport(side: Side) -> None:
    assert side.output.room(1) == side.output.own_room > 1 << 40
    side.output.is_full(True)
    assert side.output.room(1) == side.output.own_room == 0
    assert not side.output.takes_last(1, 1)
    side.output.is_full(False)

    assert side.output.room(1) > 0
    assert side.output.takes_last(1, 1 << 40)
