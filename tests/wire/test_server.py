"""The input of the server's side: requests, abuse and the end, one test a rule.

Each asserts the decision, the bytes on the wire, and that the page itself is unharmed.
"""

from __future__ import annotations

from typing import Any

import pytest
from hpack import Encoder
from ngh2 import ErrorCode, Setting

from headstart.config import WireLimits
from headstart.reasons import Closing
from headstart.wire.events import (
    ConnectionEnded,
    ConnectionUsedUp,
    Fields,
    GoAwayReceived,
    RequestReceived,
    RequestRefused,
    StreamClosed,
    StreamRefused,
)
from headstart.wire.fields import response_fields
from headstart.wire.promises import PromiseHeads
from headstart.wire.server import ServerConnection
from tests.server.hostile import DATA, HEADERS, RST_STREAM, WHOLE, WINDOW_UPDATE, block, frame
from tests.wire.pair import AUTHORITY, Pair, assert_page_unharmed

# Requests.


def test_request_is_reshaped_for_an_application() -> None:
    pair = Pair()
    pair.request(b"/a?b=c", headers=[(b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")])

    (request,) = pair.requests()

    assert (request.method, request.target, request.authority) == ("GET", b"/a?b=c", AUTHORITY)
    assert request.headers == [(b"host", AUTHORITY), (b"x", b"y"), (b"cookie", b"a=1; b=2")]
    assert request.end_stream


def test_too_many_fields_are_answered_431_and_other_streams_go_on() -> None:
    pair = Pair()
    page = pair.request()

    big = pair.request(headers=[(b"x", b"%d" % number) for number in range(120)])

    assert pair.status(big) == b"431"
    assert RequestRefused(big, 431, "too many fields") in pair.server_events
    assert_page_unharmed(pair, page)


def errors_of(pair: Pair) -> list[str]:
    """Of the GOAWAY frames that the server wrote."""
    return [dict(goaway.details)["error"] for goaway in pair.sent("GOAWAY")]


def crumbs(count: int) -> Fields:
    """Cookies as browsers send them, each as a field of its own (RFC 9113, 8.2.3)."""
    return [(b"cookie", b"cookie%d=value%d" % (number, number)) for number in range(count)]


def test_hundred_and_fifty_cookies_are_one_field() -> None:
    pair = Pair()

    for _ in range(3):
        pair.request(headers=[*crumbs(150), *[(b"x-%d" % n, b"") for n in range(99)]])

    cookie = b"; ".join(value for _, value in crumbs(150))
    assert [request.headers[-1] for request in pair.requests()] == [(b"cookie", cookie)] * 3


@pytest.mark.parametrize("count", [95, 130, 500, 1000, 1500])
def test_cookies_below_32_kib_never_end_the_connection(count: int) -> None:
    pair = Pair()

    asked = pair.request(headers=crumbs(count))

    small = sum(len(value) + 2 for _, value in crumbs(count)) < 16_000
    assert pair.status(asked) == (None if small else b"431")
    assert_page_unharmed(pair, pair.request())


def test_crumbs_do_not_make_room_for_other_fields() -> None:
    pair = Pair()

    asked = pair.request(headers=[*crumbs(150), *[(b"x-%d" % n, b"") for n in range(100)]])

    assert pair.status(asked) == b"431"


def test_header_sections_that_are_too_large_are_not_answered_without_end() -> None:
    pair = Pair(limits=WireLimits(max_resets=100))
    fields = [(b"x", b"")] * 999

    while pair.server.ended is None:
        pair.request(headers=fields)

    assert pair.server.ended.reason is Closing.RESET_FLOOD
    assert errors_of(pair) == ["NO_ERROR"]
    assert len([e for e in pair.server_events if isinstance(e, RequestRefused)]) <= 12


def test_fields_that_are_too_large_are_answered_431() -> None:
    pair = Pair()

    big = pair.request(headers=[(b"x", b"v" * 17_000)])

    assert pair.status(big) == b"431"
    assert_page_unharmed(pair, pair.request())


def test_target_that_is_too_long_is_answered_414() -> None:
    pair = Pair()

    long = pair.request(b"/" + b"a" * 9000)

    assert pair.status(long) == b"414"
    assert_page_unharmed(pair, pair.request())


def test_header_list_over_the_hard_limit_ends_the_connection_with_a_goaway_of_ours() -> None:
    pair = Pair()
    pair.request()

    pair.client.send_request(
        [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", AUTHORITY),
            (b":path", b"/"),
            *[(b"x", b"")] * 5000,
        ],
        end_stream=True,
    )
    pair.exchange()

    (goaway,) = pair.sent("GOAWAY")
    assert ("error", "ENHANCE_YOUR_CALM") in goaway.details
    assert pair.server.ended is not None
    assert pair.server_events[-1] == pair.server.ended
    assert not pair.server.wants_output


def test_streams_over_the_limit_are_refused() -> None:
    pair = Pair(limits=WireLimits(max_concurrent_streams=2))
    pair.client.data_to_send()

    streams = [pair.request() for _ in range(2)]

    assert [request.stream_id for request in pair.requests()] == streams
    assert ("MAX_CONCURRENT_STREAMS", "2") in pair.sent("SETTINGS")[0].details


def refusals(pair: Pair) -> list[StreamRefused]:
    return [event for event in pair.server_events if isinstance(event, StreamRefused)]


MALFORMED = StreamRefused(Closing.MALFORMED, "reset with PROTOCOL_ERROR")
OVER_LIMIT = StreamRefused(Closing.TOO_MANY_STREAMS, "REFUSED_STREAM")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "request_of", [{"path": b"/\x1b"}, {"headers": [(b"x", b"a\nb")]}], ids=["path", "field"]
)
def test_stream_that_the_engine_resets_for_its_request_is_told_with_its_reason(
    request_of: dict[str, Any],
) -> None:
    pair = Pair()

    pair.request(**request_of)

    assert refusals(pair) == [MALFORMED]
    assert pair.requests() == []
    assert_page_unharmed(pair, pair.request())


def test_stream_that_the_engine_resets_for_its_body_is_told_with_its_reason() -> None:
    pair = Pair()

    upload = pair.request(headers=[(b"content-length", b"9")], end_stream=False)
    pair.client.send_data(upload, b"short", end_stream=True)
    pair.exchange()

    assert refusals(pair) == [MALFORMED]
    assert_page_unharmed(pair, pair.request())


# `response_fields` makes no such section; trailers may still be as large.
TOO_LARGE = [(b":status", b"200"), (b"x", b"a" * 110_000)]


def test_resets_that_are_nobodys_mistake_or_were_told_before_are_no_refusals() -> None:
    pair = Pair()
    pair.client.reset_stream(pair.request(), ErrorCode.CANCEL)
    pair.server.reset(pair.request(), ErrorCode.INTERNAL_ERROR)
    pair.server.refuse(pair.request())
    pair.server.respond(pair.request(), TOO_LARGE, True)
    pair.exchange()

    assert refusals(pair) == []
    assert len(pair.sent("RST_STREAM")) == 3


@pytest.mark.parametrize("segment", [1, 7, 1000])
def test_streams_over_a_limit_that_the_client_does_not_know_yet_are_told_once_each(
    segment: int,
) -> None:
    server, encoder = ServerConnection(WireLimits(max_concurrent_streams=2), 0.0), Encoder()
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
    blocks = {number: encoder.encode(fields) for number in (1, 3, 5, 7, 101)}
    blocks[103] = encoder.encode([*fields, ("Upper", "x")])
    data = PREFACE
    for number, section in blocks.items():
        data += frame(HEADERS, WHOLE, number, section)

    events: list[Any] = []
    for begin in range(0, len(data), segment):
        events += server.receive(data[begin : begin + segment], 0.0)
        server.output()
        events += server.after_output(0.0)

    assert [e.stream_id for e in events if isinstance(e, RequestReceived)] == [1, 3]
    assert [e for e in events if isinstance(e, StreamRefused)] == [OVER_LIMIT] * 4


def test_push_that_is_taken_back_hides_no_stream_over_the_limit() -> None:
    server, encoder = ServerConnection(WireLimits(max_concurrent_streams=2), 0.0), Encoder()
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
    first, *others = [frame(HEADERS, WHOLE, n, encoder.encode(fields)) for n in (1, 3, 5)]
    server.receive(PREFACE + first, 0.0)
    promised = server.promise(1, PromiseHeads("GET", b"http", b"a", []).of(b"/style.css"))
    assert isinstance(promised, int)
    server.output()
    server.reset(promised)
    server.output()
    server.after_output(0.0)

    server.receive(b"".join(others), 0.0)
    server.output()

    told = [event for event in server.after_output(0.0) if isinstance(event, StreamRefused)]
    assert told == [OVER_LIMIT]


@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.CANCEL])
def test_malformed_request_that_its_client_resets_at_once_pays_for_no_reset(
    code: ErrorCode,
) -> None:
    pair = Pair(limits=WireLimits(max_resets=20))
    wrong = Encoder().encode([(":method", "GET"), (":scheme", "http"), (":path", "/\x1b")])

    for stream_id in range(1, 161, 4):
        reset, again = (
            frame(RST_STREAM, 0, n, code.to_bytes(4)) for n in (stream_id, stream_id + 2)
        )
        pair.feed(frame(HEADERS, WHOLE, stream_id, wrong) + reset)
        pair.feed(frame(HEADERS, WHOLE, stream_id + 2, block()) + again)

    assert ConnectionUsedUp(Closing.RESET_FLOOD) in pair.server_events
    assert len(pair.requests()) == 3  # a malformed request counts as five resets


