"""Content codings undone: whole, cut, broken, and bombs."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.pages.codings import KNOWN, undo

PAGE = b"<p>" * 1000
RAW = zlib.compressobj(wbits=-15)
DEFLATED = RAW.compress(PAGE) + RAW.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", PAGE),
        ("identity", PAGE),
        ("gzip", gzip.compress(PAGE, mtime=0)),
        ("x-gzip", gzip.compress(PAGE, mtime=0)),
        ("deflate", zlib.compress(PAGE)),
        ("deflate", DEFLATED),
    ],
)
def test_a_coding_is_undone(coding: str, body: bytes) -> None:
    assert coding in KNOWN
    assert undo(body, coding, 10_000) == (PAGE, True)
    assert undo(body, coding, 100) == (PAGE[:100], False)


def test_a_body_that_was_cut_gives_its_beginning() -> None:
    undone = undo(gzip.compress(PAGE)[:-10], "gzip", 10_000)

    assert undone is not None
    content, whole = undone
    assert PAGE.startswith(content)
    assert not whole


def test_a_second_member_is_not_read_and_not_denied() -> None:
    assert undo(gzip.compress(PAGE) * 2, "gzip", 10_000) == (PAGE, False)


def test_a_bomb_makes_no_more_than_it_is_asked_for() -> None:
    bomb = gzip.compress(bytes(50_000_000))

    assert undo(bomb, "gzip", 1000) == (bytes(1000), False)


@given(st.binary(), st.sampled_from(sorted(KNOWN)))
def test_no_bytes_are_too_odd(body: bytes, coding: str) -> None:
    undone = undo(body, coding, 100)

    assert undone is None or len(undone[0]) <= 100
