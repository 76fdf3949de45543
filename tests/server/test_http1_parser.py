"""The parser of HTTP/1.1, without a connection; what it refuses is in `test_http1`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from headstart.config import WireLimits
from headstart.server.http1_checks import Answer
from headstart.server.http1_parser import (
    SLICE,
    BodyReceived,
    Http1Template,
    Part,
    RequestParser,
    UpgradeReceived,
)
from headstart.wire.events import RequestReceived

GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\nX-Name: Value \r\n\r\n"
HEAD = b"POST /b HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.fixture
def parser() -> RequestParser:
    return RequestParser(WireLimits(), offers_websockets=True)


def request(event: object) -> RequestReceived:
    assert isinstance(event, RequestReceived)
    return event


def template(event: object) -> Http1Template:
    found = request(event).template
    assert isinstance(found, Http1Template)
    return found


def test_request_without_content_is_one_event(parser: RequestParser) -> None:
    [event] = parser.feed(GET)
    found = request(event)

    assert (found.method, found.target, found.end_stream) == ("GET", b"/a", True)
    assert found.headers == [(b"host", b"localhost"), (b"x-name", b"Value")]
    assert (parser.part, parser.begun) == (Part.NOTHING, False)


def test_head_may_come_byte_by_byte(parser: RequestParser) -> None:
    seen: list[Any] = []
    for number in range(len(GET)):
        assert parser.part is Part.HEAD
        seen += parser.feed(GET[number : number + 1])
        assert parser.begun is (number < len(GET) - 1)

    assert [request(event).target for event in seen] == [b"/a"]


def test_equal_heads_share_a_template_and_no_list(parser: RequestParser) -> None:
    first, second, third = parser.feed(GET + GET.replace(b"/a", b"/c") + HEAD + b"\r\n")
    request(first).headers.clear()

    assert template(first) is template(second) is not template(third)
    assert request(second).target == b"/c"
    assert request(second).headers == [(b"host", b"localhost"), (b"x-name", b"Value")]


def test_template_of_a_target_in_absolute_form_is_nobody_elses(parser: RequestParser) -> None:
    absolute = GET.replace(b"/a", b"http://other.test/a")
    first, second = parser.feed(absolute + GET)

    assert request(first).headers[0] == (b"host", b"other.test")
    assert request(second).headers[0] == (b"host", b"localhost")


@pytest.mark.parametrize(
    ("line", "fields", "keeps"),
    [
        (b"HTTP/1.1", b"", True),
        (b"HTTP/1.1", b"Connection: close\r\n", False),
        (b"HTTP/1.0", b"", False),
        (b"HTTP/1.0", b"Connection: keep-alive\r\n", False),
    ],
)
def test_template_says_whether_the_connection_goes_on(
    parser: RequestParser, line: bytes, fields: bytes, keeps: bool
) -> None:
    [event] = parser.feed(b"GET / " + line + b"\r\nHost: a\r\n" + fields + b"\r\n")

    assert template(event).keeps_alive is keeps


def test_content_of_one_segment_is_one_event(parser: RequestParser) -> None:
    chunks = b"1\r\na\r\n1\r\nb\r\n"
    events = parser.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert parser.part is Part.BODY
    events += parser.feed(b"1\r\nc\r\n0\r\nX-Sum: 1\r\n\r\n" + GET)

    assert request(events[0]).end_stream is False
    assert events[1:3] == [BodyReceived(b"ab", False), BodyReceived(b"c", True)]
    assert request(events[3]).target == b"/a"
    assert len(events) == 4


@pytest.mark.parametrize("length", [b"0", b"00"])
def test_length_of_nothing_is_no_content(parser: RequestParser, length: bytes) -> None:
    [event] = parser.feed(HEAD + b"Content-Length: " + length + b"\r\n\r\n")

    assert request(event).end_stream is True


def test_chunked_content_that_is_empty_still_ends(parser: RequestParser) -> None:
    events = parser.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")

    assert request(events[0]).end_stream is False
    assert events[1:] == [BodyReceived(b"", True)]


@pytest.mark.parametrize(("size", "refused"), [(16 * 1024, False), (16 * 1024 + 1, True)])
def test_chunk_extensions_are_counted_between_the_reads_of_head_and_end(
    parser: RequestParser, size: int, refused: bool
) -> None:
    begun = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;"
    events = parser.feed(begun + b"e" * (SLICE - len(begun)))
    events += parser.feed(b"e" * size)
    if not refused:
        end = b"\r\na\r\n0\r\n\r\n"
        events += parser.feed(b"e" * (SLICE - len(end)) + end)

    last = events[-1]
    assert last == BodyReceived(b"a", True) or (isinstance(last, Answer) and last.status == 400)
    assert isinstance(last, Answer) is refused


def test_upgrade_comes_with_what_is_behind_it(parser: RequestParser) -> None:
    [event] = parser.feed(b"GET /ws HTTP/1.1\r\nHost: a\r\n" + UPGRADE + b"more")

    assert isinstance(event, UpgradeReceived)
    assert (event.target, event.rest) == (b"/ws", b"more")
    assert event.headers[0] == (b"host", b"a")


@pytest.mark.parametrize(
    "asked",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\n" + UPGRADE,
        b"GET / HTTP/1.0\r\n" + UPGRADE,
    ],
)
def test_upgrade_that_is_not_offered_is_a_request_without_it(
    parser: RequestParser, asked: bytes
) -> None:
    first, second = parser.feed(asked + GET)

    assert b"upgrade" not in dict(request(first).headers)
    assert request(second).target == b"/a"


def test_websocket_is_a_request_where_none_are_offered() -> None:
    parser = RequestParser(WireLimits(), offers_websockets=False)
    [event] = parser.feed(b"GET /ws HTTP/1.1\r\nHost: a\r\n" + UPGRADE)

    assert request(event).target == b"/ws"


def test_refusal_is_the_last_event(parser: RequestParser) -> None:
    first, second = parser.feed(GET + GET.replace(b"Host", b"Hosts") + GET)

    assert request(first).target == b"/a"
    assert isinstance(second, Answer)
    assert second.status == 400


@pytest.mark.parametrize("cuts", [(4, 6, 8198), range(8200), ()])
def test_chunks_that_come_in_parts_are_no_more_than_others(
    parser: RequestParser, cuts: Iterable[int]
) -> None:
    """urllib3 wrote the size, the content and both line ends of a chunk one by one."""
    chunk = b"2000\r\n" + bytes(8192) + b"\r\n"
    ends = [*cuts, len(chunk)]
    parts = [chunk[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    parser.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    times = 10_000 if len(parts) < 10 else 10
    seen = [event for _ in range(times) for part in parts for event in parser.feed(part)]

    assert all(isinstance(event, BodyReceived) for event in seen)
    assert parser.body_size == times * 8192


@pytest.mark.parametrize("size", [1, 100])
def test_extensions_of_chunks_that_come_in_parts_are_bounded(
    parser: RequestParser, size: int
) -> None:
    parser.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"1;" + b"a" * 100 + b"\r\nb\r\n"
    parts = [chunk[at : at + size] for at in range(0, len(chunk), size)]
    answers = [
        event
        for _ in range(250)
        for part in parts
        for event in parser.feed(part)
        if isinstance(event, Answer)
    ]

    assert answers
    assert answers[0].status == 400


def test_trailers_are_bounded_before_they_end() -> None:
    parser = RequestParser(WireLimits(max_header_count=2), offers_websockets=True)
    parser.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    assert parser.feed(b"A: b\r\nA: b\r\n") == []
    [event] = parser.feed(b"A: b\r\nA")

    assert isinstance(event, Answer)
    assert event.status == 431