def test_malformed_request_is_not_taken_for_one_over_the_limit() -> None:
    server, encoder = ServerConnection(WireLimits(), 0.0), Encoder()
    block = encoder.encode([(":method", "GET"), (":scheme", "http"), (":path", "/\x1b")])

    server.receive(PREFACE + len(block).to_bytes(3) + bytes([1, 5, 0, 0, 0, 1]) + block, 0.0)
    server.output()

    told = [event for event in server.after_output(0.0) if isinstance(event, StreamRefused)]
    assert told == [MALFORMED]


# Abuse and the end.


def test_words_of_a_goaway_are_shown_without_control_characters() -> None:
    pair = Pair()
    words = b"\x1b]0;owned\x07\r\nall is well"

    pair.feed(len(words + bytes(8)).to_bytes(3) + b"\7\0\0\0\0\0" + bytes(7) + b"\2" + words)
    pair.exchange()

    ended = [event for event in pair.server_events if isinstance(event, ConnectionEnded)]
    assert [event.detail for event in ended] == ["GOAWAY INTERNAL_ERROR: ?]0;owned???all is well"]


GOAWAY_WITH_ERROR = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + bytes(7) + b"\1"
GOAWAY_WITHOUT = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + bytes(8)
DATA_ON_0 = bytes([0, 0, 1, 0, 0, 0, 0, 0, 0, 0])


