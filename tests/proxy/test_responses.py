"""Responses that come in one piece; that they are read as llhttp reads them is in `test_http1`."""

from __future__ import annotations

import sys

from headstart.proxy.responses import PlainResponses, ResponseHead

RESPONSE = (
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\nX-A: b\r\n%b\r\nhello"
)


def test_client_gets_all_fields_but_those_of_the_connection() -> None:
    found = PlainResponses().head_of(RESPONSE % b"")

    assert found is not None
    head, size = found
    assert (RESPONSE % b"")[size:] == b"hello"
    assert head.passed() == [(b"content-length", b"5"), (b"x-a", b"b")]
    assert head.fields == [(b"connection", b"keep-alive"), *head.passed()]


def test_list_that_is_changed_behind_the_proxy_is_nobody_elses() -> None:
    responses = PlainResponses()
    first = responses.head_of(RESPONSE % b"")
    assert first is not None

    first[0].passed().append((b"set-cookie", b"of=one"))
    second = responses.head_of(RESPONSE % b"")

    assert second is not None
    assert second[0].passed() == [(b"content-length", b"5"), (b"x-a", b"b")]


def test_known_section_in_front_of_other_content_is_not_plain() -> None:
    responses = PlainResponses()
    assert responses.head_of(RESPONSE % b"") is not None

    assert responses.head_of(RESPONSE % b"" + b"HTTP/1.1 200 OK\r\n\r\n") is None
    assert responses.head_of((RESPONSE % b"")[:-1]) is None


def test_upstream_that_never_repeats_itself_fills_no_memory() -> None:
    responses = PlainResponses()

    for number in range(3000):
        assert responses.head_of(RESPONSE % (b"etag: %d%b\r\n" % (number, b"x" * 100))) is not None
    short = _size(responses)
    for number in range(100):
        assert responses.head_of(RESPONSE % (b"etag: %d%b\r\n" % (number, b"x" * 9000))) is not None

    assert short < 1024 * 1024
    assert _size(responses) <= short


def _size(responses: PlainResponses) -> int:
    """Return the bytes of all that is remembered, as if nothing were shared."""
    size = 0
    for section, (head, _) in responses._sections.items():
        size += sys.getsizeof(section) + _size_of_head(head)
    for line, pair in responses._fields.items():
        size += sys.getsizeof(line) + sys.getsizeof(pair) + sum(map(sys.getsizeof, pair))
    return size


def _size_of_head(head: ResponseHead) -> int:
    lists = sys.getsizeof(head.fields) * 2 + sys.getsizeof(head.single)
    parts = [part for pair in head.fields for part in pair]
    return lists + sum(map(sys.getsizeof, parts)) + 64 * len(head.fields)
