"""The common part of both sides, seen from a server's: output, windows, and each way to end."""

from __future__ import annotations

import pytest
from ngh2 import ErrorCode, Setting

from headstart.config import ClientLimits, WireLimits
from headstart.errors import LocalProtocolError, StreamGoneError
from headstart.reasons import Closing
from headstart.wire.client import ClientConnection
from headstart.wire.connection import OUTPUT_CHUNK, error_name
from headstart.wire.events import ConnectionEnded
from headstart.wire.fields import response_fields
from headstart.wire.server import ServerConnection
from tests.wire.pair import AUTHORITY, Pair

OPEN: dict[int, int] = {Setting.INITIAL_WINDOW_SIZE: 2**31 - 1}


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """A frame (RFC 9113, 4.1)."""
    return (
        len(payload).to_bytes(3, "big")
        + bytes([kind, flags])
        + stream_id.to_bytes(4, "big")
        + payload
    )


def begun(pair: Pair) -> int:
    """A request whose response has begun."""
    stream_id = pair.request()
    pair.server.respond(stream_id, response_fields(200, []), end_stream=False)
    pair.exchange()
    return stream_id


# Output.


def test_no_more_is_written_at_once_than_asked_for() -> None:
    pair = Pair(OPEN)
    pair.client.set_local_window_size(2**31 - 1)
    pair.exchange()
    stream_id = begun(pair)
    pair.server.send_data(stream_id, bytes(10 * OUTPUT_CHUNK), True)
    before = pair.server.written

    parts = [pair.server.output(1000), pair.server.output()]

    assert 0 < len(parts[0]) <= 1000
    assert 1000 < len(parts[1]) <= OUTPUT_CHUNK
    assert pair.server.written - before == sum(map(len, parts))
    assert pair.server.wants_output


def test_what_a_window_holds_back_is_counted_and_is_no_output() -> None:
    pair = Pair()
    stream_id = begun(pair)
    pair.server.send_data(stream_id, bytes(100_000), True)
    while pair.to_client():
        pass

    assert pair.server.queued() == pair.server.queued_on(stream_id) == 100_000 - 65_535
    assert not pair.server.wants_output
    assert pair.server.output() == b""
    windows = pair.server.windows(stream_id)
    assert windows is not None
    assert windows[0] == 0


def test_stream_that_is_gone_has_nothing_and_takes_nothing() -> None:
    pair = Pair()
    stream_id = pair.request()
    pair.answer(stream_id)

    assert pair.server.queued_on(stream_id) == 0
    assert pair.server.windows(stream_id) is None
    assert pair.server.windows() is not None
    pair.server.reset(stream_id)  # is no error
    with pytest.raises(StreamGoneError):
        pair.server.send_data(stream_id, b"more", False)
    with pytest.raises(StreamGoneError):
        pair.server.send_trailers(stream_id, [(b"x-sum", b"1")])


def test_client_sends_no_more_on_a_stream_that_has_ended() -> None:
    client = ClientConnection(ClientLimits(), False, 0.0)
    stream_id = client.request("POST", b"https", AUTHORITY, b"/", [], end_stream=False)
    client.send_data(stream_id, b"all", True)

    with pytest.raises(StreamGoneError, match=f"stream {stream_id} takes no more data"):
        client.send_data(stream_id, b"more", False)


def test_trailers_go_behind_the_body_and_are_checked() -> None:
    pair = Pair()
    stream_id = begun(pair)
    pair.server.send_data(stream_id, b"body", False)

    with pytest.raises(LocalProtocolError):
        pair.server.send_trailers(stream_id, [(b":status", b"200")])
    pair.server.send_trailers(stream_id, [(b"x-sum", b"1")])
    pair.exchange()

    assert [one.kind for one in pair.sent(stream_id=stream_id)] == ["HEADERS", "DATA", "HEADERS"]


# The window of the peer.


def test_bytes_are_held_until_they_are_acknowledged_and_the_window_opens_again() -> None:
    pair = Pair()
    stream_id = pair.request(method=b"POST", end_stream=False)
    full = pair.server.windows()
    pair.client.send_data(stream_id, bytes(40_000))
    pair.exchange()
    held, narrow = pair.server.unacknowledged(), pair.server.windows(stream_id)

    pair.server.acknowledge(40_000, stream_id)
    pair.exchange()

    assert held == pair.server.received == 40_000
    assert pair.server.unacknowledged() == 0
    wide = pair.server.windows(stream_id)
    assert narrow is not None
    assert wide is not None
    assert wide[1] - narrow[1] == 40_000
    assert full is not None