def test_fault_that_the_client_found_is_not_told_as_one_that_we_found() -> None:
    pair = Pair()

    pair.feed(GOAWAY_WITH_ERROR)

    assert pair.saw(ConnectionEnded, reason=Closing.PEER_ERROR, detail="GOAWAY PROTOCOL_ERROR")


def test_fault_that_the_client_found_is_told_when_its_streams_have_ended() -> None:
    pair = Pair()
    page = pair.request()

    pair.feed(GOAWAY_WITH_ERROR)
    before = pair.server.ended
    pair.answer(page)
    pair.feed(b"")

    assert before is None
    assert pair.saw(ConnectionEnded, reason=Closing.PEER_ERROR)


def test_fault_that_we_find_behind_a_goaway_is_the_clients() -> None:
    pair = Pair()
    pair.request()

    pair.feed(GOAWAY_WITHOUT)
    pair.feed(DATA_ON_0)
    pair.to_client()

    assert pair.saw(GoAwayReceived)
    assert pair.saw(ConnectionEnded, reason=Closing.PROTOCOL_ERROR)


def test_client_that_resets_stream_after_stream_is_sent_away() -> None:
    pair = Pair(limits=WireLimits(max_resets=20))

    for _ in range(21):
        assert pair.server.ended is None
        pair.client.reset_stream(pair.request(), ErrorCode.CANCEL)
        pair.exchange()

    assert errors_of(pair) == ["NO_ERROR"]
    assert pair.server.ended == ConnectionEnded(0, Closing.RESET_FLOOD)


