"""Content that is decoded while it arrives."""

from __future__ import annotations

import gzip
import zlib

import pytest

from headstart.client.errors import RequestError
from headstart.h2c.daemon.decoding import Decoding

TEXT = b"some text " * 1000
# The same bytes in each process that collects the tests.
PACKED = gzip.compress(TEXT, mtime=0)


def decoded(coding: str, body: bytes, size: int) -> bytes:
    decoding = Decoding(coding)
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    content = b"".join(piece for part in parts for piece in decoding.feed(part))
    decoding.end()
    return content


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", PACKED),
        ("deflate", zlib.compress(TEXT)),
        ("deflate, gzip", gzip.compress(zlib.compress(TEXT), mtime=0)),
        ("identity", TEXT),
    ],
    ids=["gzip", "deflate", "both", "none"],
)
def test_content_does_not_depend_on_how_it_comes(coding: str, body: bytes, size: int) -> None:
    assert decoded(coding, body, size) == TEXT


def test_content_that_is_a_thousand_times_larger_is_whole() -> None:
    body = gzip.compress(bytes(20_000_000))

    assert decoded("gzip", body, len(body)) == bytes(20_000_000)


def test_no_content_is_whole() -> None:
    assert decoded("gzip", b"", 1) == b""


@pytest.mark.parametrize("body", [b"plain text", PACKED[:-9]], ids=["plain", "cut"])
def test_content_that_is_broken_is_an_error(body: bytes) -> None:
    with pytest.raises(RequestError, match="the content is not gzip, or ends within it"):
        decoded("gzip", body, 100)


def test_coding_that_is_unknown_is_named() -> None:
    with pytest.raises(RequestError, match="the coding 'br', which h2c cannot decode"):
        Decoding("br")