@pytest.mark.parametrize("code", [ErrorCode.CANCEL, ErrorCode.NO_ERROR])
def test_part_of_a_frame_whose_stream_is_reset_does_not_narrow_the_window_for_ever(
    code: ErrorCode,
) -> None:
    limits = WireLimits(connection_window=100_000)
    pair = Pair(limits=limits)
    for _ in range(20):
        stream_id = pair.request(method=b"POST", end_stream=False)
        # Of 16,000 bytes one is missing when the stream ends.
        pair.feed(frame(0, 0, stream_id, bytes(16_000))[:-1])
        pair.server.reset(stream_id, code)
        pair.to_client()
        pair.feed(b"\0")
        pair.server.acknowledge(pair.server.unacknowledged(), stream_id)
        pair.exchange()

    windows = pair.server.windows()
    assert windows is not None
    assert windows[1] >= 100_000 // 2
    assert pair.server.ended is None


@pytest.mark.parametrize(("parts", "mended"), [(3, False), (4, True)])
def test_window_is_mended_once_more_than_half_of_it_is_lost(parts: int, mended: bool) -> None:
    pair = Pair(limits=WireLimits(connection_window=100_000))
    for _ in range(parts):
        stream_id = pair.request(method=b"POST", end_stream=False)
        pair.feed(frame(0, 0, stream_id, bytes(16_000))[:-1])
        pair.server.reset(stream_id)
        pair.to_client()
        pair.feed(b"\0")
        pair.server.acknowledge(pair.server.unacknowledged(), stream_id)
        pair.exchange()

    windows = pair.server.windows()
    assert windows is not None
    assert (windows[1] > 99_000) is mended


def test_acknowledging_after_the_end_is_no_error() -> None:
    pair = Pair()
    stream_id = pair.request(method=b"POST", end_stream=False)
    pair.client.send_data(stream_id, b"body")
    pair.exchange()
    pair.feed(b"\xff" * 100)

    pair.server.acknowledge(4, stream_id)

    assert pair.server.unacknowledged() == 0


# The end.


def test_close_says_goaway_and_the_first_reason_stays() -> None:
    pair = Pair()

    first = pair.server.close(ErrorCode.ENHANCE_YOUR_CALM, Closing.ENGINE_LIMIT, "too much")
    second = pair.server.close()
    pair.exchange()

    assert first is second is pair.server.ended
    assert first == ConnectionEnded(ErrorCode.ENHANCE_YOUR_CALM, Closing.ENGINE_LIMIT, "too much")
    assert pair.server.goaway
    [said] = pair.sent("GOAWAY")
    assert "ENHANCE_YOUR_CALM" in str(said)
    with pytest.raises(StreamGoneError):
        pair.server.ping(bytes(8))


def test_engine_that_ends_the_connection_says_so_when_its_goaway_is_written() -> None:
    pair = Pair()
    pair.request()
    last = pair.request()

    pair.feed(frame(9, 4, last, b"x"))  # CONTINUATION, out of place (RFC 9113, 6.10)
    before = pair.server.ended
    pair.to_client()

    assert before is None
    assert pair.server_events[-1] == pair.server.ended
    assert pair.server.ended is not None
    assert pair.server.ended.error_code == ErrorCode.PROTOCOL_ERROR
    assert pair.server.ended.reason is Closing.PROTOCOL_ERROR
    assert len(pair.sent("GOAWAY")) == 1


def test_engine_that_fails_is_given_a_goaway_and_says_nothing_else() -> None:
    server = ServerConnection(WireLimits(), 0.0)

    events = server.receive(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", 0.0)

    assert events == [server.ended]
    assert server.ended is not None
    assert server.ended.reason is Closing.PROTOCOL_ERROR
    assert "magic" in server.ended.detail
    wanted = [server.wants_output]
    assert server.output() == frame(7, 0, 0, bytes(4) + (1).to_bytes(4, "big"))
    wanted.append(server.wants_output)
    assert wanted == [True, False]
    assert server.output() == b""
    assert (server.queued(), server.windows(1)) == (0, None)
    assert server.close() is server.ended


def test_what_comes_after_the_end_is_thrown_away() -> None:
    pair = Pair()
    pair.server.close()

    assert pair.server.receive(frame(6, 0, 0, bytes(8)), pair.now) == []


@pytest.mark.parametrize(
    ("code", "words", "told"),
    [
        (0, b"", "GOAWAY NO_ERROR"),
        (11, b"too_many_pings", "GOAWAY ENHANCE_YOUR_CALM: too_many_pings"),
        (0xABC, b"\x1b[2J\xe4", "GOAWAY error 0xabc: ?[2J?"),
        (2, b"x" * 1000, "GOAWAY INTERNAL_ERROR: " + "x" * 200),
    ],
)
def test_peers_goaway_is_told_in_words_that_a_terminal_can_show(
    code: int, words: bytes, told: str
) -> None:
    pair = Pair()
    assert pair.server.peers_goaway == ""

    pair.feed(frame(7, 0, 0, bytes(4) + code.to_bytes(4, "big") + words))

    assert pair.server.peers_goaway == told
    assert pair.server.goaway
    if code:
        assert pair.server.ended == ConnectionEnded(code, Closing.PEER_ERROR, told)


def test_error_code_without_a_name_is_its_number() -> None:
    assert (error_name(8), error_name(0x99)) == ("CANCEL", "error 0x99")