def test_client_that_resets_too_much_gets_what_is_under_way_and_nothing_new() -> None:
    """A proxy that carries many people: one of them must not end the others' requests."""
    pair = Pair(limits=WireLimits(max_resets=20))
    page, last = pair.request(), 0
    for _ in range(21):
        last = pair.request()
        pair.client.reset_stream(last, ErrorCode.CANCEL)
        pair.exchange()
    shown = len(pair.requests())

    pair.feed(frame(HEADERS, WHOLE, last + 2, block()))  # it had not read the GOAWAY
    pair.exchange()
    pair.answer(page, b"page")

    (told, *_) = pair.sent("GOAWAY")
    assert dict(told.details) == {"last stream": str(last), "error": "NO_ERROR"}
    assert len(pair.requests()) == shown
    assert (pair.status(page), pair.body(page)) == (b"200", b"page")
    assert ConnectionUsedUp(Closing.RESET_FLOOD) in pair.server_events
    assert pair.server.ended is not None


def test_client_that_takes_no_hint_is_sent_away_though_something_is_under_way() -> None:
    pair = Pair(limits=WireLimits(max_resets=20))
    pair.request()
    # Twenty resets are free, the next one ends the patience, and as many streams may follow.
    last = 2 * (1 + 20 + 1 + 20) - 1
    for stream_id in range(3, last + 400, 2):
        assert (pair.server.ended is not None) is (stream_id > last + 2), stream_id
        pair.feed(frame(HEADERS, WHOLE, stream_id, block()))
        pair.feed(frame(RST_STREAM, 0, stream_id, bytes(4)))
        pair.to_client()

    assert errors_of(pair) == ["NO_ERROR", "ENHANCE_YOUR_CALM"]
    assert len(pair.requests()) == 22


def test_few_requests_that_are_reset_in_the_same_segment_are_shown() -> None:
    pair = Pair()
    pairs = [
        frame(HEADERS, WHOLE, stream_id, block()) + frame(RST_STREAM, 0, stream_id, bytes(4))
        for stream_id in range(1, 17, 2)
    ]

    pair.feed(b"".join(pairs))

    assert [request.stream_id for request in pair.requests()] == [*range(1, 17, 2)]


def test_many_requests_that_are_reset_in_the_same_segment_are_shown_to_nobody() -> None:
    pair = Pair()
    pairs = [
        frame(HEADERS, WHOLE, stream_id, block()) + frame(RST_STREAM, 0, stream_id, bytes(4))
        for stream_id in range(1, 301, 2)
    ]

    pair.feed(b"".join([*pairs, frame(HEADERS, WHOLE, 301, block())]))

    assert [request.stream_id for request in pair.requests()] == [301]
    pair.server.respond(301, response_fields(200, []), True)
    assert pair.server.output()
    assert pair.server.ended is None


