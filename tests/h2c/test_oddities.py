"""What servers on the internet do and clients have to bear, with the real command."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hyperframe.frame import ContinuationFrame, HeadersFrame

from tests.h2c.frame_server import Connection, FrameServer, frame_server
from tests.h2c.room import Room

_GOAWAY = 0x7
_ENHANCE_YOUR_CALM = 0xB


@pytest.fixture
def server() -> Iterator[FrameServer]:
    with frame_server() as running:
        yield running


@pytest.mark.parametrize(
    ("last_stream", "command", "message"),
    [
        (0, ("get",), "the server did not process the request (GOAWAY {})"),
        (1, ("post", "--timeout", "0.3"), "nothing moved for 0.3 s (after GOAWAY {})"),
    ],
)
def test_the_reason_that_a_server_gives_in_its_goaway_is_shown(
    last_stream: int, command: tuple[str, ...], message: str, room: Room, server: FrameServer
) -> None:
    def leave(connection: Connection, stream_id: int, path: str) -> None:
        said = struct.pack(">II", last_stream, _ENHANCE_YOUR_CALM) + b'{"reason":"\x1bTooMany"}'
        connection.raw(_GOAWAY, 0, said)

    server.on_request = leave

    result = room.h2c(*command, f"{server.origin}/x")

    reason = 'ENHANCE_YOUR_CALM: {"reason":"?TooMany"}'
    assert result.err.startswith(f"h2c: {message.format(reason)};")


def test_blanks_at_the_ends_of_values_are_dropped(room: Room, server: FrameServer) -> None:
    def answer(connection: Connection, stream_id: int, path: str) -> None:
        block = connection.block(200, ("csp", "default-src 'self'; "), ("x-a", " \ta"))
        connection.send(HeadersFrame(stream_id, block, flags=["END_HEADERS", "END_STREAM"]))

    server.on_request = answer
    room.ok("connect", server.origin)

    for _ in range(2):  # the second one refers to HPACK's table
        assert room.ok("get", "-i", "/x") == "HTTP/2 200\ncsp: default-src 'self';\nx-a: a\n\n"


def test_a_field_of_more_than_64_kib_costs_its_own_response_only(
    room: Room, server: FrameServer
) -> None:
    def answer(connection: Connection, stream_id: int, path: str) -> None:
        if path != "/large":
            connection.answer(stream_id, b"page")
            return
        block = connection.block(200, ("x-a", "~" * 66_000))
        parts = [block[at : at + 16_384] for at in range(0, len(block), 16_384)]
        connection.send(HeadersFrame(stream_id, parts[0], flags=["END_STREAM"]))
        for part in parts[1:]:
            flags = ["END_HEADERS"] if part is parts[-1] else []
            connection.send(ContinuationFrame(stream_id, part, flags=flags))

    server.on_request = answer
    room.ok("connect", server.origin)

    large = room.h2c("get", "/large")

    assert large.code == 1
    assert "the response was refused: fields of more than 65536 bytes" in large.err
    assert room.ok("get", "/x") == "page"
    assert len(server.connections) == 1


def test_proxy_that_is_set_after_the_background_process_began_is_told_to_be_unused(
    room: Room,
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        room.environment.pop(name, None)
    room.start()
    # A name for documentation (RFC 6761) that resolves nowhere.
    before = room.h2c("connect", "https://nowhere.invalid")

    room.environment["https_proxy"] = "http://proxy.test:3128"
    after = room.h2c("connect", "https://nowhere.invalid")

    assert (before.code, after.code) == (3, 3)
    assert "PROXY" not in before.err
    assert "HTTPS_PROXY is set, but not used for this connection" in after.err
