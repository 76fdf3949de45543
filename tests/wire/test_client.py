"""The client's side against our own server's side, or a bare engine where it must misbehave."""

from __future__ import annotations

from typing import Any

import ngh2
import pytest
from ngh2 import ErrorCode, Setting

from headstart.config import ClientLimits, WireLimits
from headstart.errors import LocalProtocolError, StreamGoneError
from headstart.reasons import Closing, Refusal
from headstart.wire.asking import request_fields
from headstart.wire.client import (
    ClientConnection,
    Upgraded,
    bare_authority,
    settings_payload,
)
from headstart.wire.events import (
    ClientEvent,
    ConnectionEnded,
    DataReceived,
    Fields,
    GoAwayReceived,
    InformationalResponseReceived,
    PingAcknowledged,
    PromiseReceived,
    PromiseRefused,
    RequestReceived,
    ResponseReceived,
    SettingsReceived,
    StreamClosed,
    StreamReset,
    TrailersReceived,
)
from headstart.wire.fields import header_list_size, response_fields
from headstart.wire.frames import ConnectionFrames, Direction, Frame
from headstart.wire.server import ServerConnection

AUTHORITY = b"example.test"


class Pair:
    """Our client's side, and a bare engine as the server, which checks nothing that it sends."""

    def __init__(
        self,
        *,
        push: bool = True,
        limits: ClientLimits | None = None,
        settings: dict[int, int] | None = None,
    ) -> None:
        self.client = ClientConnection(limits or ClientLimits(), push, 0.0)
        self.server = ngh2.Connection(ngh2.Role.SERVER, ngh2.Configuration())
        self.server.initiate_connection(settings or {})
        self.events: list[ClientEvent] = []
        self.server_events: list[ngh2.Event] = []
        self.written: list[Frame] = []
        self._frames = ConnectionFrames(client=Direction.SENT)
        self.exchange()

    def exchange(self) -> None:
        moved = True
        while moved:
            moved = self.to_server() | self.to_client()

    def to_server(self) -> bool:
        data = self.client.output()
        self.events += self.client.after_output(0.0)
        if data:
            self.written += self._frames.feed(Direction.SENT, data, 0.0)
            self.server.receive_data(data)
        self.server_events += self.server.events()
        return bool(data)

    def to_client(self) -> bool:
        data = self.server.data_to_send()
        self.server_events += self.server.events()
        if data:
            self.events += self.client.receive(data, 0.0)
        return bool(data)

    def request(self, target: bytes = b"/", **more: Any) -> int:
        right: dict[str, Any] = {
            "method": "GET",
            "scheme": b"https",
            "authority": AUTHORITY,
            "target": target,
            "headers": [],
            "end_stream": True,
        }
        stream_id = self.client.request(**(right | more))
        self.exchange()
        return stream_id

    def promise(self, parent: int, fields: Fields | None = None, **pseudo: bytes) -> int:
        right = {
            "method": b"GET",
            "scheme": b"https",
            "authority": AUTHORITY,
            "path": b"/style.css",
        }
        promised = self.server.send_push_promise(
            parent,
            [(b":" + name.encode(), value) for name, value in (right | pseudo).items()]
            + (fields or []),
        )
        self.exchange()
        return promised

    def answer(self, stream_id: int, body: bytes = b"page", fields: Fields | None = None) -> None:
        self.server.send_response(stream_id, [(b":status", b"200"), *(fields or [])])
        self.server.send_data(stream_id, body, end_stream=True)
        self.exchange()

    def of(self, kind: type[Any], stream_id: int | None = None) -> list[Any]:
        return [
            event
            for event in self.events
            if isinstance(event, kind) and stream_id in (None, getattr(event, "stream_id", None))
        ]

    def body(self, stream_id: int) -> bytes:
        return b"".join(event.data for event in self.of(DataReceived, stream_id))

    def resets(self, stream_id: int) -> list[str]:
        return [
            dict(frame.details).get("error", "")
            for frame in self.written
            if frame.kind == "RST_STREAM" and frame.stream_id == stream_id
        ]

    def assert_page_answers(self, page: int) -> None:
        self.answer(page)
        assert self.of(ResponseReceived, page)[0].status == 200
        assert self.body(page) == b"page"
        assert self.client.ended is None


# Requests and responses.