@pytest.mark.cost
def test_people_who_type_behind_a_proxy_go_on_for_ever() -> None:
    """Ten of them give up a search every 0.12 s, 83 a second, while others wait for a report."""
    pair = Pair()
    report = pair.request()

    for _ in range(400):
        searches = [pair.request() for _ in range(10)]
        pair.now += 0.12
        for stream_id in searches:
            pair.client.reset_stream(stream_id, ErrorCode.CANCEL)
        pair.exchange()

    assert_page_unharmed(pair, report)


@pytest.mark.cost
def test_map_that_gives_up_its_tiles_with_each_step_goes_on() -> None:
    """Thirty tiles, given up within a few milliseconds or answered."""
    pair = Pair()
    for step in range(200):
        tiles = [pair.request() for _ in range(30)]
        pair.now += 0.02
        for number, tile in enumerate(tiles):
            if step % 2 and number % 2:
                pair.client.reset_stream(tile, ErrorCode.CANCEL)
            else:
                pair.answer(tile)
        pair.exchange()
        pair.now += 0.1

    assert_page_unharmed(pair, pair.request())


@pytest.mark.parametrize("trailers", [False, True])
def test_rest_of_an_upload_may_be_given_up_once_its_response_is_written(trailers: bool) -> None:
    """Go's net/http resets each upload that is answered early."""
    pair = Pair(limits=WireLimits(max_resets=5))

    for _ in range(50):
        upload = pair.request(method=b"POST", end_stream=False)
        if trailers:
            pair.server.respond(upload, response_fields(200, []), end_stream=False)
            pair.server.send_trailers(upload, [(b"x-sum", b"1")])
            pair.exchange()
        else:
            pair.answer(upload)
        pair.client.reset_stream(upload, ErrorCode.CANCEL)
        pair.exchange()

    assert not pair.server.goaway
    assert_page_unharmed(pair, pair.request())


@pytest.mark.parametrize("window", [0, 4])
def test_response_that_is_not_written_does_not_excuse_a_reset(window: int) -> None:
    pair = Pair({Setting.INITIAL_WINDOW_SIZE: window}, limits=WireLimits(max_resets=5))

    for _ in range(20):
        if not pair.server.goaway:
            upload = pair.request(method=b"POST", end_stream=False)
            pair.answer(upload, b"a page that the window does not take")
            pair.client.reset_stream(upload, ErrorCode.CANCEL)
            pair.exchange()

    assert ConnectionUsedUp(Closing.RESET_FLOOD) in pair.server_events


def test_upload_that_is_answered_early_pays_for_a_reset() -> None:
    """Its stream closes when the client ends it, not when the response is written."""
    pair = Pair(limits=WireLimits(max_resets=5))

    for _ in range(20):
        upload = pair.request(method=b"POST", end_stream=False)
        pair.answer(upload)
        pair.client.send_data(upload, b"rest", end_stream=True)
        pair.client.reset_stream(pair.request(), ErrorCode.CANCEL)
        pair.exchange()

    assert not pair.server.goaway
    assert_page_unharmed(pair, pair.request())


@pytest.mark.parametrize("watched", [True, False])
def test_end_of_a_stream_is_told_where_it_is_watched(watched: bool) -> None:
    pair = Pair()
    stream_id = pair.request()
    pair.server.respond(stream_id, response_fields(204, []), end_stream=True)
    pair.server.output()

    told = pair.server.after_output(0.0, watched)

    assert [type(event) for event in told] == [StreamClosed] * watched


def test_other_streams_may_end_while_a_page_has_promises() -> None:
    pair = Pair()
    page, other = pair.request(), pair.request()
    head = PromiseHeads("GET", b"https", AUTHORITY, []).of(b"/style.css")
    assert isinstance(pair.server.promise(page, head), int)

    pair.answer(other)

    assert pair.status(other) == b"200"
    assert_page_unharmed(pair, page, promises=1)


