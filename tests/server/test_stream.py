"""A stream as a transport, between a connection and a protocol that the test drives."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from ngh2 import ErrorCode

from headstart.errors import StreamGoneError
from headstart.server.stream import StreamTransport
from headstart.server.stream_connection import StreamConnection
from headstart.wire.events import Fields, WebSocketRequested

KIB = 1024


class Connection:
    """Notes what a stream asks of its connection.

    Attributes:
        room_left: How much may be queued.
        gone: The stream is.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.scheduler = self
        self.room_left = 10 * KIB * KIB
        self.gone = False
        self.sent = b""
        self.ended = False
        self.given_back = 0
        self.resets: list[int] = []
        self.mistakes = 0
        self.waits = False

    def room(self, stream_id: int) -> int:
        return self.room_left

    def respond(self, stream_id: int, head: Fields, end_stream: bool, body: bytes) -> None:
        self._check()

    def send_data(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        self._check()
        self.sent += data
        self.room_left -= len(data)
        self.ended = end_stream

    def _check(self) -> None:
        if self.gone:
            raise StreamGoneError("it is gone")

    def wait_for_room(self, stream: object) -> None:
        self.waits = True

    def consumed(self, stream_id: int, amount: int, goes_on: bool = False) -> None:
        self.given_back += amount

    def reset(self, stream_id: int, error_code: int) -> None:
        self.resets.append(error_code)

    def reset_for_mistake(self, stream_id: int) -> None:
        self.mistakes += 1

    def queued_on(self, stream_id: int) -> int:
        return 7

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return name


class Heard(asyncio.Protocol):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.words.append("eof")

    def pause_writing(self) -> None:
        self.words.append("pause")

    def resume_writing(self) -> None:
        self.words.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.words.append("lost")


def opened(*, responded: bool = True) -> tuple[Connection, StreamTransport, Heard]:
    """A stream whose handshake is over."""
    connection, heard = Connection(), Heard()
    request = WebSocketRequested(1, b"/", b"a.test", [])
    stream = StreamTransport(cast(StreamConnection, connection), request)
    stream.set_protocol(heard)
    if responded:
        stream.respond(200, [], b"")
    return connection, stream, heard


async def soon() -> None:
    """Let what was put off happen."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_comes_is_handed_on_and_its_window_given_back() -> None:
    connection, stream, heard = opened()

    stream.data_received(b"abc", False)

    assert (heard.data, connection.given_back, stream.received) == (b"abc", 3, 3)


async def test_protocol_that_does_not_read_holds_the_window_back() -> None:
    connection, stream, heard = opened()
    stream.pause_reading()

    stream.data_received(b"abc", False)
    stream.data_received(b"def", True)
    before = heard.data, connection.given_back, stream.is_reading()
    stream.resume_reading()
    stream.resume_reading()
    await soon()

    assert before == (b"", 0, False)
    assert (heard.data, connection.given_back) == (b"abcdef", 6)
    assert heard.words == ["eof", "lost"]


async def test_what_finds_no_room_waits_and_the_protocol_with_it() -> None:
    connection, stream, heard = opened()
    connection.room_left = 10 * KIB

    stream.write(bytes(100 * KIB))
    first = len(connection.sent), list(heard.words), connection.waits
    connection.room_left = 50 * KIB
    stream.writable()
    second = list(heard.words)
    connection.room_left = 100 * KIB
    stream.writable()

    assert first == (10 * KIB, ["pause"], True)
    assert second == ["pause"]
    assert heard.words == ["pause", "resume"]
    assert len(connection.sent) == 100 * KIB
    assert stream.get_write_buffer_size() == 7
    assert stream.get_write_buffer_limits()[0] < stream.get_write_buffer_limits()[1]


async def test_close_sends_what_was_written_then_the_end() -> None:
    connection, stream, heard = opened()
    connection.room_left = 0
    stream.write(b"last")

    stream.close()
    stream.close()
    stream.write(b"too late")
    stream.data_received(b"dropped", False)
    before = connection.ended, stream.complete, stream.is_closing()
    connection.room_left = KIB
    stream.writable()
    early = stream.answered_early
    stream.data_received(b"", True)
    await soon()

    assert before == (False, False, True)
    assert (connection.sent, connection.ended, connection.given_back) == (b"last", True, 7)
    assert (early, stream.answered_early) == (True, False)
    assert (heard.words, heard.data) == (["lost"], b"")


async def test_close_without_a_response_is_an_error_of_this_side() -> None:
    connection, stream, heard = opened(responded=False)

    stream.close()
    stream.respond(200, [], b"")
    await soon()

    assert connection.resets == [ErrorCode.INTERNAL_ERROR]
    assert heard.words == ["lost"]


async def test_abort_resets_the_stream_once() -> None:
    connection, stream, heard = opened()
    stream.pause_reading()
    stream.data_received(b"unread", False)

    stream.abort()
    stream.abort()
    stream.disconnect()
    await soon()

    assert connection.resets == [ErrorCode.CANCEL]
    assert connection.given_back == 6
    assert heard.words == ["lost"]


async def test_header_section_on_the_tunnel_is_held_against_the_client() -> None:
    connection, stream, heard = opened()

    stream.body_ended()
    await soon()

    assert (connection.mistakes, heard.words) == (1, ["lost"])


async def test_stream_that_is_gone_is_lost() -> None:
    for responded in (True, False):
        connection, stream, heard = opened(responded=responded)
        connection.gone = True

        if responded:
            stream.write(b"to nobody")
        else:
            stream.respond(200, [], b"")
        await soon()

        assert (heard.words, connection.resets) == (["lost"], [])


async def test_it_is_the_connections_in_all_else() -> None:
    _, stream, heard = opened()

    assert stream.get_extra_info("peername") == "peername"
    assert stream.get_protocol() is heard
    assert not stream.can_write_eof()
    assert not stream.awaits_body
