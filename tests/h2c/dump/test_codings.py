"""Content without its coding."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.h2c.dump.codings import LONGEST, undone


@pytest.mark.parametrize("coding", [b"gzip", b"x-gzip", b" GZip "])
@given(content=st.binary())
def test_gzip_is_undone(coding: bytes, content: bytes) -> None:
    assert undone(gzip.compress(content), coding) == content


@given(st.binary())
def test_deflate_is_undone(content: bytes) -> None:
    assert undone(zlib.compress(content), b"deflate") == content


@pytest.mark.parametrize("coding", [b"", b"br", b"gzip, br", b"identity"])
def test_other_codings_are_left(coding: bytes) -> None:
    assert undone(gzip.compress(b"content"), coding) is None


@pytest.mark.parametrize("body", [b"", b"no gzip", gzip.compress(b"content", mtime=0)[:-3]])
def test_what_is_not_in_its_coding_is_left(body: bytes) -> None:
    assert undone(body, b"gzip") is None


def test_a_bomb_is_left() -> None:
    assert undone(gzip.compress(bytes(LONGEST)), b"gzip") == bytes(LONGEST)
    assert undone(gzip.compress(bytes(LONGEST + 1)), b"gzip") is None


@given(st.binary(), st.sampled_from([b"gzip", b"deflate"]))
def test_no_body_raises(body: bytes, coding: bytes) -> None:
    assert undone(body, coding) is None or isinstance(undone(body, coding), bytes)