def test_reset_that_crosses_ours_is_not_held_against_the_client() -> None:
    pair = Pair(limits=WireLimits(max_resets=5))

    for _ in range(50):
        upload = pair.request(method=b"POST", end_stream=False)
        pair.answer(upload)
        pair.server.reset(upload, ErrorCode.NO_ERROR)
        pair.client.reset_stream(upload, ErrorCode.CANCEL)
        pair.exchange()

    assert not pair.server.goaway
    assert_page_unharmed(pair, pair.request())


def test_what_is_still_on_its_way_to_reset_streams_does_no_harm_however_many_they_were() -> None:
    """A thousand uploads are reset and the client's next part of each comes behind the reset."""
    pair = Pair()

    for _ in range(1100):
        upload = pair.request(method=b"POST", end_stream=False)
        pair.server.respond(upload, response_fields(401, []), end_stream=True)
        pair.exchange()
        pair.server.reset(upload, ErrorCode.NO_ERROR)
        pair.to_client()
        pair.feed(frame(DATA, 0, upload, bytes(10)))
        pair.exchange()

    assert pair.server.ended is None
    assert_page_unharmed(pair, pair.request())


def test_client_that_provokes_reset_after_reset_is_sent_away() -> None:
    pair = Pair(limits=WireLimits(max_resets=20))

    for _ in range(25):
        if pair.server.ended is None:
            stream_id = pair.request(
                method=b"POST", headers=[(b"content-length", b"1")], end_stream=False
            )
            pair.client.send_data(stream_id, b"more than one", end_stream=True)
            pair.exchange()

    assert errors_of(pair) == ["NO_ERROR"]
    assert len(refusals(pair)) == 5  # each counts as five resets


def test_responses_that_are_too_large_for_the_engine_are_not_held_against_the_client() -> None:
    pair = Pair(limits=WireLimits(max_resets=3))
    for _ in range(5):
        stream_id = pair.request()
        pair.server.respond(stream_id, TOO_LARGE, True)
        pair.exchange()

    assert pair.server.ended is None
    assert len(pair.sent("RST_STREAM")) == 5


def test_flood_of_pings_is_ended() -> None:
    pair = Pair()

    for _ in range(201):
        if pair.server.ended is None:
            pair.client.ping()
            pair.exchange()

    assert ("error", "ENHANCE_YOUR_CALM") in pair.sent("GOAWAY")[0].details


def test_pings_at_an_honest_pace_go_on_for_ever() -> None:
    pair = Pair()

    for _ in range(500):
        pair.now += 0.1
        pair.client.ping()
        pair.exchange()

    assert_page_unharmed(pair, pair.request())


@pytest.mark.cost
def test_grpc_at_two_thousand_calls_a_second_may_ping_with_each() -> None:
    """grpc-go, grpc-java and grpc-swift send a PING for each DATA frame that they get."""
    pair = Pair()

    for turn in range(4000):
        pair.now = turn / 2000
        pair.answer(pair.request(method=b"POST"), b"0123456789")
        pair.client.ping()
        pair.exchange()

    assert pair.server.answered == 4001
    assert_page_unharmed(pair, pair.request())


@pytest.mark.cost
def test_stream_of_small_messages_may_be_pinged_for_each() -> None:
    pair = Pair()
    stream_id = pair.request(method=b"POST", end_stream=False)
    pair.server.respond(stream_id, response_fields(200, []), end_stream=False)

    for _ in range(2000):
        pair.server.send_data(stream_id, b"0123456789", False)
        pair.client.ping()
        pair.exchange()

    assert_page_unharmed(pair, pair.request())


def test_streams_that_we_reset_ourselves_are_not_held_against_the_client() -> None:
    pair = Pair(limits=WireLimits(max_resets=5))

    for _ in range(20):
        pair.server.reset(pair.request(), ErrorCode.INTERNAL_ERROR)
        pair.exchange()

    assert_page_unharmed(pair, pair.request())


