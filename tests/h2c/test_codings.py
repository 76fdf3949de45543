"""Content without its coding."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.codings import LONGEST, Inflater, undone


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
