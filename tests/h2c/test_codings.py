"""Content in gzip and deflate, whole and while it arrives."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.client.errors import RequestError
from headstart.h2c.codings import LONGEST, Decoding, Inflater, undone


@pytest.mark.parametrize("coding", [b"gzip", b"x-gzip", b" GZip "])
@given(content=st.binary())
def test_gzip_is_undone(coding: bytes, content: bytes) -> None:
    assert undone(gzip.compress(content), coding) == content


@given(st.binary())
def test_deflate_is_undone(content: bytes) -> None:
    assert undone(zlib.compress(content), b"deflate") == content


@given(st.lists(st.binary(), min_size=1, max_size=3), st.sampled_from([b"", b"\0\0\0", b"x"]))
def test_members_of_gzip_follow_one_another(members: list[bytes], padding: bytes) -> None:
    body = b"".join(map(gzip.compress, members)) + padding

    assert undone(body, b"gzip") == b"".join(members)


@given(st.binary())
def test_deflate_without_its_header_is_undone(content: bytes) -> None:
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    assert undone(raw.compress(content) + raw.flush(), b"deflate") == content


def test_codings_are_undone_one_after_the_other() -> None:
    assert undone(gzip.compress(zlib.compress(b"content")), b"deflate, GZIP") == b"content"
    assert undone(gzip.compress(gzip.compress(b"content")), b"gzip, identity, gzip") == b"content"


@given(st.binary(), st.integers(1, 9), st.sampled_from(["gzip", "deflate"]))
def test_content_may_come_in_pieces(content: bytes, size: int, coding: str) -> None:
    pack = gzip.compress if coding == "gzip" else zlib.compress
    body = pack(content[:5]) + (gzip.compress(content[5:]) if coding == "gzip" else b"")
    inflater = Inflater(coding)

    parts = [inflater.feed(body[at : at + size], 1000) for at in range(0, len(body), size)]

    assert b"".join(parts) == (content if coding == "gzip" else content[:5])
    assert inflater.is_whole


@pytest.mark.parametrize("coding", [b"", b"br", b"gzip, br", b"identity", b"gzip," * 9 + b"gzip"])
def test_other_codings_are_left(coding: bytes) -> None:
    assert undone(gzip.compress(b"content"), coding) is None


@pytest.mark.parametrize("body", [b"", b"no gzip", gzip.compress(b"content", mtime=0)[:-3]])
def test_what_is_not_in_its_coding_is_left(body: bytes) -> None:
    assert undone(body, b"gzip") is None


def test_half_a_member_is_left() -> None:
    assert undone(gzip.compress(b"one") + gzip.compress(b"two")[:-3], b"gzip") is None


def test_a_bomb_is_left() -> None:
    assert undone(gzip.compress(bytes(LONGEST)), b"gzip") == bytes(LONGEST)
    assert undone(gzip.compress(bytes(LONGEST + 1)), b"gzip") is None


@given(st.binary(), st.sampled_from([b"gzip", b"deflate"]))
def test_no_body_raises(body: bytes, coding: bytes) -> None:
    assert undone(body, coding) is None or isinstance(undone(body, coding), bytes)


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