def test_both_sides_of_ours_exchange_a_request_and_its_response() -> None:
    client = ClientConnection(ClientLimits(), True, 0.0)
    server = ServerConnection(WireLimits(), 0.0)
    stream_id = client.request(
        "POST", b"https", AUTHORITY, b"/data?x=1", [(b"Content-Type", b"text/plain")], False
    )
    client.send_data(stream_id, b"hello", True)

    server_events = server.receive(client.output(), 0.0)
    server.respond(stream_id, response_fields(201, [(b"x", b"y")]), end_stream=True)
    client_events = client.receive(server.output(), 0.0)

    request = next(event for event in server_events if isinstance(event, RequestReceived))
    assert (request.method, request.target) == ("POST", b"/data?x=1")
    assert (b"content-type", b"text/plain") in request.headers
    response = next(event for event in client_events if isinstance(event, ResponseReceived))
    assert (response.status, response.headers) == (201, [(b"x", b"y")])
    assert response.end_stream


def test_settings_say_what_the_client_wants() -> None:
    pair = Pair(limits=ClientLimits(stream_window=70_000, max_pushes=7))

    settings = next(e for e in pair.server_events if isinstance(e, ngh2.SettingsReceived)).settings

    assert settings[Setting.ENABLE_PUSH] == 1
    assert settings[Setting.INITIAL_WINDOW_SIZE] == 70_000
    assert settings[Setting.MAX_CONCURRENT_STREAMS] == 7
    assert pair.of(SettingsReceived)


def test_client_that_wants_no_pushes_says_so() -> None:
    pair = Pair(push=False)

    settings = next(e for e in pair.server_events if isinstance(e, ngh2.SettingsReceived)).settings

    assert settings[Setting.ENABLE_PUSH] == 0


def test_unknown_settings_of_the_server_harm_nothing() -> None:
    pair = Pair(settings={0xABCD: 7, Setting.MAX_CONCURRENT_STREAMS: 5})

    assert pair.of(SettingsReceived)[0].settings[0xABCD] == 7
    pair.assert_page_answers(pair.request())


def test_informational_responses_come_apart_from_the_final_one() -> None:
    pair = Pair()
    page = pair.request()
    pair.server.send_informational_response(
        page, [(b":status", b"103"), (b"link", b"</a>; rel=preload")]
    )

    pair.answer(page)

    (hint,) = pair.of(InformationalResponseReceived)
    assert (hint.status, hint.headers) == (103, [(b"link", b"</a>; rel=preload")])
    assert [event.status for event in pair.of(ResponseReceived)] == [200]


def test_trailers_come_behind_the_body() -> None:
    pair = Pair()
    page = pair.request()
    pair.server.send_response(page, [(b":status", b"200")])
    pair.server.send_data(page, b"x")
    pair.server.send_trailers(page, [(b"checksum", b"1")])
    pair.exchange()

    assert pair.of(TrailersReceived)[0].headers == ((b"checksum", b"1"),)
    assert pair.of(StreamClosed)[0].error_code == 0


def test_connection_specific_fields_are_not_sent() -> None:
    pair = Pair()

    pair.request(headers=[(b"Connection", b"close"), (b"X-A", b"1")])

    (request,) = [e for e in pair.server_events if isinstance(e, ngh2.RequestReceived)]
    assert [pair for pair in request.headers if pair[0][:1] != b":"] == [(b"x-a", b"1")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "get"},
        {"method": "CONNECT"},
        {"method": "GET\r\n"},
        {"authority": b"a b"},
        {"authority": b"user@host"},
        {"target": b"no-slash"},
        {"target": b"/a#fragment"},
        {"target": b"/a b"},
        {"target": b"*"},
        {"headers": [(b"x", b"1\r\ny: 2")]},
        {"headers": [(b"x y", b"1")]},
    ],
)
def test_what_http_forbids_is_refused_before_anything_is_written(wrong: dict[str, Any]) -> None:
    pair = Pair()
    written = len(pair.written)

    with pytest.raises(LocalProtocolError) as caught:
        pair.request(**wrong)
    pair.exchange()

    assert caught.value.hint
    assert len(pair.written) == written
    pair.assert_page_answers(pair.request())


