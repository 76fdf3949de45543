"""What the `h2c` of 2016 got wrong, one test each, with the real command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    SettingsFrame,
)

from tests.h2c.frame_server import Connection, FrameServer, frame_server
from tests.h2c.room import PATIENCE, Room, interrupt

OCTETS = bytes(range(256)) * 3


@pytest.fixture
def server() -> Iterator[FrameServer]:
    with frame_server() as running:
        running.on_request = echo
        yield running


def echo(connection: Connection, stream_id: int, path: str) -> None:
    connection.answer(stream_id, path.encode() + b": " + connection.bodies[stream_id])


def test_settings_that_nobody_knows_are_shown_and_do_no_harm(
    room: Room, server: FrameServer
) -> None:
    server.settings = {0x3: 50, 0xABCD: 7, 0x10: 0xFFFF_FFFF}

    said = room.ok("connect", "-v", server.origin)
    pid = room.ok("pid")

    assert "0xabcd: 7\n" in said
    assert room.ok("get", "/x") == "/x: "
    assert room.ok("pid") == pid


def test_a_103_is_not_merged_into_the_200(room: Room, server: FrameServer) -> None:
    def hint(connection: Connection, stream_id: int, path: str) -> None:
        early = connection.block(103, ("link", "</a.css>; rel=preload"), ("x-early", "1"))
        connection.send(HeadersFrame(stream_id, early, flags=["END_HEADERS"]))
        echo(connection, stream_id, path)

    server.on_request = hint
    room.ok("connect", server.origin)

    shown = room.ok("get", "--include", "/x").replace("\r", "")

    early, final, content = shown.split("\n\n")
    assert early == "HTTP/2 103\nlink: </a.css>; rel=preload\nx-early: 1"
    assert final == "HTTP/2 200"
    assert content == "/x: "


def test_binary_is_exact_on_the_way_in_and_out(room: Room, server: FrameServer) -> None:
    room.ok("connect", server.origin)

    assert room.h2c("post", "--file", "-", "/", stdin=OCTETS).out == b"/: " + OCTETS


def test_continuation_and_frames_of_other_types_are_taken(room: Room, server: FrameServer) -> None:
    def in_pieces(connection: Connection, stream_id: int, path: str) -> None:
        block = connection.block(200, ("x-first", "1"), ("x-second", "2"))
        connection.raw(0x42, 0, b"no such type")
        connection.raw(0x42, stream_id, b"here neither", flags=0xFF)
        connection.raw(0xA, 0, b'\x00\x00h2=":443"')  # ALTSVC
        connection.raw(0xC, 0, b"\x00\x13https://example.org")  # ORIGIN
        connection.send(
            HeadersFrame(stream_id, block[:1]),
            ContinuationFrame(stream_id, block[1:5]),
            ContinuationFrame(stream_id, block[5:], flags=["END_HEADERS"]),
        )
        connection.raw(0xFF, stream_id, b"")
        connection.send(DataFrame(stream_id, path.encode(), flags=["END_STREAM"]))

    server.on_request = in_pieces
    room.ok("connect", server.origin)

    shown = room.ok("get", "--include", "/x").replace("\r", "")
    again = room.ok("get", "/again")

    assert shown == "HTTP/2 200\nx-first: 1\nx-second: 2\n\n/x"
    assert again == "/again"
    assert len(server.connections) == 1


def test_a_frame_as_large_as_the_send_window_is_sent(room: Room, server: FrameServer) -> None:
    server.settings = {SettingsFrame.INITIAL_WINDOW_SIZE: 10}
    room.ok("connect", server.origin)

    assert room.ok("post", "--data", "0123456789", "/") == "/: 0123456789"
    assert sum(server.connections[0].sizes) == 10


def test_a_later_initial_window_size_counts(room: Room, server: FrameServer) -> None:
    def open_up(connection: Connection, stream_id: int) -> None:
        if len(connection.bodies[stream_id]) == 5:
            connection.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 100}))

    server.settings = {SettingsFrame.INITIAL_WINDOW_SIZE: 5}
    server.on_data = open_up
    room.ok("connect", server.origin)

    assert room.ok("post", "--data", "0123456789" * 2, "/") == "/: " + "0123456789" * 2


def test_a_goaway_leaves_streams_up_to_the_last_one_alone(room: Room, server: FrameServer) -> None:
    def go_away(connection: Connection, stream_id: int, path: str) -> None:
        if connection is not server.connections[0]:
            echo(connection, stream_id, path)
        elif stream_id == 3:
            connection.send(GoAwayFrame(0, last_stream_id=1))
            echo(connection, 1, "/first")

    server.on_request = go_away
    room.ok("connect", server.origin)

    first = room.begin("get", "/first")
    while not any(1 in connection.bodies for connection in server.connections):
        assert first.poll() is None
    second = room.ok("get", "/second")

    out, err = first.communicate(timeout=PATIENCE)
    assert (first.wait(), out, err) == (0, b"/first: ", b"")
    assert second == "/second: "
    assert len(server.connections) == 2


def test_a_lost_connection_ends_a_request_at_once(room: Room, server: FrameServer) -> None:
    server.on_request = lambda connection, _1, _2: connection.close()
    room.ok("connect", server.origin)

    result = room.h2c("post", "--timeout", "3600", "--data", "x", "/")

    assert result.code == 1
    assert result.err.startswith("h2c: ")
    assert result.err.count("\n") == 1


def test_nothing_is_written_to_standard_error_without_a_reason(
    room: Room, server: FrameServer
) -> None:
    foreground = room.start()

    for command in (["connect", server.origin], ["get", "/"], ["post", "--data", "x", "/"]):
        room.ok(*command)  # looks at the command's standard error

    assert interrupt(foreground) == 0
    assert foreground.stderr is not None
    assert foreground.stderr.read() == b""


def test_a_path_without_a_slash_gets_one(room: Room, server: FrameServer) -> None:
    room.ok("connect", server.origin)

    assert room.ok("get", "x/y") == "/x/y: "