def test_streams_for_which_there_is_no_place_are_held_against_the_client() -> None:
    pair = Pair(limits=WireLimits(max_resets=20))

    for _ in range(21):
        pair.server.refuse(pair.request())
        pair.exchange()

    assert pair.server.ended is not None
    assert pair.server.ended.reason is Closing.RESET_FLOOD


def test_client_is_greeted_once_it_has_acknowledged_our_settings() -> None:
    server = ServerConnection(WireLimits(), 0.0)
    server.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]), 0.0)
    before = server.greeted
    server.output()

    server.receive(bytes([0, 0, 0, 4, 1, 0, 0, 0, 0]), 0.0)

    assert (before, server.greeted) == (False, True)


@pytest.mark.parametrize("stream_id", [0, 1, 2, 2**31 - 1])
def test_reset_of_a_stream_that_was_never_opened_ends_the_connection(stream_id: int) -> None:
    pair = Pair()

    pair.feed(frame(RST_STREAM, 0, stream_id, bytes(4)))
    pair.exchange()

    assert pair.saw(ConnectionEnded, reason=Closing.PROTOCOL_ERROR)
    assert ("error", "PROTOCOL_ERROR") in pair.sent("GOAWAY")[0].details


def test_frame_that_the_engine_ignores_is_answered_before_it_sees_it() -> None:
    pair = Pair()
    pair.answer(pair.request())

    pair.feed(bytes([0, 0, 1, 0, 1, 0, 0, 0, 1]) + b"x")
    pair.exchange()

    assert pair.saw(ConnectionEnded, reason=Closing.PROTOCOL_ERROR)
    assert ("error", "STREAM_CLOSED") in pair.sent("GOAWAY")[0].details
    assert pair.server.last_opened == 1


def test_offence_after_the_end_is_no_second_end() -> None:
    pair = Pair()
    offence = bytes([0, 0, 5, 2, 0, 0, 0, 0, 0]) + bytes(5)

    pair.feed(offence)
    pair.feed(offence)

    assert [type(event) for event in pair.server_events].count(ConnectionEnded) == 1


def cancel_uploads(pair: Pair) -> None:
    """Cancel many uploads in the middle of a frame, then check the window by another one."""
    for _ in range(200):
        upload = pair.request(method=b"POST", end_stream=False)
        # The head of a DATA frame of 16 KiB and the half of it, then RST_STREAM.
        pair.feed(bytes.fromhex("0040000000") + upload.to_bytes(4) + b"x" * 8192)
        pair.server.reset(upload, ErrorCode.CANCEL)
        pair.to_client()
        pair.feed(b"x" * 8192)
        pair.exchange()

    after = pair.request(method=b"POST", end_stream=False)
    assert pair.client.remote_window_size > 2**19
    pair.client.end_stream(after)
    pair.exchange()
    pair.answer(after)
    assert pair.status(after) == b"200"


def test_uploads_cancelled_in_the_middle_of_a_frame_do_not_eat_the_connections_window() -> None:
    cancel_uploads(Pair(limits=WireLimits(max_resets=1000)))


def test_uploads_cancelled_after_a_push_do_not_eat_the_connections_window() -> None:
    pair = Pair(limits=WireLimits(max_resets=1000))
    page = pair.request()
    promised = pair.server.promise(
        page, PromiseHeads("GET", b"https", AUTHORITY, []).of(b"/style.css")
    )
    assert isinstance(promised, int)
    pair.answer(page)
    pair.answer(promised)
    assert pair.body(promised) == b"page"

    cancel_uploads(pair)


def test_garbage_instead_of_a_preface_ends_the_connection() -> None:
    server = ServerConnection(WireLimits(), 0.0)

    events = server.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0.0)
    server.output()
    events += server.after_output(0.0)

    assert any(isinstance(event, ConnectionEnded) for event in events)
    assert server.receive(b"more", 1.0) == []


# Windows that the client opens too far.

LARGEST = 2**31 - 1