def test_fields_are_sent_up_to_64_kib_and_refused_above() -> None:
    pair = Pair()
    begin = header_list_size(request_fields("GET", b"https", AUTHORITY, b"/", []))
    left = 64 * 1024 - begin - 2 * (len(b"x-a") + 32)
    large = [(b"x-a", b"v" * (left // 2)), (b"x-b", b"v" * (left - left // 2))]

    pair.request(headers=large)
    with pytest.raises(LocalProtocolError, match="65537 bytes, 65536 at most") as caught:
        pair.request(headers=[*large[:1], (b"x-b", large[1][1] + b"v")])

    (request,) = [e for e in pair.server_events if isinstance(e, ngh2.RequestReceived)]
    assert [pair for pair in request.headers if pair[0][:1] != b":"] == large
    assert caught.value.hint
    pair.assert_page_answers(pair.request())


def test_trailers_are_refused_above_64_kib() -> None:
    pair = Pair()
    stream_id = pair.request(method="POST", end_stream=False)

    with pytest.raises(LocalProtocolError, match="65536 at most"):
        pair.client.send_trailers(stream_id, [(b"x-a", b"v" * 65536)])


def test_websocket_is_asked_for_by_an_extended_connect() -> None:
    pair = Pair(settings={Setting.ENABLE_CONNECT_PROTOCOL: 1})

    pair.request(protocol=b"websocket", end_stream=False)

    (asked,) = [e for e in pair.server_events if isinstance(e, ngh2.RequestReceived)]
    assert asked.headers[:2] == ((b":method", b"CONNECT"), (b":protocol", b"websocket"))


def test_options_may_ask_for_the_whole_server() -> None:
    pair = Pair()

    pair.assert_page_answers(pair.request(b"*", method="OPTIONS"))


@pytest.mark.parametrize("length", [b"2", b"5"])
def test_wrong_content_length_resets_that_stream_alone(length: bytes) -> None:
    pair = Pair()
    wrong, page = pair.request(), pair.request()

    pair.answer(wrong, b"abc", [(b"content-length", length)])

    assert pair.resets(wrong) == ["PROTOCOL_ERROR"]
    assert pair.of(StreamClosed, wrong)[0].error_code == ErrorCode.PROTOCOL_ERROR
    pair.assert_page_answers(page)


def test_response_to_head_may_name_a_length_without_a_body() -> None:
    pair = Pair()
    page = pair.request(method="HEAD")

    pair.server.send_response(
        page, [(b":status", b"200"), (b"content-length", b"9")], end_stream=True
    )
    pair.exchange()

    assert pair.of(ResponseReceived)[0].end_stream
    assert pair.of(StreamClosed)[0].error_code == 0


def test_too_many_fields_reset_that_stream_alone_and_say_why() -> None:
    pair = Pair(limits=ClientLimits(max_header_count=10))
    wrong, page = pair.request(), pair.request()

    pair.server.send_response(wrong, [(b":status", b"200"), *[(b"x", b"1")] * 11])
    pair.exchange()

    assert pair.resets(wrong) == ["CANCEL"]
    assert not pair.of(ResponseReceived, wrong)
    assert "10 fields" in pair.client.take_problem(wrong)
    assert pair.client.take_problem(wrong) == ""
    pair.answer(page, fields=[(b"x", b"1")] * 9)  # with the status it has ten
    assert len(pair.of(ResponseReceived, page)[0].headers) == 9
    assert pair.body(page) == b"page"


def test_too_large_fields_reset_that_stream_alone() -> None:
    pair = Pair(limits=ClientLimits(max_header_size=1000))
    wrong, page = pair.request(), pair.request()

    pair.server.send_response(wrong, [(b":status", b"200"), (b"x", b"1" * 1000)])
    pair.exchange()

    assert pair.resets(wrong) == ["CANCEL"]
    pair.assert_page_answers(page)


def test_equal_fields_are_accepted_each_time_and_larger_ones_between_them_are_not() -> None:
    pair = Pair(limits=ClientLimits(max_header_size=1000))
    first, wrong, again = pair.request(), pair.request(), pair.request()

    pair.answer(first, fields=[(b"x", b"1" * 900)])
    pair.server.send_response(wrong, [(b":status", b"200"), (b"x", b"1" * 1000)])
    pair.exchange()
    pair.answer(again, fields=[(b"x", b"1" * 900)])

    shown = [pair.of(ResponseReceived, stream_id)[0].headers for stream_id in (first, again)]
    assert shown[0] == shown[1] == [(b"x", b"1" * 900)]
    assert pair.resets(wrong) == ["CANCEL"]


def test_nothing_is_shown_of_a_refused_response_that_comes_at_once() -> None:
    pair = Pair(limits=ClientLimits(max_header_size=1000))
    wrong, page = pair.request(), pair.request()

    pair.server.send_response(wrong, [(b":status", b"200"), (b"x", b"1" * 1000)])
    pair.server.send_data(wrong, b"body")
    pair.server.send_trailers(wrong, [(b"a", b"b")])
    pair.exchange()

    shown = [event for event in pair.events if getattr(event, "stream_id", None) == wrong]
    assert [type(event) for event in shown] == [StreamClosed]
    assert "1000 bytes" in pair.client.take_problem(wrong)
    pair.assert_page_answers(page)


def test_endless_informational_responses_are_cut_off() -> None:
    pair = Pair(limits=ClientLimits(max_informational=3))
    wrong, page = pair.request(), pair.request()

    for _ in range(4):
        pair.server.send_informational_response(wrong, [(b":status", b"103")])
    pair.exchange()

    assert len(pair.of(InformationalResponseReceived)) == 3
    assert pair.resets(wrong) == ["CANCEL"]
    pair.assert_page_answers(page)


# Windows.


def test_server_sends_no_more_than_the_window_until_it_is_given_back() -> None:
    pair = Pair(limits=ClientLimits(stream_window=65_535))
    page = pair.request()

    pair.answer(page, b"x" * 100_000)
    held = len(pair.body(page))
    for event in pair.of(DataReceived):
        pair.client.acknowledge(len(event.data), page)
    pair.exchange()

    assert held == 65_535
    assert len(pair.body(page)) == 100_000


def test_window_of_a_stream_that_was_reset_in_the_middle_of_a_frame_is_not_lost() -> None:
    pair = Pair(limits=ClientLimits(connection_window=70_000))
    for _ in range(40):
        page = pair.request()
        pair.server.send_response(page, [(b":status", b"200")])
        pair.server.send_data(page, b"x" * 30_000)
        data = pair.server.data_to_send()

        before = pair.client.receive(data[:20_000], 0.0)
        pair.client.reset(page)
        pair.to_server()
        after = pair.client.receive(data[20_000:], 0.0)
        for event in before + after:
            if isinstance(event, DataReceived):
                pair.client.acknowledge(len(event.data), page)
        pair.exchange()

    last = pair.request()
    pair.answer(last, b"y" * 30_000)
    assert pair.body(last) == b"y" * 30_000


def test_giving_back_after_the_end_does_nothing() -> None:
    pair = Pair()
    page = pair.request()
    pair.answer(page)

    pair.client.close()
    pair.client.acknowledge(4, page)

    assert pair.client.ended is not None


# Promises.


def test_promise_of_a_get_is_accepted_and_its_response_comes() -> None:
    pair = Pair()
    page = pair.request()

    promised = pair.promise(page, [(b"accept", b"*/*")])
    pair.answer(promised, b"css")

    (promise,) = pair.of(PromiseReceived)
    assert (promise.stream_id, promise.promised_stream_id) == (page, promised)
    assert (promise.method, promise.scheme, promise.authority, promise.target) == (
        "GET",
        b"https",
        AUTHORITY,
        b"/style.css",
    )
    assert promise.headers == [(b"accept", b"*/*")]
    assert pair.body(promised) == b"css"
    pair.assert_page_answers(page)


@pytest.mark.parametrize(
    ("pseudo", "fields", "refusal"),
    [
        ({"method": b"POST"}, [], Refusal.METHOD),
        ({"method": b"DELETE"}, [], Refusal.METHOD),
        ({"authority": b"other.test"}, [], Refusal.FOREIGN_AUTHORITY),
        ({"authority": b"example.test:8443"}, [], Refusal.FOREIGN_AUTHORITY),
        ({"scheme": b"http"}, [], Refusal.FOREIGN_AUTHORITY),
        ({"scheme": b"gopher"}, [], Refusal.FOREIGN_AUTHORITY),
        ({"path": b"/a#b"}, [], Refusal.BAD_PATH),
        ({}, [(b"content-length", b"5")], Refusal.FORBIDDEN_FIELD),
        ({}, [(b"range", b"bytes=0-1")], Refusal.FORBIDDEN_FIELD),
        ({}, [(b"expect", b"100-continue")], Refusal.FORBIDDEN_FIELD),
        ({}, [(b"if-match", b'"a"')], Refusal.FORBIDDEN_FIELD),
        ({}, [(b"if-modified-since", b"x")], Refusal.FORBIDDEN_FIELD),
        ({}, [(b"if-none-match", b'"a"')], Refusal.FORBIDDEN_FIELD),
        ({}, [(b"if-range", b'"a"')], Refusal.FORBIDDEN_FIELD),
        ({}, [(b"if-unmodified-since", b"x")], Refusal.FORBIDDEN_FIELD),
    ],
    ids=str,
)
def test_promise_that_must_not_be_is_reset_and_counted(
    pseudo: dict[str, bytes], fields: Fields, refusal: Refusal
) -> None:
    pair = Pair()
    page = pair.request()

    promised = pair.promise(page, fields, **pseudo)

    (refused,) = pair.of(PromiseRefused)
    assert refused == PromiseRefused(page, promised, refusal)
    assert pair.client.refused_promises == {refusal: 1}
    assert pair.resets(promised) == ["PROTOCOL_ERROR"]
    assert not pair.of(PromiseReceived)
    pair.assert_page_answers(page)


def test_promise_may_name_the_default_port_and_upper_case() -> None:
    pair = Pair()
    page = pair.request()

    pair.promise(page, authority=b"Example.test:443")

    assert pair.of(PromiseReceived)
    pair.assert_page_answers(page)


def test_promises_without_end_are_refused_above_the_bound() -> None:
    pair = Pair(limits=ClientLimits(max_pushes=3))
    page = pair.request()

    promised = [pair.promise(page, path=b"/%d" % number) for number in range(5)]

    assert len(pair.of(PromiseReceived)) == 3
    assert pair.client.refused_promises == {Refusal.TOO_MANY: 2}
    assert pair.resets(promised[3]) == ["REFUSED_STREAM"]
    pair.assert_page_answers(page)


@pytest.mark.parametrize("method", [b"POST", b"GET"])
def test_server_that_promises_and_reads_no_refusal_is_left(method: bytes) -> None:
    pair = Pair(limits=ClientLimits(max_pushes=3))
    page = pair.request()
    fields = [(b":method", method), (b":scheme", b"https"), (b":authority", AUTHORITY)]
    fields.append((b":path", b"/"))

    for _ in range(2010):
        pair.server.send_push_promise(page, fields)
    pair.to_client()

    assert len(pair.of(PromiseRefused)) > 2000
    assert pair.of(ConnectionEnded)[0].reason is Closing.USELESS_FRAMES
    assert b"".join(iter(pair.client.output, b""))
    pair.client.after_output(0.0)
    assert not pair.client.receive(b"\0" * 9, 0.0)


def test_promise_where_push_is_off_ends_the_connection() -> None:
    pair = Pair(push=False)
    page = pair.request()
    # A server that has heard ENABLE_PUSH=0 and acts against it has to be made by hand.
    offender = ngh2.Connection(ngh2.Role.SERVER, ngh2.Configuration())
    offender.initiate_connection({})
    listener = ngh2.Connection(ngh2.Role.CLIENT, ngh2.Configuration())
    listener.initiate_connection({})
    request = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", AUTHORITY),
        (b":path", b"/"),
    ]
    listener.send_request(request, end_stream=True)
    offender.receive_data(listener.data_to_send())
    offender.data_to_send()
    offender.send_push_promise(page, request)

    pair.events += pair.client.receive(offender.data_to_send(), 0.0)
    pair.to_server()

    (ended,) = pair.of(ConnectionEnded)
    assert ended.error_code == ErrorCode.PROTOCOL_ERROR


def test_promise_on_a_stream_that_we_reset_is_reset_too() -> None:
    pair = Pair()
    page, other = pair.request(), pair.request()
    pair.client.reset(page)
    promised = pair.server.send_push_promise(
        page,
        [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", AUTHORITY),
            (b":path", b"/x"),
        ],
    )
    data = pair.server.data_to_send()
    pair.to_server()

    pair.events += pair.client.receive(data, 0.0)
    pair.exchange()

    assert not pair.of(PromiseReceived)
    assert pair.resets(promised) != []
    pair.assert_page_answers(other)


# Ends.


def test_reset_of_one_stream_leaves_the_others() -> None:
    pair = Pair()
    gone, page = pair.request(), pair.request()

    pair.server.reset_stream(gone, ErrorCode.REFUSED_STREAM)
    pair.exchange()

    assert pair.of(StreamReset)[0].error_code == ErrorCode.REFUSED_STREAM
    assert [event.stream_id for event in pair.of(StreamClosed)] == [gone]
    pair.assert_page_answers(page)


def test_goaway_closes_the_streams_above_its_last_one_and_no_other() -> None:
    pair = Pair()
    page, above = pair.request(), pair.request()

    pair.server.send_goaway(last_stream_id=page)
    pair.exchange()

    assert pair.of(GoAwayReceived)[0].last_stream_id == page
    assert pair.client.last_stream_id == page
    (closed,) = pair.of(StreamClosed)
    assert (closed.stream_id, closed.error_code) == (above, ErrorCode.REFUSED_STREAM)
    with pytest.raises(StreamGoneError):
        pair.request()
    pair.answer(page)
    assert pair.body(page) == b"page"
    assert pair.of(ConnectionEnded)[0].error_code == 0


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x00\x05\x00\x00\x00\x00\x00\x00hello",
        b"\xff" * 100,
    ],
)
def test_what_is_not_http2_ends_the_connection_with_goaway(data: bytes) -> None:
    client = ClientConnection(ClientLimits(), True, 0.0)
    client.output()

    events = client.receive(data, 0.0)
    written = client.output()
    events += client.after_output(0.0)

    (ended,) = [event for event in events if isinstance(event, ConnectionEnded)]
    assert ended.error_code != 0
    assert written[3] == 0x07
    assert client.receive(b"more", 0.0) == []


