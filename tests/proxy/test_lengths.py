"""Equal lengths of a response."""

from __future__ import annotations

import pytest

from headstart.proxy.lengths import with_one_length


def test_equal_lengths_are_replaced_by_one_at_the_first_place() -> None:
    section = b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\nCONTENT-LENGTH: 42,\t42\r\nA: b\r\n"
    section += b"content-length: 42 "

    assert with_one_length(section) == (
        b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\ncontent-length: 42\r\nA: b"
    )


@pytest.mark.parametrize(
    "fields",
    [
        b"A: b",
        b"Content-Length: 5",
        b"Content-Length: 5, 6",
        b"Content-Length: 5,",
        b"Content-Length: , ,",
        b"Content-Length: a, a",
        b"Content-Length: 5, 05",
        b"Content-Length: 5, 5\r\n 5",
        b"Content-Length: 5, 5\r\n\t5",
        b"Content-Length: 5, 5\r\nA: b\nc: d",
    ],
)
def test_anything_else_is_left_alone(fields: bytes) -> None:
    assert with_one_length(b"HTTP/1.1 200 OK\r\n" + fields) is None