def widen(stream_id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))


@pytest.mark.parametrize("increments", [[LARGEST, 1], [LARGEST], [LARGEST // 2] * 3])
def test_update_that_overflows_a_streams_window_resets_that_stream(increments: list[int]) -> None:
    """RFC 9113, 6.9.1; h2spec 6.9.1/3."""
    pair = Pair()
    page, other = pair.request(end_stream=False), pair.request()
    pair.feed(b"".join(widen(page, increment) for increment in increments))
    pair.exchange()

    assert [f.stream_id for f in pair.sent("RST_STREAM")] == [page]
    assert StreamRefused(Closing.MALFORMED, "reset with FLOW_CONTROL_ERROR") in pair.server_events
    assert_page_unharmed(pair, other)


def test_update_that_overflows_comes_with_its_request_and_others() -> None:
    pair = Pair()
    first = frame(HEADERS, WHOLE, 1, block())
    pair.feed(first + widen(1, LARGEST) + frame(HEADERS, WHOLE, 3, block()))
    pair.exchange()

    assert [event.stream_id for event in pair.requests()] == [1, 3]
    assert [f.stream_id for f in pair.sent("RST_STREAM")] == [1]
    assert pair.server.ended is None


def test_small_update_overflows_a_window_that_was_the_largest() -> None:
    pair = Pair({Setting.INITIAL_WINDOW_SIZE: LARGEST})
    page = pair.request(end_stream=False)
    pair.feed(widen(page, 1))
    pair.exchange()

    assert [f.stream_id for f in pair.sent("RST_STREAM")] == [page]
    assert pair.server.ended is None


def test_update_up_to_the_largest_window_is_taken() -> None:
    pair = Pair()
    page = pair.request()
    pair.feed(widen(page, LARGEST - 65_535))
    pair.exchange()

    windows = pair.server.windows(page)
    assert windows is not None
    assert windows[0] == LARGEST
    assert_page_unharmed(pair, page)


def test_update_that_overflows_the_connections_window_ends_it() -> None:
    pair = Pair()
    pair.feed(widen(0, LARGEST))
    pair.exchange()

    assert pair.server.ended is not None
    assert pair.server.ended.error_code == ErrorCode.FLOW_CONTROL_ERROR


def test_update_of_a_stream_that_is_gone_is_nothing() -> None:
    pair = Pair()
    page = pair.request()
    pair.answer(page)
    pair.feed(widen(page, LARGEST))
    pair.exchange()

    assert pair.sent("RST_STREAM") == []
    assert_page_unharmed(pair, pair.request())


@pytest.mark.parametrize("cut", range(14))
def test_update_that_overflows_ends_no_more_than_the_connection_where_it_is_cut(cut: int) -> None:
    pair = Pair()
    page = pair.request(end_stream=False)
    octets = widen(page, LARGEST) + widen(page, 1)
    pair.feed(octets[:cut])
    pair.feed(octets[cut:])
    pair.exchange()

    reset = [f.stream_id for f in pair.sent("RST_STREAM")] == [page]
    assert reset is (cut in (0, 13))
    assert reset or pair.server.ended is not None


def test_updates_that_overflow_again_and_again_are_held_against_the_client() -> None:
    pair = Pair(limits=WireLimits(max_resets=10))
    for _ in range(3):
        assert ConnectionUsedUp(Closing.RESET_FLOOD) not in pair.server_events
        page = pair.request(end_stream=False)
        pair.feed(widen(page, LARGEST))
        pair.exchange()

    assert ConnectionUsedUp(Closing.RESET_FLOOD) in pair.server_events


def test_reset_of_the_connection_itself_ends_it() -> None:
    pair = Pair()

    pair.feed(bytes.fromhex("0000040300") + bytes(8))
    pair.exchange()

    assert pair.server.ended is not None
    assert pair.server.ended.error_code == ErrorCode.PROTOCOL_ERROR
