"""Header blocks that say the same as the one before, held against a decoder of HPACK."""

from __future__ import annotations

import pytest
from hpack import Decoder, HPACKError
from hypothesis import given
from hypothesis import strategies as st

from headstart.wire.repeats import Repeats

GET, HTTPS, ROOT = b"\x82", b"\x87", b"\x84"
AUTHORITY = b"\x01\x06a.test"
"""A literal that is not to be remembered."""
REMEMBERED = b"\x41\x06a.test"


def path(text: bytes, octet: int = 0x04) -> bytes:
    return bytes([octet, len(text)]) + text


def since(*blocks: bytes) -> int:
    """The stream that all later ones are like; streams are 1, 3, 5 and so on."""
    repeats = Repeats()
    for number, block in enumerate(blocks):
        if block != repeats.last:
            repeats.look(block, 2 * number + 1)
    return repeats.since


def test_block_of_references_that_comes_again_repeats_the_one_before() -> None:
    assert since(GET + HTTPS + ROOT, GET + HTTPS + ROOT, GET + HTTPS + ROOT) == 1


@pytest.mark.parametrize("octet", [0x04, 0x05, 0x14, 0x15])
def test_path_that_is_written_out_may_differ(octet: int) -> None:
    blocks = [GET + path(text, octet) + HTTPS for text in (b"/a", b"/bcd", b"", b"/a")]

    assert since(*blocks) == 1


@pytest.mark.parametrize(
    "other",
    [
        ROOT + GET + HTTPS,
        GET + path(b"/a") + HTTPS,
        GET + HTTPS,
        GET + HTTPS + ROOT + b"\xbe",
    ],
)
def test_other_references_are_another_section(other: bytes) -> None:
    assert since(GET + HTTPS + ROOT, GET + HTTPS + ROOT, other, other) == 5


@pytest.mark.parametrize(
    "block",
    [
        GET + REMEMBERED,
        GET + AUTHORITY,
        GET + path(b"/a") + AUTHORITY,
        GET + path(b"/a") + path(b"/b"),
        GET + path(b"/a")[:-1],
        GET + b"\x04",
        GET + b"\x04\x7f\x00" + b"a" * 127,
        b"\x20" + GET,
        b"\x80" + GET,
        b"\xff\x80\x01",
        b"\xff\x00",
        b"\xff\x04\x81\x82",
    ],
    ids=[
        "remembered",
        "another literal",
        "another literal behind the path",
        "two paths",
        "cut",
        "cut before the length",
        "long path",
        "size of the table",
        "no entry",
        "entry of three octets",
        "entry of two octets",
        "entry whose second octet begins a path elsewhere",
    ],
)
def test_block_that_is_more_than_references_and_a_path_repeats_nothing(block: bytes) -> None:
    assert since(block, block) == -1
    assert since(GET + HTTPS, block, GET + HTTPS, GET + HTTPS) == 5


def test_what_is_forgotten_is_not_repeated() -> None:
    repeats = Repeats()
    repeats.look(GET, 1)

    repeats.forget()
    assert (repeats.last, repeats.since) == (b"", -1)

    repeats.look(GET, 5)
    assert repeats.since == 5


REFERENCES = [GET, HTTPS, ROOT, b"\xbe", b"\xbf", b"\xff\x00"]
LITERALS = [AUTHORITY, REMEMBERED, path(b"/a"), path(b"/b", 0x14), path(b"/c", 0x44)]
ODD = [path(b"\x81\xff", 0x05), b"\x04\x82\x60\xff", b"\x20"]
BLOCKS = st.lists(st.sampled_from(REFERENCES + LITERALS + ODD), max_size=4).map(b"".join)


@given(st.lists(st.one_of(st.just(GET + b"\xbe" + path(b"/x")), BLOCKS), max_size=12))
def test_decoder_finds_in_what_repeats_nothing_new_but_the_path(blocks: list[bytes]) -> None:
    repeats, decoder, sections = Repeats(), Decoder(), {}

    for stream, block in enumerate(blocks):
        try:
            sections[stream] = [tuple(field) for field in decoder.decode(block, raw=True)]
        except HPACKError:
            return  # the end of a connection (RFC 9113, 4.3)
        if block != repeats.last:
            repeats.look(block, stream)

        if 0 <= repeats.since < stream:
            fields, before = sections[stream], sections[repeats.since]
            assert len(fields) == len(before)
            for (name, value), (old_name, old_value) in zip(fields, before, strict=True):
                assert name == old_name
                assert value == old_value or name == b":path"


@pytest.mark.parametrize("octet", [0x44, 0x45])
def test_path_that_is_to_be_remembered_changes_the_table_for_all_later_blocks(octet: int) -> None:
    block = GET + HTTPS + path(b"/a", octet) + b"\xbe\xbf"
    repeats = Repeats()

    repeats.look(block, 1)

    assert (repeats.since, repeats.last) == (-1, b"")
    assert since(block, block, GET + HTTPS + path(b"/b", octet) + b"\xbe\xbf") == -1