def test_fields_above_the_engines_bound_end_the_connection_with_a_reason() -> None:
    pair = Pair(limits=ClientLimits(max_header_count=10))
    page = pair.request()

    pair.answer(page, b"", [(b"x", b"1")] * 30)

    assert pair.of(ConnectionEnded)[0].error_code == ErrorCode.ENHANCE_YOUR_CALM
    assert pair.written[-1].kind == "GOAWAY"


def test_ping_is_acknowledged() -> None:
    pair = Pair()

    pair.client.ping(b"12345678")
    pair.exchange()

    assert pair.of(PingAcknowledged)[0].opaque_data == b"12345678"


def test_server_may_ping_for_each_part_of_an_upload() -> None:
    pair = Pair(limits=ClientLimits(max_control_rate=10))
    upload = pair.request(method="POST", end_stream=False)

    for _ in range(100):
        pair.client.send_data(upload, b"0123456789", False)
        pair.server.ping()
        pair.exchange()

    pair.client.send_data(upload, b"", True)
    pair.assert_page_answers(upload)


@pytest.mark.parametrize(
    ("scheme", "authority", "bare"),
    [
        (b"https", b"A.test:443", b"a.test"),
        (b"http", b"a.test:80", b"a.test"),
        (b"https", b"a.test:80", b"a.test:80"),
        (b"https", b"[::1]:443", b"[::1]"),
    ],
)
def test_authorities_are_compared_without_the_default_port(
    scheme: bytes, authority: bytes, bare: bytes
) -> None:
    assert bare_authority(scheme, authority) == bare


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_request_that_was_upgraded_is_answered_on_stream_1(method: str) -> None:
    limits = ClientLimits()
    client = ClientConnection(limits, True, 0.0, Upgraded(method, b"http", AUTHORITY))
    server = ngh2.Connection(ngh2.Role.SERVER, ngh2.Configuration())
    server.initiate_upgrade(settings_payload(limits, True), head_request=method == "HEAD")
    asset = {"method": b"GET", "scheme": b"http", "authority": AUTHORITY, "path": b"/style.css"}
    server.send_push_promise(1, [(b":" + name.encode(), value) for name, value in asset.items()])
    server.send_response(1, [(b":status", b"200")], end_stream=method == "HEAD")
    if method == "GET":
        server.send_data(1, b"page", end_stream=True)

    server.receive_data(client.output())
    events = client.receive(server.data_to_send(), 0.0)

    assert server.remote_settings[Setting.INITIAL_WINDOW_SIZE] == limits.stream_window
    kinds = [type(event) for event in events]
    assert PromiseReceived in kinds
    (response,) = (event for event in events if isinstance(event, ResponseReceived))
    assert (response.stream_id, response.status) == (1, 200)
    body = b"".join(event.data for event in events if isinstance(event, DataReceived))
    assert body == (b"" if method == "HEAD" else b"page")
    assert client.request("GET", b"http", AUTHORITY, b"/", [], True) == 3
